//! The ids, directory name and port that tell an installed Pushbell from one under development.
//!
//! A debug build has an identity of its own everywhere, so that a developer's pushes, inbox and icon never mix
//! with those of the Pushbell that the same person uses (the push protocol's advice for sandbox and production).

const DEVEL: bool = cfg!(debug_assertions);

/// Desktop file id, `desktop-entry` hint, AppUserModelID, bundle id and default `app_id` of accounts (64 characters at
/// most).
pub const APP_ID: &str = if DEVEL { "org.pushbell.Pushbell.Devel" } else { "org.pushbell.Pushbell" };

/// The name that people read, in popups and in the tray.
pub const APP_NAME: &str = if DEVEL { "Pushbell (development)" } else { "Pushbell" };

/// Name of the directories for configuration, data and run-time files.
pub const DIRECTORY_NAME: &str = if DEVEL { "pushbell-devel" } else { "pushbell" };

/// The port of the default configuration.
pub const DEFAULT_PORT: u16 = if DEVEL { 7875 } else { 7874 };

/// What the pushkeys begin with that `pushbell doctor` pushes with: they are rejected like any that no account has, but
/// no word is lost over them.
pub const PROBE_PUSHKEY: &str = "pushbell-doctor-";

/// Where people read what this program is, as homeservers tell them.
pub const HOMEPAGE: &str = "https://pushbell.org/";

/// The version of this program, as `pushbell --version` prints it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
