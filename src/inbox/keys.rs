//! By what a retry is recognised: where the notices are whose event has a given hash.
//!
//! Event ids are random, so with an index over many notices each push would read a page of its own, and write it. Here
//! keys wait in memory until they are many, and then go to the table in the order of their hashes: many keys share a row
//! of it, and rows a page. What waits is not lost with the program: the newest keys are in the rows of their notices,
//! and from there they go to a log, many to a row. Each move is part of a transaction, and what is in memory goes with a
//! transaction that fails.
//!
//! Whether a new push's key can be in the table at all is known from a filter in memory. It is made by reading the table
//! when there is nothing else to do; until then it is asked.

use std::{
    collections::BTreeSet,
    ops::{Range, RangeInclusive},
};

use rusqlite::{Connection, OptionalExtension};

use super::{key_filter::KeyFilter, settings};

/// So many keys are only in the rows of their notices, which a start has to read, before they go to the log at once.
const UNLOGGED: usize = if cfg!(all(test, debug_assertions)) { 4 } else { 1024 };

/// So many wait before they go to the table: enough for several to share a row, few enough to read at a start.
const WAITING: usize = if cfg!(all(test, debug_assertions)) { 16 } else { 32 * 1024 };

/// Rows of the table.
const BUCKETS: u32 = 1 << BUCKET_BITS;
const BUCKET_BITS: u32 = 13;

/// Rows that keys go to at once: all have had theirs by the time that as many keys wait again.
#[expect(clippy::cast_possible_truncation, reason = "there are fewer steps than rows")]
const MERGED: u32 = BUCKETS / (WAITING / UNLOGGED) as u32;

/// So many rows are read for a filter at once: in less than a millisecond.
const SURVEYED: u32 = if cfg!(all(test, debug_assertions)) { 3 } else { 32 };

/// The setting that says up to which notice keys are in the log or the table.
const KEYED_UP_TO: &str = "keyed_up_to";

/// The setting that says which keys are on their way to the table: up to which notice, and the next row.
const MERGE: &str = "keys_merge";

/// A hash, and the notice that it leads to. Two notices may have the same hash.
type Key = (u32, i64);

/// The keys of notices.
#[derive(Debug)]
pub(super) struct Keys {
    /// Those that are not in the table.
    waiting: BTreeSet<Key>,
    /// Those that are not in the log either.
    unlogged: Vec<Key>,
    /// The newest notice that had a key.
    newest: i64,
    merge: Option<Merge>,
    /// Of the keys in the table; `None`: not known.
    filter: Option<KeyFilter>,
    survey: Option<Survey>,
}

/// Keys on their way to the table.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// Those of notices up to this one.
    up_to: i64,
    /// The rows before this one have theirs.
    next: u32,
}

impl Merge {
    fn load(db: &Connection) -> rusqlite::Result<Option<Self>> {
        let setting = settings::get(db, MERGE)?;
        Ok(setting.and_then(|setting| {
            let (up_to, next) = setting.split_once(' ')?;
            Some(Self { up_to: up_to.parse().ok()?, next: next.parse().ok()? })
        }))
    }

    fn save(merge: Option<Self>, db: &Connection) -> rusqlite::Result<()> {
        settings::set(db, MERGE, merge.map(|Self { up_to, next }| format!("{up_to} {next}")).as_deref())
    }

    fn has(self, (hash, notice): Key) -> bool {
        notice <= self.up_to && bucket(hash) < self.next
    }
}

/// A filter in the making: the table is read, some rows at a time. Keys that come to it meanwhile are added at once.
#[derive(Debug)]
struct Survey {
    filter: KeyFilter,
    next: u32,
}

impl Survey {
    /// One step. Whether it was the last.
    fn go_on(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let mut rows = db.prepare_cached("SELECT bucket, keys FROM key_bucket WHERE bucket >= ?1 AND bucket < ?2")?;
        let mut rows = rows.query((self.next, self.next + SURVEYED))?;
        while let Some(row) = rows.next()? {
            let bucket = row.get(0)?;
            for key in row.get_ref(1)?.as_blob()?.as_chunks().0 {
                self.filter.insert(unpacked(bucket, u64::from_le_bytes(*key)).0);
            }
        }
        self.next += SURVEYED;
        Ok(self.next >= BUCKETS)
    }
}

