//! That the clock was set, and that a network has come: not noticed yet.

use crate::platform::Interruption;

/// Tells of interruptions.
#[derive(Debug)]
pub struct Interruptions(());

impl Interruptions {
    /// Starts watching.
    #[must_use]
    pub fn watch() -> Self {
        Self(())
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Interruption {
        std::future::pending().await
    }
}
