//! By what a retry is recognised: where the notices are whose event has a given hash.
//!
//! Event ids are random, so in one index over many notices each push would write a page of its own, and read it first.
//! Here the keys move through three places, in bulk: the newest are known in memory (they are in the rows of their
//! notices, and found there again after a start), then in a small table, and from there they go to the large one in the
//! order of their hashes, so that neighbours share a page. A key is in exactly one place: each move is part of a
//! transaction, and what is in memory goes with a transaction that fails.
//!
//! Whether a new push's key can be in the tables at all is known from a filter in memory. It is made by reading them when
//! there is nothing else to do; until then they are asked.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};

use super::{key_filter::KeyFilter, rows::stored, settings};

/// So many keys are in memory before they go to `recent_key` at once.
const IN_MEMORY: usize = if cfg!(all(test, debug_assertions)) { 4 } else { 1024 };

/// So many stay in `recent_key`: pages that the cache holds, and enough that those of them which go to `old_key` at once
/// share pages there.
const RECENT: usize = if cfg!(all(test, debug_assertions)) { 8 } else { 32 * 1024 };

/// So many keys are read for a filter at once: in less than a millisecond.
const SURVEYED: usize = if cfg!(all(test, debug_assertions)) { 3 } else { 4096 };

/// The setting that says up to which notice the keys are in the tables.
const KEYED_UP_TO: &str = "keyed_up_to";

/// The keys of notices: a hash and where it leads. Two notices may have the same hash.
#[derive(Debug)]
pub(super) struct Keys {
    in_memory: BTreeSet<(i64, i64)>,
    /// The newest notice whose key is in memory, or was when it last held any.
    newest: i64,
    /// How many there are in `recent_key`.
    recent: usize,
    /// Keys with a hash from here on are the next to go to `old_key`.
    next_hash: i64,
    /// Of the keys in the tables; `None`: not known.
    filter: Option<KeyFilter>,
    survey: Option<Survey>,
}

/// A filter in the making: the keys of both tables are read, some at a time. `recent_key` first, since keys move on from
/// there to `old_key`; those that come meanwhile are added at once.
#[derive(Debug)]
struct Survey {
    filter: KeyFilter,
    is_recent_read: bool,
    /// The last key that was read, of the table that is being read.
    last: (i64, i64),
}

impl Survey {
    const BEFORE_ALL: (i64, i64) = (i64::MIN, i64::MIN);

    /// One step. Whether it was the last.
    fn go_on(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let mut keys = db.prepare_cached(if self.is_recent_read {
            "SELECT hash, notice FROM old_key WHERE (hash, notice) > (?1, ?2) ORDER BY hash, notice LIMIT ?3"
        } else {
            "SELECT hash, notice FROM recent_key WHERE (hash, notice) > (?1, ?2) ORDER BY hash, notice LIMIT ?3"
        })?;
        let mut keys = keys.query((self.last.0, self.last.1, stored(SURVEYED as u64)))?;
        let mut count = 0;
        while let Some(row) = keys.next()? {
            self.last = (row.get(0)?, row.get(1)?);
            self.filter.insert(self.last.0);
            count += 1;
        }
        if count == SURVEYED {
            return Ok(false);
        }
        self.last = Self::BEFORE_ALL;
        Ok(std::mem::replace(&mut self.is_recent_read, true))
    }
}

