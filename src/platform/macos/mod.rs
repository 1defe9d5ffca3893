//! macOS: the application's event loop, Unix sockets, the notification center.

pub(super) mod autostart;
pub(super) mod launch;
pub mod main_loop;
pub(super) mod probe;
pub(super) mod system_events;
pub(super) mod toasts;

pub use super::{
    portable::{addresses, browser, interruptions, keyring, session, sound_server},
    unix::{console, control_socket, files, host, open_files, termination},
};
