//! The table of rooms: what is unread and what waits in each, as running numbers, so that no news ever counts notices.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::rows::{count, stored};
use crate::notice::RoomKey;

/// A room's row: loaded, changed and saved within one transaction.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) id: i64,
    pub(super) account: i64,
    /// What `counts` say about it, where they stand for rooms.
    pub(super) counted: u64,
    /// Notices of it that are kept.
    pub(super) notices: u64,
    /// Unread messages that wait or were shown: those that its popup is about.
    pub(super) unread: u64,
    pub(super) waiting: Waiting,
    /// Its messages up to this one are read, though not all of their rows say so yet; `None`: they do.
    pub(super) read_up_to: Option<i64>,
    /// `waiting.first` as it is in the table.
    stored_first: Option<i64>,
}

/// The messages that wait in a room.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) count: u64,
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    /// The newest that is a highlight.
    pub(super) highlight: Option<i64>,
    /// The newest that asks for a sound.
    pub(super) sound: Option<i64>,
}

macro_rules! room_query {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, counted, notices, unread, waiting, first_waiting, last_waiting, waiting_highlight,
                waiting_sound, read_up_to
            FROM room ",
            $rest
        )
    };
}

/// Messages that wait in a room.
macro_rules! waiting_query {
    ($index:literal, $rest:literal) => {
        concat!(
            "SELECT id, sound FROM notice INDEXED BY ",
            $index,
            " WHERE account = ?1 AND room = ?2 AND read = 0 AND kind = 0 AND id >= ?3 AND presentation = 0 ",
            $rest
        )
    };
}

impl Room {
    /// Loads the account's room, new if it is not known. Without `room_id` it is the nameless one.
    pub(super) fn named(db: &Connection, account: i64, room_id: &str) -> rusqlite::Result<Self> {
        if let Some(known) = Self::find(db, account, room_id)? {
            return Ok(known);
        }
        db.prepare_cached("INSERT INTO room (account, room_id) VALUES (?1, ?2)")?.execute((account, room_id))?;
        Ok(Self { id: db.last_insert_rowid(), account, ..Self::default() })
    }

    /// Loads the account's room, if it is known.
    pub(super) fn find(db: &Connection, account: i64, room_id: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(room_query!("WHERE account = ?1 AND room_id = ?2"))?
            .query_row((account, room_id), Self::from_row)
            .optional()
    }

    /// Loads the room with this key, if it is known.
    pub(super) fn by_key(db: &Connection, key: &RoomKey) -> rusqlite::Result<Option<Self>> {
        let account: Option<i64> = db
            .prepare_cached("SELECT id FROM account WHERE name = ?1")?
            .query_row([&key.account], |row| row.get(0))
            .optional()?;
        account.map_or(Ok(None), |account| Self::find(db, account, &key.room_id))
    }

