//! Linux: D-Bus, StatusNotifier, XDG.

pub mod main_loop;
