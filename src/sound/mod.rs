//! Sounds: finding the one for a tweak, and playing it.
//!
//! ```text
//! Player ── Schedule (pure: what to play now) ── supervising task ── session thread, one for each sound:
//!           Places (which file) ─> Clip (decoded) ─> output (device opened, played, closed)
//! ```
//! The session thread makes every call that may block (files, decoders, sound servers). The supervising task abandons a
//! session that exceeds its deadline.

mod check;
mod clip;
pub mod lookup;
mod output;
mod own;
mod player;
mod schedule;
mod session;

pub(crate) use check::faults;
pub(crate) use output::find_device;
pub(crate) use own::{MAX_SIZE as MAX_OWN_SIZE, keep, list as own_sounds};
pub use player::Player;
pub(crate) use schedule::Fault;
