//! Which devices of a push are ours (pure).

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

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
    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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
        let mut told: HashSet<&str> = HashSet::new();
        if !unknown.is_empty() {
            told.extend(accepted.iter().map(|(account, _)| account.pushkey.as_str()));
        }
        let rejected = unknown.into_iter().filter(|pushkey| told.insert(pushkey)).map(str::to_owned).collect();
        Admission::Decided { accepted, rejected: Rejected(rejected) }
    }

    fn position_of(&self, device: &Device) -> Option<usize> {
        self.index.candidates(device).iter().copied().find(|position| {
            let account = &self.known[*position];
            let is_same_key = account.pushkey.as_bytes().ct_eq(device.pushkey.as_bytes());
            bool::from(is_same_key) && account.app_id == device.app_id
        })
    }
}

/// Where in the list an account is, by a hash of `app_id` and `pushkey`. The hash has a random key (`SipHash`): a sender
/// can neither make devices that share one with an account, nor learn from the time of a lookup how much of a pushkey
/// was right.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    key: RandomState,
    positions: HashMap<u64, Vec<usize>>,
}

impl Index {
    pub(super) fn of(accounts: &[Arc<Account>]) -> Self {
        let mut index = Self::default();
        for (position, account) in accounts.iter().enumerate() {
            let hash = index.hash(&account.app_id, &account.pushkey);
            index.positions.entry(hash).or_default().push(position);
        }
        index
    }

    /// The accounts to compare with the device: none or one, unless two hashes collide.
    fn candidates(&self, device: &Device) -> &[usize] {
        self.positions.get(&self.hash(&device.app_id, &device.pushkey)).map_or(&[], Vec::as_slice)
    }

    fn hash(&self, app_id: &str, pushkey: &str) -> u64 {
        self.key.hash_one((app_id, pushkey))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{MAX_ACCOUNTS, tests::account};

    #[test]
    fn a_device_is_compared_with_its_own_account_alone() {
        let list: Vec<_> = (0..MAX_ACCOUNTS).map(|n| account(&format!("a{n}"), "app", &format!("key{n}"))).collect();
        let accounts = Accounts::of(list.clone());
        let device = |app_id: &str, pushkey: String| Device {
            app_id: app_id.to_owned(),
            pushkey,
            tweaks: Tweaks::default(),
            sample: None,
        };
        let comparisons = |devices: &[Device]| -> usize {
            devices.iter().map(|device| accounts.index.candidates(device).len()).sum()
        };
        let own: Vec<_> = list.iter().map(|account| device("app", account.pushkey.clone())).collect();
        assert_eq!(comparisons(&own), MAX_ACCOUNTS);
        // A 64-bit hash of one of these equals that of an account once in 10^13 runs.
        let unknown: Vec<_> = (0..16_900).map(|n| device(["app", "other"][n % 2], format!("key{}", 64 + n))).collect();
        assert_eq!(comparisons(&unknown), 0);
    }
}
