//! When an account's homeserver is asked (pure). What happens together is one run, and while one runs there is no other.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// Catching up begins at least this long after it last began, whatever happens.
const MIN_INTERVAL: Duration = Duration::from_secs(15);
/// A session is looked at no sooner than this after the last look, however often that is wanted.
const MIN_LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// What was read elsewhere is asked for no sooner than this after it was last asked for.
const MIN_READ_INTERVAL: Duration = Duration::from_secs(2);
/// And at least this often, though nothing happens.
const MAX_LOOK_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
/// First and longest delay after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5 * 60));
/// A push brings the next try forward to this long after the last one.
const PUSHED_RETRY: Duration = Duration::from_secs(30);
/// A homeserver that asks to be left alone for longer is left alone for this long.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// When one account's homeserver is asked, and for what.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    catch_up_at: Option<Instant>,
    look_at: Option<Instant>,
    details_at: Option<Instant>,
    read_at: Option<Instant>,
    /// What a held sync has brought is to be taken over since then.
    heard_at: Option<Instant>,
    running: Option<Run>,
    /// When catching up last began.
    began_at: Option<Instant>,
    /// When a look last began.
    looked_at: Option<Instant>,
    /// When it was last asked what was read elsewhere.
    asked_for_read_at: Option<Instant>,
    completed_at: Option<Instant>,
    failed_at: Option<Instant>,
    /// No try before this; what happens may bring it forward.
    retry_at: Option<Instant>,
    /// No try before this, as the homeserver asks.
    retry_after: Option<Instant>,
    backoff: Backoff,
    is_over: bool,
    is_switched_off: bool,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Run {
    /// Taking over what a held sync has brought: somebody waits for it.
    Heard,
    /// Catching up: before details, so that what pushes leave out is known to be unread.
    CatchUp,
    /// Fetching what pushes have left out.
    Details,
    /// Finding out what was read elsewhere.
    Read,
    /// Looking whether session and pusher are still there.
    Look,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// All is known.
    Completed,
    /// The person has switched the pusher off: there is nothing to catch up with until it is on again.
    SwitchedOff,
    /// It may work later; the homeserver asks to wait at least so long.
    TryAgain(Option<Duration>),
    /// It will not work until the person has done something.
    Over,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            catch_up_at: None,
            look_at: None,
            details_at: None,
            read_at: None,
            heard_at: None,
            running: None,
            began_at: None,
            looked_at: None,
            asked_for_read_at: None,
            completed_at: None,
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
    /// Something has happened after which pushes may be missing, or after which what failed may work.
    pub(super) fn catch_up(&mut self, now: Instant) {
        self.catch_up_at.get_or_insert(now);
        self.details_at.get_or_insert(now);
        self.bring_forward(MIN_INTERVAL, now);
    }

    /// A push came. Others before it may be missing if the account was not caught up with for so long.
    pub(super) fn catch_up_after(&mut self, gap: Duration, now: Instant) {
        if self.completed_at.is_none_or(|at| now.saturating_duration_since(at) >= gap) {
            self.catch_up_at.get_or_insert(now);
            self.bring_forward(PUSHED_RETRY, now);
        }
    }

    /// A push has left something out.
    pub(super) fn fetch_details(&mut self, now: Instant) {
        self.details_at.get_or_insert(now);
        self.bring_forward(PUSHED_RETRY, now);
    }

    /// Something was read elsewhere.
    pub(super) fn look_for_read(&mut self, now: Instant) {
        self.read_at.get_or_insert(now);
        self.bring_forward(PUSHED_RETRY, now);
    }

    /// A held sync has brought something.
    pub(super) fn hear(&mut self, now: Instant) {
        self.heard_at.get_or_insert(now);
        // The homeserver answers again, and who holds the sync waits by itself after a failure.
        self.bring_forward(Duration::ZERO, now);
    }

    /// The person is here, and may want to know how the session is.
    pub(super) fn look(&mut self, now: Instant) {
        self.look_within(Duration::ZERO, now);
    }

    /// A look is due after so long at the latest.
    pub(super) fn look_within(&mut self, longest: Duration, now: Instant) {
        let at = now + longest;
        self.look_at = Some(self.look_at.map_or(at, |look_at| look_at.min(at)));
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

    fn bring_forward(&mut self, pause: Duration, now: Instant) {
        if let (Some(retry_at), Some(failed_at)) = (self.retry_at, self.failed_at) {
            self.retry_at = Some(retry_at.min((failed_at + pause).max(now)));
        }
    }

    /// When the next run begins, if one is due.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.running.is_some() || self.is_over {
            return None;
        }
        let wanted = [self.heard_at, self.catch_up_due(), self.details_at, self.read_due(), self.look_due()]
            .into_iter()
            .flatten()
            .min()?;
        [self.retry_at, self.retry_after, Some(wanted)].into_iter().flatten().max()
    }

    /// Whether a run is under way that catches up.
    pub(super) fn is_catching_up(&self) -> bool {
        self.running == Some(Run::CatchUp)
    }

    fn catch_up_due(&self) -> Option<Instant> {
        let at = self.catch_up_at?;
        Some(self.began_at.map_or(at, |began_at| at.max(began_at + MIN_INTERVAL)))
    }

    fn read_due(&self) -> Option<Instant> {
        let at = self.read_at?;
        Some(self.asked_for_read_at.map_or(at, |asked_at| at.max(asked_at + MIN_READ_INTERVAL)))
    }

    fn look_due(&self) -> Option<Instant> {
        let at = self.look_at?;
        Some(self.looked_at.map_or(at, |looked_at| at.max(looked_at + MIN_LOOK_INTERVAL)))
    }

    /// A run begins.
    pub(super) fn begin(&mut self, now: Instant) -> Run {
        let run = if self.heard_at.take().is_some() {
            Run::Heard
        } else if self.catch_up_due().is_some_and(|due| due <= now) {
            self.catch_up_at = None;
            self.began_at = Some(now);
            Run::CatchUp
        } else if self.details_at.is_some() {
            self.details_at = None;
            Run::Details
        } else if self.read_due().is_some_and(|due| due <= now) {
            self.asked_for_read_at = Some(now);
            Run::Read
        } else {
            self.looked_at = Some(now);
            Run::Look
        };
        // Catching up looks as well, and finds what was read.
        match run {
            Run::CatchUp => (self.look_at, self.read_at) = (None, None),
            Run::Read => self.read_at = None,
            Run::Look => self.look_at = None,
            Run::Heard | Run::Details => {}
        }
        self.running = Some(run);
        run
    }

    /// It has ended.
    pub(super) fn end(&mut self, ending: Ending, now: Instant) {
        let run = self.running.take();
        (self.retry_at, self.retry_after) = (None, None);
        match ending {
            Ending::Completed | Ending::SwitchedOff => {
                self.backoff.reset();
                if matches!(run, Some(Run::CatchUp | Run::Look)) {
                    self.look_at = Some(self.look_at.unwrap_or(now + MAX_LOOK_INTERVAL));
                    self.is_switched_off = ending == Ending::SwitchedOff;
                }
                if ending == Ending::SwitchedOff {
                    // Whoever switches it on again does not wait.
                    self.began_at = None;
                } else if run == Some(Run::CatchUp) {
                    self.completed_at = Some(now);
                }
            }
            Ending::TryAgain(retry_after) => {
                match run {
                    Some(Run::CatchUp) | None => {
                        self.catch_up_at = Some(now);
                        self.began_at = None;
                    }
                    Some(Run::Details) => self.details_at = Some(now),
                    Some(Run::Read) => self.read_at = Some(now),
                    // It comes again.
                    Some(Run::Heard) => {}
                    Some(Run::Look) => self.look_at = Some(now),
                }
                self.failed_at = Some(now);
                self.retry_at = Some(now + self.backoff.next());
                self.retry_after = retry_after.map(|wait| now + wait.min(MAX_RETRY_AFTER));
            }
            Ending::Over => {
                self.is_over = true;
                (self.heard_at, self.catch_up_at, self.details_at) = (None, None, None);
                (self.read_at, self.look_at) = (None, None);
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
    fn what_happens_together_is_one_run_and_no_run_follows_while_all_is_well() {
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
    fn what_was_read_elsewhere_is_asked_one_at_a_time_however_often_numbers_fall() {
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
    fn what_is_heard_waits_for_no_interval() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        for second in 1..5 {
            let now = start + second * SECOND;
            schedule.hear(now);
            schedule.catch_up(now);
            assert!(schedule.due() <= Some(now));
            assert_eq!(schedule.begin(now), Run::Heard);
            schedule.hear(now);
            assert_eq!(schedule.due(), None, "one at a time");
            schedule.end(Ending::Completed, now);
            assert!(schedule.due() <= Some(now));
            assert_eq!(schedule.begin(now), Run::Heard, "it came meanwhile");
            schedule.end(Ending::Completed, now);
        }
        assert_eq!(schedule.begin(start + 5 * SECOND), Run::Details);
        schedule.end(Ending::Completed, start + 5 * SECOND);
        assert_eq!(schedule.due(), Some(start + MIN_INTERVAL), "catching up waits");
    }

    #[test]
    fn looks_wanted_all_the_time_are_one_in_thirty_seconds() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        let (mut now, mut looks) = (start, 0);
        while now < start + 300 * SECOND {
            schedule.look(now);
            if schedule.due().is_some_and(|due| due <= now) {
                assert_eq!(schedule.begin(now), Run::Look);
                schedule.look(now);
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
    fn a_session_is_looked_at_every_six_hours_until_it_is_over() {
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
        schedule.look(now + MIN_LOOK_INTERVAL);
        assert_eq!(schedule.begin(now + MIN_LOOK_INTERVAL), Run::Look);
        schedule.end(Ending::Over, now + MIN_LOOK_INTERVAL);
        schedule.look(now + MAX_LOOK_INTERVAL);
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
    fn what_happens_during_a_run_leads_to_another_after_the_interval() {
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
    fn failures_are_tried_again_ever_later_up_to_five_minutes() {
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
    fn pushes_bring_the_next_try_forward_to_thirty_seconds_after_the_last() {
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
    fn nothing_brings_forward_what_the_homeserver_asks_for() {
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
    fn a_session_that_is_over_is_left_alone_until_the_person_has_done_something() {
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
    fn pushes_that_resume_after_a_short_gap_mean_nothing() {
        let (start, mut schedule) = (Instant::now(), Schedule::default());
        schedule.catch_up(start);
        complete(&mut schedule, start);
        schedule.catch_up_after(60 * SECOND, start + 59 * SECOND);
        assert_eq!(schedule.due(), Some(start + MAX_LOOK_INTERVAL));
        schedule.catch_up_after(60 * SECOND, start + 60 * SECOND);
        assert_eq!(schedule.due(), Some(start + 60 * SECOND));
    }
}
