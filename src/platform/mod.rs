//! The only place that names the operating system. Each system has a module of its own; all have the same names in it,
//! and the rest of the program uses those through this module and knows nothing of the system behind them:
//!
//! | name | what it is |
//! |---|---|
//! | `main_loop::{channel, run, TrayRemote, TrayCommands}` | the main thread, which belongs to the tray icon and to the event loop where there is one; the remote tells it from any thread what to show |
//! | `main_loop::{ICON_SIZE, ICON_WORDS}` | what a tray icon looks like here |
//! | `session::Session` | popups, opening things, counts on docks, and what the desktop tells of itself, as methods that return at once and [`DesktopEvent`](crate::desktop::DesktopEvent)s |
//! | `autostart::{status, turn_on, turn_off}` | whether the desktop starts Pushbell by itself: [`autostart::Autostart`] |
//! | `console::{attach, is_logged, HiddenTyping}` | where the command line is read and written, and passwords are typed |
//! | `browser::{available, open}` | the person's browser, for commands that run without a [`Session`](session::Session) |
//! | `control_socket::{ControlListener, connect}` | byte streams between the running program and its commands, closed to other people |
//! | `files::{create_private_directory, open_private, replace_private}` | files that only this person can read, replaced whole |
//! | `host::name` | what this computer is called |
//! | `keyring::{NAME, get, set, delete}` | the system's store of secrets |
//! | `network::addresses` | the addresses that this computer has |
//! | `interruptions::Interruptions` | notices that the clock was set, that the computer slept, that a network has come |
//! | `files::identity` | which file a name leads to |
//! | `files::is_readable_by_others` | whether other people of this computer can read a file |
//! | `sockets::{listen, inherited}` | sockets that listen, our own and those that a service manager hands over |
//! | `addresses::AddressWatch` | notices that this computer has got or lost an address |
//! | `open_files::allow` | lets the program have more files and sockets open at once |
//! | `sound_server::{prepare, quieten}` | what sounds need before the first thread starts, and before a device is opened |
//! | `memory::{keep_little, Rest}` | gives memory back that is not needed |
//! | `picture::{first, next}` | what becomes of the tray icon's picture |
//! | `probe::{surroundings, has_sound_card, disk, check_writable}` | what can be seen of the desktop and the disk without changing anything, for `pushbell doctor` |
//! | `watch::FileWatch` | notices that files have changed |
//! | `termination::termination` | waits until the program is told to end |
//!
//! Everything asynchronous runs on the tokio runtime of the thread that starts it, never on the main thread.
//!
//! What each system has of this, and how it is checked: `docs/systems.md`.

pub mod autostart;
#[cfg(target_os = "linux")]
pub mod linux;
#[cfg(target_os = "macos")]
mod macos;
pub mod memory;
pub mod network;
pub mod picture;
mod places;
#[cfg(any(windows, target_os = "macos", test))]
mod portable;
pub mod probe;
pub mod sockets;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
#[cfg(windows)]
use windows as system;

pub use system::{
    addresses, browser, console, control_socket, files, host, interruptions, keyring, main_loop, open_files, session,
    sound_server, termination, watch,
};

/// Something after which pushes may have been missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The clock was set by seconds or more, or the computer slept.
    ClockJumped,
    /// There is a new way to other computers.
    NetworkCame,
}
