//! `pushbell doctor` on real parts: nothing is said of a desktop on which all is well, and each fault, made for real,
//! is named with what to do about it.
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

mod control_socket;
mod desktop;
mod report;
mod servers;
mod sessions;
mod storage;
mod way;
