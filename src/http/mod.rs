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
mod limits;
mod requests;
mod server;
mod stream;
pub mod tls;

pub use self::{
    limits::Limits,
    requests::HEALTH_PATH,
    server::{Server, Serving},
};
