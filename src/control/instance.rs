//! One running program for each user: the one that holds the lock.

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::{Duration, Instant},
};

use crate::{
    paths::Paths,
    platform::{control_socket::ControlListener, files},
};

/// Interval of retries.
const INTERVAL: Duration = Duration::from_millis(10);

/// The lock of the running program, until dropped; the kernel releases it when the process ends.
///
/// Keep it until the control socket and the inbox are closed.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
}

/// Why this process must not run.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another one runs.
    #[error("Pushbell is already running. `pushbell status` says how it is.")]
    AlreadyRunning,
    /// The lock file cannot be opened or locked.
    #[error("{path}: {source}; Pushbell needs a data directory that it can write to")]
    Failed {
        /// The lock's path.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

impl Instance {
    /// Creates the data directory and takes the lock. Waits up to `patience`: a command may be testing the lock, or a child of
    /// a killed program may not have closed its files yet.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be created.
    pub fn acquire(paths: &Paths, patience: Duration) -> Result<Self, InstanceError> {
        let failed = |source| InstanceError::Failed { path: paths.lock.display().to_string(), source };
        files::create_private_directory(&paths.data).map_err(failed)?;
        // On a read-only disk an existing file can still be locked.
        let lock = files::open_private(&paths.lock).or_else(|error| File::open(&paths.lock).map_err(|_| error));
        let lock = lock.map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Self { _lock: lock }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(INTERVAL),
                Err(TryLockError::WouldBlock) => return Err(InstanceError::AlreadyRunning),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
    }

    /// Whether a process holds the lock: the program, or a login that receives pushes itself. Tests it with a shared lock, so
    /// that commands do not mistake each other for the program.
    pub(crate) fn is_held(paths: &Paths) -> bool {
        let tried = File::open(&paths.lock).map(|lock| lock.try_lock_shared());
        matches!(tried, Ok(Err(TryLockError::WouldBlock)))
    }

    /// Creates the control socket at the first possible place, replacing that of a dead process. Also returns a problem if it
    /// is not the usual place, or if there is no socket. Needs a tokio runtime.
    #[expect(clippy::unused_self, reason = "it shows that the caller holds the lock")]
    pub(crate) fn listen(&self, paths: &Paths) -> (Option<ControlListener>, Option<String>) {
        let mut failures = Vec::new();
        for place in &paths.control {
            match ControlListener::bind(place) {
                Ok(listener) if failures.is_empty() => return (Some(listener), None),
                Ok(listener) => {
                    let problem = format!("{}; it is at {} instead", failures.join("; "), place.display());
                    return (Some(listener), Some(problem));
                }
                Err(error) => failures.push(format!("{}: {error}", place.display())),
            }
        }
        let problem = format!(
            "{}; so no command can reach this Pushbell: start it again once one of them can be made",
            failures.join("; ")
        );
        (None, Some(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_runs_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let first = Instance::acquire(&paths, Duration::ZERO).unwrap();
        assert!(matches!(Instance::acquire(&paths, Duration::ZERO), Err(InstanceError::AlreadyRunning)));
        assert!(Instance::is_held(&paths));
        drop(first);
        assert!(!Instance::is_held(&paths));
        Instance::acquire(&paths, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_command_that_tries_the_lock_keeps_no_program_from_starting() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        drop(Instance::acquire(&paths, Duration::ZERO).unwrap());
        let tried = File::open(&paths.lock).unwrap();
        tried.try_lock_shared().unwrap();
        let command = thread::spawn(move || {
            thread::sleep(5 * INTERVAL);
            drop(tried);
        });
        Instance::acquire(&paths, Duration::from_secs(30)).unwrap();
        command.join().unwrap();
    }

    #[tokio::test]
    async fn the_control_socket_is_at_the_first_place_where_it_can_be() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let instance = Instance::acquire(&paths, Duration::ZERO).unwrap();
        for lost in 0..paths.control.len() {
            let (listener, problem) = instance.listen(&paths);
            assert!(listener.is_some() && problem.is_some() == (lost > 0), "{problem:?}");
            assert!(cfg!(windows) || paths.control[lost].exists());
            drop(listener);
            if cfg!(windows) {
                return;
            }
            std::fs::create_dir(&paths.control[lost]).unwrap();
        }
        let (listener, problem) = instance.listen(&paths);
        assert!(listener.is_none() && problem.unwrap().contains("no command can reach"));
    }
}
