//! The table of settings: small values of the program's own.

use rusqlite::{Connection, OptionalExtension};

/// Reads one.
pub(super) fn get(db: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT value FROM setting WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

/// Keeps one, or forgets it.
pub(super) fn set(db: &Connection, name: &str, value: Option<&str>) -> rusqlite::Result<()> {
    match value {
        Some(value) => db
            .prepare_cached("INSERT INTO setting VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value")?
            .execute([name, value]),
        None => db.prepare_cached("DELETE FROM setting WHERE name = ?1")?.execute([name]),
    }
    .map(drop)
}
