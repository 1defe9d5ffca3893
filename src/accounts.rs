//! Accounts: the app_id + pushkey pairs that this desktop answers to, kept in `accounts.toml`.
//!
//! A pushkey that is unknown here makes its homeserver delete the pusher for good. So what `rejected` contains is
//! decided by [`Accounts::admit`] from a file that was read whole, and by nothing else.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;

use crate::{
    inbox::CountsScope,
    push::notify::{Device, Tweaks},
};

/// One account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// What people call it: 1 to 64 characters, unique.
    pub name: Arc<str>,
    /// The pusher's `app_id`, at most 64 characters.
    pub app_id: String,
    /// The pusher's `pushkey`, at most 512 bytes. A secret: never logged.
    pub pushkey: String,
    /// What its `counts` stand for.
    pub counts: CountsScope,
    /// When it was made.
    pub created_at: Timestamp,
}

/// All accounts, as last read.
#[derive(Clone)]
pub struct Accounts {
    list: Vec<Account>,
    /// Why `accounts.toml` could not be read when it last changed; what was known before still counts.
    unreadable: Option<String>,
}

/// Which devices of a push are ours.
pub enum Admission {
    /// The accounts that the push is for (each once), and the pushkeys that no account here has.
    Decided {
        /// Known accounts, with the tweaks of their device.
        accepted: Vec<(Account, Tweaks)>,
        /// Unknown pushkeys, in the push's order, each once.
        rejected: Vec<String>,
    },
    /// A pushkey is not known, but the accounts could not be read: nobody can tell. Answered with 503.
    Undecided {
        /// Why the accounts could not be read.
        reason: String,
    },
}

impl Accounts {
    /// Decides about the devices of one push. Each comparison of a pushkey takes constant time, and every account
    /// is compared.
    #[must_use]
    pub fn admit(&self, _devices: &[Device]) -> Admission {
        let _ = (&self.list, &self.unreadable);
        todo!()
    }

    /// Reads `accounts.toml`.
    ///
    /// # Errors
    /// When it is missing, unreadable or damaged; says file, line and what would be right.
    pub fn read(_path: &Path) -> Result<Self, AccountsError> {
        todo!()
    }
}

/// What is wrong with `accounts.toml`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct AccountsError(pub String);
