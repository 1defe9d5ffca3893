//! The way through an ntfy server: found to work before anything is changed, and proven by a push of the homeserver.

use std::{io::Write, time::Duration};

use super::{Failure, Login, existing_account, output};
use crate::{
    accounts::Account,
    http_client::{HttpClient, TransportError},
    ntfy::{
        CONNECTING, Relay,
        line::Line,
        probe::{self, probe},
    },
};

/// How long a request of the probe may take: the user is waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// The topic that the homeserver is to push to: that which the account has already at this server, else a new one.
pub(super) async fn choose(login: &Login<'_>, address: &str, out: &mut dyn Write) -> Result<Relay, Failure> {
    let fresh = Relay::new(address).map_err(|error| Failure::Usage(format!("--ntfy {address}: {error}")))?;
    let accounts = login.context.accounts()?;
    let mark = login.secrets.installation_mark();
    let is_copy = |account: &&Account| account.sign_in.as_ref().is_some_and(|old| old.is_anothers(&mark));
    let account = existing_account::account_of(&accounts, &login.user).filter(|account| !is_copy(account));
    let before = account.and_then(Account::relay);
    let relay = before.filter(|relay| relay.is_at(address)).unwrap_or(fresh);
    let http = HttpClient::connecting_within(CONNECTING)?.with_deadline(PATIENCE);
    match Box::pin(probe(&relay, &http)).await {
        Ok(()) => writeln!(out, "{} relays pushes.", relay.base())?,
        Err(trouble) => {
            let probe::Trouble { says, advice, paste, .. } = trouble;
            let paste = paste.map_or_else(String::new, |lines| format!(":\n\n  {}\n", lines.replace('\n', "\n  ")));
            let says = format!("{}.\n{advice}{paste}", output::harmless(&says));
            // A relay that is away is no reason not to renew the session of an account that has it already.
            let is_kept = login.asked.ntfy.is_none();
            if !login.asked.anyway && !is_kept {
                return Err(Failure::Failed(says));
            }
            writeln!(out, "{says}")?;
        }
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
