//! All words that a desktop shows: popups and their buttons, the tray's menu and tooltip (pure).
//!
//! Each language is one file with the same functions, from values to text. There is one so far: a second one is a file
//! beside `english.rs`, and this module then chooses between the two. Reasons that popups quote are the texts of
//! errors, which are English everywhere.

mod english;

pub(crate) use english::*;

/// Why a message is a highlight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mention {
    /// The account's user is mentioned; or any user, if the account's user is unknown.
    You,
    /// The whole room is mentioned.
    Room,
    /// A keyword, or the reason is not stated.
    Other,
}

/// What happened to the recipient's membership of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Membership {
    Invited,
    Removed,
    Banned,
}
