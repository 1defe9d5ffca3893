//! A notice: one event of one account, as the inbox keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::push::notify::{Notification, Priority, SoundTweak, Tweaks};

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
    pub fn with_id(account: impl Into<String>, room_id: impl Into<String>) -> Self {
        Self { account: account.into(), room: Room::Id(room_id.into()) }
    }
}

/// What a room is known by. Pushes of the first protocol have no `room_id`; what stands for it then is never taken for
/// the room id of the same text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Room {
    /// `room_id`.
    Id(String),
    /// `room_alias`, without an id.
    Alias(String),
    /// `room_name`, without an id and an alias.
    Name(String),
    /// `sender`, without any of these.
    Sender(String),
    /// The push names nothing.
    Unknown,
}

impl Room {
    /// The room of a push.
    #[must_use]
    pub fn of_push(push: &Notification) -> Self {
        Self::known_by(push.room_id.as_ref(), push.room_alias.as_ref(), push.room_name.as_ref(), push.sender.as_ref())
    }

    fn known_by(id: Option<&String>, alias: Option<&String>, name: Option<&String>, sender: Option<&String>) -> Self {
        let id = id.cloned().map(Self::Id);
        id.or_else(|| alias.cloned().map(Self::Alias))
            .or_else(|| name.cloned().map(Self::Name))
            .or_else(|| sender.cloned().map(Self::Sender))
            .unwrap_or(Self::Unknown)
    }

    /// Its `room_id`, if it is known by that.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Alias(_) | Self::Name(_) | Self::Sender(_) | Self::Unknown => None,
        }
    }

    /// As one text: a letter for the kind, then the value.
    #[must_use]
    pub fn to_stored(&self) -> String {
        match self {
            Self::Id(id) => format!("i{id}"),
            Self::Alias(alias) => format!("a{alias}"),
            Self::Name(name) => format!("n{name}"),
            Self::Sender(sender) => format!("s{sender}"),
            Self::Unknown => String::new(),
        }
    }

    /// The reverse of [`Room::to_stored`]; any other text is no known room.
    #[must_use]
    pub fn from_stored(stored: &str) -> Self {
        let Some((kind, value)) = stored.split_at_checked(1) else { return Self::Unknown };
        let value = value.to_owned();
        match kind {
            "i" => Self::Id(value),
            "a" => Self::Alias(value),
            "n" => Self::Name(value),
            "s" => Self::Sender(value),
            _ => Self::Unknown,
        }
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
    /// The notice of a push for one account, not yet shown. An edit or a redaction becomes a notice like any other:
    /// what it means for an earlier one is not looked at (see [`crate::push::event::meaning`]).
    #[must_use]
    pub fn from_push(
        push: &Notification,
        tweaks: &Tweaks,
        account: &str,
        id: NoticeId,
        received_at: Timestamp,
    ) -> Self {
        Self {
            id,
            account: account.to_owned(),
            event_id: push.event_id.clone(),
            room_id: push.room_id.clone(),
            event_type: push.event_type.clone(),
            sender: push.sender.clone(),
            sender_display_name: push.sender_display_name.clone(),
            room_name: push.room_name.clone(),
            room_alias: push.room_alias.clone(),
            membership: push.membership.clone(),
            user_is_target: push.user_is_target,
            prio: push.prio,
            sound: tweaks.sound.clone(),
            highlight: tweaks.highlight,
            content: push.content.as_ref().map(|content| content.get().to_owned()),
            redacted: false,
            received_at,
            presentation: Presentation::Waiting,
            read: false,
            sample: false,
            call_state: None,
        }
    }

    /// The room that its popup stands for.
    #[must_use]
    pub fn room(&self) -> RoomKey {
        let room = Room::known_by(
            self.room_id.as_ref(),
            self.room_alias.as_ref(),
            self.room_name.as_ref(),
            self.sender.as_ref(),
        );
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
    /// Never to be shown: read elsewhere first, popups are off, or an event that has no popup.
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
        assert_eq!(Room::of_push(&push), Room::Unknown);
        push.sender = Some("@bob:hs".to_owned());
        assert_eq!(Room::of_push(&push), Room::Sender("@bob:hs".to_owned()));
        push.room_name = Some("!x:y".to_owned());
        assert_eq!((Room::of_push(&push), Room::of_push(&push).id()), (Room::Name("!x:y".to_owned()), None));
        push.room_alias = Some("#a:hs".to_owned());
        assert_eq!(Room::of_push(&push), Room::Alias("#a:hs".to_owned()));
        push.room_id = Some("!x:y".to_owned());
        assert_eq!(Room::of_push(&push).id(), Some("!x:y"));
    }

    #[test]
    fn a_stored_room_is_read_back_and_no_other_text_is_taken_for_one() {
        let text = || "!x:y".to_owned();
        let rooms = [Room::Id(text()), Room::Alias(text()), Room::Name(text()), Room::Sender(text()), Room::Unknown];
        for room in rooms {
            assert_eq!(Room::from_stored(&room.to_stored()), room);
        }
        for odd in ["", "!x:y", "\u{fffd}", "7"] {
            assert_eq!(Room::from_stored(odd), Room::Unknown);
        }
    }
}
