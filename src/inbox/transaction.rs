//! A write transaction, its effects for those who wait for changes, and the table of settings.

use rusqlite::{Connection, OptionalExtension, Params};

use super::{Settings, codec, seal::Seals};

/// A write transaction under way.
pub(super) struct Write<'a> {
    /// The database, inside the transaction.
    pub(super) db: &'a Connection,
    pub(super) settings: Settings,
    /// The keys of sealed texts.
    pub(super) seals: &'a Seals,
    /// Its effects so far.
    pub(super) changes: Changes,
}

impl Write<'_> {
    /// Executes a statement, which is prepared once. Returns how many rows it has changed.
    pub(super) fn execute(&self, statement: &str, parameters: impl Params) -> rusqlite::Result<usize> {
        self.db.prepare_cached(statement)?.execute(parameters)
    }
}

/// Effects of a transaction that somebody waits for.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Changes {
    /// A snapshot taken now differs from one taken before.
    pub(super) is_visible: bool,
    /// There are notices that lack details.
    pub(super) lacks_details: bool,
    /// There are notices to decrypt.
    pub(super) is_encrypted: bool,
    /// The highest number of a notice so far: the next one gets the number after it.
    pub(super) newest: i64,
}

impl Changes {
    pub(super) fn merge(&mut self, later: Self) {
        self.is_visible |= later.is_visible;
        self.lacks_details |= later.lacks_details;
        self.is_encrypted |= later.is_encrypted;
        self.newest = self.newest.max(later.newest);
    }
}

/// Reads a setting.
pub(super) fn setting(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?
        .query_row([name], |row| codec::text(row, 0))
        .optional()
        .map(Option::flatten)
}

/// Stores a setting, or removes it.
pub(super) fn set_setting(db: &Connection, name: &str, value: Option<&str>) -> rusqlite::Result<()> {
    match value {
        Some(value) => db
            .prepare_cached("INSERT INTO setting VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
            .execute([name, value]),
        None => db.prepare_cached("DELETE FROM setting WHERE name = ?1")?.execute([name]),
    }
    .map(drop)
}
