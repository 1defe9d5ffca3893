//! Signing in to a real homeserver, up to the arrival of a real push.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../rig/mod.rs"]
mod rig;

mod acts;
mod copies;
mod ends;
mod finds;
mod keeps;
mod networks;
mod scene;
mod succeeds;
mod takes_over;
mod talks;
