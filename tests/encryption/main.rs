//! Encrypted messages, with a real homeserver and other clients that encrypt.
#![cfg(all(target_os = "linux", feature = "encryption"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![recursion_limit = "512"]

#[path = "../rig/mod.rs"]
mod rig;

mod calls;
mod client;
mod gate;
mod keeps;
mod late;
mod outages;
mod pictures;
mod reads;
mod refuses;
mod rooms;
mod scene;
mod trusts;
mod typed;
mod writes;
