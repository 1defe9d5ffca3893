//! Parses the length of a pause.

use jiff::{SignedDuration, Timestamp, Zoned, civil::Time};

/// Maximum length of a limited pause.
const LONGEST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The text is not a valid length.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no length of a pause: say \"30m\", \"2h\" or \"until 08:00\"")]
pub(super) struct NotALength(String);

/// The end of a pause given as "30m", "2h" or "until 08:00" (the next time that the clock shows it); without words
/// there is no end.
pub(super) fn end(words: &[String], now: &Zoned) -> Result<Option<Timestamp>, NotALength> {
    let said = words.join(" ");
    let until = match said.trim().split_once(char::is_whitespace) {
        None if said.trim().is_empty() => return Ok(None),
        Some(("until", clock)) => next(clock.trim(), now),
        Some(_) | None => after(said.trim(), now),
    };
    until.map(Some).ok_or(NotALength(said))
}

fn after(length: &str, now: &Zoned) -> Option<Timestamp> {
    let length: SignedDuration = length.parse().ok()?;
    let sensible = length >= SignedDuration::from_secs(1) && length <= LONGEST;
    if sensible { now.timestamp().checked_add(length).ok() } else { None }
}

fn next(clock: &str, now: &Zoned) -> Option<Timestamp> {
    let clock = Time::strptime("%H:%M", clock).ok()?;
    let at = |date: jiff::civil::Date| date.to_datetime(clock).to_zoned(now.time_zone().clone()).ok();
    let today = at(now.date())?;
    let next = if today > *now { today } else { at(now.date().tomorrow().ok()?)? };
    Some(next.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-03-28T22:15:30+01:00[Europe/Berlin]";

    #[track_caller]
    fn check(words: &str, expected: &str) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let end = end(&words, &NOW.parse().unwrap()).unwrap().unwrap();
        assert_eq!(end, expected.parse::<Timestamp>().unwrap(), "{words:?}");
    }

    #[test]
    fn a_length_counts_from_now() {
        check("30m", "2026-03-28T22:45:30+01:00");
        check("2h", "2026-03-29T00:15:30+01:00");
        check("1h30m", "2026-03-28T23:45:30+01:00");
        check("90 minutes", "2026-03-28T23:45:30+01:00");
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        check("until 22:16", "2026-03-28T22:16:00+01:00");
        check("until 22:15", "2026-03-29T22:15:00+02:00");
        // In the night when clocks go forward, eight o'clock is one hour closer.
        check("until 08:00", "2026-03-29T08:00:00+02:00");
        check("until 8:00", "2026-03-29T08:00:00+02:00");
        check("until 02:30", "2026-03-29T03:30:00+02:00");
    }

    #[test]
    fn nothing_said_is_a_pause_without_end() {
        assert_eq!(end(&[], &NOW.parse().unwrap()), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        for words in
            ["soon", "0m", "-5m", "30", "until", "until 24:00", "until 08:61", "until tomorrow", "9000h", "8:00"]
        {
            let words = words.split(' ').map(str::to_owned).collect::<Vec<_>>();
            assert!(end(&words, &NOW.parse().unwrap()).is_err(), "{words:?}");
        }
    }
}
