//! One running program for each person: whoever holds the lock.

use std::{
    fs::{File, TryLockError},
    io,
};

use crate::{
    paths::Paths,
    platform::{control_socket::ControlListener, files},
};

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
    /// Nobody can tell.
    #[error("{path}: {source}; Pushbell needs a data directory that it can write to")]
    Failed {
        /// The lock's path.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
}

impl Instance {
    /// Takes the right to run. Makes the data directory.
    ///
    /// # Errors
    /// When another process has it, or the lock cannot be made.
    pub fn acquire(paths: &Paths) -> Result<Self, InstanceError> {
        let failed = |source| InstanceError::Failed { path: paths.lock.display().to_string(), source };
        files::create_private_directory(&paths.data).map_err(failed)?;
        // On a disk that has become read-only, one that is there is as good.
        let lock = files::open_private(&paths.lock).or_else(|error| File::open(&paths.lock).map_err(|_| error));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(InstanceError::AlreadyRunning),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Makes the control socket, in place of one that a dead process has left. Needs a tokio runtime.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn listen(&self, paths: &Paths) -> io::Result<ControlListener> {
        ControlListener::bind(&paths.control)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", paths.control.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        let first = Instance::acquire(&paths).unwrap();
        let socket = first.listen(&paths).unwrap();
        assert!(matches!(Instance::acquire(&paths), Err(InstanceError::AlreadyRunning)));
        drop(socket);
        drop(first);
        assert!(!paths.control.exists());
        Instance::acquire(&paths).unwrap().listen(&paths).unwrap();
    }
}
