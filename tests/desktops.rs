//! The app on the components of real desktops: popups, their clicks, the badge, its tooltip and menu.
//!
//! With `PUSHBELL_PICTURES=docs/images` the tests make the pictures of `docs/desktops.md`, `-- --ignored kinds` those
//! of every kind of popup.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

mod rig;

mod desktops {
    #[path = "../desktop/app.rs"]
    #[allow(dead_code, reason = "not all of it is used here")]
    mod app;
    mod cinnamon;
    mod do_not_disturb;
    mod gnome;
    mod kinds;
    mod plasma;
    mod wayland;
    mod x11;
}
