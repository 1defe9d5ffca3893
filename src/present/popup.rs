//! A popup as a plain value. Adapters send it; nothing in here knows how.

pub use notify_rust::{Timeout, Urgency};
use serde::{Deserialize, Serialize};

use crate::notice::{NoticeId, RoomKey};

/// What a popup is about: two popups with the same key replace each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PopupKey {
    /// The unread notices of a room.
    Room(RoomKey),
    /// A ringing call; once it is missed, its missed call.
    Call(NoticeId),
    /// Many rooms: what arrived while popups could not be shown, or faster than anybody can read.
    Summary,
    /// Pushbell itself.
    Own(OwnPopup),
}

/// The popups about Pushbell itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OwnPopup {
    /// The first start: a click shows how to connect a homeserver.
    Welcome,
    /// Something needs the person's attention.
    Problem(ProblemKind),
    /// What a click wanted to open was not opened.
    NotOpened,
    /// The test push that the person asked for did not arrive.
    TestFailed,
    /// Starting with the desktop could not be switched on or off.
    AutostartFailed,
    /// What the person did with a popup had not the whole effect.
    NotDone,
    /// Replies that were not sent, or perhaps were.
    NotSent,
    /// Sessions that are not verified.
    Unverified,
    /// Key backups that were deleted or replaced.
    BackupReset,
    /// New sessions of the person's accounts.
    NewSignIn,
    /// Other sessions of the person that ask to verify this one.
    VerificationAsked,
    /// Rooms in which more is unread than was told.
    MoreUnread,
}

/// What a problem is about. There is at most one problem of each kind.
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
    /// An inbox that was damaged and set aside
    Damage,
    /// Sessions that are over
    SignIn,
    /// The control socket
    ControlSocket,
    /// Relays that give nothing
    Relay,
}

impl ProblemKind {
    /// One line that says what is wrong.
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
    /// The popup, with this text.
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
            Self::MoreUnread => "More is unread",
        };
        // The text of a reply is nowhere else.
        let timeout = if self == Self::NotSent { Timeout::Never } else { Timeout::Default };
        Popup { category: "device", timeout, ..Popup::new(PopupKey::Own(self), title, text) }
    }
}

/// The key of a button that asks for a text: notification services know no other, and so a popup has at most one.
pub const TEXT_KEY: &str = "inline-reply";

/// How many buttons a popup has at most: what every notification service shows.
pub const MAX_BUTTONS: usize = 3;

/// What the buttons of a room's popup can be about (`popup.actions`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomButton {
    /// Replying, in the popup or in the usual client.
    Reply,
    /// Marking it as read.
    Read,
    /// Muting it for an hour.
    MuteHour,
    /// Muting it until that is undone.
    Mute,
}

/// What the person can do with a popup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Open what it is about: a click on the popup itself.
    Open,
    /// Stop the ringing of a call.
    Ignore,
    /// Answer a call: open its room.
    Answer,
    /// Decline a call, and stop its ringing.
    Decline,
    /// Mark the room as read up to its newest message that is shown.
    Read,
    /// Show nothing of the room's messages for an hour.
    MuteHour,
    /// Show nothing of the room's messages until that is undone.
    Mute,
    /// Accept an invite.
    Accept,
    /// Decline an invite.
    Reject,
    /// Send the text that was entered into the room.
    Reply,
    /// Open the room, to reply there.
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

/// A button of a popup. What shows popups knows its key, not its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Button {
    /// What it does.
    pub action: Action,
    /// What it says.
    pub label: &'static str,
    /// It asks for a text: what the empty field says. The key of its action is [`TEXT_KEY`].
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
    /// What it is about and so replaces.
    pub key: PopupKey,
    /// One line, plain text.
    pub title: String,
    /// A few lines, plain text: the adapter escapes it for services that read markup.
    pub text: String,
    /// Its urgency.
    pub urgency: Urgency,
    /// Category of the desktop notifications specification: "im.received", "call.incoming", "call.unanswered".
    pub category: &'static str,
    /// What it offers beside a click on the popup itself, which is always [`Action::Open`].
    pub buttons: Vec<Button>,
    /// When it goes away by itself.
    pub timeout: Timeout,
    /// A lock screen may show what it says.
    pub shown_when_locked: bool,
    /// Which account it is for, where the title does not say so.
    pub origin: Option<String>,
}

impl Popup {
    /// A popup of normal urgency that a click opens, up for as long as the desktop likes.
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
}
