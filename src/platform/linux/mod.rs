//! Linux: D-Bus, StatusNotifier, XDG.

pub mod control_socket;
pub mod files;
pub mod watch;
