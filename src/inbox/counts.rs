//! What `counts` do to an account's numbers (pure).

use crate::push::notify::Counts;

/// Nobody has more unread messages; so no sum over rooms overflows.
const MAX_COUNT: u64 = u32::MAX as u64;

/// An account's numbers, as its `counts` have set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Numbers {
    /// Whether it has ever sent `counts`.
    pub(super) sent: bool,
    /// What is unread in it.
    pub(super) unread: u64,
    /// The sum over its rooms, where `counts` stand for rooms.
    pub(super) room_sum: u64,
    /// `missed_calls`, if it has ever sent it.
    pub(super) missed_calls: Option<u64>,
}

/// What follows from new numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The whole account was set; the numbers of its rooms are no longer known.
    Account {
        /// To zero: everything in it was read.
        is_zero: bool,
    },
    /// One room was set.
    Room {
        /// To zero: everything in it was read.
        is_zero: bool,
    },
}

impl Numbers {
    /// Takes over a push's `counts`. `room` is the number of the push's room where `counts` stand for rooms, and
    /// nothing where they stand for the account or the push has no room.
    pub(super) fn set(&mut self, counts: Counts, room: Option<&mut u64>) -> Outcome {
        self.sent = true;
        self.missed_calls = counts.missed_calls.or(self.missed_calls);
        let is_zero = counts.unread == 0;
        if let Some(room) = room {
            self.room_sum = self.room_sum.saturating_sub(*room).saturating_add(counts.unread);
            self.unread = self.room_sum;
            *room = counts.unread;
            Outcome::Room { is_zero }
        } else {
            self.room_sum = 0;
            self.unread = counts.unread;
            Outcome::Account { is_zero }
        }
    }

    /// Sets every number to zero; what the account is known to send stays known.
    pub(super) fn clear(&mut self) {
        *self = Self { sent: self.sent, missed_calls: self.missed_calls.map(|_| 0), ..Self::default() };
    }

    /// What the badge counts: an account that never sent `counts` is counted by its unread notices.
    pub(super) fn badge(&self, unread_notices: u64) -> u64 {
        if self.sent { self.unread } else { unread_notices }
    }

    /// What the mark for missed calls counts: once the server has sent its number, that alone.
    pub(super) fn missed(&self, derived: u64) -> u64 {
        self.missed_calls.unwrap_or(derived)
    }
}

/// The `counts` of a push within what can be added up and stored.
pub(super) fn bounded(counts: Counts) -> Counts {
    Counts {
        unread: counts.unread.min(MAX_COUNT),
        missed_calls: counts.missed_calls.map(|missed| missed.min(MAX_COUNT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(unread: u64) -> Counts {
        Counts { unread, missed_calls: None }
    }

    #[test]
    fn counts_of_the_account_replace_its_number() {
        let mut numbers = Numbers::default();
        for (said, is_zero) in [(3, false), (1, false), (0, true), (0, true), (7, false)] {
            assert_eq!(numbers.set(unread(said), None), Outcome::Account { is_zero });
            assert_eq!(numbers.badge(99), said);
        }
    }

    #[test]
    fn counts_of_rooms_add_up() {
        let (mut numbers, mut a, mut b) = (Numbers::default(), 0, 0);
        numbers.set(unread(2), Some(&mut a));
        numbers.set(unread(5), Some(&mut b));
        assert_eq!((numbers.badge(0), a, b), (7, 2, 5));
        assert_eq!(numbers.set(unread(0), Some(&mut a)), Outcome::Room { is_zero: true });
        assert_eq!((numbers.badge(0), a, b), (5, 0, 5));
    }

    #[test]
    fn a_push_without_a_room_sets_the_whole_account_and_forgets_the_rooms() {
        let (mut numbers, mut a) = (Numbers::default(), 0);
        numbers.set(unread(2), Some(&mut a));
        assert_eq!(numbers.set(unread(9), None), Outcome::Account { is_zero: false });
        assert_eq!((numbers.badge(0), numbers.room_sum), (9, 0));
        a = 0;
        numbers.set(unread(4), Some(&mut a));
        assert_eq!(numbers.badge(0), 4);
    }

    #[test]
    fn who_never_sent_counts_is_counted_by_notices() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.badge(6), 6);
        numbers.clear();
        assert_eq!(numbers.badge(6), 6);
        numbers.set(unread(0), None);
        assert_eq!(numbers.badge(6), 0);
    }

    #[test]
    fn once_missed_calls_were_sent_they_alone_count() {
        let mut numbers = Numbers::default();
        numbers.set(unread(1), None);
        assert_eq!(numbers.missed(2), 2);
        numbers.set(Counts { unread: 1, missed_calls: Some(5) }, None);
        assert_eq!(numbers.missed(2), 5);
        numbers.set(unread(1), None);
        assert_eq!(numbers.missed(2), 5);
        numbers.clear();
        assert_eq!((numbers.missed(2), numbers.badge(3)), (0, 0));
    }

    #[test]
    fn absurd_numbers_stay_summable() {
        let absurd = bounded(Counts { unread: u64::MAX, missed_calls: Some(u64::MAX) });
        assert_eq!(absurd, Counts { unread: MAX_COUNT, missed_calls: Some(MAX_COUNT) });
        assert_eq!(bounded(unread(7)), unread(7));
    }
}
