//! `pushbell logout`: removes the pusher, signs out, deletes the secrets and the account that the login has created, and resets
//! its counts.

use std::{io::Write, sync::Arc, time::Duration};

use super::{
    Context, Failure, account, arguments, block_on, login::account_name::is_made_by_login, output, person::Person,
};
use crate::{
    accounts::{Account, Accounts, AccountsFile, SignIn, Way},
    app,
    control::{Instance, InstanceError, Request},
    encryption,
    homeserver::{HomeserverClient, HomeserverError},
    http_client::DEADLINE,
    inbox::{Inbox, Read},
    page::Conversation,
    paths::Paths,
    push::text,
    secrets::Secrets,
    session::{self, SessionError, Sessions},
};

/// Result of ending the session at the homeserver.
enum SignOut {
    /// Session and pusher are gone.
    SignedOut,
    /// The access token is gone: the user has to end the session in another client.
    NoToken,
    /// The homeserver could not be reached: the reason.
    Unreachable(String),
}

pub(super) fn run(context: &Context, asked: &arguments::Logout, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let logout = Logout::new(context, asked.anyway, Person::at_terminal());
    match &asked.name {
        Some(name) => block_on(logout.account(account::find(&accounts, name)?, out)),
        None => block_on(logout.all(&accounts, out)),
    }
}

/// Signs out of this account from the page.
pub(super) fn for_page(paths: Paths, account: &str, conversation: &Conversation) -> Result<(), Failure> {
    let context = Context { paths, config_named: false };
    let accounts = context.accounts()?;
    let logout = Logout::new(&context, false, Some(Person::AtPage(conversation.clone())));
    block_on(logout.account(account::find(&accounts, account)?, &mut conversation.writer()))
}

/// Shared state of the steps of a logout.
struct Logout<'a> {
    context: &'a Context,
    anyway: bool,
    person: Option<Person>,
    secrets: Secrets,
}

impl<'a> Logout<'a> {
    fn new(context: &'a Context, anyway: bool, person: Option<Person>) -> Self {
        let secrets = context.secrets(person.as_ref());
        Self { context, anyway, person, secrets }
    }

    /// Signs out of every signed-in account; continues after a failure.
    async fn all(&self, accounts: &Accounts, out: &mut dyn Write) -> Result<(), Failure> {
        let signed_in: Vec<_> = accounts.iter().filter(|account| account.sign_in.is_some()).collect();
        if signed_in.is_empty() {
            writeln!(out, "No account is signed in.")?;
            return Ok(());
        }
        let mut has_failed = false;
        for account in signed_in {
            writeln!(out, "{}", account.name)?;
            if let Err(failure) = self.account(account, out).await {
                has_failed = true;
                if let Some(message) = failure.message() {
                    writeln!(out, "{}", output::harmless(&message))?;
                }
            }
            writeln!(out)?;
        }
        if has_failed { Err(Failure::Reported(crate::failure::FAILED)) } else { Ok(()) }
    }

    async fn account(&self, account: &Account, out: &mut dyn Write) -> Result<(), Failure> {
        let name = &*account.name;
        let Some(sign_in) = &account.sign_in else {
            return Err(Failure::Failed(format!(
                "the account \"{name}\" was registered by hand: `pushbell account remove {name}` removes it"
            )));
        };
        let left = self.sign_out(account, sign_in, out).await?;
        let file = AccountsFile::new(&self.context.paths.accounts);
        if is_made_by_login(account) {
            file.remove(name)?;
            writeln!(out, "Forgot the account \"{name}\" and its access token.")?;
        } else {
            // The account existed before the sign-in, and another pusher may use its pushkey.
            file.replace(name, Account { sign_in: None, way: Way::Auto, relay: None, ..account.clone() })?;
            writeln!(
                out,
                "Forgot the access token. The account \"{name}\" was there before the login and stays, for pushers that \
                 are set by hand; `pushbell account remove {name}` removes it."
            )?;
        }
        account::tell_running(self.context)?;
        self.clear_numbers(name).await?;
        match left {
            None => Ok(()),
            Some(step) => {
                writeln!(out, "\nThis remains to be done: {step}")?;
                Err(Failure::Reported(crate::failure::FAILED))
            }
        }
    }

