//! Which devices of a push are ours (pure).

use std::{collections::HashSet, sync::Arc};

use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{Account, Accounts, secret::ComparableKey};
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
    /// Decides about the devices of one push. Each comparison of a pushkey takes constant time, and every account
    /// is compared. Of two devices of one account the first counts.
    ///
    /// A pushkey that is accepted is not rejected as well, though it comes a second time with an unknown `app_id`:
    /// homeservers read `rejected` by pushkey alone.
    #[must_use]
    pub fn admit(&self, devices: &[Device]) -> Admission {
        let mut accepted: Vec<(Arc<Account>, Tweaks)> = Vec::new();
        let mut unknown: Vec<&str> = Vec::new();
        for device in devices {
            match self.account_of(device) {
                Some(account) if accepted.iter().any(|(known, _)| Arc::ptr_eq(known, account)) => {}
                Some(account) => accepted.push((Arc::clone(account), device.tweaks.clone())),
                None => unknown.push(&device.pushkey),
            }
        }
        if let (Some(reason), false) = (&self.unreadable, unknown.is_empty()) {
            return Admission::Undecided { reason: Arc::clone(reason) };
        }
        if unknown.is_empty() {
            return Admission::Decided { accepted, rejected: Rejected(Vec::new()) };
        }
        let mut told: HashSet<&str> = accepted.iter().map(|(account, _)| account.pushkey.as_str()).collect();
        let rejected = unknown.into_iter().filter(|pushkey| told.insert(pushkey)).map(str::to_owned).collect();
        Admission::Decided { accepted, rejected: Rejected(rejected) }
    }

    fn account_of(&self, device: &Device) -> Option<&Arc<Account>> {
        let key = ComparableKey::of_device(device)?;
        let mut found = None;
        for known in &self.known {
            // The keys first, and no early exit: how long this takes says nothing about them.
            if bool::from(known.key.ct_eq(&key)) && known.account.app_id == device.app_id {
                found = Some(&known.account);
            }
        }
        found
    }
}
