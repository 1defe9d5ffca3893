//! Catching up, with a real homeserver and with a mock for answers that a real one cannot be made to give.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "../rig/mod.rs"]
mod rig;

mod calls;
mod details;
mod homeserver;
mod hostile;
mod killed;
mod limits;
mod mock_homeserver;
mod network;
mod sessions;
mod stage;
