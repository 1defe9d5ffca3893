//! The only place that names the operating system. Each system has a module of its own; all have the same names in it,
//! and the rest of the program uses those through this module and knows nothing of the system behind them:
//!
//! | name | what it is |
//! |---|---|
//! | `main_loop::{channel, run, TrayRemote, TrayCommands}` | the main thread, which belongs to the tray icon and to the event loop where there is one; the remote tells it from any thread what to show |
//! | `session::Session` | popups, opening things, counts on docks, and what the desktop tells of itself, as methods that return at once and [`DesktopEvent`](crate::desktop::DesktopEvent)s |
//! | `console::{attach, is_logged, HiddenTyping}` | where the command line is read and written, and passwords are typed |
//! | `open::{Launcher, KNOWS_LOCALHOST_NAMES, browser_available, open_in_browser}` | what opens addresses, files and programs; the user's browser, for commands that run without a [`Session`](session::Session) |
//! | `peer::is_own` | whether a connection within this computer was made by this user, as far as that is asked |
//! | `control_socket::{ControlListener, connect}` | byte streams between the running program and its commands, closed to other people |
//! | `keyring::{NAME, get, set, delete}` | the system's store of secrets |
//! | `interruptions::{Interruptions, AddressWatch}` | notices that the clock was set, that a network has come, that this computer has got or lost an address |
//!
//! The other modules are for all systems, most of them by a crate. Everything asynchronous runs on the tokio runtime of
//! the thread that starts it, never on the main thread.
//!
//! What each system has of this, and how it is checked: `docs/systems.md`.

pub(crate) mod autostart;
pub(crate) mod files;
pub mod host;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;
mod opener;
#[cfg(any(windows, target_os = "macos", test))]
mod portable;
pub(crate) mod probe;
pub(crate) mod sockets;
pub(crate) mod sound_server;
pub(crate) mod termination;
mod tray;
#[cfg(unix)]
mod unix;
pub(crate) mod watch;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

#[cfg(target_os = "linux")]
pub use linux::{
    bus::{BusAddress, CALL_DEADLINE},
    session::Buses,
};
pub(crate) use system::{console, interruptions, keyring, main_loop, open, peer};
pub use system::{control_socket, session};

/// Something after which pushes may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The clock was set by seconds or more, or the computer slept.
    ClockJumped,
    /// There is a new way to other computers.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells it"))]
    NetworkCame,
}
