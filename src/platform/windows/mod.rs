//! Windows: the message loop, named pipes, toasts.

pub(super) mod autostart;
pub(crate) mod console;
pub mod control_socket;
pub(super) mod launch;
pub(crate) mod main_loop;
pub(crate) mod peer;
pub(super) mod system_events;
pub(super) mod toasts;

pub use super::portable::session;
pub(super) use super::portable::tray_icon;
pub(crate) use super::portable::{interruptions, keyring, open};

/// Text in UTF-16 with a terminating null.
pub(super) fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt;
    text.as_ref().encode_wide().chain([0]).collect()
}
