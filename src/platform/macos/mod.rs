//! macOS: the application's event loop, Unix sockets, the notification center.

pub(super) mod directory;
pub(super) mod launch;
pub mod main_loop;
pub mod probe;
pub(super) mod toasts;

pub use super::{
    portable::{addresses, autostart, browser, interruptions, session, sound_server, watch},
    unix::{control_socket, files, host, open_files, termination},
};
