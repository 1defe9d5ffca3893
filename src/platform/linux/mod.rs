//! Linux: D-Bus, StatusNotifier, XDG.
