//! The person's browser, for commands that run on their own.

use std::env;

use tokio::sync::mpsc;

use super::open::Opener;

/// Whether a browser that opens now is in front of the person who started this: there is a graphical session, and it is
/// not at the other end of an SSH connection.
#[must_use]
pub fn available() -> bool {
    let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    (has("WAYLAND_DISPLAY") || has("DISPLAY")) && !has("SSH_CONNECTION") && !has("SSH_TTY")
}

/// Opens an `https:` or `http:` address. Good news may come before there is a window, or where there will be none.
///
/// # Errors
/// A sentence when the desktop says that it cannot.
pub async fn open(address: &str) -> Result<(), String> {
    let (events, _) = mpsc::unbounded_channel();
    Opener::new(events).launch(address.into()).await
}