impl Keys {
    /// Reads the keys that are not in the table.
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let keyed_up_to = settings::get(db, KEYED_UP_TO)?.and_then(|setting| setting.parse().ok()).unwrap_or(0);
        let (merge, oldest) = (Merge::load(db)?, oldest(db)?);
        let mut logged = Vec::new();
        let mut log = db.prepare("SELECT keys FROM key_log")?;
        let mut log = log.query([])?;
        while let Some(row) = log.next()? {
            let keys = row.get_ref(0)?.as_blob()?.as_chunks().0.iter().map(from_log);
            logged.extend(keys.filter(|key| key.1 >= oldest && !merge.is_some_and(|merge| merge.has(*key))));
        }
        let has_table: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM key_bucket)", [], |row| row.get(0))?;
        let mut keys = Self {
            waiting: logged.into_iter().collect(),
            unlogged: Vec::new(),
            newest: keyed_up_to,
            merge,
            filter: (!has_table).then(KeyFilter::default),
            survey: None,
        };
        let mut after = db.prepare(
            "SELECT id, account, coalesce(event_id, push_id) FROM notice
            WHERE id > ?1 AND coalesce(event_id, push_id) IS NOT NULL",
        )?;
        let mut rows = after.query([keyed_up_to])?;
        while let Some(row) = rows.next()? {
            keys.add(key_hash(row.get(1)?, row.get_ref(2)?.as_str()?), row.get(0)?);
        }
        Ok(keys)
    }

    /// The notices that have this hash, and maybe some that are forgotten.
    pub(super) fn find(&self, db: &Connection, hash: u32) -> rusqlite::Result<Vec<i64>> {
        let waiting = self.waiting.range((hash, i64::MIN)..=(hash, i64::MAX));
        let mut found: Vec<i64> = waiting.map(|(_, notice)| *notice).collect();
        if self.filter.as_ref().is_none_or(|filter| filter.may_hold(hash)) {
            let in_table = in_bucket(db, bucket(hash))?.into_iter().filter(|key| key.0 == hash);
            found.extend(in_table.map(|(_, notice)| notice));
        }
        Ok(found)
    }

    /// A notice came that is newer than all others.
    pub(super) fn add(&mut self, hash: u32, notice: i64) {
        self.waiting.insert((hash, notice));
        self.unlogged.push((hash, notice));
        self.newest = self.newest.max(notice);
    }

    /// A notice is forgotten.
    pub(super) fn remove(&mut self, db: &Connection, hash: u32, notice: i64) -> rusqlite::Result<()> {
        let key = (hash, notice);
        if !self.waiting.remove(&key) {
            let mut keys = in_bucket(db, bucket(hash))?;
            keys.retain(|other| *other != key);
            return write_bucket(db, bucket(hash), &keys);
        }
        if self.unlogged.first().is_some_and(|first| first.1 <= notice) {
            self.unlogged.retain(|other| *other != key);
        }
        if self.waiting.is_empty() {
            // Elsewhere in the log a key that leads nowhere does no harm.
            db.prepare_cached("DELETE FROM key_log")?.execute([])?;
        }
        Ok(())
    }

    /// Moves keys on when they have become many. At the end of each transaction that records.
    pub(super) fn settle(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if self.unlogged.len() < UNLOGGED {
            return Ok(());
        }
        // Sorted ones are put together faster at the next start.
        self.unlogged.sort_unstable();
        let log: Vec<u8> = self.unlogged.drain(..).flat_map(to_log).collect();
        db.prepare_cached("INSERT INTO key_log VALUES (?1, ?2)")?.execute((self.newest, log))?;
        settings::set(db, KEYED_UP_TO, Some(&self.newest.to_string()))?;
        if self.merge.is_none() && self.waiting.len() >= WAITING {
            self.merge = Some(Merge { up_to: self.newest, next: 0 });
        }
        if let Some(merge) = self.merge {
            self.merge = self.go_on_merging(db, merge)?;
            Merge::save(self.merge, db)?;
        }
        Ok(())
    }

    /// Gives some rows of the table their keys. What is left to do then.
    fn go_on_merging(&mut self, db: &Connection, merge: Merge) -> rusqlite::Result<Option<Merge>> {
        let rows = merge.next..BUCKETS.min(merge.next + MERGED);
        let oldest = oldest(db)?;
        let (first, last) = hashes(&rows).into_inner();
        let ready = self.waiting.range((first, i64::MIN)..=(last, i64::MAX)).filter(|key| key.1 <= merge.up_to);
        let ready: Vec<Key> = ready.copied().collect();
        for new in ready.chunk_by(|one, next| bucket(one.0) == bucket(next.0)) {
            let Some(bucket) = new.first().map(|key| bucket(key.0)) else { continue };
            let mut keys = in_bucket(db, bucket)?;
            keys.extend(new);
            keys.retain(|key| key.1 >= oldest);
            write_bucket(db, bucket, &keys)?;
            for (hash, _) in new {
                let surveyed = self.survey.as_mut().map(|survey| &mut survey.filter);
                self.filter.iter_mut().chain(surveyed).for_each(|filter| filter.insert(*hash));
            }
        }
        for key in ready {
            self.waiting.remove(&key);
        }
        if rows.end < BUCKETS {
            return Ok(Some(Merge { next: rows.end, ..merge }));
        }
        db.prepare_cached("DELETE FROM key_log WHERE up_to <= ?1")?.execute([merge.up_to])?;
        Ok(None)
    }

    /// Does a step of making a filter, if a better one than there is can be made and pushes come. Whether it did.
    pub(super) fn survey(&mut self, db: &Connection) -> rusqlite::Result<bool> {
        let mut survey = match self.survey.take() {
            Some(survey) => survey,
            None if self.unlogged.is_empty() || self.filter.as_ref().is_some_and(|filter| !filter.is_full()) => {
                return Ok(false);
            }
            None => {
                let keys = match &self.filter {
                    Some(filter) => filter.keys(),
                    None => usize::try_from(self.newest - oldest(db)?).unwrap_or(0),
                };
                Survey { filter: KeyFilter::for_keys(keys), next: 0 }
            }
        };
        if survey.go_on(db)? {
            self.filter = Some(survey.filter);
        } else {
            self.survey = Some(survey);
        }
        Ok(true)
    }
}

