//! How values are stored and read back.
//!
//! Reading never fails because of a value: the disk may have damaged any of them. What has the wrong type counts as
//! absent, text that is not UTF-8 is read with U+FFFD in place of what is wrong.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, types::ValueRef};

use crate::{
    notice::{CallState, Notice, NoticeId, Presentation, Room, RoomKey},
    push::notify::{Counts, MAX_CONTENT_BYTES, Priority, SoundTweak},
};

/// The type of an event that is encrypted.
pub(super) const ENCRYPTED: &str = "m.room.encrypted";

/// Kind of a notice. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is shown in its room's popup.
    Message = 0,
    /// It has a popup of its own.
    Call = 1,
    /// Kept so that its retry is recognised, and listed nowhere: an edit, a redaction, the end of a call, or what is
    /// older than the history is kept.
    Hidden = 2,
}

/// How far the decryption of a notice has come. The numbers are those of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decryption {
    /// Nothing to decrypt: decrypted, impossible to decrypt, or never encrypted.
    None = 0,
    /// To be decrypted; its popup waits briefly.
    Wanted = 1,
    /// The key is missing: shown as it is, decrypted if the key arrives.
    LacksKey = 2,
    /// The key is missing and nothing is shown until it arrives: the homeserver pushes every encrypted event of the
    /// room.
    Hidden = 3,
}

/// An integer; none where there is something else.
pub(super) fn integer(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<i64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(value) => Some(value),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_) => None,
    })
}

/// A text, bounded in length.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let bytes = bytes.get(..MAX_CONTENT_BYTES).unwrap_or(bytes);
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value.to_string()),
        ValueRef::Null => None,
    })
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<i64> {
    integer(row, column).map(Option::unwrap_or_default)
}

pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<NoticeId> {
    number(row, column).map(NoticeId)
}

/// A count. Sums that SQLite makes of damaged numbers may be floating-point.
pub(super) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    integer(row, column).map(|count| count.map_or(0, bounded))
}

pub(super) fn flag(row: &Row<'_>, column: usize) -> rusqlite::Result<bool> {
    number(row, column).map(|flag| flag != 0)
}

/// A time, clamped to the range of `Timestamp`.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    number(row, column).map(to_time)
}

pub(super) fn optional_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    integer(row, column).map(|time| time.map(to_time))
}

pub(super) fn to_time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

pub(super) fn sound(row: &Row<'_>, column: usize) -> rusqlite::Result<SoundTweak> {
    text(row, column).map(|sound| SoundTweak::from_stored(sound.as_deref()))
}

/// A room, of two columns: the account's name and the room.
pub(super) fn room_key(row: &Row<'_>, column: usize) -> rusqlite::Result<RoomKey> {
    let room = Room::from_stored(text(row, column + 1)?.unwrap_or_default());
    Ok(RoomKey { account: text(row, column)?.unwrap_or_default(), room })
}

/// A count as stored.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The largest count that is stored, so that no sum over rooms overflows.
pub(super) const MAX_COUNT: u64 = u32::MAX as u64;

fn bounded(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0).min(MAX_COUNT * 1024)
}

pub(super) fn presentation(row: &Row<'_>, column: usize) -> rusqlite::Result<Presentation> {
    integer(row, column).map(|presentation| match presentation {
        Some(0) => Presentation::Waiting,
        Some(1) => Presentation::Shown,
        Some(_) | None => Presentation::Settled,
    })
}

fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<Kind> {
    integer(row, column).map(|kind| match kind {
        Some(0) => Kind::Message,
        Some(1) => Kind::Call,
        Some(_) | None => Kind::Hidden,
    })
}

pub(super) fn call_state(row: &Row<'_>, column: usize) -> rusqlite::Result<CallState> {
    integer(row, column).map(|state| state.map_or(CallState::Over, to_call_state))
}

fn to_call_state(state: i64) -> CallState {
    match state {
        -1 => CallState::Silenced,
        0 => CallState::Ringing,
        1 => CallState::Missed,
        3 => CallState::PerhapsTaken,
        _ => CallState::Over,
    }
}

