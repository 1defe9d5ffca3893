//! The contents of packages, and autostart: the real files, checked with the tools that desktops and packagers use, and
//! a real systemd user manager.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

#[path = "catching_up/mock_homeserver.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod mock_homeserver;
#[path = "catching_up/stage.rs"]
#[allow(dead_code, reason = "not all of it is used here")]
mod stage;

mod packages {
    mod autostart;
    mod files;
    mod printed;
    mod user_manager;
}
