//! Accounts: the `app_id` + pushkey pairs that this desktop answers to, kept in `accounts.toml`.
//!
//! A pushkey that is unknown here makes its homeserver delete the pusher for good. So what `rejected` contains is
//! decided by [`Accounts::admit`] from a file that was read whole, and by nothing else: see [`Rejected`].

mod admit;
mod error;
mod file;
mod format;
#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{app_info, ntfy::Relay};

pub use self::{
    admit::{Admission, Rejected},
    error::AccountsError,
    file::AccountsFile,
};

/// How long a name may be, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// How long an `app_id` may be, in characters (the specification's limit).
const MAX_APP_ID_CHARS: usize = 64;
/// How long a `pushkey` may be, in bytes (the specification's limit).
const MAX_PUSHKEY_BYTES: usize = 512;
/// How many accounts there may be. More than anybody has, few enough for a menu line and a row in `status` each.
const MAX_ACCOUNTS: usize = 64;

/// The name of the account that a first start makes; the first sign-in takes it over.
pub const FIRST_ACCOUNT: &str = "home";

/// One account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// What people call it: 1 to 64 characters, unique.
    #[serde(serialize_with = "format::write_name", deserialize_with = "format::read_name")]
    pub name: Arc<str>,
    /// The pusher's `app_id`, at most 64 characters.
    pub app_id: String,
    /// The pusher's `pushkey`, at most 512 bytes. A secret: never logged.
    pub pushkey: String,
    /// What its `counts` stand for.
    #[serde(default)]
    pub counts: CountsScope,
    /// How its notifications get here, as was chosen.
    #[serde(default, skip_serializing_if = "Way::is_auto")]
    pub way: Way,
    /// The address of the ntfy server that its homeserver pushes to, on the way of that name. Which topic there is in the
    /// keyring, with the pushkey that leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// When it was made.
    #[serde(deserialize_with = "format::read_time")]
    pub created_at: Timestamp,
    /// Which homeserver session it belongs to; `None`: it was registered by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
}

/// What the `unread` of an account's pushes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CountsScope {
    /// The whole account (Synapse, Dendrite, tuwunel)
    #[default]
    Account,
    /// The push's room (conduwuit and kin)
    Room,
}

/// How an account's notifications get here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By pushes where one has come since the network changed, else over a connection that we hold.
    #[default]
    Auto,
    /// The homeserver pushes to our endpoint.
    Push,
    /// Over a connection to the homeserver that we hold.
    Listen,
    /// The homeserver pushes to an ntfy server.
    Ntfy,
}

impl Way {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Push => "push",
            Self::Listen => "listen",
            Self::Ntfy => "ntfy",
        }
    }
}

impl Account {
    /// The way that was chosen; pushes where no other is possible.
    #[must_use]
    pub fn way_in_force(&self) -> Way {
        let can_listen = self.sign_in.as_ref().is_some_and(SignIn::can_listen);
        match self.way {
            Way::Ntfy if self.relay.is_some() => Way::Ntfy,
            Way::Auto | Way::Push | Way::Listen if can_listen => self.way,
            Way::Auto | Way::Push | Way::Listen | Way::Ntfy => Way::Push,
        }
    }

    /// The address of the server that its pushes come through, if that is not our endpoint.
    #[must_use]
    pub(crate) fn relay_address(&self) -> Option<&str> {
        self.relay.as_deref().filter(|_| self.way == Way::Ntfy)
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("app_id", &self.app_id)
            .field("pushkey", &"hidden")
            .field("counts", &self.counts)
            .field("way", &self.way)
            .field("relay", &self.relay)
            .field("created_at", &self.created_at)
            .field("sign_in", &self.sign_in)
            .finish()
    }
}

/// All accounts, as last read.
#[derive(Debug, Clone)]
pub struct Accounts {
    known: Vec<Arc<Account>>,
    /// Where in `known` accounts are, by a hash of `app_id` and `pushkey` with this key.
    positions: HashMap<u64, Vec<usize>>,
    hash_key: RandomState,
    /// Why accounts may be missing from `known`: `accounts.toml` could not be read, or is not as it was written.
    unreadable: Option<Arc<str>>,
}

impl Accounts {
    /// No account, and that is certain: every pushkey is rejected.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Vec::new())
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

    /// The account that is signed in as this user.
    #[must_use]
    pub fn of_user(&self, user_id: &str) -> Option<&Account> {
        self.iter().find(|account| account.sign_in.as_ref().is_some_and(|sign_in| sign_in.user_id == user_id))
    }

    /// Why unknown pushkeys are [`Admission::Undecided`] now, if they are.
    #[must_use]
    pub fn unreadable(&self) -> Option<&str> {
        self.unreadable.as_deref()
    }

