//! Opens rooms, addresses and files with the person's own programs. There is never a shell.

use std::{env, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    process::Command,
    sync::{Semaphore, mpsc::UnboundedSender},
    time::timeout,
};

use crate::{
    config::OpenWith,
    desktop::{
        DesktopEvent, OpenTarget,
        links::{self, Opening},
    },
    platform::system::launch,
};

/// Openings under way at a time; a program that was started does not count.
const MAX_OPENINGS: usize = 4;

/// What the system has not refused after this was handed over.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(10);

/// Opens things in the background.
#[derive(Debug)]
pub(in crate::platform) struct Opener {
    openings: Arc<Semaphore>,
    events: UnboundedSender<DesktopEvent>,
}

impl Opener {
    /// Failures are reported as [`DesktopEvent::NotOpened`].
    pub(in crate::platform) fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        Self { openings: Arc::new(Semaphore::new(MAX_OPENINGS)), events }
    }

    /// Opens a target. Returns at once.
    pub(in crate::platform) fn open(&self, target: &OpenTarget, with: &OpenWith) {
        let opening = match links::opening(target, with) {
            Ok(opening) => opening,
            Err(reason) => return not_opened(&self.events, reason),
        };
        let Ok(permit) = Arc::clone(&self.openings).try_acquire_owned() else {
            let reason = "too much is being opened already: wait a moment, then try again";
            return not_opened(&self.events, reason.into());
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(reason) = timeout(LAUNCH_DEADLINE, carry_out(opening)).await.unwrap_or(Ok(())) {
                not_opened(&events, reason);
            }
            drop(permit);
        });
    }
}

fn not_opened(events: &UnboundedSender<DesktopEvent>, reason: String) {
    tracing::warn!("not opened: {reason}");
    let _ = events.send(DesktopEvent::NotOpened(reason));
}

async fn carry_out(opening: Opening) -> Result<(), String> {
    match opening {
        Opening::Matrix { link, web } => launch::room(link, web).await,
        Opening::Address(address) => launch::address(address).await,
        Opening::File(path) => launch::text(path).await,
        Opening::Command(program, arguments) => {
            let mut command = Command::new(&program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // It outlives us, and tokio reaps it where that must be done.
            let child = command.spawn();
            child.map(drop).map_err(|error| format!("popup.open: cannot start \"{program}\": {error}"))
        }
    }
}

/// Whether a browser that opens now is in front of the person who started this: not at the other end of an SSH
/// connection.
#[must_use]
pub fn browser_available() -> bool {
    env::var_os("SSH_CONNECTION").is_none_or(|value| value.is_empty())
}

/// Opens an `https:` or `http:` address. Good news may come before there is a window, or where there will be none.
///
/// # Errors
/// A sentence when the system says that it cannot.
pub async fn open_in_browser(address: &str) -> Result<(), String> {
    timeout(LAUNCH_DEADLINE, launch::address(address.to_owned())).await.unwrap_or(Ok(()))
}