impl Keys {
    /// Reads the keys that are in no table yet.
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let keyed_up_to: i64 = db
            .prepare_cached("SELECT CAST(value AS INTEGER) FROM setting WHERE name = ?1")?
            .query_row([KEYED_UP_TO], |row| row.get(0))
            .optional()?
            .unwrap_or(0);
        let mut keys = Self {
            in_memory: BTreeSet::new(),
            newest: keyed_up_to,
            recent: 0,
            next_hash: i64::MIN,
            filter: (keyed_up_to == 0).then(KeyFilter::default),
            survey: None,
        };
        let mut after = db.prepare_cached(
            "SELECT id, account, coalesce(event_id, push_id) FROM notice
            WHERE id > ?1 AND coalesce(event_id, push_id) IS NOT NULL",
        )?;
        let mut rows = after.query([keyed_up_to])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(2)?;
            keys.add(key_hash(row.get(1)?, &key), row.get(0)?);
        }
        keys.recent = db
            .prepare_cached("SELECT count(*) FROM recent_key")?
            .query_row([], |row| row.get(0).map(|count: i64| usize::try_from(count).unwrap_or(0)))?;
        Ok(keys)
    }

    /// The notices that have this hash.
    pub(super) fn find(&self, db: &Connection, hash: i64) -> rusqlite::Result<Vec<i64>> {
        let mut found: Vec<i64> =
            self.in_memory.range((hash, i64::MIN)..=(hash, i64::MAX)).map(|(_, id)| *id).collect();
        if self.filter.as_ref().is_some_and(|filter| !filter.may_hold(hash)) {
            return Ok(found);
        }
        let mut in_tables = db.prepare_cached(
            "SELECT notice FROM recent_key WHERE hash = ?1 UNION ALL SELECT notice FROM old_key WHERE hash = ?1",
        )?;
        let mut rows = in_tables.query([hash])?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
        Ok(found)
    }

    /// A notice came that is newer than all others.
    pub(super) fn add(&mut self, hash: i64, notice: i64) {
        self.in_memory.insert((hash, notice));
        self.newest = self.newest.max(notice);
    }

    /// A notice is forgotten.
    pub(super) fn remove(&mut self, db: &Connection, hash: i64, notice: i64) -> rusqlite::Result<()> {
        if self.in_memory.remove(&(hash, notice)) {
            return Ok(());
        }
        let recent =
            db.prepare_cached("DELETE FROM recent_key WHERE hash = ?1 AND notice = ?2")?.execute((hash, notice))?;
        self.recent = self.recent.saturating_sub(recent);
        if recent == 0 {
            db.prepare_cached("DELETE FROM old_key WHERE hash = ?1 AND notice = ?2")?.execute((hash, notice))?;
        }
        Ok(())
    }

    /// Moves keys on when they have become many. At the end of each transaction that records.
    pub(super) fn settle(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.in_memory.len() < IN_MEMORY {
            return Ok(());
        }
        let mut insert = db.prepare_cached("INSERT INTO recent_key VALUES (?1, ?2)")?;
        for key in &self.in_memory {
            insert.execute(*key)?;
            let surveyed = self.survey.as_mut().map(|survey| &mut survey.filter);
            self.filter.iter_mut().chain(surveyed).for_each(|filter| filter.insert(key.0));
        }
        settings::set(db, KEYED_UP_TO, Some(&self.newest.to_string()))?;
        self.recent += self.in_memory.len();
        self.in_memory.clear();
        // From the last hashes it goes on with the first.
        for _ in 0..2 {
            if self.recent > RECENT {
                self.settle_recent(db, self.recent - RECENT)?;
            }
        }
        Ok(())
    }

    /// Does a step of making a filter, if a better one than there is can be made and pushes come. Whether it did.
    pub(super) fn survey(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let mut survey = match self.survey.take() {
            Some(survey) => survey,
            None if self.in_memory.is_empty() || self.filter.as_ref().is_some_and(|filter| !filter.is_full()) => {
                return Ok(false);
            }
            None => {
                let keys = match &self.filter {
                    Some(filter) => filter.keys(),
                    None => usize::try_from(self.newest - oldest(db)?).unwrap_or(0),
                };
                Survey { filter: KeyFilter::for_keys(keys), is_recent_read: false, last: Survey::BEFORE_ALL }
            }
        };
        if survey.go_on(db)? {
            self.filter = Some(survey.filter);
        } else {
            self.survey = Some(survey);
        }
        Ok(true)
    }

    /// Moves about so many keys from `recent_key` to `old_key`: those with the next hashes, round and round.
    fn settle_recent(&mut self, db: &Connection, count: usize) -> rusqlite::Result<()> {
        let last: Option<i64> = db
            .prepare_cached("SELECT hash FROM recent_key WHERE hash >= ?1 ORDER BY hash LIMIT 1 OFFSET ?2")?
            .query_row((self.next_hash, stored(count as u64)), |row| row.get(0))
            .optional()?;
        let range = (self.next_hash, last.unwrap_or(i64::MAX));
        db.prepare_cached("INSERT INTO old_key SELECT hash, notice FROM recent_key WHERE hash BETWEEN ?1 AND ?2")?
            .execute(range)?;
        let moved = db.prepare_cached("DELETE FROM recent_key WHERE hash BETWEEN ?1 AND ?2")?.execute(range)?;
        self.recent = self.recent.saturating_sub(moved);
        self.next_hash = last.map_or(i64::MIN, |last| last.saturating_add(1));
        Ok(())
    }
}

