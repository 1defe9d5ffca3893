//! Detects changes of files, with the `notify` crate.
//!
//! An event is only a hint: a file has changed if its metadata differ from the last time. The files themselves are
//! watched instead of their directories, so that writes to neighbouring files (the database) cause no wake-ups. The
//! watch is set up again after each event, since a replaced file is a different one to the system.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::AccessKind};
use tokio::{sync::Notify, time::timeout};

/// Debounce interval: an editor writes in several steps.
const QUIET: Duration = Duration::from_millis(100);
/// Maximum number of debounce intervals, for a file that never rests.
const MAX_WAITS: u32 = 20;
/// Maximum number of symbolic links that are followed for one file.
const MAX_LINKS: usize = 8;

/// Watches a few files.
#[derive(Debug)]
pub(crate) struct FileWatch {
    /// Each file with its last known metadata.
    files: Vec<(PathBuf, Option<Metadata>)>,
    watcher: RecommendedWatcher,
    /// Notified by the watcher's thread.
    activity: Arc<Notify>,
    /// There was an event that has not been handled yet.
    is_pending: bool,
}

/// The metadata by which a change is detected.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Metadata {
    length: u64,
    modified: Option<SystemTime>,
    /// Inode and status change time, on Unix.
    identity: (u64, i64, i64),
}

/// A path to watch: an existing file, or a directory for one of its entries that is missing, is a symbolic link or may
/// be moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    watched: PathBuf,
    /// The file itself, or the entry of the directory.
    path: PathBuf,
}

impl Place {
    fn entry(directory: &Path, path: &Path) -> Self {
        Self { watched: directory.to_owned(), path: path.to_owned() }
    }
}

impl FileWatch {
    /// Starts watching. Files may be missing.
    ///
    /// # Errors
    /// When the system has no more watches.
    pub(crate) fn new(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let files = files.into_iter().map(|path| Ok((std::path::absolute(&path)?, metadata(&path))));
        let files: Vec<_> = files.collect::<io::Result<_>>()?;
        let activity = Arc::default();
        Ok(Self { watcher: watch(&files, &activity)?, files, activity, is_pending: false })
    }

    /// Waits until files were changed, created or removed, and returns them. Cancel safe.
    ///
    /// # Errors
    /// When the system has no more watches.
    pub(crate) async fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        loop {
            if !self.is_pending {
                self.activity.notified().await;
                self.is_pending = true;
            }
            for _ in 0..MAX_WAITS {
                if timeout(QUIET, self.activity.notified()).await.is_err() {
                    break;
                }
            }
            self.is_pending = false;
            self.watcher = watch(&self.files, &self.activity)?;
            let changed = self.look_again();
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    fn look_again(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, before) in &mut self.files {
            let now = metadata(path);
            if *before != now {
                *before = now;
                changed.push(path.clone());
            }
        }
        changed
    }
}

/// Watches the places of these files as they are now.
fn watch(files: &[(PathBuf, Option<Metadata>)], activity: &Arc<Notify>) -> io::Result<RecommendedWatcher> {
    let places_now = || files.iter().flat_map(|(file, _)| places(file)).collect::<BTreeSet<_>>();
    let mut places = places_now();
    loop {
        let (of_interest, activity) = (places.clone(), Arc::clone(activity));
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| is_of_interest(&event, &of_interest)) {
                activity.notify_one();
            }
        })
        .map_err(io_error)?;
        let paths: BTreeSet<_> = places.iter().map(|place| &place.watched).collect();
        for path in paths {
            match watcher.watch(path, RecursiveMode::NonRecursive).map_err(io_error) {
                // It has vanished, which the comparison below detects, or is not accessible.
                Err(error) if is_out_of_reach(&error) => {}
                outcome => outcome?,
            }
        }
        let now = places_now();
        if now == places {
            return Ok(watcher);
        }
        places = now;
    }
}

