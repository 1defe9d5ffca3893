//! A popup as a plain value. Adapters send it; nothing in here knows how.

pub use notify_rust::{Timeout, Urgency};

use crate::notice::{NoticeId, RoomKey};

/// Numbers the popups that were asked for, so that an answer finds its question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PopupSerial(pub u64);

/// What a popup stands for: two popups with the same key replace each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PopupKey {
    /// The unread notices of a room.
    Room(RoomKey),
    /// A ringing call; once it is missed, its missed call.
    Call(NoticeId),
    /// What arrived while popups could not be shown, or faster than anybody can read.
    Summary,
    /// Something about Pushbell itself: first run, a bad configuration. One for each topic.
    Own(&'static str),
}

/// A popup.
#[derive(Debug, Clone, PartialEq)]
pub struct Popup {
    /// What it stands for and so replaces.
    pub key: PopupKey,
    /// One line, plain text.
    pub title: String,
    /// A few lines, plain text: the adapter escapes it for services that read markup.
    pub text: String,
    /// Its urgency.
    pub urgency: Urgency,
    /// Category of the desktop notifications specification: "im.received", "call.incoming", "call.unanswered".
    pub category: &'static str,
    /// Identifier and label of each action; "default" is a click on the popup itself.
    pub actions: Vec<(&'static str, &'static str)>,
    /// When it goes away by itself.
    pub timeout: Timeout,
}

/// Popups that stay up when the program ends, as their notification service knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which service on which bus. Its numbers mean nothing to another.
    pub service: String,
    /// Each with the number that the service gave it.
    pub popups: Vec<(PopupKey, u32)>,
}
