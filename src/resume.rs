//! The time after the computer resumed from sleep, in which pushes are taken for what homeservers held back meanwhile.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Duration, Instant};

/// How long after waking pushes count as replayed. A homeserver's backoff may take longer; a call that comes then
/// rings.
const LENGTH: Duration = Duration::from_secs(120);

/// Shared by whoever notices that the computer woke and whoever receives pushes.
#[derive(Debug, Clone, Default)]
pub struct ResumeWindow(Arc<Mutex<Option<Instant>>>);

impl ResumeWindow {
    /// The computer woke just now.
    pub fn open(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it woke a short while ago.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|woke| woke.elapsed() < LENGTH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_window_closes_by_itself() {
        let window = ResumeWindow::default();
        assert!(!window.is_open());
        window.open();
        assert!(window.is_open());
        tokio::time::advance(LENGTH).await;
        assert!(!window.is_open());
    }
}
