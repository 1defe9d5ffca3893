//! When the inbox is read (pure).

use tokio::time::{Duration, Instant};

/// Debounce interval for reading the inbox: at first, and at most, while changes keep coming.
pub(super) const READ_INTERVAL: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// After the computer woke, what homeservers held back is gathered for this long before it is shown.
pub(super) const WAKE_GATHER: Duration = Duration::from_secs(1);

/// When the inbox is read.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When it was last read.
    pub(super) read_at: Option<Instant>,
    /// How long to wait after that, if it changes sooner.
    pub(super) interval: Duration,
    /// When to read it again, if something is due. Nothing ticks while nothing is.
    pub(super) due: Option<Instant>,
    /// What came after the computer woke is gathered until then, from the first of it on.
    gathering: Option<Instant>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { read_at: None, interval: READ_INTERVAL.0, due: None, gathering: None }
    }
}

impl Schedule {
    /// The inbox is read now.
    pub(super) fn reads_at(&mut self, now: Instant) {
        let last = self.read_at.replace(now);
        let keeps_changing = last.is_some_and(|at| now < at + 2 * self.interval);
        let (shortest, longest) = READ_INTERVAL;
        self.interval = if keeps_changing { longest.min(2 * self.interval) } else { shortest };
        self.due = None;
        self.gathering = None;
    }

    /// The inbox has changed. Whether to read it at once; else it is due.
    pub(super) fn inbox_changed(&mut self, is_waking: bool, now: Instant) -> bool {
        if is_waking {
            if self.gathering.is_none() {
                self.gathering = Some(now + WAKE_GATHER);
                // Though something may be due sooner.
                self.due = self.gathering;
            }
            return false;
        }
        let next = self.read_at.map(|at| at + self.interval).filter(|next| now < *next);
        if let Some(next) = next {
            self.look_again_at(next);
        }
        next.is_none()
    }

    pub(super) fn look_again_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |earlier| earlier.min(at)));
    }
}