    /// Loads one of which some rows do not say yet that they were read.
    pub(super) fn being_read(db: &Connection) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(room_query!("WHERE read_up_to IS NOT NULL LIMIT 1"))?.query_row([], Self::from_row).optional()
    }

    /// Loads the room with this row.
    pub(super) fn load(db: &Connection, id: i64) -> rusqlite::Result<Self> {
        db.prepare_cached(room_query!("WHERE id = ?1"))?.query_row([id], Self::from_row)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            account: row.get(1)?,
            counted: count(row.get(2)?),
            notices: count(row.get(3)?),
            unread: count(row.get(4)?),
            waiting: Waiting {
                count: count(row.get(5)?),
                first: row.get(6)?,
                last: row.get(7)?,
                highlight: row.get(8)?,
                sound: row.get(9)?,
            },
            read_up_to: row.get(10)?,
            stored_first: row.get(6)?,
        })
    }

    /// Writes it back.
    pub(super) fn save(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let Waiting { count, first, last, highlight, sound } = self.waiting;
        db.prepare_cached(
            "UPDATE room SET counted = ?, notices = ?, unread = ?, waiting = ?, last_waiting = ?, waiting_highlight = ?,
                waiting_sound = ?, read_up_to = ?
            WHERE id = ?",
        )?
        .execute(params![
            stored(self.counted),
            stored(self.notices),
            stored(self.unread),
            stored(count),
            last,
            highlight,
            sound,
            self.read_up_to,
            self.id,
        ])?;
        if first != self.stored_first {
            // An index is by this one: naming the column would write the index anew each time.
            db.prepare_cached("UPDATE room SET first_waiting = ? WHERE id = ?")?.execute((first, self.id))?;
            self.stored_first = first;
        }
        Ok(())
    }

    /// A message came that waits, the newest of all notices.
    pub(super) fn arrived(&mut self, notice: i64, highlight: bool, sound: bool) {
        self.unread += 1;
        let waiting = &mut self.waiting;
        waiting.count += 1;
        waiting.first = waiting.first.or(Some(notice));
        waiting.last = Some(notice);
        if highlight {
            waiting.highlight = Some(notice);
        }
        if sound {
            waiting.sound = Some(notice);
        }
    }

    /// One message that waited was taken back.
    pub(super) fn lost(&mut self, db: &Connection, message: i64) -> rusqlite::Result<()> {
        let Waiting { count, first, last, highlight, sound } = self.waiting;
        if count <= 1 {
            self.waiting = Waiting::default();
            return Ok(());
        }
        self.waiting.count = count - 1;
        if first == Some(message) {
            self.waiting.first = self.find_waiting(db, waiting_query!("notice_unread", "ORDER BY id LIMIT 1"))?;
        }
        if last == Some(message) {
            self.waiting.last = self.find_waiting(db, waiting_query!("notice_unread", "ORDER BY id DESC LIMIT 1"))?;
        }
        if highlight == Some(message) {
            let newest = waiting_query!("notice_highlight", "AND highlight = 1 ORDER BY id DESC LIMIT 1");
            self.waiting.highlight = self.find_waiting(db, newest)?;
        }
        if sound == Some(message) {
            // No index tells: among very many, one that is far behind has had its time.
            let newest = concat!(
                "SELECT max(id) FROM (",
                waiting_query!("notice_unread", "ORDER BY id DESC LIMIT 1000"),
                ") WHERE sound IS NOT NULL"
            );
            self.waiting.sound = self.find_waiting(db, newest)?;
        }
        Ok(())
    }

    fn find_waiting(&self, db: &Connection, query: &str) -> rusqlite::Result<Option<i64>> {
        // None before the first that waited waits.
        let parameters = (self.account, self.id, self.waiting.first);
        db.prepare_cached(query)?.query_row(parameters, |row| row.get(0)).optional().map(Option::flatten)
    }

    /// So many messages wait no more: all those up to this one, and no other.
    pub(super) fn stop_waiting(&mut self, db: &Connection, messages: u64, up_to: i64) -> rusqlite::Result<()> {
        let waiting = &mut self.waiting;
        waiting.count = waiting.count.saturating_sub(messages);
        waiting.first = if waiting.count == 0 {
            None
        } else {
            db.prepare_cached(
                "SELECT id FROM notice INDEXED BY notice_unread
                WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id > :up_to AND presentation = 0
                ORDER BY id LIMIT 1",
            )?
            .query_row(named_params! { ":account": self.account, ":room": self.id, ":up_to": up_to }, |row| row.get(0))
            .optional()?
        };
        if waiting.first.is_none() {
            *waiting = Waiting::default();
        }
        waiting.highlight = waiting.highlight.filter(|highlight| *highlight > up_to);
        waiting.sound = waiting.sound.filter(|sound| *sound > up_to);
        Ok(())
    }
}

/// The account's counts no longer say anything about single rooms.
pub(super) fn forget_numbers(db: &Connection, account: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE room SET counted = 0 WHERE account = ?1 AND counted > 0")?.execute([account])?;
    Ok(())
}

/// Everything in the account's rooms was read.
pub(super) fn read_all(db: &Connection, account: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE room SET unread = 0, waiting = 0, first_waiting = NULL, last_waiting = NULL, waiting_highlight = NULL,
            waiting_sound = NULL, read_up_to = NULL
        WHERE account = ?1 AND (unread > 0 OR waiting > 0 OR read_up_to IS NOT NULL)",
    )?
    .execute([account])?;
    Ok(())
}

/// `room_id` of a room's row, with the name of its account.
pub(super) fn key(db: &Connection, room: i64) -> rusqlite::Result<RoomKey> {
    db.prepare_cached("SELECT a.name, r.room_id FROM room r CROSS JOIN account a ON a.id = r.account WHERE r.id = ?1")?
        .query_row([room], |row| Ok(RoomKey { account: row.get(0)?, room_id: row.get(1)? }))
}
