//! macOS: the application's event loop, Unix sockets, the notification center.

pub(super) mod autostart;
pub(super) mod directory;
pub(super) mod launch;
pub mod main_loop;
pub(super) mod surroundings;
pub(super) mod toasts;

pub use super::{
    portable::{session, sound_server, watch},
    unix::{console, control_socket, files, open_files, termination},
};
