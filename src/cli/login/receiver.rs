//! Receives pushes while a login waits for one.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time;

use super::{Context, Failure};
use crate::{
    app::TemporaryEndpoint,
    cli::account,
    config::Config,
    control::{Reply, Request, ask},
    paths::Paths,
};

/// What receives them.
pub(super) enum Receiver {
    /// The running app.
    App(Box<Paths>),
    /// An endpoint of this command's own.
    Own(Box<TemporaryEndpoint>),
}

impl Receiver {
    /// Checks that one can be started.
    pub(super) fn check(context: &Context, config: &Config) -> Result<(), Failure> {
        if TemporaryEndpoint::check(&context.paths, config)? { Ok(()) } else { is_app(context) }
    }

    /// The running app, which is told to read its accounts, else an endpoint of our own.
    pub(super) async fn start(context: &Context, config: &Config) -> Result<Self, Failure> {
        if let Some(endpoint) = TemporaryEndpoint::start(&context.paths, config).await? {
            return Ok(Self::Own(Box::new(endpoint)));
        }
        is_app(context)?;
        account::tell_running(context)?;
        Ok(Self::App(Box::new(context.paths.clone())))
    }

    /// When a push first came for that account after that time; `None` if none comes so soon.
    pub(super) async fn push_within(
        &self,
        patience: Duration,
        account: &str,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        match self {
            Self::Own(endpoint) => time::timeout(patience, endpoint.push_after(account, since)).await.ok().transpose(),
            Self::App(paths) => {
                let seconds = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
                let request = Request::WaitForPush { account: account.to_owned(), since, seconds };
                let Reply::Pushed { at } = ask(paths, &request).await? else { return Ok(None) };
                Ok(Some(at))
            }
        }
    }

    /// Stops receiving. Returns whether the app goes on.
    pub(super) async fn close(self) -> bool {
        match self {
            Self::App(_) => true,
            Self::Own(endpoint) => {
                endpoint.close().await;
                false
            }
        }
    }
}

fn is_app(context: &Context) -> Result<(), Failure> {
    if context.tell(&Request::Status)? {
        return Ok(());
    }
    Err(Failure::Failed(
        "another `pushbell login` is under way, or Pushbell runs and cannot be reached: let it end first".to_owned(),
    ))
}
