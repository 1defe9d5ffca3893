//! How homeservers reach the app: TLS, addresses, socket activation, and the recipes of `docs/connect.md` with a real
//! nginx, Caddy, sshd and Synapse.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

#[path = "../desktop/app.rs"]
#[allow(dead_code, reason = "each test program uses a part of it")]
mod app;
#[path = "../rig/mod.rs"]
mod rig;

mod addresses;
mod authority;
mod homeserver;
mod line;
mod proxies;
mod recipes;
mod renewal;
mod secure;
mod siege;
mod tunnel;