    /// Ends the session at the homeserver and forgets the secrets. Returns what remains to be done.
    async fn sign_out(
        &self,
        account: &Account,
        sign_in: &SignIn,
        out: &mut dyn Write,
    ) -> Result<Option<String>, Failure> {
        let result = end_session(account, sign_in, &self.secrets, out).await?;
        if let SignOut::Unreachable(reason) = &result
            && !self.anyway
        {
            writeln!(out, "{}: {}.", sign_in.homeserver, output::harmless(reason))?;
            let question = "Forget the session here though its homeserver cannot be told?";
            let forget = match &self.person {
                Some(person) => person.confirm(out, question, false).await?,
                None => false,
            };
            if !forget {
                return Err(Failure::Failed(format!(
                    "nothing has changed: try again later, or forget it here with `pushbell logout {} --anyway`",
                    account.name
                )));
            }
        }
        self.secrets.forget(sign_in).await?;
        if account.relay.is_some() {
            self.secrets.forget_relay(&account.name).await?;
        }
        encryption::forget(&self.context.paths, &self.secrets, sign_in).await;
        Ok(remaining(account, sign_in, &result))
    }

    /// Marks everything of the account as read, through the running program or else in the inbox itself.
    async fn clear_numbers(&self, account: &str) -> Result<(), Failure> {
        let request = Request::ClearAccount { account: account.to_owned() };
        let cleared = match self.context.tell(&request) {
            Ok(true) => Ok(()),
            Ok(false) => self.clear_in_inbox(account).await,
            Err(error) => Err(error.into()),
        };
        cleared.map_err(|reason| {
            Failure::Failed(format!("signed out, but what was unread in \"{account}\" is still counted: {reason}"))
        })
    }

    async fn clear_in_inbox(&self, account: &str) -> Result<(), Failure> {
        let paths = &self.context.paths;
        if !paths.database.exists() {
            return Ok(());
        }
        let _instance = match Instance::acquire(paths, Duration::ZERO) {
            Ok(instance) => instance,
            // The program has started meanwhile, and has read the new list of accounts.
            Err(InstanceError::AlreadyRunning) => return Ok(()),
            Err(error @ InstanceError::Failed { .. }) => return Err(error.into()),
        };
        let inbox = Inbox::open(&paths.database, app::retention(&self.context.config()?), Arc::default())?;
        let cleared = inbox.mark_read(Read::Account(account.to_owned())).await;
        inbox.close().await;
        Ok(cleared?)
    }
}

async fn end_session(
    account: &Account,
    sign_in: &SignIn,
    secrets: &Secrets,
    out: &mut dyn Write,
) -> Result<SignOut, Failure> {
    if secrets.load(sign_in).await.is_ok_and(|tokens| tokens.is_none()) {
        return Ok(SignOut::NoToken);
    }
    let signed_in = match Sessions::new(secrets.clone()).open(sign_in, DEADLINE).await {
        Ok(signed_in) => signed_in,
        // The homeserver has already ended the session, and the pusher with it.
        Err(SessionError::Over(_)) => return Ok(SignOut::SignedOut),
        Err(SessionError::NoToken(_)) => return Ok(SignOut::NoToken),
        Err(error) => return Ok(SignOut::Unreachable(error.to_string())),
    };
    match secrets.pushkey(account).await {
        Ok(pushkey) => {
            if let Err(error) = remove_pusher(&signed_in.client, account, &pushkey).await {
                return Ok(SignOut::Unreachable(error.to_string()));
            }
            writeln!(out, "Removed the pusher.")?;
        }
        // The pusher ends with its session.
        Err(error) if sign_in.method.owns_session() => tracing::info!("{error}"),
        Err(error) => return Ok(SignOut::Unreachable(error.to_string())),
    }
    remove_rules(&signed_in.client, &secrets.installation_mark(), out).await?;
    if !sign_in.method.owns_session() {
        writeln!(out, "The session of the access token goes on: it is not Pushbell's own.")?;
    } else if let Err(error) = signed_in.end().await {
        return Ok(SignOut::Unreachable(error.to_string()));
    } else {
        writeln!(out, "Signed out.")?;
    }
    Ok(SignOut::SignedOut)
}

