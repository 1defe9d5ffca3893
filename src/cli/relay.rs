//! Checks an ntfy server before it is used as a relay.

use std::{io::Write, path::Path, time::Duration};

use super::{Failure, login, output, person::Person};
use crate::{
    http_client::HttpClient,
    ntfy::{
        CONNECTING, Relay,
        probe::{RelayProblem, probe},
    },
};

/// Time limit for a request of the probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// A new topic at this server. `token_file` holds the access token for reading it, if the server requires one.
pub(super) fn fresh(address: &str, token_file: Option<&Path>) -> Result<Relay, Failure> {
    let token = token(token_file)?;
    Relay::new(address, token).map_err(|error| Failure::Usage(format!("--ntfy {address}: {error}")))
}

/// The access token in the file.
pub(super) fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    // Tokens have no spaces, but a copied line may.
    file.map(|file| login::read_secret(file).map(|line| line.trim().to_owned())).transpose()
}

/// Probes the relay, and asks the person for an access token if it requires one. Returns the relay, and what is wrong with it.
pub(super) async fn checked(
    mut relay: Relay,
    person: Option<&Person>,
    out: &mut dyn Write,
) -> Result<(Relay, Result<(), String>), Failure> {
    let http = HttpClient::connecting_within(CONNECTING)?.with_deadline(PATIENCE);
    let mut probed = Box::pin(probe(&relay, &http)).await;
    if let (Err(RelayProblem { wants_token: true, says, .. }), Some(person @ Person::AtTerminal(_))) = (&probed, person)
    {
        writeln!(out, "{}.", output::harmless(says))?;
        let token =
            person.password(out, "Access token of a user who may read there (Enter if there is none): ").await?;
        if !token.trim().is_empty() {
            relay = relay.with_token(token.trim().to_owned());
            probed = Box::pin(probe(&relay, &http)).await;
        }
    }
    let trouble = match probed {
        Ok(()) => {
            writeln!(out, "{} relays pushes.", relay.base())?;
            return Ok((relay, Ok(())));
        }
        Err(trouble) => trouble,
    };
    let RelayProblem { says, advice, paste, .. } = trouble;
    let paste = paste.map_or_else(String::new, |lines| format!(":\n\n  {}\n", lines.replace('\n', "\n  ")));
    Ok((relay, Err(format!("{}.\n{advice}{paste}", output::harmless(&says)))))
}
