//! Telling of rejected pushkeys without being talked into flooding the log.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::warn;

/// Rejections closer together than this after a line share the next one.
const BURST: Duration = Duration::from_secs(60);

/// A line for the first rejection of a burst; those that follow are counted, and told with the next line.
#[derive(Debug, Default)]
pub(super) struct Rejections(Mutex<Burst>);

#[derive(Debug, Default)]
struct Burst {
    told_at: Option<Instant>,
    untold: usize,
}

impl Rejections {
    /// Pushkeys were rejected now.
    pub(super) fn note(&self, pushkeys: usize, now: Instant) {
        if let Some(earlier) = self.0.lock().unwrap_or_else(PoisonError::into_inner).note(pushkeys, now) {
            warn!(
                pushkeys,
                untold_before = earlier,
                "no account here has the pushkey of a push: its homeserver is told to delete that pusher"
            );
        }
    }

    /// Tells what is not told yet: the server shuts down.
    pub(super) fn settle(&self) {
        let burst = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if burst.untold > 0 {
            warn!(pushkeys = burst.untold, "no account here had the pushkeys of more pushes");
        }
    }
}

impl Burst {
    /// How many rejections before this one are untold, if it begins a new burst.
    fn note(&mut self, pushkeys: usize, now: Instant) -> Option<usize> {
        if self.told_at.is_some_and(|told_at| now.saturating_duration_since(told_at) < BURST) {
            self.untold = self.untold.saturating_add(pushkeys);
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_and_its_count_comes_with_the_next() {
        let start = Instant::now();
        let mut burst = Burst::default();
        let mut lines = Vec::new();
        for second in [0, 1, 2, 59, 61, 62, 200] {
            lines.extend(burst.note(2, start + Duration::from_secs(second)).map(|untold| (second, untold)));
        }
        assert_eq!(lines, [(0, 0), (61, 6), (200, 2)]);
    }
}
