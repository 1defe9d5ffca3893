//! Login through an ntfy server: checks it before anything is changed, and waits for a push of the homeserver.

use std::{io::Write, time::Duration};

use super::{Failure, Login, output};
use crate::{
    accounts::Account,
    cli::relay,
    http_client::{HttpClient, TransportError},
    ntfy::{CONNECTING, Relay, line::Line, probe},
};

/// The relay: the account's topic at this server, else a new one.
pub(super) async fn choose(login: &Login<'_>, address: &str, out: &mut dyn Write) -> Result<Relay, Failure> {
    let accounts = login.context.accounts()?;
    let mark = login.secrets.installation_mark();
    let is_copy = |account: &&Account| account.sign_in.as_ref().is_some_and(|old| old.is_anothers(&mark));
    let account = accounts.of_user(login.user.as_str()).filter(|account| !is_copy(account));
    let before = match account {
        // If the topic is lost, a new one takes its place.
        Some(account) => login.secrets.relay(account).await.ok().flatten().filter(|relay| relay.is_at(address)),
        None => None,
    };
    let token_file = login.asked.ntfy_token_file.as_deref();
    let relay = match before {
        None => relay::fresh(address, token_file)?,
        Some(relay) => match relay::token(token_file)? {
            Some(token) => relay.with_token(token),
            None => relay,
        },
    };
    let (relay, checked) = relay::checked(relay, login.person.as_ref(), out).await?;
    if let Err(says) = checked {
        // An account that uses the relay already can sign in again while it is down.
        let is_kept = login.asked.ntfy.is_none();
        if !login.asked.anyway && !is_kept {
            return Err(Failure::Failed(says));
        }
        writeln!(out, "{says}")?;
    }
    Ok(relay)
}

/// Waits for a push of the homeserver on the topic. Returns whether one has arrived. `begin` is called once the topic is open.
pub(super) async fn prove(
    relay: &Relay,
    app_id: &str,
    patience: Duration,
    out: &mut dyn Write,
    begin: impl AsyncFnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    // Earlier messages prove nothing.
    let opened = relay.open(&HttpClient::connecting_within(CONNECTING)?, None).await;
    begin(out).await?;
    let (_, mut lines) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            writeln!(out, "{}", output::harmless(&probe::away(relay, &error).says))?;
            return Ok(false);
        }
    };
    let arrival = async {
        while let Some(line) = lines.next().await? {
            let hint = Line::parse(&line).and_then(|line| line.hint);
            if hint.is_some_and(|hint| relay.is_meant(app_id, &hint.devices)) {
                return Ok(true);
            }
        }
        Ok::<_, TransportError>(false)
    };
    let seconds = patience.as_secs();
    writeln!(out, "Waiting up to {seconds} s for a push: ask somebody to write to you, or read something elsewhere …")?;
    out.flush()?;
    // A broken stream proves nothing.
    let is_proven = match tokio::time::timeout(patience, arrival).await {
        Ok(Ok(is_proven)) => is_proven,
        Ok(Err(error)) => {
            writeln!(out, "{}", output::harmless(&probe::away(relay, &error.into()).says))?;
            false
        }
        Err(_) => false,
    };
    if is_proven {
        writeln!(out, "A push of the homeserver has come through {}. Everything works.", relay.base())?;
    } else {
        writeln!(out, "No push has come through {} yet.", relay.base())?;
    }
    Ok(is_proven)
}
