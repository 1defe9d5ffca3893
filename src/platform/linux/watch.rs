//! Noticing that files have changed: inotify on the directories they stand in.
//!
//! Editors replace files, so it is the directories that are watched; a directory that is missing is waited for in its
//! parent, and a file that is a link also where it leads. What an event is about is not trusted: a file has changed
//! when it looks different from last time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use inotify::{Event, EventMask, Inotify, WatchDescriptor, WatchMask};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::timeout,
};

use crate::platform::places;

/// How long it must be quiet before a change counts: an editor's several steps are one change.
const QUIET: Duration = Duration::from_millis(100);
/// How many times that a file which never rests is waited for.
const MOST_WAITS: u32 = 20;

/// Watches a few files.
#[derive(Debug)]
pub struct FileWatch {
    inotify: AsyncFd<Inotify>,
    /// Each file and how it looked last time.
    files: Vec<(PathBuf, Option<Look>)>,
    /// The names of interest in each watched directory.
    watched: HashMap<WatchDescriptor, BTreeSet<OsString>>,
    /// Something has happened that was not looked into yet.
    stirred: bool,
}

/// What changes when a file does: device, inode, length, and the time of the last change of anything about it.
type Look = (u64, u64, u64, i64, i64);

impl FileWatch {
    /// Starts watching; a file may be missing. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system has no watch left to give.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let files = files.into_iter().map(|path| Ok((std::path::absolute(&path)?, look(&path))));
        let files = files.collect::<io::Result<_>>()?;
        let inotify = readable(Inotify::init()?)?;
        let mut watch = Self { inotify, files, watched: HashMap::new(), stirred: false };
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
                self.stir().await?;
            }
            for _ in 0..MOST_WAITS {
                match timeout(QUIET, self.stir()).await {
                    Ok(stirred) => stirred?,
                    Err(_) => break,
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

    /// Waits until something happens to a name of interest.
    async fn stir(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        loop {
            let mut ready = self.inotify.readable_mut().await?;
            let watched = &self.watched;
            let read = ready.try_io(|inotify| {
                Ok(inotify.get_mut().read_events(&mut buffer)?.any(|event| is_of_interest(&event, watched)))
            });
            // An error here means that there was nothing to read after all.
            if let Ok(of_interest) = read
                && of_interest?
            {
                self.stirred = true;
                return Ok(());
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
            let mut watched: HashMap<_, BTreeSet<_>> = HashMap::new();
            for (directory, names) in &wanted {
                match self.inotify.get_ref().watches().add(directory, mask()) {
                    Ok(descriptor) => watched.entry(descriptor).or_default().extend(names.iter().cloned()),
                    Err(error) if out_of_reach(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            for (old, _) in std::mem::replace(&mut self.watched, watched) {
                if !self.watched.contains_key(&old) {
                    // The system has removed it by itself when its directory is gone.
                    let _ = self.inotify.get_ref().watches().remove(old);
                }
            }
            let now = self.wanted();
            if now == wanted {
                return Ok(());
            }
            wanted = now;
        }
    }

    fn wanted(&self) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
        places::of(self.files.iter().map(|(file, _)| file.as_path()))
    }
}

#[expect(unsafe_code, reason = "tokio cannot know by itself that a descriptor stays open")]
fn readable(inotify: Inotify) -> io::Result<AsyncFd<Inotify>> {
    // SAFETY: an `Inotify` owns its descriptor, names no other, and closes it only when it is dropped.
    unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) }.map_err(Into::into)
}

/// The directory is gone meanwhile (then the next round waits for it in its parent), or closed to us.
fn out_of_reach(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

fn is_of_interest(event: &Event<&OsStr>, watched: &HashMap<WatchDescriptor, BTreeSet<OsString>>) -> bool {
    let of_directory = EventMask::IGNORED | EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::Q_OVERFLOW;
    match event.name {
        Some(name) => watched.get(&event.wd).is_some_and(|names| names.contains(name)),
        None => event.mask.intersects(of_directory),
    }
}

fn mask() -> WatchMask {
    WatchMask::CREATE
        | WatchMask::CLOSE_WRITE
        | WatchMask::MOVED_TO
        | WatchMask::MOVED_FROM
        | WatchMask::DELETE
        | WatchMask::ATTRIB
        | WatchMask::DELETE_SELF
        | WatchMask::MOVE_SELF
        | WatchMask::ONLYDIR
}

fn look(path: &Path) -> Option<Look> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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
        let names: Vec<_> = changed.iter().map(|path| path.strip_prefix(home).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, expected);
    }

    fn write(home: &Path, name: &str, text: &str) {
        fs::create_dir_all(home.join(name).parent().unwrap()).unwrap();
        fs::write(home.join(name), text).unwrap();
    }

    #[test]
    fn a_file_that_is_written_replaced_made_or_deleted_has_changed() {
        let present = |home: &Path| write(home, "pushbell.toml", "a");
        let expected = ["pushbell.toml"];
        check(present, |home| write(home, "pushbell.toml", "b"), &expected);
        check(present, |home| fs::remove_file(home.join("pushbell.toml")).unwrap(), &expected);
        check(|_| {}, |home| write(home, "pushbell.toml", "a"), &expected);
        let replace = |home: &Path| {
            write(home, "pushbell.toml.new", "b");
            fs::rename(home.join("pushbell.toml.new"), home.join("pushbell.toml")).unwrap();
        };
        check(present, replace, &expected);
    }

    #[test]
    fn a_file_in_a_directory_that_comes_later_or_again_is_noticed() {
        check(|_| {}, |home| write(home, "data/accounts.toml", "a"), &["data/accounts.toml"]);
        let again = |home: &Path| {
            fs::remove_dir_all(home.join("data")).unwrap();
            write(home, "data/accounts.toml", "longer");
        };
        check(|home| write(home, "data/accounts.toml", "a"), again, &["data/accounts.toml"]);
    }

    #[test]
    fn where_a_link_leads_is_watched_and_so_is_the_link() {
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

    #[test]
    fn a_directory_of_links_that_is_swapped_is_noticed() {
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
}
