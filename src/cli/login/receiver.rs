//! Who takes the pushes while a login waits for one.

use std::{thread, time::Duration};

use jiff::Timestamp;
use tokio::{sync::oneshot, time};

use super::{Context, Failure, output};
use crate::{
    app::TemporaryEndpoint,
    cli::account,
    config::Config,
    control::{AskError, Reply, Request, ask},
    paths::Paths,
};

/// Whoever takes them.
pub(super) enum Receiver {
    /// The running app.
    App(Box<Paths>),
    /// We ourselves, for as long as this lives.
    Own(Box<TemporaryEndpoint>),
}

impl Receiver {
    /// Sees that there will be one, before anything depends on it.
    pub(super) fn check(context: &Context, config: &Config) -> Result<(), Failure> {
        if TemporaryEndpoint::check(&context.paths, config)? { Ok(()) } else { is_app(context) }
    }

    /// The running app, which is told to read its accounts, else an endpoint of our own.
    pub(super) async fn start(context: &Context, config: &Config) -> Result<Self, Failure> {
        if let Some(interim) = TemporaryEndpoint::start(&context.paths, config).await? {
            return Ok(Self::Own(Box::new(interim)));
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
            Self::Own(interim) => time::timeout(patience, interim.push_after(account, since)).await.ok().transpose(),
            Self::App(paths) => {
                let seconds = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
                let request = Request::WaitForPush { account: account.to_owned(), since, seconds };
                let paths = paths.clone();
                let (answer, answered) = oneshot::channel();
                // Not one of the runtime's threads, which it waits for: the person may skip this.
                let wait = move || drop(answer.send(ask(&paths, &request)));
                thread::Builder::new().name("waiting".to_owned()).spawn(wait).map_err(|error| {
                    Failure::Failed(format!("no thread could be started to wait for a push: {error}"))
                })?;
                let reply = answered.await.map_err(|_| Failure::Failed("the running Pushbell was lost".to_owned()))?;
                match reply? {
                    Reply::Pushed { at } => Ok(Some(at)),
                    Reply::Done | Reply::Status(_) | Reply::Sample { .. } => Ok(None),
                    Reply::Failed { reason } => Err(Failure::Failed(output::harmless(&reason))),
                }
            }
        }
    }

    /// Ends what was begun. Whether the app goes on taking pushes.
    pub(super) async fn close(self) -> bool {
        match self {
            Self::App(_) => true,
            Self::Own(interim) => {
                interim.close().await;
                false
            }
        }
    }
}

fn is_app(context: &Context) -> Result<(), Failure> {
    match ask(&context.paths, &Request::Status) {
        Ok(_) => Ok(()),
        Err(AskError::NotRunning | AskError::Unreachable { .. }) => Err(Failure::Failed(
            "another `pushbell login` is under way, or Pushbell runs and cannot be reached: let it end first"
                .to_owned(),
        )),
        Err(error @ AskError::NoAnswer(_)) => Err(error.into()),
    }
}
