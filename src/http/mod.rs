//! The endpoint: hyper at its outermost, the contract's table within.

pub mod client;
pub mod routes;
pub mod server;
