//! When an account's homeserver is asked, and for what (pure). Requests of one kind are served by one run, and there is one
//! run at a time.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::backoff::Backoff;

/// Minimum intervals between the beginnings of two runs that catch up, look at a session, or ask what was read.
const MIN_INTERVAL: Duration = Duration::from_secs(15);
const MIN_LOOK_INTERVAL: Duration = Duration::from_secs(30);
const MIN_READ_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum interval between two looks at a session.
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
/// First and maximum retry delay.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5 * 60));
/// A push brings the next retry forward to this long after the failure.
const PUSHED_RETRY: Duration = Duration::from_secs(30);
/// Upper bound of a homeserver's `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// When one account's homeserver is asked, and for what.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    /// The runs that are wanted, with their times.
    wanted: BTreeMap<Run, Instant>,
    running: Option<Run>,
    /// When each run last began, for its minimum interval.
    began: BTreeMap<Run, Instant>,
    caught_up_at: Option<Instant>,
    failed_at: Option<Instant>,
    /// No run begins before this; an event may bring it forward.
    retry_at: Option<Instant>,
    /// No run begins before this, as requested by the homeserver.
    retry_after: Option<Instant>,
    backoff: Backoff,
    is_over: bool,
    is_switched_off: bool,
}

/// What a run is for, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Run {
    /// Records what a held sync or a relay has brought: its reader waits for that.
    Record,
    /// Catches up: before fetching details, so that the events concerned are known to be unread.
    CatchUp,
    /// Fetches what pushes have left out.
    Details,
    /// Finds out what was read elsewhere.
    Read,
    /// Checks that session and pusher still exist.
    Look,
}

impl Run {
    /// Minimum interval between the beginnings of two such runs.
    fn min_interval(self) -> Duration {
        match self {
            Self::Record | Self::Details => Duration::ZERO,
            Self::CatchUp => MIN_INTERVAL,
            Self::Read => MIN_READ_INTERVAL,
            Self::Look => MIN_LOOK_INTERVAL,
        }
    }
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything is done.
    Completed,
    /// The person has switched the pusher off: nothing is caught up with until it is on again.
    SwitchedOff,
    /// Retry later, after this delay at the earliest if the homeserver requests one.
    TryAgain(Option<Duration>),
    /// Retrying does not help until the person has done something.
    Over,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            wanted: BTreeMap::new(),
            running: None,
            began: BTreeMap::new(),
            caught_up_at: None,
            failed_at: None,
            retry_at: None,
            retry_after: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            is_over: false,
            is_switched_off: false,
        }
    }
}

impl Schedule {
    /// Pushes may be missing, or a retry may succeed now.
    pub(super) fn catch_up(&mut self, now: Instant) {
        self.want(Run::CatchUp, now);
        self.want(Run::Details, now);
        self.bring_forward(MIN_INTERVAL, now);
    }

    /// A push has arrived. Earlier ones may be missing if the last time the account was caught up with is this long ago.
    pub(super) fn catch_up_after(&mut self, gap: Duration, now: Instant) {
        if self.caught_up_at.is_none_or(|at| now.saturating_duration_since(at) >= gap) {
            self.want(Run::CatchUp, now);
            self.bring_forward(PUSHED_RETRY, now);
        }
    }

    /// A push has left something out.
    pub(super) fn fetch_details(&mut self, now: Instant) {
        self.want(Run::Details, now);
        self.bring_forward(PUSHED_RETRY, now);
    }

    /// Something was read elsewhere.
    pub(super) fn look_for_read(&mut self, now: Instant) {
        self.want(Run::Read, now);
        self.bring_forward(PUSHED_RETRY, now);
    }

    /// A held sync or a relay has brought something.
    pub(super) fn record(&mut self, now: Instant) {
        self.want(Run::Record, now);
        // The homeserver answers again, and the reader has a backoff of its own.
        self.bring_forward(Duration::ZERO, now);
    }

