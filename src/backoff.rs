//! Exponential backoff with jitter.

use std::time::Duration;

/// Retry delays: each is twice the one before, up to a ceiling, less a random quarter so that clients do not retry in
/// step. The `backon` crate adds its jitter on top, beyond the ceiling.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    ceiling: Duration,
    delay: Duration,
}

impl Backoff {
    /// The first delay and the longest.
    pub(crate) const fn new(first: Duration, ceiling: Duration) -> Self {
        Self { first, ceiling, delay: first }
    }

    /// The delay before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        let delay = self.delay.min(self.ceiling);
        self.delay = delay.saturating_mul(2);
        // Without random numbers there is no jitter, and no harm.
        let random = getrandom::u32().unwrap_or(0);
        delay.saturating_sub((delay / 4).mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }

    /// Resets the delay after a success.
    pub(crate) fn reset(&mut self) {
        self.delay = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_ceiling_and_start_again() {
        let (first, ceiling) = (Duration::from_secs(2), Duration::from_secs(300));
        let mut backoff = Backoff::new(first, ceiling);
        let check = |backoff: &mut Backoff, seconds: u64| {
            let (delay, longest) = (backoff.next(), Duration::from_secs(seconds));
            assert!(delay <= longest && delay >= longest.mul_f64(0.75), "{delay:?} for {longest:?}");
        };
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            check(&mut backoff, seconds);
        }
        backoff.reset();
        check(&mut backoff, 2);
    }

    #[test]
    fn a_first_delay_beyond_the_ceiling_is_the_ceiling() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::from_secs(1));
        assert!(backoff.next() <= Duration::from_secs(1));
        assert!(backoff.next() <= Duration::from_secs(1));
    }
}
