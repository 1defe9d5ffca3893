//! How an account's notifications get here now (pure).

use jiff::Timestamp;

use crate::{accounts::Way, control::local_time};

/// What is known of the ways of one account.
#[derive(Debug)]
pub(super) struct Reach {
    /// Since then this computer is in the network where it is.
    here_since: Timestamp,
    /// When a push last came in this network.
    pushed_at: Option<Timestamp>,
    /// Whether the homeserver answers to what is held, or why not; `None`: not known yet.
    pub(super) is_connected: Option<Result<(), String>>,
}

impl Reach {
    pub(super) fn new() -> Self {
        Self { here_since: Timestamp::now(), pushed_at: None, is_connected: None }
    }

    /// Whether a push can get here has to show again.
    pub(super) fn network_changed(&mut self) {
        (self.here_since, self.pushed_at) = (Timestamp::now(), None);
    }

    /// When the last push came, if one has.
    pub(super) fn pushed_at(&mut self, last: Option<Timestamp>) {
        self.pushed_at = last.filter(|at| *at > self.here_since);
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
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_push_proves_the_way_until_the_network_changes() {
        let mut reach = Reach::new();
        let second = SignedDuration::from_secs(1);
        let listens = |reach: &Reach| [Way::Auto, Way::Push, Way::Listen].map(|way| reach.listens(way));
        assert_eq!(listens(&reach), [true, false, true]);
        reach.pushed_at(Some(reach.here_since - second));
        assert_eq!(listens(&reach), [true, false, true], "it came elsewhere");
        reach.pushed_at(Some(reach.here_since + second));
        assert_eq!(listens(&reach), [false, false, true]);
        reach.network_changed();
        assert_eq!(listens(&reach), [true, false, true]);
    }
}
