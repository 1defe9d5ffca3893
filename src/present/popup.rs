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

impl ProblemKind {
    /// One line that describes the problem.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "The configuration has a fault",
            Self::Accounts => "The accounts cannot be read",
            Self::Listen => "Not all addresses can be listened on",
            Self::Certificate => "The certificate needs your attention",
            Self::Inbox => "The inbox cannot be used",
            Self::Damage => "The inbox was damaged",
            Self::SignIn => "Signed out by the homeserver",
            Self::ControlSocket => "The control socket cannot be made",
            Self::Relay => "The relay gives no pushes",
        }
    }
}

impl OwnPopup {
    /// Makes the popup, with this text.
    #[must_use]
    pub fn popup(self, text: &str) -> Popup {
        let title = match self {
            Self::Welcome => "Pushbell is ready",
            Self::Problem(kind) => kind.title(),
            Self::NotOpened => "It could not be opened",
            Self::TestFailed => "The test did not arrive",
            Self::AutostartFailed => "Starting with the desktop could not be changed",
            Self::NotDone => "Not everything was done",
            Self::NotSent => "A reply may not have been sent",
            Self::Unverified => "Not all encrypted messages can be read",
            Self::BackupReset => "The key backup was reset",
            Self::NewSignIn => "New sign-in",
            Self::VerificationAsked => "Verification asked for",
        };
        // The text of a reply is stored nowhere else.
        let timeout = if self == Self::NotSent { Timeout::Never } else { Timeout::Default };
        Popup { category: "device", timeout, ..Popup::new(PopupKey::Own(self), title, text) }
    }
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
}

/// A button of a popup. Adapters know only its key, not its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button {
    /// The action.
    pub action: Action,
    /// The label.
    pub label: &'static str,
    /// Placeholder of its text field, if it has one. Its key is then [`TEXT_KEY`].
    pub input: Option<&'static str>,
}

impl Button {
    /// Stops the ringing of a call.
    pub const IGNORE: Self = Self::plain(Action::Ignore, "Dismiss");
    /// Answers a call.
    pub const ANSWER: Self = Self::plain(Action::Answer, "Answer");
    /// Declines a call.
    pub const DECLINE: Self = Self::plain(Action::Decline, "Decline");
    /// Marks a room as read.
    pub const READ: Self = Self::plain(Action::Read, "Mark as read");
    /// Mutes a room for an hour.
    pub const MUTE_HOUR: Self = Self::plain(Action::MuteHour, "Mute for 1 hour");
    /// Mutes a room.
    pub const MUTE: Self = Self::plain(Action::Mute, "Mute");

    /// Accepts an invite.
    pub const ACCEPT: Self = Self::plain(Action::Accept, "Accept");
    /// Declines an invite.
    pub const REJECT: Self = Self::plain(Action::Reject, "Decline");
    /// Replies in the popup.
    pub const REPLY: Self = Self { action: Action::Reply, label: "Reply", input: Some("Write a reply") };
    /// Replies in the usual client.
    pub const REPLY_THERE: Self = Self::plain(Action::ReplyThere, "Reply");

    const fn plain(action: Action, label: &'static str) -> Self {
        Self { action, label, input: None }
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
    pub buttons: Vec<Button>,
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
