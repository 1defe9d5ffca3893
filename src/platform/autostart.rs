//! Whether the desktop starts Pushbell by itself.
//!
//! Turning it on or off takes effect at the next login. These functions block, for a few seconds at most.

/// Whether the desktop starts Pushbell by itself, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Autostart {
    /// It does, or would do without the problem.
    pub(crate) on: bool,
    /// What starts it, as it follows "by": "the systemd user unit pushbell.service". Empty if nothing does.
    pub(crate) by: String,
    /// What is wrong with it and what to do, if anything.
    pub(crate) problem: Option<String>,
}

pub(crate) use super::system::autostart::{status, turn_off, turn_on};
