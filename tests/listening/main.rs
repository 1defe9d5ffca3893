//! Listening by long-polling sync, with a real homeserver that cannot push to this computer, and with proxies in
//! between.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]
#![recursion_limit = "512"]

#[path = "../rig/mod.rs"]
mod rig;

#[path = "../reachability/authority.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod authority;
mod changes;
#[path = "../encryption/client.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod client;
mod far;
mod faults;
mod hears;
mod kills;
mod links;
mod scene;
mod unlisted;
mod ways;
