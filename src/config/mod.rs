//! The configuration: `pushbell.toml`, as checked. The commented default lives in `config/pushbell.toml`.

mod check;
mod describe;
mod document;
mod edit;
mod error;
mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use tracing::Level;

pub use describe::{Kind, Setting, settings};
use document::Document;
pub(crate) use edit::toml_list;
pub use edit::{EditError, ServerLines, with_server, with_sound, with_value};
pub use error::{ConfigError, Fault, ReadError};
pub use file::{InForce, copy_of, in_force};

use crate::{address::Scope, app_info, present::popup::RoomButton};
pub use notify_rust::Timeout;

/// The checked configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[popup]`
    pub popup: Popup,
    /// `[quiet]`
    pub quiet: Quiet,
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
    /// Base address that homeservers are told, without a trailing slash; `None`: `http://` (with
    /// `tls`: `https://`) and the first of `listen`.
    pub public_url: Option<String>,
    /// Paths served beside the standard one, each beginning with a slash.
    pub extra_paths: Vec<String>,
    /// What TLS is spoken with on all of `listen`; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// `server.tls`: two files in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
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
    /// How many of a room's newest messages its popup shows, 1 to 10.
    pub lines: usize,
    /// What a click opens.
    pub open: OpenWith,
    /// The buttons of a room's popup, in this order.
    pub actions: Vec<RoomButton>,
    /// Whether others may see what was marked as read.
    pub public_receipts: bool,
}

/// When message text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preview {
    /// Always.
    Always,
    /// Not while the screen is locked, nor when that is unknown.
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

/// `[quiet]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet {
    /// While the desktop says that the person is not to be disturbed nothing sounds, and mentions do not stand out.
    pub follow_desktop: bool,
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

impl Config {
    /// Reads a configuration from its text. `file` is what errors call it.
    ///
    /// # Errors
    /// Says every fault of the text: line, key, what is wrong and what would be right.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let refuse = |faults| ConfigError::Faulty { file: file.to_owned(), faults };
        let mut document = Document::parse(text).map_err(refuse)?;
        let config = Self::read(&mut document);
        let faults = document.finish();
        if faults.is_empty() { Ok(config) } else { Err(refuse(faults)) }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it is missing, cannot be read, or is not right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        file::read(path).map(|(config, _)| config)
    }

    /// Reads every key, each with its default.
    fn read(document: &mut Document<'_>) -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, app_info::DEFAULT_PORT));
        let bing = BTreeMap::from([("bing.wav".to_owned(), "bing".to_owned())]);
        Self {
            server: Server {
                listen: document.read("server", "listen", vec![loopback], check::addresses),
                public_url: document.read("server", "public_url", None, check::base_url),
                extra_paths: document.read("server", "extra_paths", Vec::new(), check::paths),
                tls: document.read("server", "tls", None, check::tls),
            },
            popup: Popup {
                enabled: document.read("popup", "enabled", true, check::boolean),
                preview: document.read("popup", "preview", Preview::Always, |value| check::word(value, &PREVIEWS)),
                timeout: document.read("popup", "timeout", Timeout::Default, check::timeout),
                lines: document.read("popup", "lines", 3, check::lines),
                open: document.read("popup", "open", OpenWith::Matrix, check::open),
                actions: document.read("popup", "actions", vec![RoomButton::Reply, RoomButton::Read], check::actions),
                public_receipts: document.read("popup", "receipts", false, |value| check::word(value, &RECEIPTS)),
            },
            quiet: Quiet { follow_desktop: document.read("quiet", "follow_desktop", true, check::boolean) },
            sound: Sound {
                enabled: document.read("sound", "enabled", true, check::boolean),
                volume: document.read("sound", "volume", 0.8, check::volume),
                directory: document.read("sound", "directory", None, check::directory),
                tweaks: document.read("sound", "tweaks", bing, check::sounds),
            },
            tray: Tray { style: document.read("tray", "style", TrayStyle::Color, |value| check::word(value, &STYLES)) },
            calls: Calls { derive_missed: document.read("calls", "missed", true, |value| check::word(value, &MISSED)) },
            history: History {
                keep_days: document.read("history", "keep_days", 30, check::days),
                keep_bodies: document.read("history", "keep_bodies", true, check::boolean),
            },
            log: Log { level: document.read("log", "level", Level::INFO, |value| check::word(value, &LEVELS)) },
        }
    }
}

impl Server {
    /// How URLs of what is listened on begin.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// The base address that homeservers are told, without a trailing slash.
    #[must_use]
    pub fn base_url(&self) -> String {
        let scheme = self.scheme();
        let listening = || self.listen.first().map_or_else(String::new, |address| format!("{scheme}://{address}"));
        self.public_url.clone().unwrap_or_else(listening)
    }

    /// The addresses where other computers speak plain HTTP, which can be read on the way.
    #[must_use]
    pub fn in_the_clear(&self) -> Vec<SocketAddr> {
        let exposed = |address: &&SocketAddr| self.tls.is_none() && Scope::of(address.ip()) != Scope::Loopback;
        self.listen.iter().filter(exposed).copied().collect()
    }
}

const PREVIEWS: [(&str, Preview); 3] =
    [("always", Preview::Always), ("unlocked", Preview::Unlocked), ("never", Preview::Never)];
const RECEIPTS: [(&str, bool); 2] = [("private", false), ("public", true)];
const STYLES: [(&str, TrayStyle); 2] = [("color", TrayStyle::Color), ("symbolic", TrayStyle::Symbolic)];
const MISSED: [(&str, bool); 2] = [("derive", true), ("server", false)];
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

impl Default for Config {
    /// What an empty file means; the commented default file says the same.
    fn default() -> Self {
        Self::read(&mut Document::default())
    }
}

/// The commented default configuration, with this build's port.
#[must_use]
pub fn default_text() -> String {
    include_str!("../../config/pushbell.toml").replace("7874", &app_info::DEFAULT_PORT.to_string())
}
