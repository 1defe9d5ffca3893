//! When a pause ends (pure).

use jiff::{Timestamp, ToSpan, Zoned};
use tokio::time::{Duration, Instant};

use crate::desktop::tray_view::PauseLength;

/// A pause of popups and sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pause {
    until: Timestamp,
    /// The same by the monotonic clock, which stops while the computer sleeps. `None`: it has no end.
    ends_at: Option<Instant>,
}

impl Pause {
    /// A pause until then; [`Timestamp::MAX`] stands for no end. `wall` and `now` are the present time.
    pub(super) fn new(until: Timestamp, wall: Timestamp, now: Instant) -> Self {
        let left = Duration::try_from(until.duration_since(wall)).unwrap_or_default();
        Self { until, ends_at: if until == Timestamp::MAX { None } else { now.checked_add(left) } }
    }

    /// Corrects the monotonic end after the computer has slept.
    pub(super) fn after_sleep(self, wall: Timestamp, now: Instant) -> Self {
        let anew = Self::new(self.until, wall, now);
        Self { ends_at: self.ends_at.min(anew.ends_at), ..self }
    }

    pub(super) fn until(&self) -> Timestamp {
        self.until
    }

    pub(super) fn ends_at(&self) -> Option<Instant> {
        self.ends_at
    }

    /// Whether it has ended by either clock: setting the wall clock cannot prolong it.
    pub(super) fn is_over(&self, wall: Timestamp, now: Instant) -> bool {
        self.until <= wall || self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }
}

/// The end of a pause that begins now. Where the local time does not exist (DST), the next existing instant.
pub(super) fn end_of(length: PauseLength, now: &Zoned) -> Timestamp {
    let fallback = now.timestamp();
    match length {
        PauseLength::HalfHour => now.timestamp().checked_add(30.minutes()).unwrap_or(fallback),
        PauseLength::Hour => now.timestamp().checked_add(1.hour()).unwrap_or(fallback),
        PauseLength::UntilTomorrow => now
            .date()
            .tomorrow()
            .and_then(|day| day.at(8, 0, 0, 0).to_zoned(now.time_zone().clone()))
            .map_or(fallback, |morning| morning.timestamp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_ends_when_it_says() {
        let check = |length, expected: &str| {
            let now: Zoned = "2026-11-22T23:30:00+01:00[+01:00]".parse().unwrap();
            assert_eq!(end_of(length, &now), expected.parse::<Timestamp>().unwrap());
        };
        check(PauseLength::HalfHour, "2026-11-23T00:00:00+01:00");
        check(PauseLength::Hour, "2026-11-23T00:30:00+01:00");
        check(PauseLength::UntilTomorrow, "2026-11-23T08:00:00+01:00");
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_pause_is_over_when_one_of_the_clocks_says_so() {
        let (noon, now) = ("2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap(), Instant::now());
        let pause = Pause::new(noon + HOUR, noon, now);
        let check = |wall: Timestamp, after: Duration, over| assert_eq!(pause.is_over(wall, now + after), over);
        check(noon, Duration::ZERO, false);
        check(noon + HOUR, HOUR, true);
        check(noon + 3 * HOUR, Duration::ZERO, true); // set forward, or awake again
        check(noon - HOUR, HOUR / 2, false); // set back
        check(noon - HOUR, HOUR, true);
        assert_eq!(Pause::new(noon, noon + HOUR, now).ends_at(), Some(now), "it ended while nobody looked");
    }

    #[test]
    fn a_pause_without_end_has_no_timer() {
        let pause = Pause::new(Timestamp::MAX, Timestamp::UNIX_EPOCH, Instant::now());
        assert_eq!(pause.ends_at(), None);
        assert!(!pause.is_over("2999-01-01T00:00:00Z".parse().unwrap(), Instant::now() + HOUR));
    }

    #[test]
    fn sleep_shortens_a_pause_and_a_set_clock_does_not_lengthen_it() {
        let (noon, now) = ("2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap(), Instant::now());
        let pause = Pause::new(noon + 3 * HOUR, noon, now);
        assert_eq!(pause.after_sleep(noon + 2 * HOUR, now).ends_at(), Some(now + HOUR));
        assert_eq!(pause.after_sleep(noon - 2 * HOUR, now).ends_at(), Some(now + 3 * HOUR));
        let endless = Pause::new(Timestamp::MAX, noon, now);
        assert_eq!(endless.after_sleep(noon + HOUR, now), endless);
    }
}
