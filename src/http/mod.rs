//! The endpoint: HTTP/1.1 around the [intake](crate::intake).
//!
//! ```text
//! server: accept -> connection_table -> connection: TLS, hyper -> requests: route, body -> intake -> answer
//!                   who leaves when full   stream: deadlines
//! ```
//! Everything runs on one thread: a connection is a task, a request is none.

mod answer;
mod connection;
mod connection_table;
mod requests;
mod server;
mod stream;
pub mod tls;

use std::time::Duration;

pub use self::server::{Server, Serving};

/// The bounds of the endpoint. A connection carries one request at a time, so `connections` bounds the requests too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line and its headers, at least 8192. Homeservers send 300; a proxy in between may add cookies.
    pub head_bytes: usize,
    /// Bytes of a body: the limit of the reference gateway. Events are at most 64 KiB.
    pub body_bytes: usize,
    /// Bytes of all bodies that are held at once. Beyond it a connection that has delivered no push makes room.
    pub all_body_bytes: usize,
    /// Open connections. A person has a few homeservers; a proxy before us may keep a connection for each of its own.
    pub connections: usize,
    /// For a handshake of TLS, from the connection's beginning.
    pub handshake_time: Duration,
    /// For a body to be whole.
    pub body_time: Duration,
    /// For the push to be on disk, or else it is answered with 503: homeservers give up after 60 s.
    pub record_time: Duration,
    /// For an answer to be taken.
    pub answer_time: Duration,
    /// For a request line and its headers to be whole, from the answer before or the connection's beginning. A connection
    /// costs as little while its head is incomplete as between two requests. Synapse keeps its connection for 2 minutes; it must be the one that closes it, since a
    /// push that crosses our closing counts as a failure there.
    pub idle_time: Duration,
    /// For a client that still sends to take the answer that refuses it, before the connection is closed.
    pub linger_time: Duration,
    /// For requests in progress when the server shuts down.
    pub drain_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            body_bytes: 512 * 1024,
            all_body_bytes: 8 * 1024 * 1024,
            connections: 2048,
            handshake_time: Duration::from_secs(10),
            body_time: Duration::from_secs(30),
            record_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(300),
            linger_time: Duration::from_secs(3),
            drain_time: Duration::from_secs(10),
        }
    }
}