    /// Checks the session within this time.
    pub(super) fn look_within(&mut self, longest: Duration, now: Instant) {
        self.want(Run::Look, now + longest);
    }

    /// The person has done something: what was over or switched off may work again.
    pub(super) fn revive(&mut self, now: Instant) {
        let was_off = std::mem::take(&mut self.is_switched_off);
        if std::mem::take(&mut self.is_over) || was_off {
            self.catch_up(now);
        }
    }

    /// Whether the person had switched the pusher off when it was last looked at.
    pub(super) fn is_switched_off(&self) -> bool {
        self.is_switched_off
    }

    fn want(&mut self, run: Run, at: Instant) {
        self.wanted.entry(run).and_modify(|wanted| *wanted = at.min(*wanted)).or_insert(at);
    }

    fn bring_forward(&mut self, pause: Duration, now: Instant) {
        if let (Some(retry_at), Some(failed_at)) = (self.retry_at, self.failed_at) {
            self.retry_at = Some(retry_at.min((failed_at + pause).max(now)));
        }
    }

    /// When the next run begins, if any is wanted.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.running.is_some() || self.is_over {
            return None;
        }
        let wanted = self.runs().map(|(_, due)| due).min()?;
        [self.retry_at, self.retry_after, Some(wanted)].into_iter().flatten().max()
    }

    /// Whether the account is being caught up with.
    pub(super) fn is_catching_up(&self) -> bool {
        self.running == Some(Run::CatchUp)
    }

    /// The runs that are wanted, most urgent first, and when each may begin.
    fn runs(&self) -> impl Iterator<Item = (Run, Instant)> {
        self.wanted.iter().map(|(run, at)| {
            let began = self.began.get(run);
            (*run, began.map_or(*at, |began| *at.max(&(*began + run.min_interval()))))
        })
    }

    /// Begins the most urgent run that is due.
    pub(super) fn begin(&mut self, now: Instant) -> Run {
        let run = self.runs().find(|(_, due)| *due <= now).map_or(Run::Look, |(run, _)| run);
        self.wanted.remove(&run);
        if run == Run::CatchUp {
            // It also checks the session, and finds what was read.
            self.wanted.retain(|run, _| !matches!(run, Run::Look | Run::Read));
        }
        self.began.insert(run, now);
        self.running = Some(run);
        run
    }

    /// The run has ended.
    pub(super) fn end(&mut self, ending: Ending, now: Instant) {
        let Some(run) = self.running.take() else { return };
        (self.retry_at, self.retry_after) = (None, None);
        match ending {
            Ending::Completed | Ending::SwitchedOff => {
                self.backoff.reset();
                if matches!(run, Run::CatchUp | Run::Look) {
                    self.wanted.entry(Run::Look).or_insert(now + MAX_LOOK_INTERVAL);
                    self.is_switched_off = ending == Ending::SwitchedOff;
                }
                if ending == Ending::SwitchedOff {
                    // Catching up begins at once when the pusher is switched on again.
                    self.began.remove(&Run::CatchUp);
                } else if run == Run::CatchUp {
                    self.caught_up_at = Some(now);
                }
            }
            Ending::TryAgain(retry_after) => {
                // What has arrived arrives again.
                if run != Run::Record {
                    self.wanted.insert(run, now);
                }
                if run == Run::CatchUp {
                    self.began.remove(&run);
                }
                self.failed_at = Some(now);
                self.retry_at = Some(now + self.backoff.next());
                self.retry_after = retry_after.map(|wait| now + wait.min(MAX_RETRY_AFTER));
            }
            Ending::Over => {
                self.is_over = true;
                self.wanted.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FAILED: Ending = Ending::TryAgain(None);

    /// Catches up, and then looks for details, at once.
    fn complete(schedule: &mut Schedule, at: Instant) {
        for run in [Run::CatchUp, Run::Details] {
            assert_eq!(schedule.begin(at), run);
            schedule.end(Ending::Completed, at);
        }
    }

    #[test]
    fn simultaneous_requests_are_one_run() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        assert_eq!(schedule.due(), None);
        schedule.catch_up(start);
        schedule.catch_up(start + SECOND);
        schedule.fetch_details(start + SECOND);
        assert_eq!(schedule.due(), Some(start));
        assert_eq!(schedule.begin(start + SECOND), Run::CatchUp);
        assert_eq!(schedule.due(), None, "one at a time");
        schedule.end(Ending::Completed, start + 2 * SECOND);
        assert_eq!(schedule.begin(start + 2 * SECOND), Run::Details);
        schedule.end(Ending::Completed, start + 2 * SECOND);
        assert_eq!(schedule.due(), Some(start + 2 * SECOND + MAX_LOOK_INTERVAL), "nothing but the routine look");
    }

    #[test]
    fn read_state_is_requested_at_most_every_two_seconds() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        let (mut now, mut asked) = (start + SECOND, 0);
        while now < start + 61 * SECOND {
            schedule.look_for_read(now);
            if schedule.due().is_some_and(|due| due <= now) {
                assert_eq!(schedule.begin(now), Run::Read);
                schedule.look_for_read(now);
                assert_eq!(schedule.due(), None, "one at a time");
                schedule.end(Ending::Completed, now + SECOND / 4);
                asked += 1;
            }
            now += SECOND / 2;
        }
        assert_eq!(asked, 30);
        schedule.catch_up(now + MIN_INTERVAL);
        assert_eq!(schedule.begin(now + MIN_INTERVAL), Run::CatchUp, "which finds it, too");
        schedule.end(Ending::Completed, now + MIN_INTERVAL);
        assert_eq!(schedule.begin(now + MIN_INTERVAL), Run::Details);
        schedule.end(Ending::Completed, now + MIN_INTERVAL);
        assert_eq!(schedule.due(), Some(now + MIN_INTERVAL + MAX_LOOK_INTERVAL));
    }

    #[test]
    fn recording_waits_for_no_interval() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        for second in 1..5 {
            let now = start + second * SECOND;
            schedule.record(now);
            schedule.catch_up(now);
            assert!(schedule.due() <= Some(now));
            assert_eq!(schedule.begin(now), Run::Record);
            schedule.record(now);
            assert_eq!(schedule.due(), None, "one at a time");
            schedule.end(Ending::Completed, now);
            assert!(schedule.due() <= Some(now));
            assert_eq!(schedule.begin(now), Run::Record, "it came meanwhile");
            schedule.end(Ending::Completed, now);
        }
        assert_eq!(schedule.begin(start + 5 * SECOND), Run::Details);
        schedule.end(Ending::Completed, start + 5 * SECOND);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL), "catching up waits");
    }

    #[test]
    fn a_session_is_checked_at_most_every_thirty_seconds() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        let (mut now, mut looks) = (start, 0);
        while now < start + 300 * SECOND {
            schedule.look_within(Duration::ZERO, now);
            if schedule.due().is_some_and(|due| due <= now) {
                assert_eq!(schedule.begin(now), Run::Look);
                schedule.look_within(Duration::ZERO, now);
                assert_eq!(schedule.due(), None, "one at a time");
                // Whether it works or not.
                schedule.end(if looks % 2 == 0 { Ending::Completed } else { FAILED }, now);
                looks += 1;
            }
            now += SECOND / 10;
        }
        assert_eq!(looks, 10);
    }

    #[test]
    fn a_session_is_checked_every_six_hours_until_it_ends() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        let mut now = start;
        for _ in 0..3 {
            now += MAX_LOOK_INTERVAL;
            assert_eq!(schedule.due(), Some(now));
            assert_eq!(schedule.begin(now), Run::Look);
            schedule.end(Ending::Completed, now);
        }
        schedule.look_within(MAX_LOOK_INTERVAL / 4, now);
        schedule.look_within(MAX_LOOK_INTERVAL / 2, now);
        assert_eq!(schedule.due(), Some(now + MAX_LOOK_INTERVAL / 4));
        schedule.look_within(Duration::ZERO, now + MIN_LOOK_INTERVAL);
        assert_eq!(schedule.begin(now + MIN_LOOK_INTERVAL), Run::Look);
        schedule.end(Ending::Over, now + MIN_LOOK_INTERVAL);
        schedule.look_within(Duration::ZERO, now + MAX_LOOK_INTERVAL);
        assert_eq!(schedule.due(), None);
    }

    #[test]
    fn signing_in_catches_up_at_once_after_a_switched_off_pusher() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        schedule.begin(start);
        schedule.end(Ending::SwitchedOff, start);
        assert!(schedule.is_switched_off());
        schedule.revive(start + SECOND);
        assert_eq!((schedule.due(), schedule.begin(start + SECOND)), (Some(start), Run::CatchUp));
        schedule.end(Ending::Completed, start + SECOND);
        assert!(!schedule.is_switched_off());
    }

    #[test]
    fn a_request_during_a_run_is_served_after_the_interval() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        schedule.catch_up_after(Duration::ZERO, start + SECOND);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL));
        schedule.fetch_details(start + 3 * SECOND);
        assert_eq!(schedule.due(), Some(start + 3 * SECOND), "details do not wait");
        assert_eq!(schedule.begin(start + 3 * SECOND), Run::Details);
        schedule.end(Ending::Completed, start + 4 * SECOND);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL));
    }

    #[test]
    fn failures_back_off_up_to_five_minutes() {
        let (mut now, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(now);
        for longest in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            schedule.begin(now);
            schedule.end(FAILED, now);
            let due = schedule.due().unwrap();
            let pause = due - now;
            assert!(pause <= longest * SECOND && pause >= longest * SECOND * 3 / 4, "{pause:?} {longest}");
            now = due;
        }
        schedule.begin(now);
        schedule.end(FAILED, now);
        schedule.catch_up(now + SECOND);
        assert_eq!(schedule.due(), Some(now + MIN_INTERVAL), "the network has come");
    }

    #[test]
    fn pushes_shorten_the_retry_delay_to_thirty_seconds() {
        let (mut now, mut schedule) = (Instant::now(), Schedule::default());
        schedule.fetch_details(now);
        let mut tries = 0;
        for _ in 0..600 {
            schedule.fetch_details(now);
            schedule.catch_up_after(SECOND, now);
            if schedule.due().unwrap() <= now {
                tries += 1;
                schedule.begin(now);
                schedule.end(FAILED, now);
            }
            now += SECOND;
        }
        assert!((20..=26).contains(&tries), "{tries}");
    }

    #[test]
    fn the_homeservers_retry_after_is_never_shortened() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        for (wait, expected) in [(90 * SECOND, 90 * SECOND), (Duration::MAX, MAX_RETRY_AFTER)] {
            schedule.catch_up(start);
            schedule.begin(start);
            schedule.end(Ending::TryAgain(Some(wait)), start);
            schedule.catch_up(start + SECOND);
            schedule.fetch_details(start + SECOND);
            assert_eq!(schedule.due(), Some(start + expected));
        }
    }

    #[test]
    fn an_ended_session_is_not_asked_until_the_person_has_acted() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        schedule.begin(start);
        schedule.end(Ending::Over, start);
        schedule.catch_up(start + MIN_INTERVAL);
        assert_eq!(schedule.due(), None);
        schedule.revive(start + MIN_INTERVAL);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL));
    }

    #[test]
    fn a_push_after_a_short_gap_does_not_cause_catching_up() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        schedule.catch_up_after(60 * SECOND, start + 59 * SECOND);
        assert_eq!(schedule.due(), Some(start + MAX_LOOK_INTERVAL));
        schedule.catch_up_after(60 * SECOND, start + 60 * SECOND);
        assert_eq!(schedule.due(), Some(start + 60 * SECOND));
    }
}
