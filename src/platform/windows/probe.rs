//! What can be seen of the desktop and the disk.

use std::{fs, io, path::Path, ptr};

use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;

pub use crate::platform::portable::probe::{has_sound_card, surroundings};
use crate::platform::probe::Disk;

/// The disk that this directory is on.
///
/// # Errors
/// When the system does not say.
pub fn disk(path: &Path) -> io::Result<Disk> {
    let path = super::wide(path);
    let mut free = 0_u64;
    #[expect(unsafe_code, reason = "the system is asked for the room on a disk")]
    // SAFETY: the text ends with a null, and both outlive the call; the other results are not asked for.
    let told = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, ptr::null_mut(), ptr::null_mut()) };
    if told == 0 { Err(io::Error::last_os_error()) } else { Ok(Disk { free, read_only: false }) }
}

/// Asks, without writing, whether it is marked as one to read only.
///
/// # Errors
/// Says why not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    let found = fs::metadata(path)?;
    if found.is_file() && found.permissions().readonly() {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    } else {
        Ok(())
    }
}
