//! An endpoint without the rest of the app, for commands that need pushes while the app is not running. Pushes go to
//! the inbox, and are shown when the app starts.

use std::{convert::Infallible, io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{listening, push_server::PushServer, start};
use crate::{
    accounts::{Accounts, AccountsError},
    config::Config,
    control::{Instance, InstanceError},
    failure::Failure,
    inbox::{Inbox, InboxError, OnScreen},
    intake::Intake,
    paths::Paths,
    platform::{sockets, watch::FileWatch},
    resume::ResumeWindow,
};

/// A running endpoint. Close it to finish the requests in progress.
pub(crate) struct TemporaryEndpoint {
    server: PushServer,
    /// Reloads the accounts when they change.
    account_watch: JoinSet<()>,
    inbox: Inbox,
    /// Keeps other processes from opening the inbox.
    _instance: Instance,
}

impl TemporaryEndpoint {
    /// Checks whether it could start, without leaving anything behind; false if the app is running, which has an
    /// endpoint.
    ///
    /// # Errors
    /// When it could not listen.
    pub(crate) fn check(paths: &Paths, config: &Config) -> Result<bool, Failure> {
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
        match Instance::acquire(paths, Duration::ZERO) {
            Ok(instance) => Ok(Some(instance)),
            Err(InstanceError::AlreadyRunning) => Ok(None),
            Err(error @ InstanceError::Failed { .. }) => Err(error.into()),
        }
    }

    /// Starts it; `None` if the app is running, which has an endpoint. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen, or the inbox cannot be opened.
    pub(crate) async fn start(paths: &Paths, config: &Config) -> Result<Option<Self>, Failure> {
        let Some(instance) = Self::acquire(paths)? else { return Ok(None) };
        let inbox = Inbox::open(&paths.database, config.into())?;
        // Watched before it is read, so that no change is missed in between.
        let changes = FileWatch::new([paths.accounts.clone()]);
        // A missing accounts file means that the accounts are unknown, not that there are none.
        let (accounts, _) = start::accounts(&paths.accounts);
        let intake = Intake::new(inbox.clone(), accounts);
        let mut account_watch = JoinSet::new();
        account_watch.spawn(watch_accounts(changes, paths.accounts.clone(), intake.clone()));
        let (mut server, problems) = PushServer::open(intake, ResumeWindow::default(), config, &paths.config).await?;
        for (_, problem) in problems {
            tracing::warn!("{problem}");
        }
        server.serve();
        Ok(Some(Self { server, account_watch, inbox, _instance: instance }))
    }

    /// Waits for a push to this account after that time, and returns its time.
    ///
    /// # Errors
    /// When the inbox cannot be read.
    pub(crate) async fn push_after(&self, account: &str, since: Timestamp) -> Result<Timestamp, Failure> {
        let mut changes = self.inbox.changes();
        loop {
            let snapshot = self.inbox.snapshot(OnScreen::default()).await?;
            let heard =
                snapshot.accounts.iter().find(|state| state.account == account).and_then(|state| state.last_push);
            if let Some(at) = heard.filter(|at| *at > since) {
                return Ok(at);
            }
            changes.changed().await.map_err(|_| InboxError::Closed)?;
        }
    }

    /// Finishes the requests in progress, and closes the inbox.
    pub(crate) async fn close(mut self) {
        self.server.close().await;
        // Some systems refuse to delete a directory while it is watched.
        self.account_watch.shutdown().await;
        self.inbox.close().await;
    }
}

/// Reloads accounts: the pushkey of an account that another command adds must not be rejected.
async fn watch_accounts(changes: io::Result<FileWatch>, path: PathBuf, intake: Intake) {
    let watched: io::Result<Infallible> = async {
        let mut changes = changes?;
        loop {
            changes.changed().await?;
            let accounts = Accounts::read(&path);
            intake.set_accounts(accounts.unwrap_or_else(|error| intake.accounts().keeping_known_after(&error)));
        }
    }
    .await;
    let Err(source) = watched;
    tracing::warn!("changes of the accounts are not noticed: {source}");
    // Without a watch the known accounts may be out of date, so no pushkey is rejected.
    let unwatched = AccountsError::Io { path, attempt: "watched", source };
    intake.set_accounts(intake.accounts().keeping_known_after(&unwatched));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        accounts::{AccountsFile, tests::account},
        http_client::post_to_own_endpoint,
        push::notify,
    };

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn an_account_that_is_added_later_is_known() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let file = AccountsFile::new(&paths.accounts);
        let account = |name: &str| account(name, "app", &format!("{name}'s"));
        file.add(account("first")).unwrap();
        let mut config = Config::default();
        config.server.listen = vec!["127.0.0.1:0".parse().unwrap()];
        let temporary = TemporaryEndpoint::start(&paths, &config).await.unwrap().unwrap();
        let address = temporary.server.listening.addresses()[0];
        let body = json!({"notification": {"event_id": "$1", "devices": [{"app_id": "app", "pushkey": "second's"}]}});
        let push = async || {
            let body = body.to_string().into_bytes();
            let answer = post_to_own_endpoint("http", address, notify::PATH, body, PATIENCE).await.unwrap();
            String::from_utf8(answer.1).unwrap()
        };
        assert_eq!(push().await, r#"{"rejected":["second's"]}"#);

        file.add(account("second")).unwrap();

        let accepted = async { while push().await != r#"{"rejected":[]}"# {} };
        tokio::time::timeout(PATIENCE, accepted).await.expect("it is known in time");
        temporary.close().await;
    }
}
