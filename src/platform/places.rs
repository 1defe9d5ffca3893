//! Where to watch for files that change, come or go: the directories that they stand in.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
};

/// How many links are followed from one file.
const MOST_LINKS: usize = 8;

/// The existing directories in which something may change one of the files, with the names to look for there: those of
/// the file, of every link that it is, and of every link on the way to it, since some swap a whole directory that way.
pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> BTreeMap<PathBuf, BTreeSet<OsString>> {
    let mut places: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    let mut add = |(directory, name): (&Path, &OsStr)| {
        places.entry(directory.to_owned()).or_default().insert(name.to_owned());
    };
    for file in files {
        let mut path = file.to_owned();
        for _ in 0..MOST_LINKS {
            if let Some(place) = nearest(&path) {
                add(place);
            }
            let Some((link, target)) = first_link(&path) else { break };
            let (Some(parent), Some(name)) = (link.parent(), link.file_name()) else { break };
            add((parent, name));
            let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
            let target = parent.join(target);
            // Joining nothing would add a slash, and so ask for a directory.
            path = if rest.as_os_str().is_empty() { target } else { target.join(rest) };
        }
    }
    places
}

/// The first part of a path that is a link, and where it leads. Those in the root are the system's own, and stay.
fn first_link(path: &Path) -> Option<(&Path, PathBuf)> {
    let mut parts: Vec<&Path> = path.ancestors().collect();
    parts.reverse();
    parts.into_iter().skip(2).find_map(|part| Some((part, fs::read_link(part).ok()?)))
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

    #[cfg(unix)]
    #[test]
    fn every_link_on_the_way_is_looked_for() {
        use std::os::unix::fs::symlink;
        let there = tempfile::tempdir().unwrap();
        let at = |path: &str| there.path().join(path);
        // As Kubernetes mounts secrets, and as certbot keeps certificates.
        fs::create_dir(at("..2026")).unwrap();
        fs::write(at("..2026/tls.crt"), "").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/tls.crt", at("tls.crt")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        let check = |file: &str, expected: &[(&str, &[&str])]| {
            let expected: BTreeMap<_, _> = expected
                .iter()
                .map(|(directory, names)| (at(directory), names.iter().map(OsString::from).collect()))
                .collect();
            assert_eq!(of([&*at(file)]), expected, "{file}");
        };
        check("tls.crt", &[("", &["tls.crt", "..data"]), ("..data", &["tls.crt"]), ("..2026", &["tls.crt"])]);
        check("none", &[("", &["none"])]);
        check("loop", &[("", &["loop"])]);
    }

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