/// Brings the keys from the tables of version 1 to that of version 2.
pub(super) fn bring_over(db: &Connection) -> rusqlite::Result<()> {
    let mut keys =
        db.prepare("SELECT hash, notice FROM recent_key UNION ALL SELECT hash, notice FROM old_key ORDER BY hash")?;
    let mut keys = keys.query([])?;
    let mut of_bucket: Vec<Key> = Vec::new();
    while let Some(row) = keys.next()? {
        let key: Key = (row.get::<_, i32>(0)?.cast_unsigned(), row.get(1)?);
        if let Some(bucket) = of_bucket.first().map(|first| bucket(first.0)).filter(|last| *last != bucket(key.0)) {
            write_bucket(db, bucket, &of_bucket)?;
            of_bucket.clear();
        }
        of_bucket.push(key);
    }
    if let Some(first) = of_bucket.first() {
        write_bucket(db, bucket(first.0), &of_bucket)?;
    }
    db.execute_batch("DROP TABLE recent_key; DROP TABLE old_key")
}

/// The number of the oldest notice that is kept.
fn oldest(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(min(id), 0) FROM notice")?.query_row([], |row| row.get(0))
}

/// The keys in a row of the table.
fn in_bucket(db: &Connection, bucket: u32) -> rusqlite::Result<Vec<Key>> {
    let keys = db.prepare_cached("SELECT keys FROM key_bucket WHERE bucket = ?1")?.query_row([bucket], |row| {
        let keys = row.get_ref(0)?.as_blob()?.as_chunks().0.iter();
        Ok(keys.map(|key| unpacked(bucket, u64::from_le_bytes(*key))).collect())
    });
    Ok(keys.optional()?.unwrap_or_default())
}

fn write_bucket(db: &Connection, bucket: u32, keys: &[Key]) -> rusqlite::Result<()> {
    if keys.is_empty() {
        db.prepare_cached("DELETE FROM key_bucket WHERE bucket = ?1")?.execute([bucket])?;
        return Ok(());
    }
    let keys: Vec<u8> = keys.iter().flat_map(|key| packed(*key).to_le_bytes()).collect();
    db.prepare_cached("INSERT INTO key_bucket VALUES (?1, ?2) ON CONFLICT DO UPDATE SET keys = excluded.keys")?
        .execute((bucket, keys))?;
    Ok(())
}

