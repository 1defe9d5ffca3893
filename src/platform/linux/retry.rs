//! Delays that double, for trying again.

use std::time::Duration;

/// Delays between attempts, from the first to the last, each twice the one before.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }

    /// How long to wait now.
    pub(super) fn next_delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.last);
        delay
    }

    /// Whether the delays have stopped growing.
    pub(super) fn is_exhausted(&self) -> bool {
        self.next == self.last
    }

    /// Begins again with the first delay.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_begin_again() {
        let seconds = Duration::from_secs;
        let mut backoff = Backoff::new(seconds(1), seconds(5));
        let delays: Vec<_> = std::iter::repeat_with(|| backoff.next_delay()).take(5).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5].map(seconds));
        assert!(backoff.is_exhausted());
        backoff.reset();
        assert_eq!(backoff.next_delay(), seconds(1));
    }
}
