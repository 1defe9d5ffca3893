//! How values are stored, and notices read back.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    accounts::Account,
    keys::{Keys, key_hash},
};
use crate::{
    notice::{Notice, NoticeId, Presentation},
    push::notify::{Counts, Priority, SoundTweak},
};

/// A query of whole notices, from what follows `FROM notice n …` on. The order of the join is fixed (`CROSS JOIN`),
/// so that the notices alone decide how it is done.
macro_rules! notice_query {
    ($rest:literal) => {
        concat!(
            "SELECT n.id, a.name, n.event_id, r.room_id, n.event_type, n.sender, n.sender_display_name, n.room_name,
                n.room_alias, n.membership, n.user_is_target, n.low_prio, n.sound, n.highlight, n.content, n.redacted,
                n.received_at, n.presentation, n.read
            FROM notice n CROSS JOIN account a ON a.id = n.account CROSS JOIN room r ON r.id = n.room ",
            $rest
        )
    };
}
pub(super) use notice_query;

/// Reads a row of [`notice_query`].
pub(super) fn notice(row: &Row<'_>) -> rusqlite::Result<Notice> {
    let room_id: String = row.get(3)?;
    Ok(Notice {
        id: NoticeId(row.get(0)?),
        account: row.get(1)?,
        event_id: row.get(2)?,
        room_id: (!room_id.is_empty()).then_some(room_id),
        event_type: row.get(4)?,
        sender: row.get(5)?,
        sender_display_name: row.get(6)?,
        room_name: row.get(7)?,
        room_alias: row.get(8)?,
        membership: row.get(9)?,
        user_is_target: row.get(10)?,
        prio: if row.get(11)? { Priority::Low } else { Priority::High },
        sound: SoundTweak::from_stored(row.get_ref(12)?.as_str_or_null()?),
        highlight: row.get(13)?,
        content: row.get(14)?,
        redacted: row.get(15)?,
        received_at: time(row.get(16)?),
        presentation: presentation(row.get(17)?),
        read: row.get(18)?,
    })
}

/// Reads the one notice with this number.
pub(super) fn notice_by_id(db: &Connection, id: i64) -> rusqlite::Result<Option<Notice>> {
    db.prepare_cached(notice_query!("WHERE n.id = ?1"))?.query_row([id], notice).optional()
}

/// What a notice is, besides its texts. The numbers are those of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is shown in its room's popup.
    Message = 0,
    /// It has a popup of its own, and a row among the calls.
    Call = 1,
    /// An edit, a redaction, the end of a call: kept as history.
    Silent = 2,
}

/// A notice that a push refers to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) room: i64,
    pub(super) kind: Kind,
    pub(super) presentation: Presentation,
    pub(super) read: bool,
    pub(super) redacted: bool,
    pub(super) sender: Option<String>,
    /// The counts that came with it.
    pub(super) counts: Option<Counts>,
}

impl Known {
    /// Finds the account's notice with this `event_id` or, lacking one, this `id`.
    pub(super) fn find(db: &Connection, keys: &Keys, account: &Account, key: &str) -> rusqlite::Result<Option<Self>> {
        for notice in keys.find(db, key_hash(account.id, key))? {
            let known = Self::load(db, account, notice, key)?;
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    /// Loads the notice, if this is its key.
    fn load(db: &Connection, account: &Account, notice: i64, key: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(
            "SELECT n.id, n.room, n.kind, n.presentation, n.read, n.redacted, n.sender, n.counts_unread,
                n.counts_missed_calls, r.read_up_to
            FROM notice n CROSS JOIN room r ON r.id = n.room
            WHERE n.id = ? AND n.account = ? AND coalesce(n.event_id, n.push_id) = ?",
        )?
        .query_row((notice, account.id, key), |row| {
            let id = row.get(0)?;
            let room_has_read = row.get::<_, Option<i64>>(9)?.is_some_and(|up_to| id <= up_to);
            let (presentation, is_read) = match (presentation(row.get(3)?), room_has_read || account.has_read(id)) {
                (Presentation::Waiting, true) => (Presentation::Settled, true),
                (presentation, has_read) => (presentation, has_read || row.get(4)?),
            };
            let unread: Option<i64> = row.get(7)?;
            let missed_calls: Option<i64> = row.get(8)?;
            Ok(Self {
                id,
                room: row.get(1)?,
                kind: kind(row.get(2)?),
                presentation,
                read: is_read,
                redacted: row.get(5)?,
                sender: row.get(6)?,
                counts: unread.map(|unread| Counts { unread: count(unread), missed_calls: missed_calls.map(count) }),
            })
        })
        .optional()
    }
}

/// A number as stored.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored number; it is never negative.
pub(super) fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

/// A stored time. One that no calendar has is the nearest that does.
pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn presentation(stored: i64) -> Presentation {
    match stored {
        0 => Presentation::Waiting,
        1 => Presentation::Shown,
        _ => Presentation::Settled,
    }
}

fn kind(stored: i64) -> Kind {
    match stored {
        0 => Kind::Message,
        1 => Kind::Call,
        _ => Kind::Silent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_number_means_something() {
        for odd in [i64::MIN, -1, 3, i64::MAX] {
            assert_eq!((presentation(odd), kind(odd)), (Presentation::Settled, Kind::Silent));
        }
        assert_eq!((time(i64::MAX), time(i64::MIN)), (Timestamp::MAX, Timestamp::MIN));
        assert_eq!((stored(u64::MAX), count(-1)), (i64::MAX, 0));
    }
}
