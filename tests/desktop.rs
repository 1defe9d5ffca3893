//! The running app on a real desktop, from the push to what the user sees and hears: popups of dunst and xfce4-notifyd,
//! the icon on xfce4-panel, the sound that PulseAudio plays.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

mod rig;

mod desktop {
    mod app;
    mod calls;
    mod clicks;
    mod fixtures;
    mod life;
    mod listener;
    mod popups;
    mod restarts;
    mod services;
    mod settings;
    mod sounds;
    mod tray;
}
