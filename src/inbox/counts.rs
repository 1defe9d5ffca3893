//! The accounts' numbers, and what `counts` do to them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, MAX_COUNT, stored};
use crate::push::notify::Counts;

/// An account's row: loaded, changed and saved within one transaction.
#[derive(Debug)]
pub(super) struct AccountRow {
    pub(super) id: i64,
    pub(super) name: String,
    /// Time of the last push, in milliseconds; `None` after its numbers were removed.
    pub(super) last_push: Option<i64>,
    pub(super) numbers: Numbers,
}

/// An account's numbers, as its `counts` have set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Numbers {
    /// Whether it has ever sent `counts`.
    pub(super) sent: bool,
    /// What is unread in it.
    pub(super) unread: u64,
    /// `missed_calls`, if it has ever sent it.
    pub(super) missed_calls: Option<u64>,
}

impl Numbers {
    /// Takes over a push's `counts`, which make `unread` of the account. Once it has sent `missed_calls`, leaving it
    /// out means zero.
    fn set(&mut self, counts: Counts, unread: u64) {
        let missed_calls = counts.missed_calls.or(self.missed_calls.map(|_| 0));
        *self = Self { sent: true, unread, missed_calls };
    }

    /// Sets every number to zero; what the account is known to send stays known.
    pub(super) fn clear(&mut self) {
        *self = Self { sent: self.sent, unread: 0, missed_calls: self.missed_calls.map(|_| 0) };
    }

    /// What the badge counts: an account that never sent `counts` is counted by its unread notices. Samples, which are
    /// among these, are not in the server's number.
    pub(super) fn badge(&self, unread_notices: u64, samples: u64) -> u64 {
        if self.sent { self.unread.saturating_add(samples) } else { unread_notices }
    }

    /// Missed calls: the server's number once it has sent one, else those derived here.
    pub(super) fn missed(&self, derived: u64) -> u64 {
        self.missed_calls.unwrap_or(derived)
    }
}

/// The `counts` of a push, clamped to the stored range.
pub(super) fn bounded(counts: Counts) -> Counts {
    Counts {
        unread: counts.unread.min(MAX_COUNT),
        missed_calls: counts.missed_calls.map(|missed| missed.min(MAX_COUNT)),
    }
}

macro_rules! account_query {
    ($rest:literal) => {
        concat!("SELECT id, name, last_push, sends_counts, unread, missed_calls FROM account ", $rest)
    };
}

impl AccountRow {
    /// Loads the account of this name, if it is known.
    pub(super) fn known(db: &Connection, name: &str) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(account_query!("WHERE name = ?1"))?.query_row([name], Self::from_row).optional()
    }

    /// Loads the account of this name, new if it is not known.
    pub(super) fn named(db: &Connection, name: &str) -> rusqlite::Result<Self> {
        if let Some(known) = Self::known(db, name)? {
            return Ok(known);
        }
        db.prepare_cached("INSERT INTO account (name) VALUES (?1)")?.execute([name])?;
        let name = name.to_owned();
        Ok(Self { id: db.last_insert_rowid(), name, last_push: None, numbers: Numbers::default() })
    }

    /// Loads the account with this row, if there is one.
    pub(super) fn find(db: &Connection, id: i64) -> rusqlite::Result<Option<Self>> {
        db.prepare_cached(account_query!("WHERE id = ?1"))?.query_row([id], Self::from_row).optional()
    }

    /// Loads all accounts, including those whose numbers were removed.
    pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Self>> {
        db.prepare_cached(account_query!("ORDER BY name"))?.query_map([], Self::from_row)?.collect()
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: codec::number(row, 0)?,
            name: codec::text(row, 1)?.unwrap_or_default(),
            last_push: codec::integer(row, 2)?,
            numbers: Numbers {
                sent: codec::flag(row, 3)?,
                unread: codec::count(row, 4)?,
                missed_calls: codec::integer(row, 5)?.map(|missed| u64::try_from(missed).unwrap_or(0).min(MAX_COUNT)),
            },
        })
    }

    /// Writes it back.
    pub(super) fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let Numbers { sent, unread, missed_calls } = self.numbers;
        db.prepare_cached(
            "UPDATE account SET last_push = ?, sends_counts = ?, unread = ?, missed_calls = ? WHERE id = ?",
        )?
        .execute(params![self.last_push, sent, stored(unread), missed_calls.map(stored), self.id])?;
        Ok(())
    }

    /// Takes over a push's `counts`: of this room where they stand for rooms, else of the whole account; then the
    /// numbers of its rooms are no longer known.
    pub(super) fn count(&mut self, db: &Connection, counts: Counts, room: Option<&str>) -> rusqlite::Result<()> {
        let Some(room) = room else {
            self.forget_rooms(db)?;
            self.numbers.set(counts, counts.unread);
            return Ok(());
        };
        db.prepare_cached(
            "INSERT INTO room_count VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET unread = excluded.unread",
        )?
        .execute((self.id, room, stored(counts.unread)))?;
        let sum = db
            .prepare_cached(
                "SELECT CAST(total(max(0, min(unread, 4294967295))) AS INTEGER) FROM room_count WHERE account = ?1",
            )?
            .query_row([self.id], |row| codec::count(row, 0))?;
        self.numbers.set(counts, sum);
        Ok(())
    }

    /// Whether `counts` have named this room.
    pub(super) fn has_count(&self, db: &Connection, room: &str) -> rusqlite::Result<bool> {
        db.prepare_cached("SELECT 1 FROM room_count WHERE account = ?1 AND room = ?2")?.exists((self.id, room))
    }

    /// Sets all its numbers to zero, including those of its rooms, and saves it.
    pub(super) fn clear(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.numbers.clear();
        self.forget_rooms(db)?;
        self.save(db)
    }

    /// Removes its numbers, as if no push had ever come, and saves it.
    pub(super) fn forget(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.last_push = None;
        self.numbers = Numbers::default();
        self.forget_rooms(db)?;
        self.save(db)
    }

    fn forget_rooms(&self, db: &Connection) -> rusqlite::Result<()> {
        db.prepare_cached("DELETE FROM room_count WHERE account = ?1")?.execute([self.id])?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(unread: u64, missed_calls: Option<u64>) -> Counts {
        Counts { unread, missed_calls }
    }

    #[test]
    fn who_never_sent_counts_is_counted_by_notices() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.badge(6, 2), 6);
        numbers.clear();
        assert_eq!(numbers.badge(6, 2), 6);
        numbers.set(counts(0, None), 0);
        assert_eq!(numbers.badge(6, 2), 2, "samples are not in the server's number");
    }

    #[test]
    fn once_missed_calls_was_sent_it_alone_counts_and_defaults_to_0() {
        let mut numbers = Numbers::default();
        numbers.set(counts(1, None), 1);
        assert_eq!(numbers.missed(2), 2);
        numbers.set(counts(1, Some(5)), 1);
        assert_eq!(numbers.missed(2), 5);
        numbers.set(counts(1, None), 1);
        assert_eq!(numbers.missed(2), 0);
        numbers.clear();
        assert_eq!((numbers.missed(2), numbers.badge(3, 0)), (0, 0));
    }

    #[test]
    fn absurd_numbers_stay_summable() {
        let absurd = bounded(counts(u64::MAX, Some(u64::MAX)));
        assert_eq!(absurd, counts(MAX_COUNT, Some(MAX_COUNT)));
        assert_eq!(bounded(counts(7, None)), counts(7, None));
    }
}
