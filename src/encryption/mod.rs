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
//! | `syncing` | the account's syncs, one at a time |
//! | `missing` | the notices whose keys are looked for |
//! | `held` | the sync that the homeserver holds open, and what is kept between two |
//! | `interest` | what syncs return for, and what their answers bring |
//! | `judge` | push rules for what a homeserver counts and does not list |
//! | `machine` | keys: matrix-sdk-crypto over its store and our HTTP client |
//! | `proof` | that a held sync answers to what is new |
//! | `rules` | the account's push rules, asked anew about what was decrypted |
//! | `trust` | making the session a verified one, with the recovery key |
//! | `emoji` | the same by comparing emoji with another session |
//! | `backup` | the account's key backup, where the user wants it to be read |
//! | `gossip` | its key, asked of another session |
//! | `standing` | how session and backup stand, and what of it the user has not been told |
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
mod backup;
#[cfg(feature = "encryption")]
mod emoji;
#[cfg(feature = "encryption")]
mod error;
#[cfg(feature = "encryption")]
mod gossip;
#[cfg(feature = "encryption")]
mod held;
#[cfg(feature = "encryption")]
mod interest;
#[cfg(feature = "encryption")]
mod judge;
#[cfg(feature = "encryption")]
mod machine;
#[cfg(feature = "encryption")]
mod missing;
#[cfg(feature = "encryption")]
mod proof;
#[cfg(feature = "encryption")]
mod reader;
#[cfg(feature = "encryption")]
mod rules;
#[cfg(feature = "encryption")]
mod send;
#[cfg(feature = "encryption")]
mod standing;
#[cfg(feature = "encryption")]
mod store;
#[cfg(feature = "encryption")]
mod syncing;
#[cfg(feature = "encryption")]
mod tasks;
#[cfg(feature = "encryption")]
mod trust;

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use crate::{accounts::SignIn, inbox::RoomRead, push::listed::EventRef};
#[cfg(not(feature = "encryption"))]
pub(crate) use absent::{
    Absent as VerifyError, Encryption, Judge, forget, has_store, prove_listening, seals, set_up, use_backup,
    use_backup_of_session, verify, verify_with_emoji,
};
#[cfg(feature = "encryption")]
pub(crate) use {
    emoji::verify_with_emoji,
    gossip::use_backup_of_session,
    judge::Judge,
    proof::prove_listening,
    store::{forget, has_store, seals},
    tasks::Encryption,
    trust::{VerifyError, set_up, use_backup, verify},
};

/// What the owner of an account's syncs tells of the rooms of its ringing calls.
#[derive(Debug)]
pub(crate) struct CallNews {
    /// Name of the account.
    pub(crate) account: Arc<str>,
    /// Something is new in one of the rooms, or may be.
    pub(crate) is_new: bool,
    /// Until then a sync watches the rooms, and what is new there will be told.
    pub(crate) watched_until: Instant,
}

/// How the syncs of an account go that the homeserver holds open.
#[derive(Debug)]
pub(crate) struct HeldNews {
    /// Name of the account.
    pub(crate) account: Arc<str>,
    pub(crate) news: Held,
}

#[derive(Debug)]
pub(crate) enum Held {
    /// The homeserver answers: what is new is told at once.
    Connected,
    /// It does not now, and why.
    Lost(String),
    /// It will not until the person has done something.
    Refused(String),
    /// Something has come. It comes again unless `taken` is told that it is in the inbox.
    Came { brought: Brought, taken: oneshot::Sender<bool> },
}

/// What a held sync or a relay has brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    /// The homeserver lists something that may be new.
    pub(crate) lists_new: bool,
    /// What is unread here may have been read elsewhere: the list says.
    pub(crate) may_be_read: bool,
    /// Nothing of it was held back: a call in it rings.
    pub(crate) is_live: bool,
    /// Events that the homeserver cannot judge.
    pub(crate) unjudged: Vec<EventRef>,
    /// Events that it has pushed.
    pub(crate) pushed: Vec<EventRef>,
    /// What is new in rooms that it counts something in.
    pub(crate) rooms: Vec<RoomNews>,
    /// Where more has come than was brought, and the homeserver counts nothing.
    pub(crate) gaps: Vec<Gap>,
    /// What was read elsewhere.
    pub(crate) read: Vec<RoomRead>,
}

impl Brought {
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption syncs"))]
    fn is_empty(&self) -> bool {
        !self.lists_new && self.unjudged.is_empty() && self.gaps.is_empty() && self.read.is_empty()
    }
}

/// What is new in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomNews {
    pub(crate) room_id: String,
    /// The newest events of others, oldest first.
    pub(crate) event_ids: Vec<String>,
    /// More has come than these.
    pub(crate) is_limited: bool,
    /// So many events are unread in it by the homeserver's count.
    pub(crate) unread: Option<u64>,
    /// Among them so many highlights.
    pub(crate) highlights: u64,
}

/// Events of a room that a sync has left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) room_id: String,
    /// The token that they come after.
    pub(crate) after: String,
    /// The one that they come before.
    pub(crate) before: String,
}

/// Why an event was not sent into an encrypted room, or is not known to be.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NotSent {
    pub(crate) reason: String,
    /// Whether trying again may help.
    pub(crate) is_temporary: bool,
}

impl NotSent {
    /// Nobody can encrypt for the account.
    fn without_keys() -> Self {
        let reason = "the room is encrypted, and this session has no encryption keys: nothing is sent in clear";
        Self { reason: reason.to_owned(), is_temporary: false }
    }
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

/// What is known of a session once its keys are at the homeserver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetUp {
    /// Whether it is verified.
    pub(crate) trust: Trust,
    /// Whether another session of the account could verify it.
    pub(crate) has_other_sessions: bool,
    /// Another session has asked to verify it, within the last ten minutes.
    pub(crate) is_asked: bool,
}

/// What the user is told or asked while emoji are compared.
#[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption takes these steps"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// The other sessions were asked: one has to accept.
    Asking,
    /// Another session, of this name, has asked, and is answered.
    AskedBy(&'a str),
    /// Does the other session show the same emoji, each of these with its name? Numbers have no name.
    Compare(&'a [(String, &'static str)]),
    /// They matched here: the other session has to say so too, and signs this one.
    Waiting,
}

/// What a session of another client lacks, as a sentence without its end.
pub(crate) fn not_read(sign_in: &SignIn) -> String {
    if cfg!(feature = "encryption") {
        format!(
            "encrypted messages are not read: the access token is that of another client's session, whose keys are left \
             alone. `pushbell login {}` without --token-file signs in, in the browser where the homeserver has it so, with a \
             session that can read them",
            sign_in.user_id
        )
    } else {
        "this build of Pushbell reads no encrypted messages".to_owned()
    }
}
