//! What Linux and macOS have in common: modes of files, Unix sockets, signals.

pub mod console;
pub mod control_socket;
pub mod files;
pub mod host;
pub mod open_files;
pub(super) mod probe;
pub mod termination;