/// The row of the table that keys with this hash go to.
fn bucket(hash: u32) -> u32 {
    hash >> (u32::BITS - BUCKET_BITS)
}

/// The hashes of these rows.
fn hashes(buckets: &Range<u32>) -> RangeInclusive<u32> {
    let shift = u32::BITS - BUCKET_BITS;
    buckets.start << shift..=(buckets.end - 1) << shift | (u32::MAX >> BUCKET_BITS)
}

/// Bits of a notice's number in the table: more than there will ever be.
const NOTICE_BITS: u32 = u64::BITS - (u32::BITS - BUCKET_BITS);

fn packed((hash, notice): Key) -> u64 {
    u64::from(hash) << NOTICE_BITS | (notice.cast_unsigned() & (u64::MAX >> (u64::BITS - NOTICE_BITS)))
}

fn unpacked(bucket: u32, key: u64) -> Key {
    let notice = key & (u64::MAX >> (u64::BITS - NOTICE_BITS));
    let rest = (key >> NOTICE_BITS) as u32;
    (bucket << (u32::BITS - BUCKET_BITS) | rest, notice.cast_signed())
}

fn to_log((hash, notice): Key) -> [u8; 12] {
    let mut key = [0; 12];
    let (of_hash, of_notice) = key.split_at_mut(4);
    of_hash.copy_from_slice(&hash.to_le_bytes());
    of_notice.copy_from_slice(&notice.to_le_bytes());
    key
}

fn from_log(key: &[u8; 12]) -> Key {
    let [a, b, c, d, notice @ ..] = *key;
    (u32::from_le_bytes([a, b, c, d]), i64::from_le_bytes(notice))
}

