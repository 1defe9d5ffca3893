//! The endpoint over real sockets: the contract's table, HTTP edge cases, limits and shutdown.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod framing;
mod lifecycle;
mod limits;
mod own_client;
mod support;
mod table;
mod tls;
