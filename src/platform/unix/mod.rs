//! What Linux and macOS have in common: terminals, Unix sockets.

pub(crate) mod console;
pub mod control_socket;
