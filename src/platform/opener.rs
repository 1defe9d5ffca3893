//! Opens rooms, addresses and files in the background.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc::UnboundedSender};

use super::system::open::Launcher;
use crate::{
    config::OpenWith,
    desktop::{DesktopEvent, OpenTarget, links},
};

/// Maximum number of openings in progress. Programs that were started and still run do not count.
pub(super) const MAX_OPENINGS: usize = 4;

/// Opens what a click asks for.
#[derive(Debug)]
pub(super) struct Opener {
    launcher: Launcher,
    openings: Arc<Semaphore>,
    events: UnboundedSender<DesktopEvent>,
}

impl Opener {
    /// Failures are reported as [`DesktopEvent::NotOpened`].
    pub(super) fn new(launcher: Launcher, events: UnboundedSender<DesktopEvent>) -> Self {
        Self { launcher, openings: Arc::new(Semaphore::new(MAX_OPENINGS)), events }
    }

    /// Opens a target, with the activation token of the click that asked for it. Returns at once.
    pub(super) fn open(&self, target: &OpenTarget, with: &OpenWith, activation_token: Option<String>) {
        let events = self.events.clone();
        let not_opened = move |reason: String| {
            tracing::warn!("not opened: {reason}");
            let _ = events.send(DesktopEvent::NotOpened(reason));
        };
        let opening = match links::opening(target, with) {
            Ok(opening) => opening,
            Err(reason) => return not_opened(reason),
        };
        let Ok(permit) = Arc::clone(&self.openings).try_acquire_owned() else {
            return not_opened("too much is being opened already: wait a moment, then try again".to_owned());
        };
        let launcher = self.launcher.clone();
        tokio::spawn(async move {
            if let Err(reason) = launcher.open(opening, activation_token).await {
                not_opened(reason);
            }
            drop(permit);
        });
    }
}
