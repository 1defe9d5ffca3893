//! When a pause ends (pure).

use jiff::{Timestamp, ToSpan, Zoned};

use crate::desktop::tray_view::PauseLength;

/// The end of a pause that begins now. A day that lacks the hour (clocks change) ends it at the next instant there is.
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
}
