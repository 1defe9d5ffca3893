//! Watching a directory: `FSEvents`, by the `notify` crate.

use std::{collections::BTreeSet, ffi::OsString, io, path::Path, sync::Arc};

use notify::{ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches a directory until it is dropped.
pub(in crate::platform) struct DirectoryWatch {
    _watcher: RecommendedWatcher,
}

impl DirectoryWatch {
    /// Tells `stir` of what happens to these names in the directory, from now on.
    ///
    /// # Errors
    /// When the directory is missing, or the system has no watch to give.
    pub(in crate::platform) fn new(
        directory: &Path,
        names: &BTreeSet<OsString>,
        stir: &Arc<Notify>,
    ) -> io::Result<Self> {
        let (names, stir) = (names.clone(), Arc::clone(stir));
        let told = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !is_of_interest(&event, &names)) {
                return;
            }
            stir.notify_one();
        };
        let mut watcher = notify::recommended_watcher(told).map_err(failure)?;
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failure)?;
        Ok(Self { _watcher: watcher })
    }
}

/// An event may have lost its paths, and the file system may not tell upper case from lower.
fn is_of_interest(event: &Event, names: &BTreeSet<OsString>) -> bool {
    let concerned =
        |path: &Path| path.file_name().is_some_and(|name| names.iter().any(|of| of.eq_ignore_ascii_case(name)));
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(|path| concerned(path))
}

fn failure(error: notify::Error) -> io::Error {
    match error.kind {
        ErrorKind::Io(error) => error,
        ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        ErrorKind::Generic(_) | ErrorKind::WatchNotFound | ErrorKind::InvalidConfig(_) | ErrorKind::MaxFilesWatch => {
            io::Error::other(error)
        }
    }
}