/// The file itself, or else the nearest existing directory above it; and every symbolic link on the path, since
/// replacing a link can swap a whole directory.
fn places(file: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut path = file.to_owned();
    for _ in 0..MAX_LINKS {
        let Some((link, target)) = first_link(&path) else { break };
        let Some(directory) = link.parent() else { break };
        places.push(Place::entry(directory, link));
        let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
        let target = directory.join(target);
        // Joining an empty path would add a slash.
        path = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
    }
    if path.exists() {
        // The file's own watch does not report that its directory was moved.
        if let Some(directory) = path.parent()
            && let Some(above) = directory.parent()
        {
            places.push(Place::entry(above, directory));
        }
        places.push(Place { watched: path.clone(), path });
    } else if let Some((directory, path)) = nearest(&path) {
        places.push(Place::entry(directory, path));
    }
    places
}

/// The first component of a path that is a symbolic link, and its target. Links in the root directory belong to the
/// system and do not change.
fn first_link(path: &Path) -> Option<(&Path, PathBuf)> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().skip(2).find_map(|part| Some((part, fs::read_link(part).ok()?)))
}

/// The nearest existing directory above a path, and its missing entry.
fn nearest(path: &Path) -> Option<(&Path, &Path)> {
    path.ancestors().find_map(|path| Some((path.parent().filter(|directory| directory.is_dir())?, path)))
}

/// An event without paths concerns everything.
fn is_of_interest(event: &Event, places: &BTreeSet<Place>) -> bool {
    let concerns = |path: &Path| places.iter().any(|place| is_same(path, &place.path) || is_same(path, &place.watched));
    let is_reading = matches!(event.kind, EventKind::Access(AccessKind::Open(_) | AccessKind::Read));
    event.need_rescan() || event.paths.is_empty() || !is_reading && event.paths.iter().any(|path| concerns(path))
}

/// Other systems may report the canonical path, and their file systems may ignore case.
fn is_same(path: &Path, other: &Path) -> bool {
    if cfg!(target_os = "linux") {
        path == other
    } else {
        path.file_name().zip(other.file_name()).is_some_and(|(name, other)| name.eq_ignore_ascii_case(other))
    }
}

fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all others have no `io::ErrorKind`")]
fn io_error(error: notify::Error) -> io::Error {
    match error.kind {
        notify::ErrorKind::Io(error) => error,
        notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound.into(),
        _ => io::Error::other(error),
    }
}

