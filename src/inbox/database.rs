//! The database's files: opening, creating, checking that they are an inbox, setting aside, detecting changes that are
//! not ours.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    str::Utf8Error,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use rusqlite::{
    Connection, Error, ErrorCode, OpenFlags, TransactionBehavior, config::DbConfig, ffi, types::FromSqlError,
};

use super::{InboxError, codec, seal::Seals};
use crate::platform::files;

/// The migrations in order. Never edited once released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version of a database after the first migration. Versions 1 and 2 were schemas from before the first release.
const FIRST_VERSION: i64 = 3;

/// The version of a database after all migrations.
const VERSION: i64 = 3;

/// How long to wait for another process that writes, before a request fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// Size of the statement cache: all statements of the inbox.
const CACHED_STATEMENTS: usize = 96;

/// No notice has a higher number unless the file is damaged: SQLite has none left after 2^63.
const MAX_NOTICE: i64 = 1 << 53;

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

/// Must precede the first table. Free pages are returned when pruning asks for it.
const PRAGMAS_OF_A_NEW_DATABASE: &str = "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL;";

/// Opens the database; makes it if it is missing.
pub(super) fn open(path: &Path, seals: &Seals) -> Result<Connection, InboxError> {
    if !path.try_exists().map_err(|error| unusable(path, &error))? {
        create(path)?;
    }
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    check_version(path, &connection)?;
    let set_up = |connection: &mut Connection| {
        migrate(connection)?;
        connection.execute_batch(PRAGMAS)?;
        seals.attach(connection)?;
        connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
        // Without this SQLite plans a statement again when bound values could affect the use of a partial index.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        keep_log_on_close(connection, true)
    };
    set_up(&mut connection).map_err(|error| failed(path, &error))?;
    Ok(connection)
}

/// Opens the database to read it, beside a program that writes it or without one. `None`: there is none yet.
pub(super) fn open_to_read(path: &Path, seals: &Seals) -> Result<Option<Connection>, InboxError> {
    if !path.try_exists().map_err(|error| unusable(path, &error))? {
        return Ok(None);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_version(path, &connection)?;
    seals.attach(&connection).map_err(|error| failed(path, &error))?;
    Ok(Some(connection))
}

/// Whether closing leaves the log where it is. Otherwise SQLite writes it into the file that was opened and deletes the
/// one that has the log's name, which may be another by then.
pub(super) fn keep_log_on_close(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep).map(drop)
}

/// Makes a database, whole or not at all, so that an empty file is never one of ours. The draft is private, and SQLite
/// gives the files beside the database the same permissions.
fn create(path: &Path) -> Result<(), InboxError> {
    let draft = with_suffix(path, ".new");
    let prepare = || -> io::Result<()> {
        if let Some(directory) = path.parent() {
            files::create_private_directory(directory)?;
        }
        for left in [&draft, &with_suffix(&draft, "-journal")] {
            remove_if_there(left)?;
        }
        rename_log(path)?;
        files::open_private(&draft).map(drop)
    };
    prepare().map_err(|error| unusable(path, &error))?;
    let fill = || {
        let mut connection = Connection::open_with_flags(&draft, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch(PRAGMAS_OF_A_NEW_DATABASE)?;
        migrate(&mut connection)?;
        connection.close().map_err(|(_, error)| error)
    };
    fill().map_err(|error| failed(path, &error))?;
    fs::rename(&draft, path).map_err(|error| unusable(path, &error))
}

/// Renames the log of another database, which SQLite would take for that of this one. Nothing has it open.
pub(super) fn set_log_aside(path: &Path) -> Result<(), InboxError> {
    rename_log(path).map_err(|error| unusable(path, &error))
}

fn rename_log(path: &Path) -> io::Result<()> {
    let log = with_suffix(path, "-wal");
    if log.try_exists()? {
        fs::rename(&log, with_suffix(&free_name(path, Timestamp::now())?, "-wal"))?;
    }
    remove_if_there(&with_suffix(path, "-shm"))
}

/// Checks every page and index.
pub(super) fn verify(path: &Path, connection: &Connection) -> Result<(), InboxError> {
    let verdict = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| codec::text(row, 0))
        .map_err(|error| failed(path, &error))?
        .unwrap_or_default();
    if verdict == "ok" { Ok(()) } else { Err(damaged(path, &format!("is damaged: {verdict}"))) }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, InboxError> {
    Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .and_then(|connection| connection.busy_timeout(BUSY_TIMEOUT).map(|()| connection))
        .map_err(|error| failed(path, &error))
}

/// Whether it is a database of this version, or of an earlier one that can be migrated.
fn check_version(path: &Path, connection: &Connection) -> Result<(), InboxError> {
    let is_empty = fs::metadata(path).map_err(|error| unusable(path, &error))?.len() == 0;
    let found = if is_empty { 0 } else { user_version(connection).map_err(|error| failed(path, &error))? };
    match found {
        FIRST_VERSION..=VERSION => Ok(()),
        _ if is_empty => Err(damaged(path, "is empty")),
        1 | 2 => Err(damaged(path, "was written by a version from before the first release")),
        i64::MIN..=0 => Err(damaged(path, "is no inbox of Pushbell")),
        _ => Err(InboxError::TooNew { path: path.display().to_string(), found, known: VERSION }),
    }
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    for (version, migration) in (FIRST_VERSION..=VERSION).zip(MIGRATIONS) {
        if user_version(connection)? < version {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

fn user_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// The highest number that a notice has ever had.
pub(super) fn newest(path: &Path, connection: &Connection) -> Result<i64, InboxError> {
    let newest = connection
        .query_row("SELECT coalesce(max(id), 0) FROM notice", [], |row| codec::number(row, 0))
        .map_err(|error| failed(path, &error))?;
    if newest > MAX_NOTICE { Err(damaged(path, "is damaged: its numbers have run out")) } else { Ok(newest) }
}

/// Checkpoints the WAL into the database, synced.
///
/// A commit whose sync failed, or that a kill kept from being synced, is in the log nevertheless, and counts when the
/// database is opened again. A retry of its push has nothing to write then, and so nothing to sync: it would be
/// answered though it may not be on disk.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |row| row.get(0))?;
    if is_busy { Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None)) } else { Ok(()) }
}

/// Error of an operation on the database, with its reason.
pub(super) fn unusable(path: &Path, reason: &impl ToString) -> InboxError {
    InboxError::Unusable { path: path.display().to_string(), reason: reason.to_string() }
}

fn damaged(path: &Path, reason: &str) -> InboxError {
    InboxError::Damaged { path: path.display().to_string(), reason: reason.to_owned() }
}

/// Error of SQLite, which may mean that the file is corrupt.
pub(super) fn failed(path: &Path, error: &Error) -> InboxError {
    if is_corruption(error) {
        damaged(path, &format!("is damaged: {error}"))
    } else if error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure) {
        unusable(path, &format!("{error}: the disk is full or failing"))
    } else {
        unusable(path, error)
    }
}

