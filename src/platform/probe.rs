//! State of the desktop's services, queried without the running program, and without changing or starting anything.

pub(crate) use super::host::{check_writable, disk};
#[cfg(target_os = "linux")]
pub(crate) use super::linux::probe::surroundings;

/// State of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "can be queried on Linux only"))]
pub(crate) enum Seen {
    /// It answers, with this name.
    Present(String),
    /// It is missing or unusable, for this reason.
    Absent(String),
    /// There is no session bus.
    NoSessionBus,
    /// It does not answer.
    Silent,
    /// It cannot be queried on this system.
    #[default]
    Unknown,
}

/// The parts of the desktop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// The session bus.
    pub(crate) session_bus: Seen,
    /// The notification service.
    pub(crate) popups: Seen,
    /// The notification service's capabilities; empty if unknown.
    pub(crate) capabilities: Vec<String>,
    /// Whether do-not-disturb is on.
    pub(crate) do_not_disturb: bool,
    /// The tray host.
    pub(crate) tray: Seen,
    /// The source of the screen lock's state.
    pub(crate) screen_lock: Seen,
    /// The keyring.
    pub(crate) keyring: Seen,
}

/// On other systems only the running program knows.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async, reason = "on Linux, services are asked")]
pub(crate) async fn surroundings() -> Surroundings {
    Surroundings::default()
}
