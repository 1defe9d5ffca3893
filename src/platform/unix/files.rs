//! Files and directories that only the user can read, whatever the umask.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    process,
};

const PRIVATE_FILE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// Makes a directory, and those above it that are missing, each private to the user. One that exists stays as it is.
///
/// # Errors
/// When it cannot be made, or something else has its name.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_private_directory(parent)?;
    }
    match DirBuilder::new().mode(PRIVATE_DIRECTORY).create(path) {
        // The umask may have taken bits away, also from us.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(PRIVATE_DIRECTORY)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens a file to read and write; makes it if there is none, and makes it private to the user in either case.
/// What it contains stays.
///
/// # Errors
/// When it cannot be opened or made, or belongs to somebody else.
pub fn open_private(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE_FILE).open(path)?;
    if file.metadata()?.permissions().mode() & 0o777 != PRIVATE_FILE {
        file.set_permissions(Permissions::from_mode(PRIVATE_FILE))?;
    }
    Ok(file)
}

/// Which file it is, whatever its name: another file has another identity.
#[must_use]
pub fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Replaces a file, or makes it, private to the user. Whoever reads it finds the old content or the new, whole, also
/// after a power cut. A symbolic link stays one: what it points to is replaced.
///
/// # Errors
/// When it cannot be written: then the old content stands.
pub fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let target = match fs::canonicalize(path) {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut draft_name = OsString::from(".");
    draft_name.push(name);
    draft_name.push(format!(".{}", process::id()));
    let draft = target.with_file_name(draft_name);

    let replaced = write_synced(&draft, content).and_then(|()| fs::rename(&draft, &target));
    if replaced.is_err() {
        // Nothing more can be done about a draft that cannot be removed either.
        drop(fs::remove_file(&draft));
    }
    replaced?;
    match target.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

/// Whether everybody on this computer can read the file: it lets them, and so does each directory on the way.
///
/// # Errors
/// When that cannot be told.
pub fn is_readable_by_others(path: &Path) -> io::Result<bool> {
    let lets_others = |path: &Path, mode: u32| Ok::<_, io::Error>(fs::metadata(path)?.permissions().mode() & mode != 0);
    let path = fs::canonicalize(path)?;
    for directory in path.ancestors().skip(1) {
        if !lets_others(directory, 0o001)? {
            return Ok(false);
        }
    }
    lets_others(&path, 0o004)
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

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn directories_that_are_made_are_private_and_others_stay_as_they_are() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
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

    #[test]
    fn a_file_is_made_private_even_if_it_was_not() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "kept").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();

        open_private(&path).unwrap();

        assert_eq!((mode(&path), fs::read_to_string(&path).unwrap()), (0o600, "kept".to_owned()));
    }

    #[test]
    fn a_replaced_file_is_private_whole_and_leaves_no_draft_behind() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "a much longer old content").unwrap();

        replace_private(&path, b"new").unwrap();

        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"new".to_vec()));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_readable_by_others_if_all_that_leads_to_it_is() {
        // In /tmp itself, which everybody can enter.
        let place = tempfile::tempdir_in("/tmp").unwrap();
        let (path, link) = (place.path().join("key"), place.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let check = |directory: u32, file: u32, expected: bool| {
            fs::set_permissions(place.path(), Permissions::from_mode(directory)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(file)).unwrap();
            assert_eq!(is_readable_by_others(&link).unwrap(), expected, "{directory:o} {file:o}");
        };
        check(0o755, 0o644, true);
        check(0o711, 0o604, true);
        check(0o755, 0o640, false);
        check(0o700, 0o644, false);
        assert!(is_readable_by_others(&place.path().join("none")).is_err());
    }

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
