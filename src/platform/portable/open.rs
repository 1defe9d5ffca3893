//! Opens rooms, addresses and files with the user's own programs. There is never a shell.

use std::{env, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{desktop::links::Opening, platform::system::launch};

/// Whether the browsers of this system resolve every name that ends in `.localhost` to this computer. Safari does not.
pub(crate) const KNOWS_LOCALHOST_NAMES: bool = !cfg!(target_os = "macos");

/// A launch that has not failed after this time counts as successful.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(10);

/// Starts the user's programs.
#[derive(Debug, Clone)]
pub(in crate::platform) struct Launcher;

impl Launcher {
    /// Opens this. Activation tokens are not used here.
    #[allow(clippy::unused_self, reason = "on Linux, it has state")]
    pub(in crate::platform) async fn open(&self, opening: Opening, _token: Option<String>) -> Result<(), String> {
        timeout(LAUNCH_DEADLINE, carry_out(opening)).await.unwrap_or(Ok(()))
    }
}

async fn carry_out(opening: Opening) -> Result<(), String> {
    match opening {
        Opening::Matrix { link, web } => launch::room(link, web).await,
        Opening::Address(address) => launch::address(address).await,
        Opening::File(path) => launch::text(path).await,
        Opening::Command(program, arguments) => {
            let mut command = Command::new(&program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            // It may outlive this process; tokio reaps it.
            let child = command.spawn();
            child.map(drop).map_err(|error| format!("popup.open: cannot start \"{program}\": {error}"))
        }
    }
}

/// Whether an opened browser would be visible to the user: there is no SSH connection.
#[must_use]
pub(crate) fn browser_available() -> bool {
    env::var_os("SSH_CONNECTION").is_none_or(|value| value.is_empty())
}

/// Opens an `https:` or `http:` address. Success does not guarantee that a window appears.
///
/// # Errors
/// A sentence if the system reports a failure.
pub(crate) async fn open_in_browser(address: &str) -> Result<(), String> {
    timeout(LAUNCH_DEADLINE, launch::address(address.to_owned())).await.unwrap_or(Ok(()))
}
