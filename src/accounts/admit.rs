//! Which devices of a push are ours (pure).

use std::{collections::HashSet, hash::BuildHasher as _, sync::Arc};

use serde::Serialize;
use subtle::ConstantTimeEq as _;

use super::{Account, Accounts};
use crate::push::notify::{Device, Tweaks};

/// Pushkeys for which there is certainly no account: what a push is answered with in `rejected`.
///
/// Homeservers delete the pushers of these for good. Nothing but [`Accounts::admit`] makes one, so no fault of the
/// inbox, the network or the server can reject a pushkey.
///
/// ```compile_fail
/// let forged = pushbell::accounts::Rejected(vec!["somebody's pushkey".to_owned()]);
/// ```
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Rejected(Vec<String>);

impl Rejected {
    /// The pushkeys, in the push's order, each once.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Which devices of a push are ours.
pub enum Admission {
    /// The accounts that the push is for (each once), and the pushkeys that no account here has.
    Decided {
        /// Known accounts, with the tweaks of their device.
        accepted: Vec<(Arc<Account>, Tweaks)>,
        /// Unknown pushkeys, in the push's order, each once.
        rejected: Rejected,
    },
    /// A pushkey is not known, but the accounts could not be read: nobody can tell. Answered with 503.
    Undecided {
        /// Why the accounts could not be read.
        reason: Arc<str>,
    },
}

impl Accounts {
    /// Decides about the devices of one push, in time linear in their number however many accounts there are. Of two
    /// devices of one account the first counts.
    ///
    /// A pushkey that is accepted is not rejected as well, though it comes a second time with an unknown `app_id`:
    /// homeservers read `rejected` by pushkey alone.
    #[must_use]
    pub fn admit(&self, devices: &[Device]) -> Admission {
        let mut is_accepted = vec![false; self.known.len()];
        let mut accepted: Vec<(Arc<Account>, Tweaks)> = Vec::new();
        let mut unknown: Vec<&str> = Vec::new();
        for device in devices {
            match self.position_of(device) {
                Some(position) if is_accepted[position] => {}
                Some(position) => {
                    is_accepted[position] = true;
                    accepted.push((Arc::clone(&self.known[position]), device.tweaks.clone()));
                }
                None => unknown.push(&device.pushkey),
            }
        }
        if let (Some(reason), false) = (&self.unreadable, unknown.is_empty()) {
            return Admission::Undecided { reason: Arc::clone(reason) };
        }
        let mut seen: HashSet<&str> = accepted.iter().map(|(account, _)| account.pushkey.as_str()).collect();
        let rejected = unknown.into_iter().filter(|pushkey| seen.insert(pushkey)).map(str::to_owned).collect();
        Admission::Decided { accepted, rejected: Rejected(rejected) }
    }

    /// Found by a hash with a random key (`SipHash`): a sender can neither make devices that share one with an account,
    /// nor learn from the time of a lookup how much of a pushkey was right.
    fn position_of(&self, device: &Device) -> Option<usize> {
        let hash = self.hash_key.hash_one((&*device.app_id, &*device.pushkey));
        self.positions.get(&hash)?.iter().copied().find(|position| {
            let account = &self.known[*position];
            let is_same_key = account.pushkey.as_bytes().ct_eq(device.pushkey.as_bytes());
            bool::from(is_same_key) && account.app_id == device.app_id
        })
    }
}
