//! The endpoint over real sockets: the contract's table, HTTP's odd ends, its limits and its life cycle.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod framing;
mod lifecycle;
mod limits;
mod own_client;
mod support;
mod table;
mod tls;
