//! What packages hold, and starting with the desktop: the real files, read by the tools that desktops and packagers
//! read them with, and a real user manager of systemd.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

mod packages {
    mod autostart;
    mod files;
    mod printed;
    mod user_manager;
}
