//! Linux: D-Bus, StatusNotifier, XDG.

pub mod files;
pub mod main_loop;
