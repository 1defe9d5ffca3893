//! State of the desktop's services, seen from outside of the running program without changing or starting anything.

pub(crate) use super::host::{check_writable, disk};
#[cfg(target_os = "linux")]
pub(crate) use super::linux::probe::surroundings;

/// State of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has a way to ask"))]
pub(crate) enum Seen {
    /// It answers; its name.
    Present(String),
    /// It is missing or unusable: why, in words.
    Absent(String),
    /// There is no session bus that it could be on.
    NoSessionBus,
    /// It is there, but does not answer.
    Silent,
    /// This system has no way to ask.
    #[default]
    Unknown,
}

/// The parts of the desktop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// The bus that all of them are on.
    pub(crate) session_bus: Seen,
    /// What shows popups.
    pub(crate) popups: Seen,
    /// What that can do, in its own words; empty when it does not say.
    pub(crate) capabilities: Vec<String>,
    /// The desktop says that the person is not to be disturbed.
    pub(crate) do_not_disturb: bool,
    /// What shows tray icons.
    pub(crate) tray: Seen,
    /// What knows whether the screen is locked.
    pub(crate) screen_lock: Seen,
    /// What keeps access tokens.
    pub(crate) keyring: Seen,
}

/// Elsewhere, the running program alone knows.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async, reason = "on Linux, services are asked")]
pub(crate) async fn surroundings() -> Surroundings {
    Surroundings::default()
}
