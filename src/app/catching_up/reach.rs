//! How an account's notifications get here now (pure).
//!
//! Under `auto` a push proves that pushes get here, until something casts doubt on that: the network changes, or the
//! homeserver lists an event that no push has brought. While pushes are relied on, nobody would see them cease (no push
//! is no sign: perhaps nobody writes), so that the list is read when the person comes, and at the latest after
//! [`PROOF_LIFE`]. A doubt that is none costs a connection until the next push.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{accounts::Way, control::local_time};

/// So long pushes are relied on before it is looked whether one is missing. Rarer than once an hour.
pub(super) const PROOF_LIFE: Duration = Duration::from_secs(65 * 60);
/// A push may be under way for so long when its event is listed already.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(10);
/// Where the homeserver does not say what it has pushed, nothing for so long may mean anything.
const SILENCE: SignedDuration = SignedDuration::from_mins(30);

/// What catching up says of pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushes {
    /// Nothing is missing, or nothing is known.
    NoneMissing,
    /// Something is listed that no push has brought.
    Missing,
    /// The homeserver does not tell what it has pushed.
    NotTold,
}

/// What is known of the ways of one account.
#[derive(Debug)]
pub(super) struct Reach {
    /// Only a push after this shows that pushes get here.
    doubted_at: Timestamp,
    /// When a push last came since.
    pushed_at: Option<Timestamp>,
    /// Whether the homeserver answers to what is held, or why not; `None`: not known yet.
    pub(super) is_connected: Option<Result<(), String>>,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self { doubted_at: Timestamp::now(), pushed_at: None, is_connected: None }
    }

    /// Whether a push can get here has to show again.
    pub(super) fn network_changed(&mut self) {
        self.doubt(Timestamp::now());
    }

    fn doubt(&mut self, now: Timestamp) {
        (self.doubted_at, self.pushed_at) = (now, None);
    }

    /// When the last push came, if one has.
    pub(super) fn pushed_at(&mut self, last: Option<Timestamp>) {
        self.pushed_at = last.filter(|at| *at > self.doubted_at);
    }

    /// It was looked at this time whether pushes are missing; whether they are relied on no more for that.
    pub(super) fn looked(&mut self, pushes: Pushes, at: Timestamp) -> bool {
        let tolerated = match pushes {
            Pushes::NoneMissing => return false,
            Pushes::Missing => UNDER_WAY,
            Pushes::NotTold => SILENCE,
        };
        let is_doubtful = self.pushed_at.is_some_and(|last| at.duration_since(last) > tolerated);
        if is_doubtful {
            self.doubt(at);
            // Whether a connection can be held is not known yet.
            self.is_connected = None;
        }
        is_doubtful
    }

    /// Whether pushes are relied on that may cease.
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

    /// How it comes through a relay, in words.
    pub(super) fn describe_relay(&self, base: &str) -> String {
        match &self.is_connected {
            None => format!("connecting to {base}"),
            Some(Ok(())) => format!("connected to {base}"),
            Some(Err(reason)) => format!("{base} is tried again: {reason}"),
        }
    }

    /// In words.
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
    fn a_push_proves_the_way_until_the_network_changes() {
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
    fn what_no_push_has_brought_casts_doubt_on_pushes_until_the_next() {
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
