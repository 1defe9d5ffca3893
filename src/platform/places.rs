//! Where to watch for files that change, come or go: the directories that they stand in.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// How many links are followed from one file.
const MOST_LINKS: usize = 8;

/// The existing directories in which something may change one of the files, with the names to look for there.
pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
    let mut places: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    for file in files {
        let mut path = file.to_owned();
        for _ in 0..MOST_LINKS {
            if let Some((directory, name)) = nearest(&path) {
                places.entry(directory.to_owned()).or_default().insert(name.to_owned());
            }
            let (Ok(target), Some(parent)) = (fs::read_link(&path), path.parent()) else { break };
            path = parent.join(target);
        }
    }
    places
}

/// The directory of a path and the name in it; where the directory is missing, the same of the directory.
pub(super) fn nearest(path: &Path) -> Option<(&Path, &OsStr)> {
    path.ancestors().find_map(|path| {
        let directory = path.parent().filter(|directory| directory.is_dir())?;
        Some((directory, path.file_name()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_directory_on_the_way_is_found() {
        let there = tempfile::tempdir().unwrap();
        let check = |path: &str, name: &str| {
            assert_eq!(nearest(&there.path().join(path)), Some((there.path(), OsStr::new(name))));
        };
        check("bus", "bus");
        check("run/user/bus", "run");
    }
}
