//! Reading end-to-end encrypted messages: a session that Pushbell has made is an encryption device of its own, which other
//! people's clients send their room keys to.
//!
//! ```text
//! inbox: a notice with ciphertext ──► reader ──► machine: decrypt ──► rules: what is it to do? ──► inbox: sealed
//!                                       │ no key yet
//!                                       └──► machine: one /sync at a time, until the key has come
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `tasks` | one reader for each account whose session is our own, started and ended with it |
//! | `reader` | the task that owns an account's machine, and the order of things |
//! | `machine` | keys: matrix-sdk-crypto over its store and our HTTP client |
//! | `rules` | the account's push rules, asked anew about what was decrypted |
//! | `trust` | making the session a verified one |
//! | `store` | where an account's keys lie, who has them open, and what they are locked with |
//! | `api` | requests of a session, whose token is renewed |
//!
//! The store is the device: without it the session cannot read anything, and an older copy of it breaks the device. So one
//! process at a time has a store open, which a lock beside it sees to, and a session without its store gives way to a
//! new one.

#[cfg(not(feature = "encryption"))]
mod absent;
#[cfg(feature = "encryption")]
mod api;
#[cfg(feature = "encryption")]
mod error;
#[cfg(feature = "encryption")]
mod machine;
#[cfg(feature = "encryption")]
mod reader;
#[cfg(feature = "encryption")]
mod rules;
#[cfg(feature = "encryption")]
mod store;
#[cfg(feature = "encryption")]
mod tasks;
#[cfg(feature = "encryption")]
mod trust;

use std::sync::Arc;

use tokio::time::Instant;

#[cfg(not(feature = "encryption"))]
pub(crate) use absent::{Encryption, forget, has_store, seals, set_up, verify};
#[cfg(feature = "encryption")]
pub(crate) use {
    store::{forget, has_store, seals},
    tasks::Encryption,
    trust::{set_up, verify},
};

/// What the owner of an account's syncs tells of the rooms of its ringing calls.
#[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption syncs"))]
#[derive(Debug)]
pub(crate) struct CallNews {
    /// Name of the account.
    pub(crate) account: Arc<str>,
    /// Something is new in one of the rooms, or may be.
    pub(crate) is_new: bool,
    /// Until then a sync watches the rooms, and what is new there will be told.
    pub(crate) watched_until: Instant,
}

/// Whether the session is signed by the account's cross-signing identity.
#[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption knows"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The account has no cross-signing identity.
    NoIdentity,
    /// It is not signed by the account's identity.
    Unverified,
    /// It is.
    Verified,
}
