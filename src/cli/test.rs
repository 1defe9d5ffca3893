//! `pushbell test`: a sample push through the running program's real endpoint.

use std::{io::Write, net::SocketAddr, time::Duration};

use clap::ValueEnum;
use serde::Deserialize;

use super::{Context, Failure, arguments, output};
use crate::{
    accounts::AccountsError,
    control::{AskError, Reply, Request, Status},
    http_client,
    push::notify,
    sample,
};

/// How long the endpoint may take: it answers once the notice is on disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a push gateway answers.
#[derive(Deserialize)]
struct Answer {
    rejected: Vec<String>,
}

pub(super) fn run(context: &Context, asked: &arguments::Test, out: &mut dyn Write) -> Result<(), Failure> {
    let status = context.status()?;
    let accounts = context.accounts()?;
    let account = match &asked.account {
        Some(name) => accounts.find(name).ok_or_else(|| AccountsError::NoSuchAccount(name.clone()))?,
        None => accounts.iter().next().ok_or_else(|| {
            Failure::Failed("there are no accounts to push to: `pushbell login @you:example.org` makes one".to_owned())
        })?,
    };
    let address = address(&status)?;
    let scheme = if status.tls.is_some() { "https" } else { "http" };
    let failed = |reason: &dyn std::fmt::Display| Failure::Failed(format!("{scheme}://{address}: {reason}"));
    let Reply::Sample { number } = context.ask(&Request::BeginSample)? else {
        return Err(AskError::unexpected().into());
    };
    let body = sample::body(asked.kind, account, &number).map_err(|error| failed(&error))?;
    let body = serde_json::to_vec(&body).map_err(|error| failed(&error))?;

    let runtime = super::runtime()?;
    let sending = http_client::post_to_own_endpoint(scheme, address, notify::PATH, body, PATIENCE);
    let (code, answer) = runtime.block_on(sending).map_err(|error| failed(&error.reason))?;
    if code != 200 {
        let answer = output::harmless(&String::from_utf8_lossy(&answer));
        return Err(failed(&format_args!("the push was answered with {code}: {answer}")));
    }
    let Answer { rejected } = serde_json::from_slice(&answer).map_err(|error| failed(&error))?;
    if !rejected.is_empty() {
        return Err(failed(&format_args!("the running Pushbell does not know the account \"{}\"", account.name)));
    }
    let value = asked.kind.to_possible_value();
    let sample = value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default();
    Ok(writeln!(out, "{sample}: sent to the account \"{}\" at {scheme}://{address}.", account.name)?)
}

/// Where the program listens.
fn address(status: &Status) -> Result<SocketAddr, Failure> {
    let first = status.listen.first().and_then(|address| address.parse().ok());
    first.ok_or_else(|| Failure::Failed("the running Pushbell does not say where it listens".to_owned()))
}
