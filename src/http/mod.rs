//! The endpoint: hyper at its outermost, the contract's table within.
//!
//! ```text
//! server: accept -> (tls) -> connection: hyper, deadlines -> routes -> body -> parse -> admit -> record -> answer
//! ```
//! Everything runs on one thread: a connection is a task, a request is none. The recorder alone waits for a disk, and
//! it does so elsewhere.

mod answer;
mod body;
mod connection;
mod limits;
mod link;
mod registry;
mod rejections;
mod routes;
mod server;
pub mod tls;

pub use self::{
    limits::Limits,
    routes::{Endpoint, HEALTH_PATH, Recorder, Settings},
    server::Server,
};
