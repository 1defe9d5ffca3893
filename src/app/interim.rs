//! An endpoint without the rest of the app: for a command that has to take pushes while the app does not run. What it
//! takes is in the inbox, and is shown when the app starts.

use std::{convert::Infallible, io, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    certificate::Certificate,
    listening::{self, Inherited, Listening},
    start, upkeep,
};
use crate::{
    accounts::{Accounts, AccountsError},
    cli::Failure,
    config::Config,
    control::{Instance, InstanceError},
    http::Endpoint,
    inbox::Inbox,
    paths::Paths,
    platform::{sockets, watch::FileWatch},
};

/// A running endpoint. Close it: what is in progress is finished then.
pub struct Interim {
    listening: Listening,
    /// Kept in step with its files for as long as it is served.
    _certificate: Option<Certificate>,
    /// So are the accounts, by a task that ends with this.
    following: JoinSet<()>,
    inbox: Inbox,
    news: Arc<Notify>,
    /// Nobody else may open the inbox meanwhile.
    _instance: Instance,
}

impl Interim {
    /// Sees whether it could start now, and leaves nothing behind; false when the app runs, which has an endpoint.
    ///
    /// # Errors
    /// When it could not listen.
    pub fn check(paths: &Paths, config: &Config) -> Result<bool, Failure> {
        if Self::acquire(paths)?.is_none() {
            return Ok(false);
        }
        let mut failure = None;
        for address in &config.server.listen {
            match sockets::listen(*address) {
                Ok(_) => return Ok(true),
                Err(error) => {
                    failure.get_or_insert_with(|| listening::explain(*address, &error, &paths.config));
                }
            }
        }
        Err(Failure::Failed(failure.unwrap_or_else(|| "server.listen names no address".to_owned())))
    }

    fn acquire(paths: &Paths) -> Result<Option<Instance>, Failure> {
        match Instance::acquire(paths) {
            Ok(instance) => Ok(Some(instance)),
            Err(InstanceError::AlreadyRunning) => Ok(None),
            Err(error @ InstanceError::Failed { .. }) => Err(Failure::Failed(error.to_string())),
        }
    }

    /// Starts it; `None` when the app runs, which has an endpoint. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen, or the inbox cannot be opened.
    pub async fn start(paths: &Paths, config: &Config) -> Result<Option<Self>, Failure> {
        let Some(instance) = Self::acquire(paths)? else { return Ok(None) };
        let news = Arc::new(Notify::new());
        let inbox = Inbox::open(&paths.database, start::retention(config), Arc::clone(&news))?;
        // Watched before it is read, or what changes in between would be missed.
        let changes = FileWatch::new([paths.accounts.clone()]);
        // An accounts file that is not there means that nobody can tell, not that there are none.
        let accounts = Accounts::read(&paths.accounts).unwrap_or_else(|error| Accounts::unavailable(&error));
        let endpoint = Endpoint::new(inbox.clone(), accounts, upkeep::endpoint_settings(config), || false);
        let mut following = JoinSet::new();
        following.spawn(follow(changes, paths.accounts.clone(), endpoint.clone()));
        let mut listening = Listening::new(endpoint, Inherited::default());
        if let Some((_, problem)) =
            listening.open(&config.server.listen, &paths.config).await.map_err(Failure::Failed)?
        {
            tracing::warn!("{problem}");
        }
        let certificate = config.server.tls.clone().map(|files| Certificate::start(files, None)).transpose();
        let certificate = certificate.map_err(|error| Failure::Failed(error.to_string()))?;
        if let Some(problem) = certificate.as_ref().and_then(Certificate::problem) {
            tracing::warn!("{problem}");
        }
        listening.set_tls(certificate.as_ref().map(Certificate::tls));
        listening.serve();
        Ok(Some(Self { listening, _certificate: certificate, following, inbox, news, _instance: instance }))
    }

    /// Waits for a push to this account that comes after that time; when it came.
    ///
    /// # Errors
    /// When the inbox cannot be read.
    pub async fn push_after(&self, account: &str, since: Timestamp) -> Result<Timestamp, Failure> {
        loop {
            let news = self.inbox.news(Timestamp::now()).await?;
            let heard = news.accounts.iter().find(|state| state.account == account).and_then(|state| state.last_push);
            if let Some(at) = heard.filter(|at| *at > since) {
                return Ok(at);
            }
            self.news.notified().await;
        }
    }

    /// Finishes the requests in progress, and closes the inbox.
    pub async fn close(mut self) {
        self.listening.close().await;
        // Waited for: where the watch is still open, some systems do not let the directory be deleted.
        self.following.shutdown().await;
        self.inbox.close().await;
    }
}

/// Takes up accounts that change meanwhile: the pushkey of one that another command has added must not be rejected.
async fn follow(changes: io::Result<FileWatch>, path: PathBuf, endpoint: Endpoint<Inbox>) {
    let followed: io::Result<Infallible> = async {
        let mut changes = changes?;
        loop {
            changes.changed().await?;
            let accounts = Accounts::read(&path);
            endpoint.set_accounts(accounts.unwrap_or_else(|error| endpoint.accounts().keeping_known_after(&error)));
        }
    }
    .await;
    let Err(error) = followed;
    tracing::warn!("changes of the accounts are not noticed: {error}");
    // Nobody can tell any more who is unknown.
    let unwatched = AccountsError::Io { path, attempt: "watched", reason: error.to_string() };
    endpoint.set_accounts(endpoint.accounts().keeping_known_after(&unwatched));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{
        accounts::{Account, AccountsFile, CountsScope},
        http::client::{self, Scheme},
        push::notify,
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_account_that_is_added_meanwhile_is_known() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let file = AccountsFile::new(&paths.accounts);
        let account = |name: &str| Account {
            name: name.into(),
            app_id: "app".to_owned(),
            pushkey: format!("{name}'s"),
            counts: CountsScope::Account,
            created_at: Timestamp::UNIX_EPOCH,
            sign_in: None,
        };
        file.add(account("first")).unwrap();
        let mut config = Config::default();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let interim = Interim::start(&paths, &config).await.unwrap().unwrap();
        let address = interim.listening.addresses()[0];
        let body = json!({"notification": {"event_id": "$1", "devices": [{"app_id": "app", "pushkey": "second's"}]}});
        let push = async || {
            let body = body.to_string().into_bytes();
            let answer = client::post_json(Scheme::Http, address, notify::PATH, body, PATIENCE).await.unwrap();
            String::from_utf8(answer.1).unwrap()
        };
        assert_eq!(push().await, r#"{"rejected":["second's"]}"#);

        file.add(account("second")).unwrap();

        let accepted = async { while push().await != r#"{"rejected":[]}"# {} };
        tokio::time::timeout(PATIENCE, accepted).await.expect("it is known in time");
        interim.close().await;
    }
}
