//! `pushbell test`: a sample push through the running program's real endpoint.

use std::io::Write;

use clap::ValueEnum;

use super::{Context, Failure, account, arguments, block_on};
use crate::{
    control::{AskError, Reply, Request},
    sample,
};

pub(super) fn run(context: &Context, asked: &arguments::Test, out: &mut dyn Write) -> Result<(), Failure> {
    let status = context.status()?;
    let accounts = context.accounts()?;
    let account = match &asked.account {
        Some(name) => account::find(&accounts, name)?,
        None => accounts.iter().next().ok_or_else(|| {
            Failure::Failed("there are no accounts to push to: `pushbell login @you:example.org` makes one".to_owned())
        })?,
    };
    let Reply::Sample { number } = context.ask(&Request::BeginSample)? else {
        return Err(AskError::unexpected().into());
    };
    let sending = sample::send(asked.kind, account, &number, &status.listen, status.tls.is_some());
    let base = block_on(async { sending.await.map_err(Failure::Failed) })?;
    let value = asked.kind.to_possible_value();
    let sample = value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default();
    Ok(writeln!(out, "{sample}: sent to the account \"{}\" at {base}.", account.name)?)
}
