//! The state of accounts that were registered by hand and use a relay (pure). Their hints are recorded by the relay's
//! reader, since there is no homeserver to ask.

use std::{collections::BTreeMap, sync::Arc};

use super::reach::Reach;
use crate::{
    accounts::{Account, Accounts, Way},
    control::SignInStatus,
    encryption::ConnectionEvent,
};

/// All such accounts.
#[derive(Default)]
pub(super) struct ByHand(BTreeMap<Arc<str>, Relayed>);

struct Relayed {
    account: Account,
    reach: Reach,
    /// Why the relay refuses access, if so: only the person can fix that.
    refused: Option<String>,
}

impl ByHand {
    /// Takes over changed accounts.
    pub(super) fn take(&mut self, accounts: &Accounts) {
        let mut before = std::mem::take(&mut self.0);
        let is_relayed = |account: &&Account| account.sign_in.is_none() && account.way_in_force() == Way::Ntfy;
        for account in accounts.iter().filter(is_relayed) {
            let same = before.remove(&account.name).filter(|relayed| relayed.account == *account);
            let new = || Relayed { account: account.clone(), reach: Reach::new(), refused: None };
            self.0.insert(Arc::clone(&account.name), same.unwrap_or_else(new));
        }
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.0.values().map(|relayed| &relayed.account)
    }

    /// Handles news of a relay. Returns false if the account is not one of these.
    pub(super) fn connection_event(&mut self, account: &str, event: &ConnectionEvent) -> bool {
        let Some(relayed) = self.0.get_mut(account) else { return false };
        let (is_connected, refused) = match event {
            ConnectionEvent::Connected => (Ok(()), None),
            ConnectionEvent::Lost(reason) => (Err(reason.clone()), relayed.refused.take()),
            ConnectionEvent::Refused(reason) => (Err(reason.clone()), Some(reason.clone())),
            ConnectionEvent::Arrived { .. } => return true,
        };
        (relayed.reach.is_connected, relayed.refused) = (Some(is_connected), refused);
        true
    }

    /// Accounts whose relay refuses access, with the reason.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, relayed)| Some((&**name, relayed.refused.as_deref()?)))
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = (String, SignInStatus)> {
        self.0.iter().map(|(name, Relayed { account, reach, .. })| {
            let way_now = account.relay_address().map(|address| reach.describe_relay(address));
            (name.to_string(), SignInStatus { way_now, ..SignInStatus::default() })
        })
    }
}
