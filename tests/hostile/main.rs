//! Hostile input to the whole program on a real bus: it keeps serving, shows nothing that acts, logs no secret and
//! stays within its memory limit. `docs/hostile-input.md` lists every bound and its test.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "../../fuzz/checks.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "they are written for the fuzz targets")]
mod checks;
#[path = "../rig/mod.rs"]
mod rig;

mod bodies;
mod finds;
mod logs;
mod privacy;
mod pushkeys;
mod siege;
mod stage;
mod words;
