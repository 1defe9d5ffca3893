//! `pushbell account`: accounts that are registered by hand.

use std::io::Write;

use jiff::Timestamp;

use super::{
    Context, Failure,
    arguments::{self, AddAccount},
    output,
};
use crate::{
    accounts::{Account, Accounts, AccountsError, AccountsFile, CountsScope, Way, new_pushkey},
    control::{Request, local_time},
    registration,
};

/// Hint for a user without accounts.
pub(super) const NO_ACCOUNTS: &str =
    "There are no accounts yet: `pushbell login @you:example.org` connects your homeserver.";

pub(super) fn run(context: &Context, command: arguments::Account, out: &mut dyn Write) -> Result<(), Failure> {
    match command {
        arguments::Account::Add(new) => add(context, new, out),
        arguments::Account::List { accept } => list(context, accept, out),
        arguments::Account::Show { name } => show(context, &name, out),
        arguments::Account::Remove { name } => remove(context, &name, out),
    }
}

fn add(context: &Context, new: AddAccount, out: &mut dyn Write) -> Result<(), Failure> {
    let public_url = context.public_url()?;
    let pushkey = match new.pushkey {
        Some(pushkey) => pushkey,
        None => new_pushkey()?,
    };
    let account = Account {
        name: new.name.into(),
        app_id: new.app_id,
        pushkey,
        counts: new.counts,
        way: Way::Auto,
        created_at: Timestamp::now(),
        sign_in: None,
    };
    AccountsFile::new(&context.paths.accounts).add(account.clone())?;
    write!(out, "Made the account \"{}\".\n\n{}", account.name, registration::describe(&account, &public_url))?;
    tell_running(context)
}

fn list(context: &Context, accept: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if accept {
        AccountsFile::new(&context.paths.accounts).accept()?;
        tell_running(context)?;
    }
    let accounts = match Accounts::read(&context.paths.accounts) {
        // Otherwise the file was lost.
        Err(AccountsError::Missing { .. }) if context.paths.is_first_start() => Accounts::empty(),
        read => read?,
    };
    if accounts.iter().len() == 0 {
        writeln!(out, "{NO_ACCOUNTS}")?;
        return Ok(());
    }
    let row = |account: &Account| {
        let counts = match account.counts {
            CountsScope::Account => "account",
            CountsScope::Room => "room",
        };
        [
            output::harmless(&account.name),
            output::harmless(&account.app_id),
            counts.to_owned(),
            local_time(account.created_at),
            account.sign_in.as_ref().map_or_else(String::new, |sign_in| output::harmless(&sign_in.user_id)),
        ]
    };
    let rows: Vec<_> = accounts.iter().map(row).collect();
    output::table(out, ["NAME", "APP ID", "COUNTS", "MADE", "SIGNED IN"], &rows, None)?;
    if let Some(reason) = accounts.unreadable() {
        writeln!(out, "\n{reason}.")?;
    }
    Ok(())
}

fn show(context: &Context, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let account = accounts.find(name).ok_or_else(|| AccountsError::NoSuchAccount(name.to_owned()))?;
    write!(out, "{}", registration::describe(account, &context.public_url()?))?;
    Ok(())
}

fn remove(context: &Context, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    if context.accounts()?.find(name).is_some_and(|account| account.sign_in.is_some()) {
        return Err(Failure::Failed(format!(
            "the account \"{name}\" is signed in: `pushbell logout {name}` removes its pusher, signs out and forgets it"
        )));
    }
    AccountsFile::new(&context.paths.accounts).remove(name)?;
    writeln!(
        out,
        "Removed the account \"{name}\". Its homeserver will be told so at its next push, and then deletes the pusher."
    )?;
    tell_running(context)
}

/// Has the running program reload its accounts before the command ends. It watches the file as well.
pub(super) fn tell_running(context: &Context) -> Result<(), Failure> {
    context.tell(&Request::ReloadAccounts).map(drop).map_err(|error| {
        Failure::Failed(format!("the file is changed, but the running Pushbell has not taken it up: {error}"))
    })
}

impl Context {
    /// The accounts; empty if there is no file yet.
    pub(super) fn accounts(&self) -> Result<Accounts, Failure> {
        match Accounts::read(&self.paths.accounts) {
            Err(AccountsError::Missing { .. }) => Ok(Accounts::empty()),
            read => Ok(read?),
        }
    }
}
