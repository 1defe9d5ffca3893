//! A token bucket (pure).

use tokio::time::{Duration, Instant};

/// A token bucket.
#[derive(Debug, Clone)]
pub(super) struct TokenBucket {
    capacity: u32,
    refill: Duration,
    tokens: u32,
    /// When the tokens were last counted, advanced by whole refills so that no fraction is lost.
    counted_at: Instant,
}

impl TokenBucket {
    /// A full bucket of `capacity` tokens that gains one every `refill`.
    pub(super) fn new(capacity: u32, refill: Duration, now: Instant) -> Self {
        Self { capacity, refill, tokens: capacity, counted_at: now }
    }

    /// The number of tokens at this time.
    pub(super) fn available(&mut self, now: Instant) -> u32 {
        let passed = now.saturating_duration_since(self.counted_at);
        let gained = u32::try_from(passed.as_nanos() / self.refill.as_nanos().max(1)).unwrap_or(u32::MAX);
        if gained >= self.capacity - self.tokens {
            self.tokens = self.capacity;
            self.counted_at = now;
        } else {
            self.tokens += gained;
            self.counted_at += self.refill * gained;
        }
        self.tokens
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let available = self.available(now);
        self.tokens = available.saturating_sub(1);
        available > 0
    }

    /// When the next token arrives, for an empty bucket.
    pub(super) fn next(&self) -> Instant {
        self.counted_at + self.refill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_spent_and_come_back_one_by_one() {
        let start = Instant::now();
        let mut budget = TokenBucket::new(2, Duration::from_secs(1), start);
        assert!(budget.take(start));
        assert!(budget.take(start));
        assert!(!budget.take(start));
        assert_eq!(budget.next(), start + Duration::from_secs(1));
        assert!(!budget.take(start + Duration::from_millis(999)));
        assert!(budget.take(start + Duration::from_millis(1001)));
        assert!(!budget.take(start + Duration::from_millis(1999)));
        assert!(budget.take(start + Duration::from_secs(2)), "the millisecond above a second was not lost");
    }

    #[test]
    fn a_long_rest_fills_the_bucket_and_no_more() {
        let start = Instant::now();
        let mut budget = TokenBucket::new(3, Duration::from_secs(1), start);
        assert!(budget.take(start));
        assert_eq!(budget.available(start + Duration::from_secs(86_400)), 3);
    }
}
