//! What packages hold, and starting with the desktop: the real files, read by the tools that desktops and packagers
//! read them with, and a real user manager of systemd.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

#[path = "catching_up/stage.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod stage;
#[path = "catching_up/stand_in.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod stand_in;

mod packages {
    mod autostart;
    mod files;
    mod printed;
    mod user_manager;
}