fn metadata(path: &Path) -> Option<Metadata> {
    let found = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt as _;
        (found.ino(), found.ctime(), found.ctime_nsec())
    };
    #[cfg(not(unix))]
    let identity = (0, 0, 0);
    Some(Metadata { length: found.len(), modified: found.modified().ok(), identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which of `pushbell.toml` and `data/accounts.toml` are reported as changed by `change`.
    #[track_caller]
    fn check(prepare: impl FnOnce(&Path), change: impl FnOnce(&Path), expected: &[&str]) {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        prepare(home);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let changed = runtime.block_on(async {
            let files = ["pushbell.toml", "data/accounts.toml"].map(|name| home.join(name));
            let mut watch = FileWatch::new(files).unwrap();
            change(home);
            timeout(Duration::from_secs(10), watch.changed()).await.expect("a change is noticed").unwrap()
        });
        let expected: Vec<_> = expected.iter().map(|name| home.join(name)).collect();
        assert_eq!(changed, expected);
    }

    fn write(home: &Path, name: &str, text: &str) {
        fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        fs::write(home.join(name), text).unwrap();
    }

    #[test]
    fn a_file_that_is_written_replaced_made_or_deleted_has_changed() {
        let present = |home: &Path| write(home, "pushbell.toml", "a");
        let expected = ["pushbell.toml"];
        check(present, |home| write(home, "pushbell.toml", "longer"), &expected);
        check(present, |home| fs::remove_file(home.join("pushbell.toml")).unwrap(), &expected);
        check(|_| {}, |home| write(home, "pushbell.toml", "a"), &expected);
        let replace = |home: &Path| {
            write(home, "pushbell.toml.new", "longer");
            fs::rename(home.join("pushbell.toml.new"), home.join("pushbell.toml")).unwrap();
        };
        check(present, replace, &expected);
        let move_away = |home: &Path| fs::rename(home.join("pushbell.toml"), home.join("old")).unwrap();
        check(present, move_away, &expected);
    }

    #[test]
    fn a_file_in_a_directory_that_comes_later_or_again_is_noticed() {
        check(|_| {}, |home| write(home, "data/accounts.toml", "a"), &["data/accounts.toml"]);
        let again = |home: &Path| {
            fs::remove_dir_all(home.join("data")).unwrap();
            write(home, "data/accounts.toml", "longer");
        };
        check(|home| write(home, "data/accounts.toml", "a"), again, &["data/accounts.toml"]);
        let swap = |home: &Path| {
            write(home, "backup/accounts.toml", "longer");
            fs::rename(home.join("data"), home.join("data.old")).unwrap();
            fs::rename(home.join("backup"), home.join("data")).unwrap();
        };
        check(|home| write(home, "data/accounts.toml", "a"), swap, &["data/accounts.toml"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_target_of_a_link_is_watched_and_so_is_the_link() {
        use std::os::unix::fs::symlink;
        let linked = |home: &Path| {
            write(home, "dotfiles/p.toml", "a");
            write(home, "dotfiles/q.toml", "b");
            symlink("dotfiles/p.toml", home.join("pushbell.toml")).unwrap();
        };
        check(linked, |home| write(home, "dotfiles/p.toml", "c"), &["pushbell.toml"]);
        let relink = |home: &Path| {
            symlink("dotfiles/q.toml", home.join("new")).unwrap();
            fs::rename(home.join("new"), home.join("pushbell.toml")).unwrap();
        };
        check(linked, relink, &["pushbell.toml"]);
    }

    /// As Kubernetes mounts secrets.
    #[cfg(unix)]
    #[test]
    fn a_directory_of_links_that_is_swapped_is_noticed() {
        use std::os::unix::fs::symlink;
        let mounted = |home: &Path| {
            write(home, "..1/p.toml", "a");
            write(home, "..2/p.toml", "b");
            symlink("..1", home.join("..data")).unwrap();
            symlink("..data/p.toml", home.join("pushbell.toml")).unwrap();
        };
        let swap = |home: &Path| {
            symlink("..2", home.join("..data_tmp")).unwrap();
            fs::rename(home.join("..data_tmp"), home.join("..data")).unwrap();
        };
        check(mounted, swap, &["pushbell.toml"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("loop");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        assert!(FileWatch::new([path]).is_ok());
    }

    #[test]
    fn a_burst_is_one_change_and_neighbours_are_none() {
        let burst = |home: &Path| {
            for n in 0..50 {
                write(home, "neighbour.db-wal", &n.to_string());
                write(home, "pushbell.toml", &n.to_string());
            }
            write(home, "data/accounts.toml", "a");
        };
        check(|_| {}, burst, &["pushbell.toml", "data/accounts.toml"]);
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_misses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("pushbell.toml");
        let mut watch = FileWatch::new([path.clone()]).unwrap();
        fs::write(&path, "a").unwrap();
        for _ in 0..5 {
            let _ = timeout(Duration::from_millis(1), watch.changed()).await;
        }
        assert_eq!(watch.changed().await.unwrap(), [path]);
    }

    #[tokio::test]
    async fn what_is_written_beside_a_file_and_reading_it_wakes_nobody() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("accounts.toml");
        fs::write(&path, "a").unwrap();
        let watch = FileWatch::new([path.clone()]).unwrap();
        fs::write(home.path().join("pushbell.db-wal"), "a").unwrap();
        fs::read(&path).unwrap();
        assert!(timeout(QUIET, watch.activity.notified()).await.is_err());
    }
}
