//! Whether the desktop starts Pushbell by itself.
//!
//! Turning it on or off takes effect at the next login. These functions block, for a few seconds at most.

use std::{env, io};

use super::system::autostart::{turn_off, turn_on};

pub(crate) use super::system::autostart::status;

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

/// Turns it on, for the running program file, or off.
///
/// # Errors
/// When the system refuses.
pub(crate) fn set(on: bool) -> io::Result<Autostart> {
    if on { turn_on(&env::current_exe()?) } else { turn_off() }
}
