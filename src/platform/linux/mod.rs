//! Linux: D-Bus, StatusNotifier, XDG.

pub mod files;
