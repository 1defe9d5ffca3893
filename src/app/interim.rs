//! An endpoint without the rest of the app: for a command that has to take pushes while the app does not run. What it
//! takes is in the inbox, and is shown when the app starts.

use std::{net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    certificate::Certificate,
    listening::{Inherited, Listening},
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
};

/// A running endpoint. Close it: what is in progress is finished then.
pub struct Interim {
    paths: Paths,
    endpoint: Endpoint<Inbox>,
    listening: Listening,
    /// Kept in step with its files for as long as it is served.
    _certificate: Option<Certificate>,
    inbox: Inbox,
    news: Arc<Notify>,
    /// Nobody else may open the inbox meanwhile.
    _instance: Instance,
}

impl Interim {
    /// Starts it; `None` when the app runs, which has an endpoint. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it cannot listen, or the inbox cannot be opened.
    pub async fn start(paths: &Paths, config: &Config) -> Result<Option<Self>, Failure> {
        let instance = match Instance::acquire(paths) {
            Ok(instance) => instance,
            Err(InstanceError::AlreadyRunning) => return Ok(None),
            Err(error @ InstanceError::Failed { .. }) => return Err(Failure::Failed(error.to_string())),
        };
        let news = Arc::new(Notify::new());
        let inbox = Inbox::open(&paths.database, start::retention(config), Arc::clone(&news))?;
        // An accounts file that is not there yet means that nobody can tell, not that there are none.
        let accounts = Accounts::read(&paths.accounts).unwrap_or_else(|error| Accounts::unavailable(&error));
        let endpoint = Endpoint::new(inbox.clone(), accounts, upkeep::endpoint_settings(config), || false);
        let mut listening = Listening::new(endpoint.clone(), Inherited::default());
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
        Ok(Some(Self {
            paths: paths.clone(),
            endpoint,
            listening,
            _certificate: certificate,
            inbox,
            news,
            _instance: instance,
        }))
    }

    /// Takes up changed accounts.
    pub fn read_accounts(&self) {
        let accounts = Accounts::read(&self.paths.accounts);
        let accounts = accounts.unwrap_or_else(|error| self.endpoint.accounts().keeping_known_after(&error));
        self.endpoint.set_accounts(accounts);
    }

    /// The addresses as bound.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listening.addresses()
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