/// A query of whole notices, from what follows its `FROM notice n … account a` on.
macro_rules! notice_query {
    ($rest:literal) => {
        concat!(
            "SELECT n.id, a.name, n.room, n.event_id, n.event_type, n.sender, n.sender_display_name, n.room_name,
                n.room_alias, n.membership, n.user_is_target, n.low_prio, n.sound, n.highlight,
                iif(typeof(n.content) = 'blob', opened(n.content, a.name, n.event_id), n.content), n.redacted, n.received_at, n.presentation, n.read, n.call_id,
                n.call_deadline, n.call_state, n.sample, typeof(n.content) = 'blob'
            FROM notice n CROSS JOIN account a ON a.id = n.account ",
            $rest
        )
    };
}
pub(super) use notice_query;

/// Reads a row of [`notice_query`].
pub(super) fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let RoomKey { account, room } = room_key(row, 1)?;
    let content = text(row, 14)?;
    // A text that cannot be opened is presented as still encrypted.
    let is_closed = flag(row, 23)? && content.is_none();
    Ok(Notice {
        id: id(row, 0)?,
        account,
        room_id: room.id().map(ToOwned::to_owned),
        event_id: text(row, 3)?,
        event_type: if is_closed { Some(ENCRYPTED.to_owned()) } else { text(row, 4)? },
        sender: text(row, 5)?,
        sender_display_name: text(row, 6)?,
        room_name: text(row, 7)?,
        room_alias: text(row, 8)?,
        membership: text(row, 9)?,
        user_is_target: flag(row, 10)?,
        prio: if flag(row, 11)? { Priority::Low } else { Priority::High },
        sound: sound(row, 12)?,
        highlight: flag(row, 13)?,
        content,
        redacted: flag(row, 15)?,
        received_at: time(row, 16)?,
        presentation: presentation(row, 17)?,
        read: flag(row, 18)?,
        sample: flag(row, 22)?,
        call_state: integer(row, 21)?.map(to_call_state),
    })
}

/// Reads the one notice with this number.
pub(super) fn notice_by_id(db: &Connection, id: NoticeId) -> rusqlite::Result<Option<Notice>> {
    db.prepare_cached(notice_query!("WHERE n.id = ?1"))?.query_row([id.0], notice).optional()
}

/// A recorded event that a push refers to or repeats.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct KnownEvent {
    pub(super) id: i64,
    pub(super) room: Room,
    pub(super) kind: Kind,
    pub(super) read: bool,
    pub(super) redacted: bool,
    pub(super) sender: Option<String>,
    /// Its content is encrypted, or was.
    pub(super) is_encrypted: bool,
    /// The counts that came with it.
    pub(super) counts: Option<Counts>,
}

macro_rules! known_query {
    ($condition:literal) => {
        concat!(
            "SELECT id, room, kind, read, redacted, sender, counts_unread, counts_missed_calls,
                typeof(content) = 'blob' OR decryption > 0
            FROM notice WHERE account = ?1 AND ",
            $condition
        )
    };
}

pub(super) const EVENT_BY_ID: &str = known_query!("event_id = ?2");
pub(super) const EVENT_BY_PUSH_ID: &str = known_query!("push_id = ?2");

impl KnownEvent {
    /// Finds the account's event with this id.
    pub(super) fn by_event_id(db: &Connection, account: i64, event_id: &str) -> rusqlite::Result<Option<Self>> {
        Self::find(db, EVENT_BY_ID, account, event_id)
    }

    /// Finds what came to the account without `event_id` and with this `id`.
    pub(super) fn by_push_id(db: &Connection, account: i64, push_id: &str) -> rusqlite::Result<Option<Self>> {
        Self::find(db, EVENT_BY_PUSH_ID, account, push_id)
    }

    fn find(db: &Connection, query: &str, account: i64, key: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(query)?
            .query_row((account, key), |row| {
                let missed_calls = integer(row, 7)?.map(bounded);
                Ok(Self {
                    id: number(row, 0)?,
                    room: Room::from_stored(text(row, 1)?.unwrap_or_default()),
                    kind: kind(row, 2)?,
                    read: flag(row, 3)?,
                    redacted: flag(row, 4)?,
                    sender: text(row, 5)?,
                    is_encrypted: flag(row, 8)?,
                    counts: integer(row, 6)?.map(|unread| Counts { unread: bounded(unread), missed_calls }),
                })
            })
            .optional()
    }
}
