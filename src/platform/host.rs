//! This computer: its name, its addresses, its disks, and what it allows a process.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Maximum length of a name, in characters.
const MAX_NAME_LENGTH: usize = 40;

/// The disk that a file or directory is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that this user may still write.
    pub(crate) free: u64,
    /// It is mounted read-only.
    pub(crate) read_only: bool,
}

/// The host's name without its domain.
#[must_use]
pub fn name() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(windows)]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let host = name.split('.').next().unwrap_or_default();
    let host: String = host.chars().filter(|c| !c.is_control()).take(MAX_NAME_LENGTH).collect();
    if host.is_empty() { "this computer".to_owned() } else { host }
}

/// The machine id, which is stable until the system is reinstalled; `None` if there is none. Only values derived from
/// it by a one-way hash may be disclosed.
#[cfg(target_os = "linux")]
pub(crate) fn machine_id() -> Option<String> {
    // Before the end of the first boot it may contain another word: machine-id(5).
    let is_id = |id: &String| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit());
    let read = |path| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(is_id);
    ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(read)
}

/// The machine id.
#[cfg(windows)]
pub(crate) fn machine_id() -> Option<String> {
    let key = windows_registry::LOCAL_MACHINE.open(r"SOFTWARE\Microsoft\Cryptography").ok()?;
    key.get_string("MachineGuid").ok().filter(|id| !id.is_empty())
}

/// The machine id: gethostuuid(2).
#[cfg(target_os = "macos")]
pub(crate) fn machine_id() -> Option<String> {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    #[expect(unsafe_code, reason = "no crate that is used has this call")]
    // SAFETY: this is its declaration in <unistd.h>.
    unsafe extern "C" {
        fn gethostuuid(id: *mut u8, wait: *const Timespec) -> i32;
    }
    let mut id = [0_u8; 16];
    let wait = Timespec { seconds: 1, nanoseconds: 0 };
    #[expect(unsafe_code, reason = "the system is asked for the computer's id")]
    // SAFETY: both outlive the call, and the id has the 16 bytes that are written.
    let failed = unsafe { gethostuuid(id.as_mut_ptr(), &raw const wait) };
    (failed == 0).then(|| format!("{:032x}", u128::from_be_bytes(id)))
}

/// The bridges on which Docker and Podman put containers by default.
const BRIDGES: [&str; 3] = ["docker0", "podman0", "cni-podman0"];

/// The address of each interface, with its network's prefix length. Empty if unknown.
#[must_use]
pub(crate) fn addresses() -> Vec<(IpAddr, u8)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let address = |interface: &if_addrs::Interface| match &interface.addr {
        if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
        if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
    };
    interfaces.iter().map(address).collect()
}

/// The address by which containers on this computer reach it, where there is a bridge for them.
#[must_use]
pub(crate) fn container_bridge() -> Option<Ipv4Addr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let address = |name: &str| {
        interfaces.iter().filter(|interface| interface.name == name).find_map(|interface| match interface.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    };
    BRIDGES.into_iter().find_map(address)
}

/// The disk that this file or directory is on.
///
/// # Errors
/// When the system does not say.
#[cfg(unix)]
pub(crate) fn disk(path: &Path) -> io::Result<Disk> {
    let found = rustix::fs::statvfs(path)?;
    Ok(Disk {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// The disk that this directory is on.
///
/// # Errors
/// When the system does not say.
#[cfg(windows)]
pub(crate) fn disk(path: &Path) -> io::Result<Disk> {
    use std::ptr;
    use windows_sys::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
    let path = super::windows::wide(path);
    let mut free = 0_u64;
    #[expect(unsafe_code, reason = "the system is asked for the room on a disk")]
    // SAFETY: the text ends with a null, and both outlive the call; the other results are not asked for.
    let told = unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, ptr::null_mut(), ptr::null_mut()) };
    if told == 0 { Err(io::Error::last_os_error()) } else { Ok(Disk { free, read_only: false }) }
}

/// Checks, without writing, whether this user may write there.
///
/// # Errors
/// The reason why not.
#[cfg(unix)]
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(path, rustix::fs::Access::WRITE_OK)?)
}

/// Checks, without writing, whether it is a read-only file.
///
/// # Errors
/// The reason why not.
#[cfg(windows)]
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    let found = std::fs::metadata(path)?;
    if found.is_file() && found.permissions().readonly() {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    } else {
        Ok(())
    }
}

/// Raises the limit of files and sockets that this process may have open to this number, or as far as the system
/// allows. Never lowers it. Returns the limit in force.
///
/// Child processes inherit the limit, and some cannot cope with limits far above the usual 1024.
#[cfg(unix)]
pub(crate) fn allow_open_files(wanted: usize) -> usize {
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let now = getrlimit(Resource::Nofile);
    let enough = now.current.is_none_or(|current| current >= wanted);
    let possible = now.maximum.map_or(wanted, |most| most.min(wanted));
    if !enough && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..now }) {
        tracing::debug!("the number of open files cannot be raised: {error}");
    }
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |current| usize::try_from(current).unwrap_or(usize::MAX))
}

/// Windows has no such limit.
#[cfg(windows)]
#[must_use]
pub(crate) fn allow_open_files(_wanted: usize) -> usize {
    usize::MAX
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_number_rises_as_far_as_it_may_and_never_falls() {
        let before = allow_open_files(0);
        assert_eq!(allow_open_files(before - 1), before);
        let maximum = getrlimit(Resource::Nofile).maximum.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
        let raised = allow_open_files(before + 1);
        assert_eq!(raised, (before + 1).min(maximum));
        assert_eq!(allow_open_files(0), raised);
    }
}