/// Whether the error comes from the content of the file, not from the disk or a lock: on an undamaged database every
/// value can be read, every statement is valid (code `Unknown` otherwise), and no constraint is violated.
fn is_corruption(error: &Error) -> bool {
    if let Error::FromSqlConversionFailure(_, _, cause) = error {
        return cause.is::<Utf8Error>() || matches!(cause.downcast_ref(), Some(FromSqlError::InvalidType));
    }
    let violates = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_ROWID, ffi::SQLITE_CONSTRAINT_UNIQUE];
    error.sqlite_error().is_some_and(|error| violates.contains(&error.extended_code))
        || matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
        )
        || matches!(error, Error::SqlInputError { .. } | Error::InvalidColumnType(..) | Error::Utf8Error(..))
}

/// Renames the database and its log, which go on belonging together; what they are called then. Nothing has it open.
///
/// The log goes first: beside a new database, it would be taken for the new one's.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let kept = free_name(path, now)?;
    let log = with_suffix(path, "-wal");
    if log.try_exists()? {
        fs::rename(&log, with_suffix(&kept, "-wal"))?;
    }
    fs::rename(path, &kept)?;
    remove_if_there(&with_suffix(path, "-shm")).map(|()| kept)
}

fn free_name(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let kept = with_suffix(path, &now.strftime(".damaged-%Y%m%dT%H%M%SZ").to_string());
    if kept.try_exists()? || with_suffix(&kept, "-wal").try_exists()? {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} was kept just now", kept.display())));
    }
    Ok(kept)
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Identity and size of the database and its log. Only this program writes them: if they differ from what the last
/// commit has left, another program has removed, replaced, moved or truncated them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    database: Option<FileState>,
    log: Option<FileState>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileState {
    /// Which file it is, whatever its name.
    identity: (u64, u64),
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Files {
    /// Reads the current state.
    pub(super) fn look(path: &Path) -> io::Result<Self> {
        Ok(Self { database: FileState::look(path)?, log: FileState::look(&with_suffix(path, "-wal"))? })
    }

    /// Whether the database is missing.
    pub(super) fn is_gone(&self) -> bool {
        self.database.is_none()
    }

    /// Whether the database was replaced while the log still belongs to the previous one.
    pub(super) fn has_log_of_another(&self, before: &Self) -> bool {
        self.log.is_some()
            && identity(self.log.as_ref()) == identity(before.log.as_ref())
            && identity(self.database.as_ref()) != identity(before.database.as_ref())
    }

    /// Whether they are the same files as before, whatever was written to them.
    pub(super) fn are_same(&self, before: &Self) -> bool {
        identity(self.database.as_ref()) == identity(before.database.as_ref())
            && (before.log.is_none() || identity(self.log.as_ref()) == identity(before.log.as_ref()))
    }
}

fn identity(state: Option<&FileState>) -> Option<(u64, u64)> {
    state.map(|state| state.identity)
}

impl FileState {
    fn look(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(Self {
                identity: files::identity(&found),
                bytes: found.len(),
                modified: found.modified().ok(),
            })),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_a_migration() {
        assert_eq!((FIRST_VERSION..=VERSION).count(), MIGRATIONS.len());
    }

    #[test]
    fn a_database_is_set_aside_with_its_log_and_overwrites_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pushbell.db");
        let write = |text: &str| {
            for suffix in ["", "-wal", "-shm"] {
                fs::write(with_suffix(&path, suffix), format!("{text}{suffix}")).unwrap();
            }
        };
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        write("one");
        let kept = set_aside(&path, now).unwrap();
        assert_eq!(kept, directory.path().join("pushbell.db.damaged-20261122T100000Z"));
        let names = || {
            let mut names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().path()).collect();
            names.sort();
            names
        };
        assert_eq!(names(), [kept.clone(), with_suffix(&kept, "-wal")]);

        write("two");
        set_aside(&path, now).unwrap_err();
        assert_eq!(names().len(), 5, "{:?}", names());
        let read = |suffix: &str| fs::read_to_string(with_suffix(&kept, suffix)).unwrap();
        assert_eq!((read(""), read("-wal")), ("one".to_owned(), "one-wal".to_owned()));
    }
}
