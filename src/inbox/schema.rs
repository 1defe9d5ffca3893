//! Opening the database: private to the user, the pragmas, the numbered migrations.

use std::{io, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig, ffi};

use super::{InboxError, damage, keys, settings};
use crate::platform::files;

/// The migrations in order; the version of a database is how many of them it has had. Never edited once released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql"), include_str!("migrations/0002.sql")];

/// How long to wait for another process that writes, before a request fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Statements kept prepared: all that the inbox has.
const CACHED_STATEMENTS: usize = 80;

/// The setting that says which number was the highest when notices were last forgotten.
const NEWEST: &str = "newest";

/// WAL: readers (`pushbell history`) and the writer do not wait for each other. FULL: a commit is on disk when it
/// returns. The caches are small because the whole program is; what it works on is the end of a few B-trees.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 2000;
    PRAGMA journal_size_limit = 8388608;
    PRAGMA cache_size = -1024;
    PRAGMA mmap_size = 0;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
";

/// Only possible before the first table: pages that are free go back to the system when pruning says so.
const PRAGMAS_OF_A_NEW_DATABASE: &str = "PRAGMA auto_vacuum = INCREMENTAL";

/// Opens the database, makes it if it is missing, and brings it to the newest version. The notices of a new one are
/// numbered from after `newest` on.
pub(super) fn open(path: &Path, newest: i64) -> Result<Connection, InboxError> {
    create(path).map_err(|error| unusable(path, &error))?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    if version(path, &connection)? < MIGRATIONS.len() {
        migrate(&mut connection, newest).map_err(|error| failed(path, &error))?;
    }
    connection.execute_batch(PRAGMAS).map_err(|error| failed(path, &error))?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    // Else SQLite plans a statement anew whenever other values are bound that a partial index might care for.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(|error| failed(path, &error))?;
    Ok(connection)
}

/// Opens the database to read it, beside a program that writes it or without one. `None`: there is none yet.
pub(super) fn open_to_read(path: &Path) -> Result<Option<Connection>, InboxError> {
    if !path.try_exists().map_err(|error| unusable(path, &error))? {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok((version(path, &connection)? > 0).then_some(connection))
}

/// What cannot be done with the database, and why.
pub(super) fn unusable(path: &Path, reason: &impl ToString) -> InboxError {
    InboxError::Unusable { path: path.display().to_string(), reason: reason.to_string() }
}

/// The same for what SQLite says: the file itself may be to blame.
pub(super) fn failed(path: &Path, error: &rusqlite::Error) -> InboxError {
    if damage::is_damage(error) {
        InboxError::Damaged { path: path.display().to_string(), reason: error.to_string() }
    } else if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        unusable(path, &format!("{error}: the disk is full or failing"))
    } else {
        unusable(path, error)
    }
}

/// Brings all that the log holds into the database, synced, or fails.
///
/// A commit whose sync failed, or that a kill kept from being synced, is in the log nevertheless, and counts when the
/// database is opened again. A retry of its push has nothing to write then, and so nothing to sync: it would be answered
/// though it may not be on disk.
pub(super) fn settle(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))?;
    if is_busy { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)) } else { Ok(()) }
}

/// The highest number that a notice has ever had: that of the newest, unless it was forgotten.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row(
        "SELECT max(coalesce((SELECT max(id) FROM notice), 0),
            coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = ?1), 0))",
        [NEWEST],
        |row| row.get(0),
    )
}

/// Keeps the highest number that a notice has ever had: to be called with each that forgets notices.
pub(super) fn remember_newest(connection: &Connection, newest: i64) -> rusqlite::Result<()> {
    settings::set(connection, NEWEST, Some(&newest.to_string()))
}

/// Makes the file before SQLite does, which would let others read it. What SQLite puts beside it has its permissions.
///
/// A file that is there is not opened: closing it again would drop this process's locks on it (POSIX).
fn create(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        files::create_private_directory(directory)?;
    }
    files::open_private(path).map(drop)
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, InboxError> {
    Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
        .map_err(|error| failed(path, &error))
}

/// How many migrations the database has had.
fn version(path: &Path, connection: &Connection) -> Result<usize, InboxError> {
    let found: i64 = user_version(connection).map_err(|error| failed(path, &error))?;
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        Ok(_) | Err(_) => Err(InboxError::TooNew {
            path: path.display().to_string(),
            found,
            known: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
        }),
    }
}

fn migrate(connection: &mut Connection, newest: i64) -> rusqlite::Result<()> {
    if user_version(connection)? == 0 {
        connection.execute_batch(PRAGMAS_OF_A_NEW_DATABASE)?;
    }
    for (version, migration) in (1_i64..).zip(MIGRATIONS) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if user_version(&transaction)? < version {
            transaction.execute_batch(migration)?;
            match version {
                1 if newest > 0 => remember_newest(&transaction, newest)?,
                2 => keys::bring_over(&transaction)?,
                _ => {}
            }
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_database_remembers_where_its_numbers_begin() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pushbell.db");
        let begin = |from| newest(&open(&path, from).unwrap()).unwrap();
        assert_eq!(begin(41), 41);
        assert_eq!(begin(0), 41);
        assert_eq!(begin(99), 41, "it is no new one any more");
    }

    #[test]
    fn a_statement_keeps_its_plan_whatever_values_are_bound() {
        let directory = tempfile::tempdir().unwrap();
        let db = open(&directory.path().join("pushbell.db"), 0).unwrap();
        // As a retry is looked for: SQLite thinks of `room_waiting` for the room.
        let mut statement = db
            .prepare(
                "SELECT 1 FROM notice n CROSS JOIN room r ON r.id = n.room
                WHERE n.id = ? AND n.account = ? AND coalesce(n.event_id, n.push_id) = ?",
            )
            .unwrap();
        for event_id in ["$1", "$2", "$3"] {
            assert!(!statement.exists((1, i64::MAX, event_id)).unwrap());
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }
}
