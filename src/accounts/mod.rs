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

pub use self::{
    admit::{Admission, Rejected},
    error::AccountsError,
    file::AccountsFile,
    secret::new_pushkey,
    sign_in::{SignIn, SignInMethod},
    validate::{MAX_ACCOUNTS, MAX_APP_ID_CHARS, MAX_NAME_CHARS, MAX_PUSHKEY_BYTES},
};
use self::{secret::ComparableKey, validate::Fault};

/// What the `unread` of an account's pushes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountsScope {
    /// The whole account: Synapse, Dendrite, tuwunel.
    #[default]
    Account,
    /// That push's room: conduwuit and kin. The account's number is the sum over its rooms.
    Room,
}

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
    known: Vec<Known>,
    /// Why `accounts.toml` could not be read when it last changed; what was known before still counts.
    unreadable: Option<Arc<str>>,
}

/// An account, and its key in the form that takes the same time to compare whatever it is compared with.
#[derive(Debug, Clone)]
struct Known {
    account: Arc<Account>,
    key: ComparableKey,
}

impl Accounts {
    /// No account, and that is certain: every pushkey is rejected.
    #[must_use]
    pub fn empty() -> Self {
        Self { known: Vec::new(), unreadable: None }
    }

    /// Nothing is known, since `accounts.toml` could not be read: every push is [`Admission::Undecided`].
    #[must_use]
    pub fn unavailable(reason: &AccountsError) -> Self {
        Self::empty().keeping_known_after(reason)
    }

    /// What counts after `accounts.toml` changed and could not be read: the accounts known before are served on, and
    /// about any other pushkey nobody can tell.
    #[must_use]
    pub fn keeping_known_after(&self, error: &AccountsError) -> Self {
        Self { known: self.known.clone(), unreadable: Some(error.to_string().into()) }
    }

    /// Reads `accounts.toml`.
    ///
    /// # Errors
    /// When it is missing, unreadable or damaged; says file, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, AccountsError> {
        AccountsFile::new(path).read()
    }

    /// The accounts, in the file's order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.known.iter().map(|known| known.account.as_ref())
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

    /// Accounts that each are valid and that do not clash; the faulty one is told by its position.
    fn checked(list: Vec<Account>) -> Result<Self, (usize, Fault)> {
        for (position, account) in list.iter().enumerate() {
            validate::fits_beside(account, &list[..position]).map_err(|fault| (position, fault))?;
        }
        let known =
            list.into_iter().map(|account| Known { key: ComparableKey::of(&account), account: Arc::new(account) });
        Ok(Self { known: known.collect(), unreadable: None })
    }
}
