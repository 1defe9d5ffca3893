//! For a system on which Pushbell cannot yet have itself started.

use std::{io, path::Path};

use crate::platform::autostart::Autostart;

const REASON: &str = "Pushbell cannot yet have this system start it: add it to what starts at login by hand";

/// That nothing is known.
///
/// # Errors
/// Always.
pub fn status() -> io::Result<Autostart> {
    Err(io::Error::new(io::ErrorKind::Unsupported, REASON))
}

/// Does nothing.
///
/// # Errors
/// Always.
pub fn turn_on(_program: &Path) -> io::Result<Autostart> {
    status()
}

/// Does nothing.
///
/// # Errors
/// Always.
pub fn turn_off() -> io::Result<Autostart> {
    status()
}
