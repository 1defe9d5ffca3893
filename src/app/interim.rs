//! An endpoint without the rest of the app: for a command that has to take pushes while the app does not run. What it
//! takes is in the inbox, and is shown when the app starts.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    certificate::Certificate,
    listening::{self, Inherited, Listening},
    start, upkeep,
};
use crate::{
    accounts::Accounts,
    cli::Failure,
    config::Config,
    control::{Instance, InstanceError},
    http::Endpoint,
    inbox::Inbox,
    paths::Paths,
    platform::sockets,
};

/// A running endpoint. Close it: what is in progress is finished then.
pub struct Interim {
    listening: Listening,
    /// Kept in step with its files for as long as it is served.
    _certificate: Option<Certificate>,
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
        // An accounts file that is not there means that nobody can tell, not that there are none.
        let accounts = Accounts::read(&paths.accounts).unwrap_or_else(|error| Accounts::unavailable(&error));
        let endpoint = Endpoint::new(inbox.clone(), accounts, upkeep::endpoint_settings(config), || false);
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
        Ok(Some(Self { listening, _certificate: certificate, inbox, news, _instance: instance }))
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
    pub async fn close(self) {
        self.listening.close().await;
        self.inbox.close().await;
    }
}
