//! The way through an ntfy server: found to work before anything is changed, and proven by a push of the homeserver.

use std::{io::Write, time::Duration};

use super::{Failure, Login, output};
use crate::{
    accounts::Account,
    cli::relay,
    http_client::{HttpClient, TransportError},
    ntfy::{CONNECTING, Relay, line::Line, probe},
};

/// The topic that the homeserver is to push to: that which the account has already at this server, else a new one.
pub(super) async fn choose(login: &Login<'_>, address: &str, out: &mut dyn Write) -> Result<Relay, Failure> {
    let accounts = login.context.accounts()?;
    let mark = login.secrets.installation_mark();
    let is_copy = |account: &&Account| account.sign_in.as_ref().is_some_and(|old| old.is_anothers(&mark));
    let account = accounts.of_user(login.user.as_str()).filter(|account| !is_copy(account));
    let before = match account {
        // Where it is lost, a new one is as good.
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
        // A relay that is away is no reason not to renew the session of an account that has it already.
        let is_kept = login.asked.ntfy.is_none();
        if !login.asked.anyway && !is_kept {
            return Err(Failure::Failed(says));
        }
        writeln!(out, "{says}")?;
    }
    Ok(relay)
}

/// Waits until the homeserver has pushed to the topic; whether it has. `begin` has it push, once that would be seen.
pub(super) async fn prove(
    relay: &Relay,
    app_id: &str,
    patience: Duration,
    out: &mut dyn Write,
    begin: impl AsyncFnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    // What was said before proves nothing.
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
    // Where the stream breaks nothing is proven, as where nothing comes.
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
