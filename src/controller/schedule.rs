//! When the inbox is read (pure).

use tokio::time::{Duration, Instant};

/// Debounce interval for reading the inbox: initial and maximum, while changes keep coming. A decrypted message changes
/// the inbox a second time a few milliseconds after its push.
pub(super) const READ_INTERVAL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How long delayed pushes are gathered after the computer woke before they are shown.
pub(super) const WAKE_GATHER: Duration = Duration::from_secs(1);

/// When the inbox is read next.
#[derive(Debug)]
pub(super) struct Schedule {
    /// When it was last read.
    pub(super) read_at: Option<Instant>,
    /// Current debounce interval.
    pub(super) interval: Duration,
    /// When to read it again; `None` if nothing is due.
    pub(super) due: Option<Instant>,
    /// End of the gathering after a wake-up, from its first push on.
    gathering: Option<Instant>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { read_at: None, interval: READ_INTERVAL.0, due: None, gathering: None }
    }
}

impl Schedule {
    /// The inbox is being read now.
    pub(super) fn begin_read(&mut self, now: Instant) {
        let last = self.read_at.replace(now);
        let keeps_changing = last.is_some_and(|at| now < at + 2 * self.interval);
        let (shortest, longest) = READ_INTERVAL;
        self.interval = if keeps_changing { longest.min(2 * self.interval) } else { shortest };
        self.due = None;
        self.gathering = None;
    }

    /// The inbox has changed. Returns whether to read it at once; otherwise a read is scheduled.
    pub(super) fn inbox_changed(&mut self, is_waking: bool, now: Instant) -> bool {
        if is_waking {
            if self.gathering.is_none() {
                self.gathering = Some(now + WAKE_GATHER);
                // Even if something is due sooner.
                self.due = self.gathering;
            }
            return false;
        }
        let next = self.read_at.map(|at| at + self.interval).filter(|next| now < *next);
        if let Some(next) = next {
            self.read_again_at(next);
        }
        next.is_none()
    }

    pub(super) fn read_again_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |earlier| earlier.min(at)));
    }
}
