//! macOS: the application's event loop, Unix sockets, the notification center.

pub(super) mod autostart;
pub(super) mod launch;
pub(crate) mod main_loop;
pub(crate) mod peer;
pub(super) mod system_events;
pub(super) mod toasts;

pub(super) use super::portable::tray_icon;
pub use super::{portable::session, unix::control_socket};
pub(crate) use super::{
    portable::{interruptions, keyring, open},
    unix::console,
};
