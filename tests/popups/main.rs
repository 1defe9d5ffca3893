//! Popups and the other components of the desktop session, on private buses.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, clippy::panic, reason = "the helpers of tests fail loudly")]
#![expect(clippy::unused_self, reason = "the methods of D-Bus interfaces have it")]

mod fake;
mod harness;
mod parts;
mod real;
mod service;
