//! How an account's notifications arrive now (pure).
//!
//! With `auto`, a push proves that pushes arrive, until the network changes or the homeserver lists an event that was not
//! pushed. Pushes that cease would go unnoticed, so the list is also read when the person is present, and at least every
//! [`PROOF_LIFE`]. An unfounded doubt costs no more than a held connection until the next push.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{accounts::Way, control::local_time};

/// Interval of checking for missing pushes. Longer than an hour, so that it does not count as a wake-up.
pub(super) const PROOF_LIFE: Duration = Duration::from_secs(65 * 60);
/// A push may arrive this long after its event is listed.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(10);
/// If the list does not show what was pushed, pushes are doubted after this long without one.
const SILENCE: SignedDuration = SignedDuration::from_mins(30);

/// What catching up has shown about pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushes {
    /// Nothing is missing, or nothing is known.
    NoneMissing,
    /// An event is listed that was not pushed.
    Missing,
    /// The list does not show what was pushed.
    NotTold,
}

/// How one account's notifications arrive.
#[derive(Debug)]
pub(super) struct Reach {
    /// Only a push after this time proves that pushes arrive.
    doubted_at: Timestamp,
    /// When the last such push arrived.
    pushed_at: Option<Timestamp>,
    /// Whether the held sync or the relay is connected, else why not; `None`: not known yet.
    pub(super) is_connected: Option<Result<(), String>>,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self { doubted_at: Timestamp::now(), pushed_at: None, is_connected: None }
    }

    /// Earlier pushes no longer prove anything.
    pub(super) fn network_changed(&mut self) {
        self.doubt(Timestamp::now());
    }

    fn doubt(&mut self, now: Timestamp) {
        (self.doubted_at, self.pushed_at) = (now, None);
    }

    /// Sets when the last push arrived, if one has.
    pub(super) fn pushed_at(&mut self, last: Option<Timestamp>) {
        self.pushed_at = last.filter(|at| *at > self.doubted_at);
    }

    /// Takes the result of catching up at this time. Returns whether pushes are no longer relied on because of it.
    pub(super) fn looked(&mut self, pushes: Pushes, at: Timestamp) -> bool {
        let tolerated = match pushes {
            Pushes::NoneMissing => return false,
            Pushes::Missing => UNDER_WAY,
            Pushes::NotTold => SILENCE,
        };
        let is_doubtful = self.pushed_at.is_some_and(|last| at.duration_since(last) > tolerated);
        if is_doubtful {
            self.doubt(at);
            // Not connected yet.
            self.is_connected = None;
        }
        is_doubtful
    }

    /// Whether pushes are relied on although they may cease.
    pub(super) fn relies_on_pushes(&self, way: Way) -> bool {
        way == Way::Auto && self.pushed_at.is_some()
    }

    /// Whether messages are listened for.
    pub(super) fn listens(&self, way: Way) -> bool {
        match way {
            Way::Auto => self.pushed_at.is_none(),
            Way::Push | Way::Ntfy => false,
            Way::Listen => true,
        }
    }

    /// For an account with a relay, in words.
    pub(super) fn describe_relay(&self, base: &str) -> String {
        match &self.is_connected {
            None => format!("connecting to {base}"),
            Some(Ok(())) => format!("connected to {base}"),
            Some(Err(reason)) => format!("{base} is tried again: {reason}"),
        }
    }

    /// For an account without a relay, in words.
    pub(super) fn describe(&self, way: Way) -> String {
        match (self.listens(way), &self.is_connected) {
            (false, _) => match self.pushed_at {
                Some(at) => format!("pushes (the last came {})", local_time(at)),
                None => "pushes".to_owned(),
            },
            (true, None) => "listening begins".to_owned(),
            (true, Some(Ok(()))) => "listening".to_owned(),
            (true, Some(Err(reason))) => format!("listening is tried again: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_counts_as_proof_until_the_network_changes() {
        let mut reach = Reach::new();
        let second = SignedDuration::from_secs(1);
        let listens = |reach: &Reach| [Way::Auto, Way::Push, Way::Listen].map(|way| reach.listens(way));
        assert_eq!(listens(&reach), [true, false, true]);
        reach.pushed_at(Some(reach.doubted_at - second));
        assert_eq!(listens(&reach), [true, false, true], "it came elsewhere");
        reach.pushed_at(Some(reach.doubted_at + second));
        assert_eq!(listens(&reach), [false, false, true]);
        reach.network_changed();
        assert_eq!(listens(&reach), [true, false, true]);
    }

    #[test]
    fn a_listed_event_without_a_push_ends_reliance_on_pushes() {
        let (mut reach, minute) = (Reach::new(), SignedDuration::from_mins(1));
        let start = reach.doubted_at + minute;
        assert!(!reach.looked(Pushes::Missing, start), "nobody relied on them");
        for (pushes, after, expected) in [
            (Pushes::NoneMissing, 600, false),
            (Pushes::Missing, 0, false),
            (Pushes::Missing, 1, true),
            (Pushes::NotTold, 30, false),
            (Pushes::NotTold, 31, true),
        ] {
            let pushed = reach.doubted_at + minute;
            reach.pushed_at(Some(pushed));
            assert!(reach.relies_on_pushes(Way::Auto) && !reach.relies_on_pushes(Way::Push));
            let looked = pushed + minute * after;
            assert_eq!(reach.looked(pushes, looked), expected, "{pushes:?} {after}");
            assert_eq!(reach.listens(Way::Auto), expected);
            reach.pushed_at(Some(pushed));
            assert_eq!(reach.listens(Way::Auto), expected, "an old push proves nothing");
            reach.pushed_at(Some(looked + minute));
            assert!(!reach.listens(Way::Auto), "{pushes:?} {after}");
        }
    }
}
