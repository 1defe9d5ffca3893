//! The only place that names the operating system. Each system has a module with the same names in it, which the rest
//! of the program uses through this module:
//!
//! | name | what it is |
//! |---|---|
//! | `main_loop::{channel, run, TrayRemote, TrayCommands}` | the main thread, which runs the tray icon and the system's event loop, if there is one; the remote sends it views from any thread |
//! | `session::Session` | popups, opening things, counts on docks, and the state of the desktop, as methods that return at once and [`DesktopEvent`](crate::desktop::DesktopEvent)s |
//! | `console::{attach, is_logged, HiddenTyping}` | the terminal: output and hidden input |
//! | `open::{Launcher, KNOWS_LOCALHOST_NAMES, browser_available, open_in_browser}` | opens addresses, files and programs; the user's browser, for commands that run without a [`Session`](session::Session) |
//! | `peer::is_own` | whether a local connection was made by this user, where the system can tell |
//! | `control_socket::{ControlListener, connect}` | private byte streams between the running program and its commands |
//! | `keyring::{NAME, get, set, delete}` | the system's keyring |
//! | `interruptions::{Interruptions, AddressWatch}` | detects a set clock, a new network, and changed addresses |
//!
//! The other modules serve all systems, most of them through a crate. Asynchronous parts run on the tokio runtime of
//! the thread that starts them, never on the main thread.
//!
//! `docs/systems.md` lists what each system supports, and how it is checked.

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

/// An event after which pushes may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The clock was set by seconds or more, or the computer slept.
    ClockJumped,
    /// A new network route has appeared.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "reported on Linux only"))]
    NetworkCame,
}
