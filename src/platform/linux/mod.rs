//! Linux: D-Bus, StatusNotifier, XDG.

pub(super) mod autostart;
pub(super) mod bus;
mod desktop_state;
mod do_not_disturb;
pub(crate) mod interruptions;
pub(crate) mod keyring;
mod launcher;
pub(crate) mod main_loop;
pub(crate) mod open;
pub(crate) mod peer;
#[allow(unreachable_pub, reason = "its parts are named within it")]
mod popups;
pub(super) mod probe;
mod screen_lock;
pub mod session;
mod tray_host;
pub(super) mod tray_icon;

pub(crate) use super::unix::console;
pub use super::unix::control_socket;
