//! Whether the desktop starts Pushbell by itself.
//!
//! Turning it on or off changes what happens at the next login, and nothing that runs now. All of these may wait for
//! the system, a few seconds at most: they are not for threads that must not.

use std::{env, io};

use super::system::autostart::{turn_off, turn_on};

pub(crate) use super::system::autostart::status;

/// Whether the desktop starts Pushbell by itself, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Autostart {
    /// It does, or would but for the problem.
    pub(crate) on: bool,
    /// What starts it, in words that follow "by": "the systemd user unit pushbell.service". Empty where nothing does.
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
