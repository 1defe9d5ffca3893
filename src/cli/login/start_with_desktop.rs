//! The offer at the end of a login to start Pushbell with the desktop.

use std::io::{self, Write};

use tokio::task::spawn_blocking;

use super::{Failure, Login, person::Person};
use crate::{
    control::Request,
    invocation,
    platform::autostart::{self, Autostart},
};

/// Offers it at a terminal, unless it is on. A failure is not one of the login.
pub(super) async fn offer(login: &Login<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    if !matches!(login.person, Some(Person::AtTerminal(_))) || !matches!(ask(autostart::status).await, Ok(false)) {
        return Ok(());
    }
    let command = invocation::command();
    match login.confirm(out, "Start Pushbell with the desktop?", true).await {
        Ok(Some(true)) => {
            let turned_on = ask(|| autostart::set(true)).await;
            // Updates the menu of a running program.
            drop(login.context.tell(&Request::ReloadAutostart));
            let is_on = turned_on.unwrap_or_else(|error| {
                tracing::warn!("starting with the desktop: {error}");
                false
            });
            if is_on {
                writeln!(out, "It starts with the desktop: `{command} autostart off` ends that.")?;
            } else {
                writeln!(out, "It does not start with the desktop: `{command} autostart on` says why.")?;
            }
        }
        Ok(None) => writeln!(out, "`{command} autostart on` starts Pushbell with the desktop.")?,
        // The terminal may have been closed.
        Ok(Some(false)) | Err(_) => {}
    }
    Ok(())
}

/// Whether it is on.
async fn ask(state: impl FnOnce() -> io::Result<Autostart> + Send + 'static) -> io::Result<bool> {
    Ok(spawn_blocking(state).await??.on)
}
