//! The person's browser, for commands that run on their own.

use std::{env, time::Duration};

use tokio::time::timeout;

use crate::platform::system::launch;

/// What the system has not refused after this was handed over.
const LAUNCH_DEADLINE: Duration = Duration::from_secs(10);

/// Whether a browser that opens now is in front of the person who started this: not at the other end of an SSH
/// connection.
#[must_use]
pub fn available() -> bool {
    env::var_os("SSH_CONNECTION").is_none_or(|value| value.is_empty())
}

/// Opens an `https:` or `http:` address. Good news may come before there is a window, or where there will be none.
///
/// # Errors
/// A sentence when the system says that it cannot.
pub async fn open(address: &str) -> Result<(), String> {
    timeout(LAUNCH_DEADLINE, launch::address(address.to_owned())).await.unwrap_or(Ok(()))
}
