//! Rooms whose messages are not shown on this desktop, for a while or until that is undone.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::{Inbox, InboxError, codec, transaction::Write};
use crate::notice::RoomKey;

/// Limit of muted rooms; beyond it those that end first are dropped.
const MAX_ROOMS: usize = 256;

/// A muted room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MutedRoom {
    /// Which.
    pub room: RoomKey,
    /// Its name: plain text, safe to show.
    pub name: String,
    /// When it ends; `None`: when it is undone.
    pub until: Option<Timestamp>,
}

impl MutedRoom {
    /// Whether it is still in force.
    #[must_use]
    pub fn is_muted_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| until > now)
    }
}

impl Inbox {
    /// Mutes a room: its messages, waiting ones included, get neither popups nor sounds. Signals a change.
    pub(crate) async fn mute(&self, muted: MutedRoom, now: Timestamp) -> Result<(), InboxError> {
        self.write(move |write| mute(write, &muted, now.as_millisecond())).await
    }

    /// Unmutes this room, or all. Signals a change.
    pub(crate) async fn unmute(&self, room: Option<RoomKey>) -> Result<(), InboxError> {
        self.write(move |write| {
            write.changes.is_visible = true;
            let (account, room) = room.as_ref().map(|key| (&*key.account, key.room.as_str())).unzip();
            write
                .execute(
                    "DELETE FROM muted_room WHERE ?1 IS NULL
                        OR (room = ?2 AND account = (SELECT id FROM account WHERE name = ?1))",
                    (account, room),
                )
                .map(drop)
        })
        .await
    }
}

fn mute(write: &mut Write<'_>, muted: &MutedRoom, now: i64) -> rusqlite::Result<()> {
    write.changes.is_visible = true;
    let (account, room) = (&*muted.room.account, muted.room.room.as_str());
    write.execute(
        "INSERT INTO muted_room SELECT id, ?2, ?3, ?4 FROM account WHERE name = ?1
        ON CONFLICT DO UPDATE SET name = excluded.name, until = excluded.until",
        (account, room, &muted.name, muted.until.map(Timestamp::as_millisecond)),
    )?;
    write.execute(
        "DELETE FROM muted_room WHERE until <= ?1 OR (account, room) IN
        (SELECT account, room FROM muted_room ORDER BY until DESC NULLS FIRST LIMIT -1 OFFSET ?2)",
        (now, codec::stored(MAX_ROOMS as u64)),
    )?;
    write.execute(
        "UPDATE notice INDEXED BY notice_unread SET presentation = 2
        WHERE read = 0 AND kind = 0 AND presentation = 0 AND room = :room
            AND account = (SELECT id FROM account WHERE name = :account)",
        named_params! { ":account": account, ":room": room },
    )?;
    Ok(())
}

/// Whether the messages of this room are muted at this time (milliseconds).
pub(super) fn is_muted(db: &Connection, account: i64, room: &str, now: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM muted_room WHERE account = ?1 AND room = ?2 AND coalesce(until > ?3, 1)")?
        .exists((account, room, now))
}

/// All rooms that were muted; some may have ended.
pub(super) fn muted(db: &Connection) -> rusqlite::Result<Vec<MutedRoom>> {
    db.prepare_cached(
        "SELECT a.name, m.room, m.name, m.until FROM muted_room m CROSS JOIN account a ON a.id = m.account
        ORDER BY m.name LIMIT ?1",
    )?
    .query_map([codec::stored(MAX_ROOMS as u64)], |row| {
        Ok(MutedRoom {
            room: codec::room_key(row, 0)?,
            name: codec::text(row, 2)?.unwrap_or_default(),
            until: codec::integer(row, 3)?.map(codec::to_time),
        })
    })?
    .collect()
}

/// Deletes the muted rooms of an account that is gone.
pub(super) fn forget(db: &Connection, account: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM muted_room WHERE account = ?1")?.execute([account]).map(drop)
}
