//! Accounts: the `app_id` + pushkey pairs that this desktop answers to, kept in `accounts.toml`.
//!
//! A pushkey that is unknown here makes its homeserver delete the pusher for good. So what `rejected` contains is
//! decided by [`Accounts::admit`] from a file that was read whole, and by nothing else: see [`Rejected`].

mod admit;
mod error;
mod file;
mod format;
mod secret;
mod sign_in;
#[cfg(test)]
mod tests;
mod validate;

use std::{fmt, path::Path, sync::Arc};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::admit::Index;
pub use self::{
    admit::{Admission, Rejected},
    error::AccountsError,
    file::AccountsFile,
    secret::new_pushkey,
    sign_in::{SignIn, SignInMethod},
    validate::{MAX_ACCOUNTS, MAX_APP_ID_CHARS, MAX_NAME_CHARS, MAX_PUSHKEY_BYTES},
};

/// The name of the account that a first start makes, for whoever connects first: a sign-in takes it over.
pub const FIRST_ACCOUNT: &str = "home";

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
    /// Which homeserver session it belongs to; `None`: it was registered by hand.
    pub sign_in: Option<SignIn>,
}

/// What the `unread` of an account's pushes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountsScope {
    /// The whole account: Synapse, Dendrite, tuwunel.
    #[default]
    Account,
    /// That push's room: conduwuit and kin. The account's number is the sum over its rooms.
    Room,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("app_id", &self.app_id)
            .field("pushkey", &"hidden")
            .field("counts", &self.counts)
            .field("created_at", &self.created_at)
            .field("sign_in", &self.sign_in)
            .finish()
    }
}

/// All accounts, as last read.
#[derive(Debug, Clone)]
pub struct Accounts {
    known: Vec<Arc<Account>>,
    index: Index,
    /// Why accounts may be missing from `known`: `accounts.toml` could not be read, or is not as it was written.
    unreadable: Option<Arc<str>>,
}

impl Accounts {
    /// No account, and that is certain: every pushkey is rejected.
    #[must_use]
    pub fn empty() -> Self {
        Self { known: Vec::new(), index: Index::default(), unreadable: None }
    }

    /// Nothing is known, since `accounts.toml` could not be read: every push is [`Admission::Undecided`].
    #[must_use]
    pub fn unavailable(reason: &AccountsError) -> Self {
        Self::empty().keeping_known_after(reason)
    }

    /// The same accounts, while others may exist: these are still served, and any other pushkey is
    /// [`Admission::Undecided`].
    #[must_use]
    pub fn keeping_known_after(&self, error: &AccountsError) -> Self {
        Self { unreadable: Some(error.to_string().into()), ..self.clone() }
    }

    /// Reads `accounts.toml`. Where its checksum does not match, the accounts are [`Self::unreadable`] as well.
    ///
    /// # Errors
    /// When it is missing, unreadable or damaged; says file, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, AccountsError> {
        AccountsFile::new(path).read()
    }

    /// The accounts, in the file's order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.known.iter().map(Arc::as_ref)
    }

    /// The account of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Account> {
        self.iter().find(|account| &*account.name == name)
    }

    /// Why unknown pushkeys are [`Admission::Undecided`] now, if they are.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Of accounts that were checked: each is valid, and none clashes with another.
    fn of(list: Vec<Account>) -> Self {
        let known: Vec<_> = list.into_iter().map(Arc::new).collect();
        Self { index: Index::of(&known), known, unreadable: None }
    }
}
