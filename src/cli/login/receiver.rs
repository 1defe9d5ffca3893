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

/// The receiver of pushes.
pub(super) enum Receiver {
    /// The running app.
    App(Box<Paths>),
    /// A temporary endpoint of this command.
    Own(Box<TemporaryEndpoint>),
}

impl Receiver {
    /// Checks that receiving is possible.
    pub(super) fn check(context: &Context, config: &Config) -> Result<(), Failure> {
        if TemporaryEndpoint::check(&context.paths, config)? { Ok(()) } else { check_app(context) }
    }

    /// Starts a temporary endpoint; if the app is running, has it reload the accounts instead.
    pub(super) async fn start(context: &Context, config: &Config) -> Result<Self, Failure> {
        if let Some(endpoint) = TemporaryEndpoint::start(&context.paths, config).await? {
            return Ok(Self::Own(Box::new(endpoint)));
        }
        check_app(context)?;
        account::tell_running(context)?;
        Ok(Self::App(Box::new(context.paths.clone())))
    }

    /// Waits for the first push for this account after `since`. Returns its time; `None` after `patience`.
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

    /// Stops receiving. Returns whether the app is running.
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

fn check_app(context: &Context) -> Result<(), Failure> {
    if context.tell(&Request::Status)? {
        return Ok(());
    }
    Err(Failure::Failed(
        "another `pushbell login` is under way, or Pushbell runs and cannot be reached: let it end first".to_owned(),
    ))
}
