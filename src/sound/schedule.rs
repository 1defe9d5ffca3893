//! Which sound plays now. Pure: no clock, no thread, no device.
//!
//! One sound plays at a time. A ring has priority over other sounds; of several rings the first plays, and the next one
//! follows when it stops. A sound that cannot play at once is dropped: a burst of messages makes one sound.

use std::time::{Duration, Instant};

use crate::{backoff::Backoff, notice::NoticeId, push::notify::SoundTweak};

/// Minimum time between the starts of two sounds.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of calls waiting to ring.
const MAX_RINGS: usize = 8;
/// Retry delay of a ring that could not be played.
const RING_RETRY: Duration = Duration::from_secs(5);
/// Backoff for a device that does not answer: each attempt may cost a thread that does not end before the device
/// answers.
const NO_ANSWER_BACKOFF: Backoff = Backoff::new(Duration::from_secs(10), Duration::from_secs(60 * 60));

/// A request for a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    /// Unique number of the request.
    pub(super) serial: u64,
    /// The sound.
    pub(super) sound: SoundTweak,
    /// Whether it repeats until it is stopped.
    pub(super) repeat: bool,
}

/// What to play now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Play this.
    Sound(Job),
    /// Nothing before this time.
    NothingUntil(Instant),
    /// Nothing.
    Nothing,
}

/// Why a sound was not played: each with a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no sound device, or it has failed.
    NoDevice(String),
    /// The device does not answer.
    NoAnswer(String),
}

/// Requests that have not been played to the end.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    rings: Vec<(NoticeId, Job)>,
    once: Option<Job>,
    next_serial: u64,
    last_start: Option<Instant>,
    retry_rings_at: Option<Instant>,
    retry_at: Option<Instant>,
    no_answer_backoff: Option<Backoff>,
}

impl Schedule {
    /// Requests a sound, which is dropped if it cannot play at once.
    pub(super) fn play(&mut self, sound: &SoundTweak, now: Instant) {
        let soon_after = self.last_start.is_some_and(|last| now < last + MIN_INTERVAL);
        let is_backing_off = self.retry_at.is_some_and(|until| now < until);
        let is_busy = self.once.is_some() || !self.rings.is_empty();
        if *sound != SoundTweak::Silent && !soon_after && !is_backing_off && !is_busy {
            self.last_start = Some(now);
            self.once = Some(self.job(sound, false));
        }
    }

    /// Requests a sound that repeats until [`Schedule::stop_ringing`].
    pub(super) fn ring(&mut self, call: NoticeId, sound: &SoundTweak, now: Instant) {
        let rings_already = self.rings.iter().any(|(ringing, _)| *ringing == call);
        if *sound != SoundTweak::Silent && !rings_already && self.rings.len() < MAX_RINGS {
            let job = self.job(sound, true);
            self.rings.push((call, job));
            self.once = None;
            self.last_start = Some(now);
        }
    }

    /// Cancels a request of [`Schedule::ring`].
    pub(super) fn stop_ringing(&mut self, call: NoticeId) {
        self.rings.retain(|(ringing, _)| *ringing != call);
    }

    /// Cancels everything.
    pub(super) fn stop_all(&mut self) {
        self.rings.clear();
        self.once = None;
    }

    /// What to play now: the same job until it ends or another takes its place.
    pub(super) fn wanted(&self, now: Instant) -> Wanted {
        if let Some((_, ring)) = self.rings.first() {
            let wait = self.retry_rings_at.max(self.retry_at).filter(|until| now < *until);
            return wait.map_or_else(|| Wanted::Sound(ring.clone()), Wanted::NothingUntil);
        }
        self.once.clone().map_or(Wanted::Nothing, Wanted::Sound)
    }

    /// This job was played to its end, or until it was stopped.
    pub(super) fn played(&mut self, job: &Job) {
        self.dropped(job);
        self.retry_rings_at = None;
        self.retry_at = None;
        self.no_answer_backoff = None;
    }

    /// This job could not be played to its end. A ring is retried after a delay.
    pub(super) fn failed(&mut self, job: &Job, fault: &Fault, now: Instant) {
        self.dropped(job);
        self.retry_rings_at = Some(now + RING_RETRY);
        if matches!(fault, Fault::NoAnswer(_)) {
            self.retry_at = Some(now + self.no_answer_backoff.get_or_insert(NO_ANSWER_BACKOFF).next());
        }
    }

    /// Ends this job; a ring that is still requested plays again.
    pub(super) fn dropped(&mut self, job: &Job) {
        if self.once.as_ref().is_some_and(|once| once.serial == job.serial) {
            self.once = None;
        }
    }

