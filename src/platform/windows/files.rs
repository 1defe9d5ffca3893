//! Files and directories that only the user can read: what is made in the user's profile inherits that from it.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::windows::fs::MetadataExt as _,
    path::Path,
    process,
};

/// Makes a directory, and those above it that are missing. One that exists stays as it is.
///
/// # Errors
/// When it cannot be made, or something else has its name.
pub fn create_private_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() { Ok(()) } else { fs::create_dir_all(path) }
}

/// Opens a file to read and write; makes it if there is none. What it contains stays.
///
/// # Errors
/// When it cannot be opened or made.
pub fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Which file it is, whatever its name: another file was made at another time.
#[must_use]
pub fn identity(file: &Metadata) -> (u64, u64) {
    (file.creation_time(), 0)
}

/// Replaces a file, or makes it. Whoever reads it finds the old content or the new, whole. A symbolic link stays one:
/// what it points to is replaced.
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
    replaced
}

/// Whether everybody on this computer can read the file. Lists of permissions are not looked at: it is taken as private.
///
/// # Errors
/// Never.
pub fn is_readable_by_others(_path: &Path) -> io::Result<bool> {
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

    #[test]
    fn a_replaced_file_is_whole_and_leaves_no_draft_behind() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        for content in ["a much longer old content", "new"] {
            replace_private(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
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
