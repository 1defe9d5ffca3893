//! Read-only integrity check of the database, with or without a running program.

use std::{fs, io, path::Path, sync::mpsc, thread, time::Duration};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{InboxError, Seals, database};

/// Result for a sound database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrity {
    /// Size of the file.
    pub bytes: u64,
    /// The check is complete; false when the time ran out.
    pub complete: bool,
}

/// Checks every page, for at most `patience`. `None`: there is no database yet.
///
/// # Errors
/// When it is damaged, or cannot be read.
pub(crate) fn check_integrity(path: &Path, patience: Duration) -> Result<Option<Integrity>, InboxError> {
    let bytes = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(database::unusable(path, &error)),
    };
    let Some(connection) = open(path)? else { return Ok(None) };
    let interrupt = connection.get_interrupt_handle();
    let (done, is_done) = mpsc::channel::<()>();
    let timer = thread::spawn(move || {
        if is_done.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let verdict = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    drop(timer.join());
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(Some(Integrity { bytes, complete: true })),
        Ok(reason) => {
            let reason = reason.lines().next().unwrap_or_default().to_owned();
            Err(InboxError::Damaged { path: path.display().to_string(), reason: format!("is damaged: {reason}") })
        }
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            Ok(Some(Integrity { bytes, complete: false }))
        }
        Err(error) => Err(database::failed(path, &error)),
    }
}

/// Where there is no log, nobody has it open, and SQLite is told that nobody will: else even a reader would make files
/// beside it, and could not read it on a disk that is read-only.
fn open(path: &Path) -> Result<Option<Connection>, InboxError> {
    if database::with_suffix(path, "-wal").exists() {
        return database::open_to_read(path, &Seals::default());
    }
    let uri = format!("file:{}?immutable=1", percent_encode(path.as_os_str().as_encoded_bytes(), NON_ALPHANUMERIC));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags).map(Some).map_err(|error| database::failed(path, &error))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, path::PathBuf};

    use super::*;
    use crate::{config::Config, inbox::Inbox};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn database() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        // Windows has no `?` in names.
        let path = directory.path().join(if cfg!(windows) { "a #%ü.db" } else { "a ?#%ü.db" });
        (directory, path)
    }

    fn inbox(path: &Path) -> Inbox {
        Inbox::open(path, (&Config::default()).into()).unwrap()
    }

    #[test]
    fn a_check_works_with_and_without_a_program_and_leaves_no_file() {
        let (directory, path) = database();
        assert_eq!(check_integrity(&path, PATIENCE).unwrap(), None);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let running = inbox(&path);
            running.check().await.unwrap();
            assert!(check_integrity(&path, PATIENCE).unwrap().unwrap().complete);
        });
        let names = || {
            let mut names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            names
        };
        // The inbox's thread closes it on its own time.
        let started = std::time::Instant::now();
        while names().len() > 1 {
            assert!(started.elapsed() < PATIENCE, "{:?}", names());
            thread::yield_now();
        }
        let before = names();
        let found = check_integrity(&path, PATIENCE).unwrap().unwrap();
        assert!(found.complete && found.bytes > 4096);
        assert_eq!(names(), before);
    }

    #[test]
    fn a_damaged_database_is_reported() {
        let (_directory, path) = database();
        fs::File::create(&path).unwrap().write_all(&[b'x'; 8192]).unwrap();
        assert!(matches!(check_integrity(&path, PATIENCE), Err(InboxError::Damaged { .. })));
    }
}
