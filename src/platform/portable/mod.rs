//! What Windows and macOS have in common: popups by a call that blocks, a tray icon on the main thread, opening things,
//! watching files through a watch of their directories.
//!
//! The parts that decide are also compiled for tests on any system.

#[cfg(not(target_os = "linux"))]
pub mod addresses;
#[cfg(not(target_os = "linux"))]
pub mod browser;
#[cfg(not(target_os = "linux"))]
pub mod interruptions;
#[cfg(not(target_os = "linux"))]
pub mod keyring;
#[cfg(any(target_os = "macos", test))]
pub(super) mod launch_agent;
#[cfg(not(target_os = "linux"))]
pub(super) mod open;
pub(super) mod popups;
#[cfg(not(target_os = "linux"))]
pub(super) mod probe;
#[cfg(not(target_os = "linux"))]
pub mod session;
#[cfg(not(target_os = "linux"))]
pub mod sound_server;