    /// Of accounts that were checked: each is valid, and none clashes with another.
    fn of(list: Vec<Account>) -> Self {
        let hash_key = RandomState::new();
        let mut positions = HashMap::<_, Vec<_>>::new();
        for (account, position) in list.iter().zip(0..) {
            positions.entry(hash_key.hash_one((&*account.app_id, &*account.pushkey))).or_default().push(position);
        }
        Self { known: list.into_iter().map(Arc::new).collect(), positions, hash_key, unreadable: None }
    }
}

/// The session of an account on its homeserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// `@alice:example.org`
    pub user_id: String,
    /// The device that signing in made; empty where the homeserver did not say (an access token's).
    pub device_id: String,
    /// The homeserver's base address, without a trailing slash.
    pub homeserver: String,
    /// How it was signed in, which is how it signs in again and out.
    pub method: SignInMethod,
    /// The homeserver sends no content: events are fetched from it.
    #[serde(default)]
    pub event_id_only: bool,
    /// The mark of the installation of Pushbell that has signed in; empty: not known. Another's mark shows that these
    /// files are a copy, whose session and pusher belong to another computer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub installation: String,
    /// What the homeserver calls itself ("Synapse", "tuwunel"); empty: it does not say.
    pub server: String,
}

impl SignIn {
    /// Whether another installation than that of this mark has signed in, as far as both are known.
    #[must_use]
    pub fn is_anothers(&self, mark: &str) -> bool {
        !mark.is_empty() && !self.installation.is_empty() && self.installation != mark
    }

    /// Whether a connection to the homeserver can be held with it: the session's syncs are ours alone to make.
    #[must_use]
    pub fn can_listen(&self) -> bool {
        self.reads_encrypted()
    }

    /// Whether encrypted messages are read with it. Only a session that was made for Pushbell is an encryption device
    /// of its own; that of an access token belongs to another client, whose keys nobody else may touch.
    #[must_use]
    pub fn reads_encrypted(&self) -> bool {
        cfg!(feature = "encryption") && self.method.owns_session() && !self.device_id.is_empty()
    }
}

/// How an account was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignInMethod {
    /// With a password (`m.login.password`).
    Password,
    /// In the browser (`m.login.sso`).
    Sso,
    /// By the OAuth 2.0 API.
    OAuth,
    /// With an access token that somebody else made: signing out leaves that session alone.
    Token,
}

impl SignInMethod {
    /// Whether the session was made for Pushbell, so that signing out ends it.
    #[must_use]
    pub fn owns_session(self) -> bool {
        self != Self::Token
    }
}

impl Account {
    /// A new account of this name, to be registered by hand.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn by_hand(name: &str) -> Result<Self, getrandom::Error> {
        Ok(Self {
            name: name.into(),
            app_id: app_info::APP_ID.to_owned(),
            pushkey: new_pushkey()?,
            counts: CountsScope::Account,
            way: Way::Auto,
            relay: None,
            created_at: Timestamp::now(),
            sign_in: None,
        })
    }
}

/// A fresh pushkey: 256 random bits in base64, 44 characters.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_pushkey() -> Result<String, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(STANDARD.encode(bits))
}

/// Whether the account is valid, and may stand beside the others.
fn check(account: &Account, others: &[Account]) -> Result<(), AccountsError> {
    let Account { name, app_id, pushkey, .. } = account;
    let invalid = |problem| Err(AccountsError::Invalid(problem));
    if !is_name(name) {
        return invalid(format!("a name is 1 to {MAX_NAME_CHARS} letters, digits or any of - _ . @ :, as in \"work\""));
    }
    if app_id.is_empty() || app_id.chars().count() > MAX_APP_ID_CHARS || app_id.chars().any(char::is_control) {
        return invalid(format!("an app_id is 1 to {MAX_APP_ID_CHARS} printable characters"));
    }
    if pushkey.is_empty() || pushkey.len() > MAX_PUSHKEY_BYTES || pushkey.chars().any(char::is_control) {
        return invalid(format!("a pushkey is 1 to {MAX_PUSHKEY_BYTES} bytes of printable characters"));
    }
    if account.relay.as_deref().is_some_and(|address| !Relay::is_base(address)) {
        return invalid("the address of a relay is a name alone, as in \"https://ntfy.example.org\"".to_owned());
    }
    let clash = |problem| Err(AccountsError::NotAdded(problem));
    if others.len() >= MAX_ACCOUNTS {
        return clash(format!("there are more than {MAX_ACCOUNTS} accounts: remove some"));
    }
    if others.iter().any(|other| other.name == *name) {
        return clash(format!("there is an account \"{name}\" already: names are unique"));
    }
    if let Some(other) = others.iter().find(|other| (&other.app_id, &other.pushkey) == (app_id, pushkey)) {
        return clash(format!(
            "the account \"{}\" has the same app_id and pushkey: each pair is one account's",
            other.name
        ));
    }
    Ok(())
}

/// Names are typed on command lines, and may be user IDs.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "-_.@:".contains(c);
    (1..=MAX_NAME_CHARS).contains(&name.chars().count()) && name.chars().all(allowed) && !name.starts_with('-')
}
