//! Noticing that files have changed: by a watch on the directories they stand in.
//!
//! Editors replace files, so it is the directories that are watched; a directory that is missing is waited for in its
//! parent, and a file that is a link also where it leads. A watch only says that something happened: a file has changed
//! when it looks different from last time.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{sync::Notify, time::timeout};

use crate::platform::{places, system::directory::DirectoryWatch};

/// How long it must be quiet before a change counts: an editor's several steps are one change.
const QUIET: Duration = Duration::from_millis(100);
/// How many times that a file which never rests is waited for.
const MOST_WAITS: u32 = 20;

/// Watches a few files.
pub struct FileWatch {
    /// Each file and how it looked last time.
    files: Vec<(PathBuf, Option<Look>)>,
    watched: BTreeMap<Place, DirectoryWatch>,
    /// Told by the watches.
    stir: Arc<Notify>,
    /// Something has happened that was not looked into yet.
    stirred: bool,
}

/// A directory that is watched. One that was deleted and made again is another, for the watch is on the old one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    directory: PathBuf,
    made: Option<SystemTime>,
    names: BTreeSet<OsString>,
}

/// What changes when a file does: its length, when it was written, when it was made.
type Look = (u64, Option<SystemTime>, Option<SystemTime>);

impl FileWatch {
    /// Starts watching; a file may be missing.
    ///
    /// # Errors
    /// When the system has no watch to give.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let files = files.into_iter().map(|path| Ok((std::path::absolute(&path)?, look(&path))));
        let files = files.collect::<io::Result<_>>()?;
        let mut watch = Self { files, watched: BTreeMap::new(), stir: Arc::default(), stirred: false };
        watch.arm()?;
        Ok(watch)
    }

    /// Waits until some of the files have changed, come or gone, and says which. May be dropped and called again:
    /// nothing is missed.
    ///
    /// # Errors
    /// When the system does not tell any more.
    pub async fn changed(&mut self) -> io::Result<Vec<PathBuf>> {
        loop {
            if !self.stirred {
                self.stir.notified().await;
                self.stirred = true;
            }
            for _ in 0..MOST_WAITS {
                if timeout(QUIET, self.stir.notified()).await.is_err() {
                    break;
                }
            }
            self.stirred = false;
            self.arm()?;
            let changed = self.look_again();
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    fn look_again(&mut self) -> Vec<PathBuf> {
        let mut changed = Vec::new();
        for (path, before) in &mut self.files {
            let now = look(path);
            if *before != now {
                *before = now;
                changed.push(path.clone());
            }
        }
        changed
    }

    /// Watches the directories that matter now, and no others.
    fn arm(&mut self) -> io::Result<()> {
        let mut wanted = self.wanted();
        loop {
            self.watched.retain(|place, _| wanted.contains(place));
            for place in &wanted {
                if !self.watched.contains_key(place) {
                    match DirectoryWatch::new(&place.directory, &place.names, &self.stir) {
                        Ok(watch) => drop(self.watched.insert(place.clone(), watch)),
                        Err(error) if out_of_reach(&error) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            let now = self.wanted();
            if now == wanted {
                return Ok(());
            }
            wanted = now;
        }
    }

    fn wanted(&self) -> BTreeSet<Place> {
        let places = places::of(self.files.iter().map(|(file, _)| file.as_path()));
        let place = |(directory, names)| {
            let made = fs::metadata(&directory).and_then(|found| found.created()).ok();
            Place { directory, made, names }
        };
        places.into_iter().map(place).collect()
    }
}

impl fmt::Debug for FileWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FileWatch").field("files", &self.files).finish_non_exhaustive()
    }
}

/// The directory is gone meanwhile (then the next round waits for it in its parent), or closed to us.
fn out_of_reach(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok(), found.created().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says what `change` in a directory makes of a watch of its `pushbell.toml` and `accounts.toml`.
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
    }

    #[test]
    fn a_file_in_a_directory_that_comes_later_is_noticed() {
        check(|_| {}, |home| write(home, "data/accounts.toml", "a"), &["data/accounts.toml"]);
    }

    #[test]
    fn a_burst_is_one_change_and_neighbours_are_none() {
        let burst = |home: &Path| {
            for n in 0..50 {
                write(home, "neighbour.db-wal", &n.to_string());
                write(home, "pushbell.toml", &n.to_string());
            }
        };
        check(|_| {}, burst, &["pushbell.toml"]);
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
}
