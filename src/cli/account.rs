//! `pushbell account`: accounts that are registered by hand.

use std::io::Write;

use jiff::Timestamp;

use super::{
    Context, Failure,
    arguments::{self, AddAccount},
    block_on, output,
    person::Person,
    relay,
};
use crate::{
    accounts::{Account, Accounts, AccountsError, AccountsFile, CountsScope, SignIn, Way, new_pushkey},
    control::{Request, local_time},
    ntfy::Relay,
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
    let mut account = Account {
        name: new.name.into(),
        app_id: new.app_id,
        pushkey,
        counts: new.counts,
        way: Way::Auto,
        relay: None,
        created_at: Timestamp::now(),
        sign_in: None,
    };
    let file = AccountsFile::new(&context.paths.accounts);
    let relay = if let Some(address) = &new.ntfy {
        let relay = relay::fresh(address, new.ntfy_token_file.as_deref())?;
        (account.way, account.relay) = (Way::Ntfy, Some(relay.base().to_owned()));
        Some(block_on(add_relayed(context, &file, &account, relay, out))?)
    } else {
        file.add(account.clone())?;
        None
    };
    let registration = registration::describe(&account, relay.as_ref(), &public_url);
    write!(out, "Made the account \"{}\".\n\n{registration}", account.name)?;
    tell_running(context)
}

/// Adds an account if its relay works, and saves the relay's secrets.
async fn add_relayed(
    context: &Context,
    file: &AccountsFile,
    account: &Account,
    relay: Relay,
    out: &mut dyn Write,
) -> Result<Relay, Failure> {
    let person = Person::at_terminal();
    let secrets = context.secrets(person.as_ref());
    let (relay, checked) = relay::checked(relay, person.as_ref(), out).await?;
    checked.map_err(Failure::Failed)?;
    // Before the secrets: if the name is taken, those of the other account stay.
    file.add(account.clone())?;
    match secrets.save_relay(&account.name, &relay).await {
        Ok(place) => writeln!(out, "Its topic is in {}.", output::place(&place))?,
        Err(error) => {
            file.remove(&account.name)?;
            return Err(error.into());
        }
    }
    Ok(relay)
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
    let account = find(&accounts, name)?;
    let relay = relay_of(context, account)?;
    write!(out, "{}", registration::describe(account, relay.as_ref(), &context.public_url()?))?;
    Ok(())
}

/// The account's relay, if it has one.
fn relay_of(context: &Context, account: &Account) -> Result<Option<Relay>, Failure> {
    if account.relay_address().is_none() {
        return Ok(None);
    }
    let secrets = context.secrets(Person::at_terminal().as_ref());
    block_on(async { Ok(secrets.relay(account).await?) })
}

fn remove(context: &Context, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let account = find(&accounts, name)?;
    let name = &*account.name;
    if account.sign_in.is_some() {
        return Err(Failure::Failed(format!(
            "the account \"{name}\" is signed in: `pushbell logout {name}` removes its pusher, signs out and forgets it"
        )));
    }
    let relay = relay_of(context, account);
    AccountsFile::new(&context.paths.accounts).remove(name)?;
    if account.relay.is_some() {
        let secrets = context.secrets(Person::at_terminal().as_ref());
        let forgotten = block_on(async { Ok(secrets.forget_relay(name).await?) });
        writeln!(
            out,
            "Removed the account \"{name}\". Its homeserver goes on pushing until the pusher is removed, too."
        )?;
        if let Ok(Some(relay)) = relay {
            let request = registration::removal(account, &relay);
            writeln!(out, "With HOMESERVER and ACCESS_TOKEN as for registering it, this does so:\n\n{request}")?;
        }
        tell_running(context)?;
        return forgotten;
    }
    writeln!(
        out,
        "Removed the account \"{name}\". Its homeserver will be told so at its next push, and then deletes the pusher."
    )?;
    tell_running(context)
}

/// The account with this name, or that is signed in as this user.
pub(super) fn find<'a>(accounts: &'a Accounts, named: &str) -> Result<&'a Account, AccountsError> {
    let found = accounts.find(named).or_else(|| accounts.of_user(named));
    found.ok_or_else(|| AccountsError::NoSuchAccount(named.to_owned()))
}

/// The signed-in account with this name or user ID, or else the only one.
pub(super) fn signed_in<'a>(accounts: &'a Accounts, named: Option<&str>) -> Result<(&'a Account, &'a SignIn), Failure> {
    let mut found = accounts
        .iter()
        .filter_map(|account| Some((account, account.sign_in.as_ref()?)))
        .filter(|(account, sign_in)| named.is_none_or(|named| *account.name == *named || sign_in.user_id == named));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::Usage("several accounts are signed in: name one".to_owned())),
        (None, _) => {
            Err(Failure::Failed("there is no such account that is signed in: `pushbell login` signs in".to_owned()))
        }
    }
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
