//! The disk: its room, and whether it may be written.

use std::{io, path::Path};

use rustix::fs::{Access, StatVfsMountFlags, access, statvfs};

use crate::platform::probe::Disk;

/// The disk that this is on.
///
/// # Errors
/// When the system does not say.
pub fn disk(path: &Path) -> io::Result<Disk> {
    let found = statvfs(path)?;
    Ok(Disk {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// Asks, without writing, whether this person may write there.
///
/// # Errors
/// Says why not.
pub fn check_writable(path: &Path) -> io::Result<()> {
    Ok(access(path, Access::WRITE_OK)?)
}
