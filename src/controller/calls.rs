//! Which calls ring (pure).

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use crate::{
    notice::{Call, CallState, NoticeId},
    push::notify::SoundTweak,
};

/// Upper bound of a call's ringing time: the contract's bound for `lifetime`.
const LONGEST: Duration = Duration::from_secs(2 * 60);

/// The calls of the last snapshot.
#[derive(Debug, Default)]
pub(super) struct Calls {
    known: BTreeMap<NoticeId, Known>,
    /// Calls found by the first snapshot began before this run: they do not ring again.
    has_snapshot: bool,
}

#[derive(Debug)]
struct Known {
    state: CallState,
    deadline: Timestamp,
    /// The deadline by the monotonic clock.
    ends_at: Instant,
}

/// How the set of ringing calls has changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// Calls that begin to ring.
    pub(super) begun: Vec<(NoticeId, SoundTweak)>,
    /// Calls that stop ringing.
    pub(super) ended: Vec<NoticeId>,
}

impl Calls {
    /// Takes over the calls of a new snapshot.
    pub(super) fn update(&mut self, calls: &[Call], wall: Timestamp, now: Instant) -> Changes {
        let mut changes = Changes::default();
        let mut known = BTreeMap::new();
        for call in calls {
            let id = call.notice.id;
            let before = self.known.remove(&id);
            match (before.as_ref().map(|before| before.state), call.state) {
                (None, CallState::Ringing) if !self.has_snapshot => {}
                // A silenced call rings again when its caller dials again.
                (None | Some(CallState::Silenced), CallState::Ringing) => {
                    changes.begun.push((id, call.notice.sound.clone()));
                }
                (Some(CallState::Ringing), state) if state != CallState::Ringing => changes.ended.push(id),
                (_, _) => {}
            }
            let left = Duration::try_from(call.deadline.duration_since(wall)).unwrap_or_default().min(LONGEST);
            // A caller who dials again moves the deadline.
            let same = before.filter(|before| before.deadline == call.deadline);
            let ends_at = same.map_or(now + left, |before| before.ends_at);
            known.insert(id, Known { state: call.state, deadline: call.deadline, ends_at });
        }
        for (id, gone) in std::mem::replace(&mut self.known, known) {
            if gone.state == CallState::Ringing {
                changes.ended.push(id);
            }
        }
        self.has_snapshot = true;
        changes
    }

    /// The time to give to the inbox: the wall clock, but never before a deadline that has passed by the monotonic
    /// clock.
    pub(super) fn wall_clock(&self, wall: Timestamp, now: Instant) -> Timestamp {
        let expired = self.pending().filter(|(_, call)| call.ends_at <= now).map(|(_, call)| call.deadline);
        expired.fold(wall, Timestamp::max)
    }

    /// The calls whose deadline has passed, whatever state the inbox has.
    pub(super) fn expired(&self, now: Instant) -> Vec<NoticeId> {
        self.pending().filter(|(_, call)| call.ends_at <= now).map(|(id, _)| *id).collect()
    }

