//! Linux: D-Bus, StatusNotifier, XDG.

pub mod addresses;
pub mod appearance;
pub mod autostart;
pub mod browser;
pub mod bus;
pub mod interruptions;
pub mod keyring;
pub mod launcher;
pub mod main_loop;
pub mod open;
pub mod popups;
pub mod probe;
pub mod screen_lock;
pub mod session;
pub mod sleep;
pub mod sound_server;
pub mod tray_host;

pub use super::unix::{console, control_socket, files, host, open_files, termination};
