//! What can be seen of the desktop from outside of the running program, without changing or starting anything.

pub use super::host::{Disk, check_writable, disk};
#[cfg(target_os = "linux")]
pub use super::linux::probe::surroundings;

/// A part of the desktop, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there and answers: what it is.
    Present(String),
    /// It is not there, or of no use: why, in words.
    Absent(String),
    /// It is there, but does not answer.
    Silent,
    /// This system has no way to ask.
    Unknown,
}

/// The parts of the desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The bus that all of them are on.
    pub session_bus: Seen,
    /// What shows popups.
    pub popups: Seen,
    /// What that can do, in its own words; empty when it does not say.
    pub capabilities: Vec<String>,
    /// What shows tray icons.
    pub tray: Seen,
    /// What knows whether the screen is locked.
    pub screen_lock: Seen,
    /// What keeps access tokens.
    pub keyring: Seen,
}

/// Elsewhere, the running program alone knows.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async, reason = "on Linux, services are asked")]
pub async fn surroundings() -> Surroundings {
    Surroundings {
        session_bus: Seen::Unknown,
        popups: Seen::Unknown,
        capabilities: Vec::new(),
        tray: Seen::Unknown,
        screen_lock: Seen::Unknown,
        keyring: Seen::Unknown,
    }
}
