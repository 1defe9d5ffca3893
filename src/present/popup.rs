//! A popup as a plain value.

pub use notify_rust::{Timeout, Urgency};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::notice::{NoticeId, RoomKey};

/// Identifies a popup: two popups with the same key replace each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PopupKey {
    /// The unread notices of a room.
    Room(RoomKey),
    /// A ringing call, later the missed call.
    Call(NoticeId),
    /// Many rooms: what arrived while popups could not be shown, or faster than a person can read.
    Summary,
    /// Pushbell itself.
    Own(OwnPopup),
}

/// The popups about Pushbell itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnPopup {
    /// The first start; a click shows how to connect a homeserver.
    Welcome,
    /// Something needs the person's attention.
    Problem(ProblemKind),
    /// The target of a click could not be opened.
    NotOpened,
    /// The test push did not arrive.
    TestFailed,
    /// Autostart could not be switched.
    AutostartFailed,
    /// An action in a popup did not succeed entirely.
    NotDone,
    /// Replies that failed or may have failed.
    NotSent,
    /// Unverified sessions.
    Unverified,
    /// Key backups that were deleted or replaced.
    BackupReset,
    /// New sessions of the person's accounts.
    NewSignIn,
    /// Other sessions that have requested to verify this one.
    VerificationAsked,
    /// Rooms in which more is unread than was told.
    MoreUnread,
}

/// The subject of a problem. There is at most one problem of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProblemKind {
    /// `pushbell.toml`
    Configuration,
    /// `accounts.toml`
    Accounts,
    /// The addresses of `server.listen`
    Listen,
    /// The certificate of `server.tls`
    Certificate,
    /// The inbox
    Inbox,
    /// An inbox that was damaged and quarantined
    Damage,
    /// Sessions that have ended
    SignIn,
    /// The control socket
    ControlSocket,
    /// Relays that deliver nothing
    Relay,
}

/// The key of a button with a text field. Notification services define only one, so a popup has at most one such
/// button.
pub const TEXT_KEY: &str = "inline-reply";

/// Maximum number of buttons of a popup: what every notification service shows.
pub const MAX_BUTTONS: usize = 3;

/// Configurable buttons of a room's popup (`popup.actions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomButton {
    /// Reply in the popup or in the usual client.
    Reply,
    /// Mark as read.
    Read,
    /// Mute for an hour.
    MuteHour,
    /// Mute until unmuted.
    Mute,
}

/// An action of a popup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Open the popup's target: a click on the popup itself.
    Open,
    /// Stop the ringing of a call.
    Ignore,
    /// Answer a call: open its room.
    Answer,
    /// Decline a call, and stop its ringing.
    Decline,
    /// Mark the room as read up to the newest message shown.
    Read,
    /// Mute the room for an hour.
    MuteHour,
    /// Mute the room until unmuted.
    Mute,
    /// Accept an invite.
    Accept,
    /// Decline an invite.
    Reject,
    /// Send the entered text to the room.
    Reply,
    /// Open the room for a reply there.
    ReplyThere,
}

impl Action {
    /// Its key towards the notification service; "default" is a click on the popup itself.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Open => "default",
            Self::Ignore => "ignore",
            Self::Answer => "answer",
            Self::Decline => "decline",
            Self::Read => "read",
            Self::MuteHour => "mute-hour",
            Self::Mute => "mute",
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Reply => TEXT_KEY,
            Self::ReplyThere => "reply",
        }
    }

    /// Whether its button has a text field.
    #[must_use]
    pub const fn takes_text(self) -> bool {
        matches!(self, Self::Reply)
    }
}

/// A popup.
#[derive(Debug, Clone, PartialEq)]
pub struct Popup {
    /// Its key.
    pub key: PopupKey,
    /// One line, plain text.
    pub title: String,
    /// A few lines, plain text: the adapter escapes it for services that read markup.
    pub text: String,
    /// Its urgency.
    pub urgency: Urgency,
    /// Category as in the desktop notifications specification: "im.received", "call.incoming", "call.unanswered".
    pub category: &'static str,
    /// Its buttons besides a click on the popup itself, which is always [`Action::Open`].
    pub buttons: Vec<Action>,
    /// When it disappears by itself.
    pub timeout: Timeout,
    /// Whether a lock screen may show its text.
    pub shown_when_locked: bool,
    /// The account, if the title does not name it.
    pub origin: Option<String>,
}

impl Popup {
    /// A popup of normal urgency with the desktop's own timeout.
    #[must_use]
    pub fn new(key: PopupKey, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            key,
            title: title.into(),
            text: text.into(),
            urgency: Urgency::Normal,
            category: "im.received",
            buttons: Vec::new(),
            timeout: Timeout::Default,
            shown_when_locked: false,
            origin: None,
        }
    }

    /// A hash of the visible content, to tell whether a new version has to be shown. The title of a summary is left
    /// out: its counts are those of the moment it was made.
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        let title = if self.key == PopupKey::Summary { "" } else { &self.title };
        let mut hasher = DefaultHasher::new();
        (title, &self.text, &self.origin).hash(&mut hasher);
        hasher.finish()
    }
}
