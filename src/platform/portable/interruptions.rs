//! Detects that the clock was set or that the computer slept, as reported by `system_events`. A new network and changed
//! addresses are not detected.

use std::{convert::Infallible, future::pending, io};

use tokio::sync::Notify;

use crate::platform::Interruption;

/// Notified when the clock has jumped.
static CLOCK_JUMPED: Notify = Notify::const_new();

/// Reports that the clock was set or that the computer slept, from any thread.
pub(in crate::platform) fn clock_jumped() {
    CLOCK_JUMPED.notify_one();
}

/// Detects interruptions. There is at most one instance.
#[derive(Debug)]
pub(crate) struct Interruptions(());

impl Interruptions {
    /// Starts watching.
    #[must_use]
    pub(crate) fn watch() -> Self {
        Self(())
    }

    /// Waits for the next one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Interruption {
        CLOCK_JUMPED.notified().await;
        Interruption::ClockJumped
    }
}

/// Watches the addresses of all interfaces; not supported here.
#[derive(Debug)]
pub(crate) struct AddressWatch(Infallible);

impl AddressWatch {
    /// Starts watching.
    ///
    /// # Errors
    /// Always: the caller has to retry after a time instead.
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until addresses have come, gone or become usable.
    ///
    /// # Errors
    /// Never.
    pub(crate) async fn changed(&mut self) -> io::Result<()> {
        pending().await
    }
}
