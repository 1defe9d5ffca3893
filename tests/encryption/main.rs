//! Encrypted messages, with a real homeserver and other encrypting clients.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![recursion_limit = "512"]

#[path = "../rig/mod.rs"]
mod rig;
#[allow(dead_code, reason = "the page's own tests use all of it")]
#[path = "../page/visit.rs"]
mod visit;

mod calls;
mod client;
mod keeps;
mod late;
mod outages;
mod page;
mod pictures;
mod proxy;
mod reads;
mod refuses;
mod rooms;
mod scene;
mod trusts;
mod typed;
mod writes;
