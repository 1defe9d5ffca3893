//! That the clock was set and that the computer slept, as what the system tells of itself (`system_events`) has it.
//! That a network has come is not noticed yet.

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
