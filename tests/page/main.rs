//! The page: who gets in, what it shows and does, and all of it in a real browser.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../rig/mod.rs"]
mod rig;

mod access;
mod acts;
mod browser;
mod in_browser;
mod visit;
