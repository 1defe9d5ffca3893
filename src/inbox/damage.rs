//! A database that is damaged: how that is told from other faults, and putting it aside so that a new one can be begun.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    str::Utf8Error,
};

use jiff::Timestamp;
use rusqlite::{Error, ErrorCode, types::FromSqlError};

/// Whether the file is to blame, and not the disk, a lock or the program. All tables are STRICT and all texts were
/// written as UTF-8, so a value of another kind was never written here.
pub(super) fn is_damage(error: &Error) -> bool {
    match error {
        Error::SqliteFailure(failure, _) => {
            matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        }
        Error::InvalidColumnType(..) | Error::Utf8Error(..) => true,
        Error::FromSqlConversionFailure(_, _, cause) => {
            cause.is::<Utf8Error>() || matches!(cause.downcast_ref(), Some(FromSqlError::InvalidType))
        }
        _ => false,
    }
}

/// Renames the database and its log, which go on belonging together; what they are called then. Nothing has it open.
///
/// The log goes first: beside a new database, it would be taken for the new one's.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let kept = with_suffix(path, &now.strftime(".damaged-%Y%m%dT%H%M%SZ").to_string());
    if kept.try_exists()? {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} was kept just now", kept.display())));
    }
    let log = with_suffix(path, "-wal");
    if log.try_exists()? {
        fs::rename(&log, with_suffix(&kept, "-wal"))?;
    }
    fs::rename(path, &kept)?;
    match fs::remove_file(with_suffix(path, "-shm")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(kept),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