    /// The earliest deadline of a ringing call.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pending().map(|(_, call)| call.ends_at).min()
    }

    /// The calls whose deadline is still to come.
    pub(super) fn ringing(&self) -> Vec<NoticeId> {
        self.pending().map(|(id, _)| *id).collect()
    }

    fn pending(&self) -> impl Iterator<Item = (&NoticeId, &Known)> {
        self.known.iter().filter(|(_, call)| call.state.is_pending())
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan;

    use super::*;
    use crate::push::notify::Priority;

    fn call(id: i64, state: CallState, deadline: Timestamp) -> Call {
        let notice = crate::notice::Notice {
            id: NoticeId(id),
            account: "home".into(),
            event_id: None,
            room_id: None,
            event_type: None,
            sender: None,
            sender_display_name: None,
            room_name: None,
            room_alias: None,
            membership: None,
            user_is_target: false,
            prio: Priority::High,
            sound: SoundTweak::Named("ring".into()),
            highlight: false,
            content: None,
            redacted: false,
            received_at: Timestamp::UNIX_EPOCH,
            presentation: crate::notice::Presentation::Waiting,
            read: false,
            sample: false,
            call_state: None,
        };
        Call { notice, call_id: id.to_string(), deadline, state }
    }

    fn ring() -> SoundTweak {
        SoundTweak::Named("ring".into())
    }

    #[test]
    fn a_new_call_rings_and_ends_when_it_is_missed_or_over() {
        let (wall, now) = (Timestamp::UNIX_EPOCH, Instant::now());
        let later = wall + 60.seconds();
        let mut calls = Calls::default();
        calls.update(&[], wall, now);
        let both = [call(1, CallState::Ringing, later), call(2, CallState::Ringing, later)];
        let changes = calls.update(&both, wall, now);
        assert_eq!(changes.begun, [(NoticeId(1), ring()), (NoticeId(2), ring())]);
        assert_eq!(calls.next_deadline(), Some(now + Duration::from_secs(60)));
        let changes = calls.update(&[call(1, CallState::Missed, later)], wall, now);
        assert_eq!(changes.ended, [NoticeId(1), NoticeId(2)]);
        assert_eq!(calls.next_deadline(), None);
    }

    #[test]
    fn a_call_from_before_the_start_does_not_ring_again() {
        let mut calls = Calls::default();
        let old = [call(1, CallState::Ringing, Timestamp::UNIX_EPOCH + 60.seconds())];
        assert_eq!(calls.update(&old, Timestamp::UNIX_EPOCH, Instant::now()).begun, []);
        assert_eq!(calls.ringing(), [NoticeId(1)], "but it is a call until its deadline");
    }

    #[test]
    fn a_caller_who_dials_again_makes_a_call_ring_longer() {
        let (wall, now) = (Timestamp::UNIX_EPOCH, Instant::now());
        let mut calls = Calls::default();
        calls.update(&[], wall, now);
        calls.update(&[call(1, CallState::Ringing, wall + 60.seconds())], wall, now);
        let later = [call(1, CallState::Ringing, wall + 100.seconds())];
        let changes = calls.update(&later, wall + 40.seconds(), now + Duration::from_secs(40));
        assert_eq!(changes, Changes::default(), "it rings on");
        assert_eq!(calls.next_deadline(), Some(now + Duration::from_secs(100)));
    }

    #[test]
    fn a_silenced_call_makes_no_sound_until_its_caller_dials_again() {
        let (wall, now) = (Timestamp::UNIX_EPOCH, Instant::now());
        let later = wall + 60.seconds();
        let mut calls = Calls::default();
        calls.update(&[], wall, now);
        calls.update(&[call(1, CallState::Ringing, later)], wall, now);
        let changes = calls.update(&[call(1, CallState::Silenced, later)], wall, now);
        assert_eq!((changes.begun, changes.ended), (vec![], vec![NoticeId(1)]));
        assert_eq!(calls.next_deadline(), Some(now + Duration::from_secs(60)), "it is a call until then");
        let changes = calls.update(&[call(1, CallState::Ringing, later)], wall, now);
        assert_eq!((changes.begun, changes.ended), (vec![(NoticeId(1), ring())], vec![]));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_a_call_ring_for_ever() {
        let (wall, now) = (Timestamp::UNIX_EPOCH + 24.hours(), Instant::now());
        let deadline = wall + 60.seconds();
        let mut calls = Calls::default();
        calls.update(&[], wall, now);
        calls.update(&[call(1, CallState::Ringing, deadline)], wall, now);
        let yesterday = Timestamp::UNIX_EPOCH;
        assert_eq!(calls.wall_clock(yesterday, now), yesterday);
        assert_eq!(calls.wall_clock(yesterday, now + Duration::from_secs(60)), deadline);
    }

    #[test]
    fn a_call_rings_two_minutes_at_most_whatever_the_clock_says() {
        let (wall, now) = (Timestamp::UNIX_EPOCH, Instant::now());
        let mut calls = Calls::default();
        calls.update(&[call(1, CallState::Ringing, wall + 24.hours())], wall, now);
        assert_eq!(calls.next_deadline(), Some(now + LONGEST));
    }
}
