//! Reads end-to-end encrypted messages. A session that Pushbell has made is an encryption device of its own, to which
//! other people's clients send their room keys.
//!
//! ```text
//! inbox: a notice with ciphertext ──► reader ──► machine: decrypt ──► rules: evaluate ──► inbox: sealed
//!                                       │ no key yet
//!                                       └──► machine: one /sync at a time, until the key has arrived
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `tasks` | one reader for each account whose session is our own, started and ended with it |
//! | `reader` | the task that owns an account's machine and syncs |
//! | `syncing` | the account's syncs, one at a time |
//! | `missing` | the notices whose keys are searched for |
//! | `held` | the sync that the homeserver holds open, and the state between two of them |
//! | `interest` | what syncs return for, and what their answers bring |
//! | `judge` | push rules for events that a homeserver counts and does not list |
//! | `machine` | keys: matrix-sdk-crypto over its store and our HTTP client |
//! | `proof` | proves that the homeserver answers a held sync at once |
//! | `rules` | evaluates the account's push rules for decrypted events |
//! | `trust` | verifies the session with the recovery key |
//! | `emoji` | verifies it by comparing emoji with another session |
//! | `backup` | the account's key backup, if the user wants it to be read |
//! | `gossip` | requests the backup's key from another session |
//! | `session_state` | the state of session and backup, and the news that the user gets of it |
//! | `store` | the place, the lock and the key of an account's key store |
//! | `api` | requests of a session, with token renewal |
//!
//! The store is the device: without it the session cannot read anything, and an older copy of it breaks the device. So a
//! lock lets one process at a time open a store, and a session without its store is replaced by a new one.

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
mod session_state;
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

/// News of the rooms of an account's ringing calls, from the owner of its syncs.
#[derive(Debug)]
pub(crate) struct CallNews {
    /// Name of the account.
    pub(crate) account: Arc<str>,
    /// One of the rooms has, or may have, new events.
    pub(crate) is_new: bool,
    /// Until then a sync covers the rooms, and new events are reported.
    pub(crate) watched_until: Instant,
}

/// News of an account's held sync or relay.
#[derive(Debug)]
pub(crate) struct ConnectionNews {
    /// Name of the account.
    pub(crate) account: Arc<str>,
    pub(crate) event: ConnectionEvent,
}

/// An event of a held sync or a relay.
#[derive(Debug)]
pub(crate) enum ConnectionEvent {
    /// It is connected: new events arrive at once.
    Connected,
    /// It is not connected, for this reason, and is retried.
    Lost(String),
    /// It refuses access, for this reason; only the person can fix that.
    Refused(String),
    /// Something has arrived. It arrives again unless `recorded` reports that it is in the inbox.
    Arrived { incoming: Incoming, recorded: oneshot::Sender<bool> },
}

/// What has arrived over a held sync or a relay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The homeserver's list may have new events.
    pub(crate) lists_new: bool,
    /// Unread events may have been read elsewhere, which the list shows.
    pub(crate) may_be_read: bool,
    /// It arrived without delay: a call in it rings.
    pub(crate) is_live: bool,
    /// Encrypted events for which only we can evaluate push rules.
    pub(crate) unjudged: Vec<EventRef>,
    /// Events that the homeserver has pushed.
    pub(crate) pushed: Vec<EventRef>,
    /// New events in rooms with a non-zero count.
    pub(crate) rooms: Vec<RoomNews>,
    /// Gaps in the timelines of rooms whose events the homeserver does not count.
    pub(crate) gaps: Vec<Gap>,
    /// What was read elsewhere.
    pub(crate) read: Vec<RoomRead>,
}

impl Incoming {
    #[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption syncs"))]
    fn is_empty(&self) -> bool {
        !self.lists_new && self.unjudged.is_empty() && self.gaps.is_empty() && self.read.is_empty()
    }
}

/// New events in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomNews {
    pub(crate) room_id: String,
    /// The newest events of others, oldest first.
    pub(crate) event_ids: Vec<String>,
    /// There are more than these.
    pub(crate) is_limited: bool,
    /// The homeserver's count of unread events.
    pub(crate) unread: Option<u64>,
    /// The number of highlights among them.
    pub(crate) highlights: u64,
}

/// A gap in a room's timeline: events that a sync has left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) room_id: String,
    /// The token before them.
    pub(crate) after: String,
    /// The token after them.
    pub(crate) before: String,
}

/// Why an event was not, or may not have been, sent into an encrypted room.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct NotSent {
    pub(crate) reason: String,
    /// Whether a retry may help.
    pub(crate) is_temporary: bool,
}

impl NotSent {
    /// The account has no keys.
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
    /// Not signed.
    Unverified,
    /// Signed.
    Verified,
}

/// The state of a session whose keys have been uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetUp {
    /// Whether it is verified.
    pub(crate) trust: Trust,
    /// Whether another session of the account could verify it.
    pub(crate) has_other_sessions: bool,
    /// Another session has requested verification within the last ten minutes.
    pub(crate) is_asked: bool,
}

/// A step of comparing emoji that the user sees.
#[cfg_attr(not(feature = "encryption"), expect(dead_code, reason = "only encryption takes these steps"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    /// A request was sent to the other sessions: one has to accept it.
    Asking,
    /// A request of the session with this name is being accepted.
    AskedBy(&'a str),
    /// Asks whether the other session shows the same emoji, given with their names, or numbers, which have none.
    Compare(&'a [(String, &'static str)]),
    /// They match here: the other session has to confirm too, and signs this one.
    Waiting,
}

/// Why encrypted messages are not read in a session of another client, as a sentence without a full stop.
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