/// Removes the pusher. That of an ended session is gone already.
async fn remove_pusher(client: &HomeserverClient, account: &Account, pushkey: &str) -> Result<(), HomeserverError> {
    match client.remove_pusher(&account.app_id, pushkey).await {
        Err(error) if !error.is_unknown_token() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the push rules that this installation has set for single rooms. A failure does not prevent signing out: such
/// rules only cause more pushes to the user's other devices.
async fn remove_rules(client: &HomeserverClient, installation: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let removed = async {
        let changes = client.push_rules().await?.removal_of_ours(installation);
        client.change_push_rules(&changes).await?;
        Ok::<_, HomeserverError>(changes.len())
    };
    match removed.await {
        Ok(0) => {}
        Ok(number) => {
            let rules = text::counted(number as u64, "push rule");
            writeln!(out, "Removed {rules} for encrypted rooms.")?;
        }
        Err(error) if error.is_unknown_token() || error.is_unrecognized() => {}
        Err(error) => {
            let reason = output::harmless(&error.to_string());
            writeln!(out, "Push rules for encrypted rooms may be left, which other devices are woken by: {reason}.")?;
        }
    }
    Ok(())
}

/// What the user still has to do (pure).
fn remaining(account: &Account, sign_in: &SignIn, result: &SignOut) -> Option<String> {
    if matches!(result, SignOut::SignedOut) {
        return None;
    }
    let SignIn { user_id, device_id, homeserver, method, .. } = sign_in;
    let name = &account.name;
    Some(if method.owns_session() {
        let device = if device_id.is_empty() { String::new() } else { format!(" ({device_id})") };
        format!(
            "sign out the session \"{}\"{device} of {user_id} in your client's list of sessions. Its pusher goes with it.",
            session::device_name()
        )
    } else if is_made_by_login(account) {
        format!(
            "{homeserver} still has the pusher of \"{name}\". If this desktop can be reached, the next push ends it: Pushbell \
             answers that it does not know the account."
        )
    } else {
        format!(
            "{homeserver} still has the pusher of \"{name}\", and goes on pushing to it. If nobody else does, run `pushbell \
             account remove {name}`: the next push then ends it."
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{SignInMethod, tests};

    #[test]
    fn what_remains_depends_on_whose_session_it_was() {
        fn check(name: &str, method: SignInMethod, result: &SignOut, expected: Option<&str>) {
            let sign_in = SignIn { method, ..tests::sign_in("@alice:b") };
            let account = tests::account(name, "app", "sesame");
            let step = remaining(&account, &sign_in, result);
            assert_eq!(step.is_some(), expected.is_some(), "{step:?}");
            let step = step.unwrap_or_default();
            assert!(step.contains(expected.unwrap_or_default()) && !step.contains("sesame"), "{step}");
        }
        let unreachable = SignOut::Unreachable("it is down".to_owned());
        check("@alice:b", SignInMethod::Password, &SignOut::SignedOut, None);
        check("@alice:b", SignInMethod::Password, &unreachable, Some("(DEVICE) of @alice:b"));
        check("@alice:b", SignInMethod::OAuth, &SignOut::NoToken, Some("(DEVICE) of @alice:b"));
        check("@alice:b", SignInMethod::Token, &unreachable, Some("next push"));
        check("home", SignInMethod::Token, &unreachable, Some("account remove home"));
        check("@alice:b", SignInMethod::Token, &SignOut::SignedOut, None);
    }
}
