//! The endpoint: HTTP/1.1 around the [intake](crate::intake).
//!
//! ```text
//! server: accept -> connection_table -> connection: TLS, hyper -> requests: route, body -> intake -> answer
//!                   who leaves when full   stream: deadlines
//! ```
//! Everything runs on one thread, with one task for each connection.

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
    /// Bytes of a request line and its headers, at least 8192. Homeservers send 300; a proxy in between may add
    /// cookies.
    pub head_bytes: usize,
    /// Bytes of a body: the limit of the reference gateway. Events are at most 64 KiB.
    pub body_bytes: usize,
    /// Bytes of all bodies in memory together. Beyond this a connection that has delivered no push is evicted.
    pub all_body_bytes: usize,
    /// Open connections. A person has a few homeservers; a reverse proxy may open one for each of its clients.
    pub connections: usize,
    /// Time for the TLS handshake, from accept.
    pub handshake_time: Duration,
    /// Time for a complete body.
    pub body_time: Duration,
    /// Time for the push to be on disk, else the answer is 503: homeservers give up after 60 s.
    pub record_time: Duration,
    /// Time for the client to read an answer.
    pub answer_time: Duration,
    /// Time for a complete request head, from the previous answer or from accept. A connection
    /// costs as little while its head is incomplete as between two requests. Synapse keeps its connection for 2
    /// minutes; it must be the one that closes it, since a push that crosses our closing counts as a failure there.
    pub idle_time: Duration,
    /// Time for a client that is still sending to read the refusal, before the connection is closed.
    pub linger_time: Duration,
    /// Time for requests in progress when the server shuts down.
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
