//! Windows: the message loop, named pipes, toasts.

pub(super) mod autostart;
pub mod console;
pub mod control_socket;
pub mod files;
pub mod host;
pub(super) mod launch;
pub mod main_loop;
pub mod open_files;
pub(super) mod probe;
mod registry;
mod shortcut;
pub(super) mod system_events;
pub mod termination;
pub(super) mod toasts;

pub use super::portable::{addresses, browser, interruptions, keyring, session, sound_server};

/// Text as Windows takes it: UTF-16 that ends with a null.
fn wide(text: impl AsRef<std::ffi::OsStr>) -> Vec<u16> {
    use std::os::windows::ffi::OsStrExt;
    text.as_ref().encode_wide().chain([0]).collect()
}
