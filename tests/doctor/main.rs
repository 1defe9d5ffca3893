//! `pushbell doctor` on real components: it reports nothing on a healthy desktop, and reports each fault, caused for
//! real, with its remedy.
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
