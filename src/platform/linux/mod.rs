//! Linux: D-Bus, StatusNotifier, XDG.

pub(super) mod autostart;
pub(super) mod bus;
mod desktop_state;
pub mod interruptions;
pub mod keyring;
mod launcher;
pub mod main_loop;
pub mod open;
#[allow(unreachable_pub, reason = "its parts are named within it")]
mod popups;
pub(super) mod probe;
mod screen_lock;
pub mod session;
mod tray_host;
pub(super) mod tray_icon;

pub use super::unix::{console, control_socket};
