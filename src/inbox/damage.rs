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
    if let Error::FromSqlConversionFailure(_, _, cause) = error {
        return cause.is::<Utf8Error>() || matches!(cause.downcast_ref(), Some(FromSqlError::InvalidType));
    }
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, Error::InvalidColumnType(..) | Error::Utf8Error(..))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_and_its_log_are_kept_together_and_nothing_is_written_over() {
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
