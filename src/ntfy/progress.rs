//! How far a relay was read, which events are known from it, and when its connection counts as dead (pure).

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::line::{Hint, Line};
use crate::push::listed::EventRef;

/// Overlap of reading again, in seconds: lines of one moment are not stored in the order of arrival.
const OVERLAP: u64 = 60;
/// Maximum number of known events.
pub(crate) const MAX_KNOWN: usize = 1024;
/// Maximum number of new events in a batch.
pub(crate) const MAX_EVENTS: usize = 40;
/// How long a batch is gathered from its first line on.
const GATHER: Duration = Duration::from_millis(100);
/// Minimum interval between batches of counts alone, for which the homeserver's whole list is read.
const COUNT_INTERVAL: Duration = Duration::from_secs(2);
/// A line that is this many seconds older than the newest was delayed.
const LATE: u64 = 10;
/// A connection is dead after this many missing keepalives.
const KEEPALIVES: u32 = 3;
/// Bounds of the time until a connection counts as dead.
const SILENCE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(150));

/// How far a relay was read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The newest time of a recorded line; `None`: nothing was read yet.
    newest: Option<u64>,
    known: VecDeque<String>,
}

/// What has arrived and is not recorded yet.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
pub(crate) struct Batch {
    time: u64,
    pub(crate) events: Vec<EventRef>,
    /// There was a push that is not known.
    pub(crate) is_push: bool,
    /// There was a push of counts alone.
    pub(crate) is_count: bool,
    /// An event was delayed.
    pub(crate) is_late: bool,
    /// Earlier lines are unknown.
    pub(crate) is_first: bool,
}

impl Progress {
    pub(crate) fn new(newest: Option<u64>) -> Self {
        Self { newest, known: VecDeque::new() }
    }

    /// The newest time of a recorded line.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// The time to read from.
    pub(crate) fn since(&self) -> Option<String> {
        Some(self.newest?.saturating_sub(OVERLAP).to_string())
    }

    /// Adds a line to the batch. `now` is the relay's time as far as known; `is_meant` tells whether a push is for the
    /// account.
    pub(crate) fn take(&self, batch: &mut Batch, line: Line, now: u64, is_meant: impl Fn(&Hint) -> bool) {
        batch.time = batch.time.max(line.time);
        let Some(hint) = line.hint.filter(is_meant) else { return };
        match hint.event {
            Some(event) if self.known.contains(&event.event_id) || batch.events.contains(&event) => return,
            Some(event) => {
                batch.events.push(event);
                batch.is_late |= line.time.saturating_add(LATE) < now;
            }
            None => batch.is_count = true,
        }
        batch.is_push = true;
    }

    /// The batch was recorded in the inbox. Returns the time to store, if it is later than before.
    pub(crate) fn taken(&mut self, batch: Batch) -> Option<u64> {
        self.known.extend(batch.events.into_iter().map(|event| event.event_id));
        let surplus = self.known.len().saturating_sub(MAX_KNOWN);
        self.known.drain(..surplus);
        let is_later = batch.time > 0 && self.newest.is_none_or(|newest| batch.time > newest);
        is_later.then(|| *self.newest.insert(batch.time))
    }
}

impl Batch {
    /// Whether it has this many events, and has to be recorded before more is read.
    pub(crate) fn is_full(&self, most: usize) -> bool {
        self.events.len() >= most
    }

    /// When it has to be recorded. `began_at`: when its first line arrived; `counted_at`: when counts were last recorded.
    pub(crate) fn due(&self, began_at: Instant, counted_at: Option<Instant>) -> Instant {
        let due = began_at + GATHER;
        let is_numbers_alone = self.is_count && self.events.is_empty() && !self.is_first;
        counted_at.filter(|_| is_numbers_alone).map_or(due, |at| due.max(at + COUNT_INTERVAL))
    }

    /// Whether there is nothing to record.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_push && !self.is_first
    }
}

