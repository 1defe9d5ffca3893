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

/// Interval of trying the lock again.
const INTERVAL: Duration = Duration::from_millis(10);

/// The right to run, until dropped. The kernel takes it back from a process that was killed.
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
    /// The lock cannot be tried.
    #[error("{path}: {source}; Pushbell needs a data directory that it can write to")]
    Failed {
        /// The lock's path.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

impl Instance {
    /// Takes the right to run. Makes the data directory. Waits up to `patience` for a lock that is held but for a moment:
    /// by a command that tries it, or by a child of a killed program that has not closed its files yet.
    ///
    /// # Errors
    /// When another process has it, or the lock cannot be made.
    pub fn acquire(paths: &Paths, patience: Duration) -> Result<Self, InstanceError> {
        let failed = |source| InstanceError::Failed { path: paths.lock.display().to_string(), source };
        files::create_private_directory(&paths.data).map_err(failed)?;
        // On a disk that has become read-only, an existing file can be locked too.
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

    /// Whether a process has the right to run: the program, or a login that takes pushes for itself. The lock is tried
    /// in common, so that such commands do not take one another for it.
    pub(crate) fn is_held(paths: &Paths) -> bool {
        let tried = File::open(&paths.lock).map(|lock| lock.try_lock_shared());
        matches!(tried, Ok(Err(TryLockError::WouldBlock)))
    }

    /// Makes the control socket at the first place where it can be made, in place of one that a dead process has left;
    /// and says what is wrong if that is not the usual one, or there is none. Only for whoever has the right to run. Needs
    /// a tokio runtime.
    #[expect(clippy::unused_self, reason = "it shows that the caller has the right to run")]
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
