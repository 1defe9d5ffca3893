//! Files and directories that only the user can read: by their modes, whatever the umask. On Windows they inherit this
//! from the user's profile.

#[cfg(unix)]
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// Creates a directory and its missing ancestors, private to the user. An existing one stays as it is.
///
/// # Errors
/// When it cannot be created, or is no directory.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    match fs::create_dir(path) {
        // `DirBuilder` would apply the umask to the mode.
        #[cfg(unix)]
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
        #[cfg(not(unix))]
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a file for reading and writing, creates it if missing, and makes it private to the user. Its content is kept.
///
/// # Errors
/// When it cannot be opened or created, or belongs to another user.
pub(crate) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if file.metadata()?.permissions().mode() & 0o777 != 0o600 {
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Identity of a file, independent of its name (device and inode).
#[cfg(unix)]
#[must_use]
pub(crate) fn identity(file: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

/// The same for every file: on Windows a file that SQLite has open can be neither removed nor replaced.
#[cfg(not(unix))]
#[must_use]
pub(crate) fn identity(_file: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

/// Atomically creates or replaces a file that is private to the user: readers find either the old or the new content,
/// also after a power cut. If the path is a symbolic link, its target is replaced.
///
/// # Errors
/// When it cannot be written: the old content is kept.
pub(crate) fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let (target, draft) = target_and_draft(path)?;
    let replaced = write_synced(&draft, content).and_then(|()| fs::rename(&draft, &target));
    if replaced.is_err() {
        // If this fails as well, the next replacement overwrites the draft.
        drop(fs::remove_file(&draft));
    }
    replaced?;
    // Windows has no such call for directories.
    #[cfg(unix)]
    match target.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all()?,
        Some(_) | None => File::open(".")?.sync_all()?,
    }
    Ok(())
}

/// Removes the draft that a killed [`replace_private`] has left behind.
///
/// # Errors
/// When there is one that cannot be removed.
pub(crate) fn remove_draft(path: &Path) -> io::Result<()> {
    let (_, draft) = target_and_draft(path)?;
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The target of a path that may be a link, and the draft to which its new content is written first. The draft always
/// has the same name, so that the next process replaces the draft of a killed one.
fn target_and_draft(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let mut draft = OsString::from(".");
    draft.push(target.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
    draft.push(".new");
    let draft = target.with_file_name(draft);
    Ok((target, draft))
}

/// Whether every user of this computer can read the file, by its own mode and those of the directories above it.
///
/// # Errors
/// When that is unknown.
#[cfg(unix)]
pub(crate) fn is_readable_by_others(path: &Path) -> io::Result<bool> {
    let lets_others = |path: &Path, mode: u32| Ok::<_, io::Error>(fs::metadata(path)?.permissions().mode() & mode != 0);
    let path = fs::canonicalize(path)?;
    for directory in path.ancestors().skip(1) {
        if !lets_others(directory, 0o001)? {
            return Ok(false);
        }
    }
    lets_others(&path, 0o004)
}

/// Access control lists are not examined: the file counts as private.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail elsewhere")]
pub(crate) fn is_readable_by_others(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open_private(path)?;
    file.set_len(0)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(unix)]
    #[test]
    fn new_directories_are_private_and_others_stay_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let inner = place.path().join("a/b/c");

        create_private_directory(&inner).unwrap();
        create_private_directory(&inner).unwrap();

        assert_eq!([mode(place.path()), mode(&place.path().join("a")), mode(&inner)], [0o755, 0o700, 0o700]);
    }

    #[test]
    fn a_file_in_a_directorys_place_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("a"), "").unwrap();

        assert!(create_private_directory(&place.path().join("a/b")).is_err());
        assert!(create_private_directory(&place.path().join("a")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_made_private_even_if_it_was_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        open_private(&path).unwrap();

        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap()), (0o600, "kept".to_owned()));
    }

    #[test]
    fn a_replaced_file_is_private_whole_and_leaves_no_draft_behind() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "a much longer old content").unwrap();

        replace_private(&path, b"new").unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        #[cfg(unix)]
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_readable_by_others_if_all_that_leads_to_it_is() {
        // In /tmp itself, which everybody can enter.
        let place = tempfile::tempdir_in("/tmp").unwrap();
        let (path, link) = (place.path().join("key"), place.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let check = |directory: u32, file: u32, expected: bool| {
            fs::set_permissions(place.path(), fs::Permissions::from_mode(directory)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(file)).unwrap();
            assert_eq!(is_readable_by_others(&link).unwrap(), expected, "{directory:o} {file:o}");
        };
        check(0o755, 0o644, true);
        check(0o711, 0o604, true);
        check(0o755, 0o640, false);
        check(0o700, 0o644, false);
        assert!(is_readable_by_others(&place.path().join("none")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let place = tempfile::tempdir().unwrap();
        let (link, target) = (place.path().join("link"), place.path().join("target"));
        fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();

        replace_private(&link, b"new").unwrap();

        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_no_draft_behind() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("directory");
        fs::create_dir_all(path.join("full")).unwrap();

        assert!(replace_private(&path, b"new").is_err());

        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