/// The number of the oldest notice that is kept.
fn oldest(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(min(id), 0) FROM notice")?.query_row([], |row| row.get(0))
}

/// A small hash of a push's key; the texts decide. 32 bits of FNV-1a: the same in every version.
pub(super) fn key_hash(account: i64, key: &str) -> i64 {
    let hash = account
        .to_le_bytes()
        .iter()
        .chain(key.as_bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    // As signed: SQLite stores it in four bytes.
    i64::from(hash.cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_key_never_changes() {
        // Databases hold it: with another hash their notices would be forgotten.
        for (account, key, hash) in [(1, "", 1_048_580_676), (1, "$event", 320_680), (2, "$event", -2_084_671_053)] {
            assert_eq!(key_hash(account, key), hash);
        }
    }

    fn places(db: &Connection, keys: &Keys) -> (usize, usize, usize) {
        let count = |table: &str| {
            let count: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            usize::try_from(count).unwrap()
        };
        assert_eq!(count("recent_key"), keys.recent);
        (keys.in_memory.len(), count("recent_key"), count("old_key"))
    }

    #[test]
    fn every_key_is_found_in_one_place_however_often_keys_move_and_the_database_is_opened() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("migrations/0001.sql")).unwrap();
        let mut keys = Keys::load(&db).unwrap();
        let all = i64::try_from(16 * RECENT + 2).unwrap();
        let hash = |notice: i64| key_hash(1, &format!("${}", notice % (all - 3)));
        for notice in 1..=all {
            db.execute(
                "INSERT INTO notice (id, account, room, kind, presentation, read, highlight, user_is_target, low_prio,
                    received_at, event_id) VALUES (?1, 1, 1, 0, 0, 0, 0, 0, 0, 0, ?2)",
                (notice, format!("${}", notice % (all - 3))),
            )
            .unwrap();
            keys.add(hash(notice), notice);
            keys.settle(&db).unwrap();
            if notice % 7 == 0 && (notice / 20) % 2 == 0 {
                keys = Keys::load(&db).unwrap();
            }
            if notice % 3 > 0 {
                keys.survey(&db).unwrap();
            }
            assert!((1..notice).all(|earlier| keys.find(&db, hash(earlier)).unwrap().contains(&earlier)));
            let (memory, recent, old) = places(&db, &keys);
            assert_eq!(memory + recent + old, usize::try_from(notice).unwrap());
            assert!(memory < IN_MEMORY && recent <= RECENT + IN_MEMORY, "{memory} {recent}");
        }
        while keys.survey(&db).unwrap() {}
        let filter = keys.filter.as_ref().unwrap();
        let mistakes = (0..1_000).filter(|absent| filter.may_hold(key_hash(9, &format!("${absent}")))).count();
        assert!(mistakes < 300, "what is new is mostly known to be: {mistakes}");
        for notice in 1..=all {
            let same: Vec<i64> = (1..=all).filter(|other| hash(*other) == hash(notice)).collect();
            let mut found = keys.find(&db, hash(notice)).unwrap();
            found.sort_unstable();
            assert_eq!(found, same);
        }
        for notice in 1..=all {
            keys.remove(&db, hash(notice), notice).unwrap();
            assert!(!keys.find(&db, hash(notice)).unwrap().contains(&notice));
        }
        assert_eq!(places(&db, &keys), (0, 0, 0));
    }
}