/// How long a connection may be silent, given the interval of its keepalives.
pub(crate) fn silence(between: Option<Duration>) -> Duration {
    between.map_or(SILENCE.1, |between| (between * KEEPALIVES).clamp(SILENCE.0, SILENCE.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(time: u64, event: Option<&str>) -> Line {
        let event = event.map(|id| EventRef { room_id: "!r".to_owned(), event_id: id.to_owned() });
        let hint = Hint { event, devices: Vec::new() };
        Line { time, hint: Some(hint), is_keepalive: false }
    }

    #[test]
    fn reading_overlaps_by_a_minute_and_known_events_are_not_new() {
        let mut progress = Progress::new(None);
        assert_eq!(progress.since(), None);
        let mut batch = Batch::default();
        for (time, event) in [(1000, "$2"), (999, "$1"), (1000, "$2")] {
            progress.take(&mut batch, line(time, Some(event)), 1000, |_| true);
        }
        assert!(batch.is_push && !batch.is_count && !batch.is_late && batch.events.len() == 2);
        assert_eq!(progress.taken(batch), Some(1000));
        assert_eq!(progress.since().as_deref(), Some("940"));
        let mut again = Batch::default();
        progress.take(&mut again, line(1000, Some("$1")), 1000, |_| true);
        assert!(!again.is_push);
        assert_eq!(progress.taken(again), None, "nothing is to be kept");
    }

    #[test]
    fn a_push_for_others_only_advances_the_time() {
        let mut progress = Progress::new(Some(5));
        let mut batch = Batch::default();
        progress.take(&mut batch, line(7, Some("$1")), 7, |_| false);
        assert!(!batch.is_push);
        assert_eq!(progress.taken(batch), Some(7));
    }

    #[test]
    fn old_events_are_late_and_counts_are_not() {
        let progress = Progress::default();
        let mut batch = Batch::default();
        progress.take(&mut batch, line(900, None), 1000, |_| true);
        assert!(batch.is_count && !batch.is_late);
        progress.take(&mut batch, line(990, Some("$1")), 1000, |_| true);
        assert!(!batch.is_late);
        progress.take(&mut batch, line(989, Some("$2")), 1000, |_| true);
        assert!(batch.is_late);
    }

    #[test]
    fn batches_are_gathered_and_counts_alone_wait_longer() {
        let progress = Progress::default();
        let start = Instant::now();
        let counted = start.checked_sub(Duration::from_millis(500));
        let mut batch = Batch::default();
        progress.take(&mut batch, line(900, None), 900, |_| true);
        assert_eq!(batch.due(start, None), start + GATHER);
        assert_eq!(batch.due(start, counted), start + Duration::from_millis(1500));
        assert_eq!(batch.due(start + COUNT_INTERVAL, counted), start + COUNT_INTERVAL + GATHER);
        progress.take(&mut batch, line(901, Some("$1")), 901, |_| true);
        assert_eq!(batch.due(start, counted), start + GATHER, "a message does not wait");
    }

    #[test]
    fn three_hundred_reconnects_lose_nothing_and_repeat_nothing() {
        // The events and the seconds in which they are stored: up to a second late, in any order.
        let said = |number: u64| (1000 + number / 8, format!("${number}"));
        let mut progress = Progress::new(None);
        let mut seen = Vec::new();
        for connection in 0..300_u64 {
            let read_up_to = 8 * connection;
            let since = progress.since().map_or(0, |since| since.parse().unwrap());
            let replayed = (0..read_up_to).map(said).filter(|(time, _)| *time >= since);
            let kept_late = (0..read_up_to).rev().take(3);
            let missing: Vec<u64> = kept_late.collect();
            let live = (read_up_to..read_up_to + 8).rev().map(said);
            let mut batch = Batch::default();
            for (time, event) in
                replayed.filter(|(_, event)| !missing.iter().any(|it| said(*it).1 == *event)).chain(live)
            {
                progress.take(&mut batch, line(time, Some(&event)), time, |_| true);
            }
            // Every third connection loses its live events.
            if connection % 3 == 0 {
                continue;
            }
            seen.extend(batch.events.iter().map(|event| event.event_id.clone()));
            progress.taken(batch);
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "each is new once");
        assert!((0..8 * 299).all(|number| distinct.contains(&said(number).1)), "none is lost");
    }

    #[test]
    fn memory_is_bounded() {
        let mut progress = Progress::default();
        for number in 0..5000 {
            let mut batch = Batch::default();
            progress.take(&mut batch, line(number, Some(&number.to_string())), number, |_| true);
            progress.taken(batch);
        }
        assert_eq!(progress.known.len(), MAX_KNOWN);
        assert!(progress.known.contains(&"4999".to_owned()));
    }

    #[test]
    fn silence_is_three_keepalives_within_bounds() {
        assert_eq!(silence(None), SILENCE.1);
        assert_eq!(silence(Some(Duration::from_secs(45))), Duration::from_secs(135));
        assert_eq!(silence(Some(Duration::from_secs(1))), SILENCE.0);
        assert_eq!(silence(Some(Duration::from_secs(600))), SILENCE.1);
    }
}
