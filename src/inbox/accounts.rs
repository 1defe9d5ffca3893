//! The table of accounts: their numbers.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    changes::Write,
    counts::Numbers,
    rows::{count, stored},
};

/// An account's row: loaded, changed and saved within one transaction.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) name: String,
    /// When a push last came for it, in milliseconds; `None`: its numbers were forgotten.
    pub(super) last_push: Option<i64>,
    pub(super) numbers: Numbers,
    /// Messages and calls in it that are not read.
    pub(super) unread_notices: u64,
    /// Notices of it that are kept.
    pub(super) notices: u64,
    /// Its messages up to this one are read, though not all of their rows say so yet; `None`: they do.
    pub(super) read_up_to: Option<i64>,
}

macro_rules! account_query {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, last_push, sent_counts, unread, room_sum, missed_calls, unread_notices, notices,
                read_up_to
            FROM account ",
            $rest
        )
    };
}

impl Account {
    /// Loads the account of this name, new if it is not known.
    pub(super) fn named(db: &Connection, name: &str) -> rusqlite::Result<Self> {
        let known =
            db.prepare_cached(account_query!("WHERE name = ?1"))?.query_row([name], Self::from_row).optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        db.prepare_cached("INSERT INTO account (name) VALUES (?1)")?.execute([name])?;
        Self::load(db, db.last_insert_rowid())
    }

    /// Loads the account with this row.
    pub(super) fn load(db: &Connection, id: i64) -> rusqlite::Result<Self> {
        db.prepare_cached(account_query!("WHERE id = ?1"))?.query_row([id], Self::from_row)
    }

    /// Loads every account that has been heard of.
    pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Self>> {
        db.prepare_cached(account_query!("WHERE last_push IS NOT NULL OR unread_notices > 0 ORDER BY name"))?
            .query_map([], Self::from_row)?
            .collect()
    }

    /// Loads one of which some rows do not say yet that they were read.
    pub(super) fn being_read(db: &Connection) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(account_query!("WHERE read_up_to IS NOT NULL LIMIT 1"))?
            .query_row([], Self::from_row)
            .optional()
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            last_push: row.get(2)?,
            numbers: Numbers {
                sent: row.get(3)?,
                unread: count(row.get(4)?),
                room_sum: count(row.get(5)?),
                missed_calls: row.get::<_, Option<i64>>(6)?.map(count),
            },
            unread_notices: count(row.get(7)?),
            notices: count(row.get(8)?),
            read_up_to: row.get(9)?,
        })
    }

    /// Writes it back.
    pub(super) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let Numbers { sent, unread, room_sum, missed_calls } = self.numbers;
        db.prepare_cached(
            "UPDATE account SET last_push = ?, sent_counts = ?, unread = ?, room_sum = ?, missed_calls = ?,
                unread_notices = ?, notices = ?, read_up_to = ?
            WHERE id = ?",
        )?
        .execute(params![
            self.last_push,
            sent,
            stored(unread),
            stored(room_sum),
            missed_calls.map(stored),
            stored(self.unread_notices),
            stored(self.notices),
            self.read_up_to,
            self.id,
        ])?;
        Ok(())
    }

    /// Whether this message was read with all others, whatever its row says.
    pub(super) fn has_read(&self, notice: i64) -> bool {
        self.read_up_to.is_some_and(|up_to| notice <= up_to)
    }

    /// So many of its notices are no longer unread.
    pub(super) fn was_read(&mut self, notices: usize) {
        self.unread_notices = self.unread_notices.saturating_sub(notices as u64);
    }

    /// Sets every number of it to zero, those of its rooms too, and reads everything in it.
    pub(super) fn clear(&mut self, write: &mut Write<'_>) -> rusqlite::Result<()> {
        self.numbers.clear();
        super::rooms::forget_numbers(write.db, self.id)?;
        super::marks::read_account(write, self)
    }

    /// It is not known any more: as if no push had ever come for it. Its notices stay as history.
    pub(super) fn forget(&mut self) {
        self.last_push = None;
        self.numbers = Numbers::default();
    }
}
