//! That the clock was set and that the computer slept, as what the system tells of itself (`system_events`) has it.
//! That a network has come, and that this computer has got or lost an address, is not noticed yet.

use std::{convert::Infallible, future::pending, io};

use tokio::sync::Notify;

use crate::platform::Interruption;

/// The clock has jumped since somebody last looked.
static CLOCK_JUMPED: Notify = Notify::const_new();

/// The clock was set, or the computer slept: from any thread.
pub(in crate::platform) fn clock_jumped() {
    CLOCK_JUMPED.notify_one();
}

/// Tells of interruptions. There is one.
#[derive(Debug)]
pub(crate) struct Interruptions(());

impl Interruptions {
    /// Starts watching.
    #[must_use]
    pub(crate) fn watch() -> Self {
        Self(())
    }

    /// Waits for the next one. May be dropped and called again: nothing is missed.
    pub(crate) async fn next(&mut self) -> Interruption {
        CLOCK_JUMPED.notified().await;
        Interruption::ClockJumped
    }
}

/// Watches the addresses of all interfaces; there is none.
#[derive(Debug)]
pub(crate) struct AddressWatch(Infallible);

impl AddressWatch {
    /// Starts watching.
    ///
    /// # Errors
    /// Always: whoever waits for an address has to try again after a time.
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until addresses have come, gone or become usable.
    ///
    /// # Errors
    /// When the system does not tell any more.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        pending().await
    }
}
