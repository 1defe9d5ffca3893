//! The configuration: `pushbell.toml`, as checked. The commented default lives in `config/pushbell.toml`.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

pub use crate::desktop::popup::Timeout;

/// The checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[popup]`
    pub popup: Popup,
    /// `[sound]`
    pub sound: Sound,
    /// `[tray]`
    pub tray: Tray,
    /// `[calls]`
    pub calls: Calls,
    /// `[history]`
    pub history: History,
    /// `[log]`
    pub log: Log,
}

/// `[server]`: where homeservers reach us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Addresses to listen on, at least one.
    pub listen: Vec<SocketAddr>,
    /// Base address that homeservers are told, without a trailing slash; `None`: `http://` and the first of `listen`.
    pub public_url: Option<String>,
    /// Paths served beside the standard one, each beginning with a slash.
    pub extra_paths: Vec<String>,
}

/// `[popup]`
#[derive(Debug, Clone, PartialEq)]
pub struct Popup {
    /// Show popups at all.
    pub enabled: bool,
    /// When message text is shown.
    pub preview: Preview,
    /// When a popup goes away by itself.
    pub timeout: Timeout,
    /// What a click opens.
    pub open: OpenWith,
}

/// When message text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preview {
    /// Always.
    Always,
    /// Not while the screen is locked, nor when nobody can say whether it is.
    Unlocked,
    /// Never.
    Never,
}

/// What opens a room. Placeholders: `{room}`, `{event}`, `{user}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenWith {
    /// A `matrix:` link, or matrix.to where nothing handles it.
    Matrix,
    /// An address; placeholders are percent-encoded in it.
    Address(String),
    /// A program and its arguments; a placeholder stays inside its argument, and there is never a shell.
    Command(Vec<String>),
}

/// `[sound]`
#[derive(Debug, Clone, PartialEq)]
pub struct Sound {
    /// Play sounds at all.
    pub enabled: bool,
    /// 0.0 to 1.0.
    pub volume: f32,
    /// The person's own sounds; `None`: `sounds/` in the data directory.
    pub directory: Option<PathBuf>,
    /// What a tweak's value plays: a file's path or a bundled name.
    pub tweaks: BTreeMap<String, String>,
}

/// `[tray]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tray {
    /// How the icon is drawn.
    pub style: TrayStyle,
}

/// How the tray icon is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrayStyle {
    /// In colour.
    Color,
    /// In one colour that follows light and dark panels.
    Symbolic,
}

/// `[calls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// `missed = "derive"`: a call nobody took becomes a missed call; `"server"`: only `counts.missed_calls`.
    pub derive_missed: bool,
}

/// `[history]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Days, at least 1.
    pub keep_days: u32,
    /// Keep the text of notices once they were shown.
    pub keep_bodies: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Least important level that is logged.
    pub level: tracing::Level,
}
