//! The running app under faults and floods: a push answered with 200 is stored once and shown, whatever happens.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking, and says more")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

#[allow(dead_code, reason = "each test program uses a part of it")]
#[path = "desktop/app.rs"]
mod app;
mod rig;

mod faults {
    mod accounts;
    mod database;
    mod disk;
    mod ending;
    mod floods;
    mod killing;
    mod load;
    mod network;
    mod repeats;
    mod syncing;
    mod time;
}
