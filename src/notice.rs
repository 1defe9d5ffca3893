//! A notice: one event of one account, as the inbox keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::push::notify::{Notification, Priority, SoundTweak};

/// A notice's number: grows in order of arrival and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct NoticeId(pub i64);

/// A room of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RoomKey {
    /// Name of the account.
    pub account: String,
    /// Which of its rooms.
    pub room: Room,
}

impl RoomKey {
    /// The account's room with this `room_id`.
    #[must_use]
    pub fn with_id(account: impl Into<String>, room_id: impl AsRef<str>) -> Self {
        Self { account: account.into(), room: Room::with_id(room_id.as_ref()) }
    }
}

/// Identity of a room as one text: a letter for the kind, then the value. Pushes of the first protocol have no
/// `room_id`; what stands for it then is never taken for the room id of the same text. Empty where a push names
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Room(String);

impl Room {
    /// The room of a push: its `room_id`, else its alias, else its name, else the sender.
    #[must_use]
    pub fn of_push(push: &Notification) -> Self {
        Self::known_by([&push.room_id, &push.room_alias, &push.room_name, &push.sender])
    }

    /// The room with this `room_id`.
    #[must_use]
    pub fn with_id(room_id: &str) -> Self {
        Self(format!("i{room_id}"))
    }

    fn known_by(names: [&Option<String>; 4]) -> Self {
        let mut kinds = ["i", "a", "n", "s"].into_iter().zip(names);
        Self(kinds.find_map(|(kind, name)| Some([kind, name.as_deref()?].concat())).unwrap_or_default())
    }

    /// Its `room_id`, if it is known by that.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.0.strip_prefix('i')
    }

    /// The text that it is stored as.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A room as stored.
    pub(crate) fn from_stored(stored: String) -> Self {
        Self(stored)
    }
}

/// One event of one account. Strings are as the homeserver sent them (bounded in length, else raw).
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the protocol or of the inbox by itself")]
pub struct Notice {
    /// Its number.
    pub id: NoticeId,
    /// Name of the account it came for.
    pub account: String,
    /// `event_id`.
    pub event_id: Option<String>,
    /// `room_id`.
    pub room_id: Option<String>,
    /// `type`.
    pub event_type: Option<String>,
    /// `sender`.
    pub sender: Option<String>,
    /// `sender_display_name`.
    pub sender_display_name: Option<String>,
    /// `room_name`.
    pub room_name: Option<String>,
    /// `room_alias`.
    pub room_alias: Option<String>,
    /// `membership`.
    pub membership: Option<String>,
    /// `user_is_target`.
    pub user_is_target: bool,
    /// `prio`.
    pub prio: Priority,
    /// `tweaks.sound`.
    pub sound: SoundTweak,
    /// `tweaks.highlight`.
    pub highlight: bool,
    /// `content` as JSON text; for an edited message that of its `m.new_content`; none when redacted or not kept.
    pub content: Option<String>,
    /// The event was redacted: its text is gone.
    pub redacted: bool,
    /// When its push arrived.
    pub received_at: Timestamp,
    /// How far its presentation has come.
    pub presentation: Presentation,
    /// Read here or elsewhere.
    pub read: bool,
    /// It came with a sample push of this program's own.
    pub sample: bool,
    /// What has become of the call; none if it is no call.
    pub call_state: Option<CallState>,
}

impl Notice {
    /// The room that its popup stands for.
    #[must_use]
    pub fn room(&self) -> RoomKey {
        let room = Room::known_by([&self.room_id, &self.room_alias, &self.room_name, &self.sender]);
        RoomKey { account: self.account.clone(), room }
    }
}

/// How far the presentation of a notice has come. The numbers are those of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presentation {
    /// Recorded, not yet shown: shown as soon as that is possible, also by the next start.
    Waiting = 0,
    /// Shown, by itself or as part of a summary.
    Shown = 1,
    /// Never to be shown: read elsewhere, popups off, or an event without a popup.
    Settled = 2,
}

/// A ringing or missed call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The notice of the call's event: who calls, and where.
    pub notice: Notice,
    /// `content.call_id`, else the event's id: distinguishes calls of one room.
    pub call_id: String,
    /// When it stops ringing by itself.
    pub deadline: Timestamp,
    /// Ringing, or over.
    pub state: CallState,
}

/// What has become of a call. The numbers are those of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CallState {
    /// As [`CallState::Ringing`], but without a sound: the number of unread events has fallen, so that it may have been
    /// taken elsewhere.
    Silenced = -1,
    /// It rings until its deadline.
    Ringing = 0,
    /// Nobody took it, and the person has not yet acknowledged that.
    Missed = 1,
    /// Answered, rejected or withdrawn elsewhere, opened or dismissed here, or acknowledged.
    Over = 2,
    /// It was silenced until its deadline: unread, but not counted as missed.
    PerhapsTaken = 3,
}

impl CallState {
    /// Whether its deadline is still to come.
    #[must_use]
    pub fn is_pending(self) -> bool {
        match self {
            Self::Silenced | Self::Ringing => true,
            Self::Missed | Self::Over | Self::PerhapsTaken => false,
        }
    }
}

/// What a room's popup is made from: its unread notices that were shown or are waiting.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomDigest {
    /// How many they are (calls and notices without a popup not counted), at least 1.
    pub count: u64,
    /// The oldest of them.
    pub oldest: NoticeId,
    /// The newest.
    pub newest: Notice,
    /// The newest with a highlight, if any; may be the same as `newest`.
    pub highlight: Option<Notice>,
    /// The newest few, oldest first, `newest` included.
    pub lines: Vec<Notice>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_without_id_is_known_by_alias_else_name_else_sender() {
        let mut push = Notification::default();
        let check = |push: &Notification, expected: &str| assert_eq!(Room::of_push(push).as_str(), expected);
        check(&push, "");
        push.sender = Some("@bob:hs".to_owned());
        check(&push, "s@bob:hs");
        push.room_name = Some("!x:y".to_owned());
        check(&push, "n!x:y");
        assert_eq!(Room::of_push(&push).id(), None);
        push.room_alias = Some("#a:hs".to_owned());
        check(&push, "a#a:hs");
        push.room_id = Some("!x:y".to_owned());
        assert_eq!(Room::of_push(&push).id(), Some("!x:y"));
    }
}