    fn job(&mut self, sound: &SoundTweak, repeat: bool) -> Job {
        self.next_serial += 1;
        Job { serial: self.next_serial, sound: sound.clone(), repeat }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: NoticeId = NoticeId(1);
    const SECOND: NoticeId = NoticeId(2);

    fn sound(name: &str) -> SoundTweak {
        SoundTweak::Named(name.to_owned())
    }

    /// Whether a requested sound will play.
    fn plays(schedule: &mut Schedule, sound: &SoundTweak, now: Instant) -> bool {
        let before = schedule.next_serial;
        schedule.play(sound, now);
        schedule.next_serial > before
    }

    fn sounding(schedule: &Schedule, now: Instant) -> Option<(SoundTweak, bool)> {
        match schedule.wanted(now) {
            Wanted::Sound(job) => Some((job.sound, job.repeat)),
            Wanted::NothingUntil(_) | Wanted::Nothing => None,
        }
    }

    fn job(schedule: &Schedule, now: Instant) -> Job {
        match schedule.wanted(now) {
            Wanted::Sound(job) => job,
            other @ (Wanted::NothingUntil(_) | Wanted::Nothing) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_burst_sounds_once_and_later_sounds_are_heard_again() {
        let (mut schedule, start) = (Schedule::default(), Instant::now());
        let accepted =
            (0..50).filter(|n| plays(&mut schedule, &sound("default"), start + Duration::from_millis(*n))).count();
        assert_eq!(accepted, 1);
        schedule.played(&job(&schedule, start));
        assert_eq!(schedule.wanted(start), Wanted::Nothing);
        assert!(!plays(&mut schedule, &sound("default"), start + Duration::from_millis(999)));
        assert!(plays(&mut schedule, &sound("default"), start + Duration::from_secs(1)));
    }

    #[test]
    fn while_something_sounds_another_sound_is_dropped() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert!(plays(&mut schedule, &sound("long"), now));
        assert!(!plays(&mut schedule, &sound("bing"), now + Duration::from_secs(20)));
        assert_eq!(sounding(&schedule, now), Some((sound("long"), false)));
    }

    #[test]
    fn silence_is_not_played() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert!(!plays(&mut schedule, &SoundTweak::Silent, now));
        schedule.ring(FIRST, &SoundTweak::Silent, now);
        assert_eq!(schedule.wanted(now), Wanted::Nothing);
    }

    #[test]
    fn a_ring_cuts_a_sound_short_and_lets_none_in() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.play(&sound("bing"), now);
        schedule.ring(FIRST, &sound("ring"), now);
        assert_eq!(sounding(&schedule, now), Some((sound("ring"), true)));
        assert!(!plays(&mut schedule, &sound("bing"), now + Duration::from_secs(9)));
        schedule.stop_ringing(FIRST);
        assert_eq!(schedule.wanted(now), Wanted::Nothing);
    }

    #[test]
    fn the_next_ring_takes_over_when_the_first_stops() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.ring(FIRST, &sound("ring"), now);
        schedule.ring(SECOND, &sound("bing"), now);
        schedule.ring(FIRST, &sound("other"), now);
        assert_eq!(sounding(&schedule, now), Some((sound("ring"), true)));
        schedule.stop_ringing(FIRST);
        assert_eq!(sounding(&schedule, now), Some((sound("bing"), true)));
        schedule.stop_all();
        assert_eq!(schedule.wanted(now), Wanted::Nothing);
    }

    #[test]
    fn the_number_of_waiting_rings_is_bounded() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        (0..1000).for_each(|call| schedule.ring(NoticeId(call), &sound("ring"), now));
        assert_eq!(schedule.rings.len(), MAX_RINGS);
    }

    #[test]
    fn a_ring_without_a_device_is_tried_again_and_a_sound_is_not() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.play(&sound("bing"), now);
        schedule.failed(&job(&schedule, now), &Fault::NoDevice(String::new()), now);
        assert_eq!(schedule.wanted(now), Wanted::Nothing);
        assert!(plays(&mut schedule, &sound("bing"), now + MIN_INTERVAL), "a device may be there by now");

        schedule.ring(FIRST, &sound("ring"), now);
        schedule.failed(&job(&schedule, now + RING_RETRY), &Fault::NoDevice(String::new()), now);
        assert_eq!(schedule.wanted(now), Wanted::NothingUntil(now + RING_RETRY));
        assert_eq!(sounding(&schedule, now + RING_RETRY), Some((sound("ring"), true)));
    }

    #[test]
    fn a_device_that_does_not_answer_is_retried_with_backoff() {
        let (mut schedule, mut now) = (Schedule::default(), Instant::now());
        for wait in [10, 20, 40, 80] {
            assert!(plays(&mut schedule, &sound("bing"), now));
            schedule.failed(&job(&schedule, now), &Fault::NoAnswer(String::new()), now);
            assert!(!plays(&mut schedule, &sound("bing"), now + Duration::from_secs(wait * 3 / 4 - 1)));
            now += Duration::from_secs(wait);
        }
        assert!(plays(&mut schedule, &sound("bing"), now));
        schedule.played(&job(&schedule, now));
        assert!(plays(&mut schedule, &sound("bing"), now + MIN_INTERVAL));
        schedule.failed(&job(&schedule, now), &Fault::NoAnswer(String::new()), now);
        assert!(plays(&mut schedule, &sound("bing"), now + Duration::from_secs(10)));
    }
}
