//! The pure half of Pushbell: what a push says and what becomes of it. Nothing in here does I/O or asks for the time.

pub mod event;
pub(crate) mod html;
pub(crate) mod lenient;
pub(crate) mod listed;
pub mod notify;
pub mod text;
