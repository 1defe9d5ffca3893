//! When an account is caught up with (pure).
//!
//! Only when something has happened, or while it fails; never on a timer while all is well. What happens together is
//! one run, and while one runs there is no other.

use std::time::Duration;

use tokio::time::Instant;

/// Runs begin at least this long after each other, whatever happens.
const MIN_INTERVAL: Duration = Duration::from_secs(15);
/// After a failure it is tried again so soon; twice as long after each failure in a row, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(30 * 60));
/// A homeserver that asks for more patience than this gets this much.
const MOST_PATIENCE: Duration = Duration::from_secs(60 * 60);

/// When one account is caught up with.
#[derive(Debug, Clone, Default)]
pub(super) struct Schedule {
    /// Something has happened since the last run began.
    wanted_at: Option<Instant>,
    began_at: Option<Instant>,
    completed_at: Option<Instant>,
    is_running: bool,
    retry_at: Option<Instant>,
    failures: u32,
    is_over: bool,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is known.
    Completed,
    /// It may work later; the homeserver asks to wait at least so long.
    TryAgain(Option<Duration>),
    /// It will not work until the person has done something.
    Over,
}

impl Schedule {
    /// Something has happened after which pushes may be missing.
    pub(super) fn want(&mut self, now: Instant) {
        self.wanted_at.get_or_insert(now);
    }

    /// The same, if it was not caught up with for so long.
    pub(super) fn want_after(&mut self, gap: Duration, now: Instant) {
        if self.completed_at.is_none_or(|at| now.saturating_duration_since(at) >= gap) {
            self.want(now);
        }
    }

    /// The person has done something: what was over may work again.
    pub(super) fn revive(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_over) {
            self.want(now);
        }
    }

    /// When the next run begins, if one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.is_running || self.is_over {
            return None;
        }
        let earliest = self.began_at.map(|began_at| began_at + MIN_INTERVAL);
        let wanted = self.wanted_at.map(|wanted_at| earliest.map_or(wanted_at, |earliest| earliest.max(wanted_at)));
        [wanted, self.retry_at].into_iter().flatten().min()
    }

    /// A run begins.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { wanted_at: None, retry_at: None, began_at: Some(now), is_running: true, ..self.clone() };
    }

    /// It has ended.
    pub(super) fn end(&mut self, ending: Ending, now: Instant) {
        self.is_running = false;
        match ending {
            Ending::Completed => {
                self.failures = 0;
                self.completed_at = Some(now);
            }
            Ending::TryAgain(patience) => {
                let (first, longest) = RETRY;
                let pause = first.saturating_mul(1 << self.failures.min(16)).min(longest);
                self.failures = self.failures.saturating_add(1);
                self.retry_at = Some(now + pause.max(patience.unwrap_or_default().min(MOST_PATIENCE)));
            }
            Ending::Over => self.is_over = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_happens_together_is_one_run_and_no_run_follows_while_all_is_well() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        assert_eq!(schedule.due(), None);
        schedule.want(start);
        schedule.want(start + SECOND);
        assert_eq!(schedule.due(), Some(start));
        schedule.begin(start + SECOND);
        assert_eq!(schedule.due(), None, "one at a time");
        schedule.end(Ending::Completed, start + 2 * SECOND);
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn what_happens_during_a_run_leads_to_another_after_the_interval() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.want(start);
        schedule.begin(start);
        schedule.want(start + SECOND);
        assert_eq!(schedule.due(), None);
        schedule.end(Ending::Completed, start + 2 * SECOND);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL));
        schedule.begin(start + MIN_INTERVAL);
        schedule.end(Ending::Completed, start + MIN_INTERVAL);
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn failures_are_tried_again_ever_later_and_sooner_when_something_happens() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        let mut now = start;
        let pauses: Vec<u64> = (0..12)
            .map(|_| {
                schedule.begin(now);
                schedule.end(Ending::TryAgain(None), now);
                let due = schedule.due().unwrap();
                let pause = (due - now).as_secs();
                now = due;
                pause
            })
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]);
        schedule.begin(now);
        schedule.end(Ending::TryAgain(None), now);
        schedule.want(now + MIN_INTERVAL);
        assert_eq!(schedule.due(), Some(now + MIN_INTERVAL), "the network has come");
        schedule.begin(now + MIN_INTERVAL);
        schedule.end(Ending::Completed, now + MIN_INTERVAL);
        schedule.begin(now);
        schedule.end(Ending::TryAgain(Some(90 * SECOND)), now);
        assert_eq!(schedule.due(), Some(now + 90 * SECOND), "as the homeserver asks; it had completed before");
    }

    #[test]
    fn a_session_that_is_over_is_left_alone_until_the_person_has_done_something() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.begin(start);
        schedule.end(Ending::Over, start);
        schedule.want(start + MIN_INTERVAL);
        assert_eq!(schedule.due(), None);
        schedule.revive(start + MIN_INTERVAL);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL));
    }

    #[test]
    fn pushes_that_resume_after_a_short_gap_mean_nothing() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.begin(start);
        schedule.end(Ending::Completed, start);
        schedule.want_after(60 * SECOND, start + 59 * SECOND);
        assert_eq!(schedule.due(), None);
        schedule.want_after(60 * SECOND, start + 60 * SECOND);
        assert_eq!(schedule.due(), Some(start + 60 * SECOND));
    }
}