/// A small hash of a push's key; the texts decide. 32 bits of FNV-1a: the same in every version.
pub(super) fn key_hash(account: i64, key: &str) -> u32 {
    account
        .to_le_bytes()
        .iter()
        .chain(key.as_bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_key_never_changes() {
        // Databases hold it: with another hash their notices would be forgotten.
        for (account, key, hash) in [(1, "", 1_048_580_676), (1, "$event", 320_680), (2, "$event", 2_210_296_243)] {
            assert_eq!(key_hash(account, key), hash);
        }
    }

    #[test]
    fn a_key_is_the_same_when_it_comes_back_from_the_log_and_the_table() {
        for hash in [0, 1, 0x0007_ffff, 0x0008_0000, 0x1234_5678, u32::MAX] {
            for notice in [0, 1, 1_000_000, (1 << NOTICE_BITS) - 1] {
                let key = (hash, notice);
                assert_eq!(from_log(&to_log(key)), key);
                assert_eq!(unpacked(bucket(hash), packed(key)), key);
            }
        }
    }

    #[test]
    fn every_hash_belongs_to_one_row() {
        assert_eq!(hashes(&(0..BUCKETS)), 0..=u32::MAX);
        assert_eq!(hashes(&(1..3)), 0x0008_0000..=0x0017_ffff);
        for row in [0, 1, 4095, 4096, BUCKETS - 1] {
            let of_row = hashes(&(row..row + 1));
            assert_eq!((bucket(*of_row.start()), bucket(*of_row.end())), (row, row));
        }
    }

    fn in_version_1() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("migrations/0001.sql")).unwrap();
        db
    }

    fn in_version_2(db: &Connection) {
        db.execute_batch(include_str!("migrations/0002.sql")).unwrap();
        bring_over(db).unwrap();
    }

    fn hash(notice: i64) -> u32 {
        key_hash(1, &event(notice))
    }

    /// Now and then a notice has the key of an earlier one.
    fn event(notice: i64) -> String {
        format!("${}", notice % 127)
    }

    fn insert(db: &Connection, notice: i64) {
        db.execute(
            "INSERT INTO notice (id, account, room, kind, presentation, read, highlight, user_is_target, low_prio,
                received_at, event_id) VALUES (?1, 1, 1, 0, 0, 0, 0, 0, 0, 0, ?2)",
            (notice, event(notice)),
        )
        .unwrap();
    }

    fn in_table(db: &Connection) -> usize {
        (0..BUCKETS).map(|row| in_bucket(db, row).unwrap().len()).sum()
    }

    #[test]
    fn every_key_is_found_in_one_place_however_often_keys_move_and_the_database_is_opened() {
        let db = in_version_1();
        in_version_2(&db);
        let mut keys = Keys::load(&db).unwrap();
        let all = 130;
        for notice in 1..=all {
            insert(&db, notice);
            keys.add(hash(notice), notice);
            keys.settle(&db).unwrap();
            if notice % 7 == 0 && (notice / 20) % 2 == 0 {
                keys = Keys::load(&db).unwrap();
            }
            if notice % 3 > 0 {
                keys.survey(&db).unwrap();
            }
            assert!((1..notice).all(|earlier| keys.find(&db, hash(earlier)).unwrap().contains(&earlier)));
            assert_eq!(keys.waiting.len() + in_table(&db), usize::try_from(notice).unwrap());
            assert!(keys.unlogged.len() < UNLOGGED && keys.waiting.len() < 2 * WAITING + UNLOGGED);
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
        assert_eq!((keys.waiting.len(), keys.unlogged.len(), in_table(&db)), (0, 0, 0));
        let rows: i64 = db
            .query_row("SELECT (SELECT count(*) FROM key_log) + count(*) FROM key_bucket", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }

    #[test]
    fn what_waits_is_the_same_after_a_start_at_any_moment() {
        let db = in_version_1();
        in_version_2(&db);
        let mut keys = Keys::load(&db).unwrap();
        let ends: Vec<u32> =
            (0..BUCKETS).step_by(MERGED as usize).flat_map(|row| [row, row + 1, row + MERGED - 1]).collect();
        let logged = |keys: &Keys| {
            let mut waiting = keys.waiting.clone();
            keys.unlogged.iter().for_each(|key| assert!(waiting.remove(key)));
            waiting
        };
        for notice in 1..=200 {
            insert(&db, notice);
            let row = ends[usize::try_from(notice * 7).unwrap() % ends.len()];
            keys.add(*hashes(&(row..row + 1)).end(), notice);
            keys.settle(&db).unwrap();
            let after_a_start = Keys::load(&db).unwrap();
            assert_eq!(logged(&after_a_start), logged(&keys), "at notice {notice}");
            assert_eq!(after_a_start.unlogged.len(), keys.unlogged.len());
        }
        assert!(in_table(&db) > 100);
    }

    #[test]
    fn a_key_that_leads_nowhere_goes_in_time() {
        let db = in_version_1();
        in_version_2(&db);
        let mut keys = Keys::load(&db).unwrap();
        let gone = 42;
        for notice in 1..=100 {
            insert(&db, notice);
            // All in one row, so that it is written again and again.
            keys.add(u32::try_from(notice).unwrap(), notice);
            keys.settle(&db).unwrap();
            if notice == 44 {
                // Some are in the table, some in the log.
                assert!(in_table(&db) > 0 && keys.waiting.iter().any(|key| key.1 <= gone));
                db.execute("DELETE FROM notice WHERE id <= ?1", [gone]).unwrap();
                assert!(Keys::load(&db).unwrap().waiting.iter().all(|key| key.1 > gone));
            }
        }
        assert!(in_bucket(&db, 0).unwrap().iter().chain(&keys.waiting).all(|key| key.1 > gone));
        assert_eq!(keys.waiting.len() + in_table(&db), 58);
    }

    #[test]
    fn the_keys_of_version_1_are_brought_over() {
        let db = in_version_1();
        let (old, recent, newest) = (400, 450, 453);
        for notice in 1..=newest {
            insert(&db, notice);
            let table = if notice <= old { "old_key" } else { "recent_key" };
            if notice <= recent {
                db.execute(&format!("INSERT INTO {table} VALUES (?1, ?2)"), (hash(notice).cast_signed(), notice))
                    .unwrap();
            }
        }
        settings::set(&db, KEYED_UP_TO, Some(&recent.to_string())).unwrap();
        in_version_2(&db);
        let keys = Keys::load(&db).unwrap();
        assert_eq!((keys.unlogged.len(), in_table(&db)), (3, 450));
        assert!((1..=newest).all(|notice| keys.find(&db, hash(notice)).unwrap().contains(&notice)));
    }
}
