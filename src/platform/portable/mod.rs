//! The common parts of Windows and macOS: popups by blocking calls, opening things, keyrings.
//!
//! The parts without system calls are also compiled for tests on any system.

#[cfg(not(target_os = "linux"))]
pub(crate) mod interruptions;
#[cfg(not(target_os = "linux"))]
pub(crate) mod keyring;
#[cfg(any(target_os = "macos", test))]
pub(super) mod launch_agent;
#[cfg(not(target_os = "linux"))]
pub(crate) mod open;
pub(super) mod popups;
#[cfg(not(target_os = "linux"))]
pub mod session;
#[cfg(not(target_os = "linux"))]
pub(in crate::platform) mod tray_icon;
