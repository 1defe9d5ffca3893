//! `pushbell logout`: removes the pusher, signs out, forgets the secrets, and the account that the sign-in has made.

use std::io::Write;

use super::{Context, Failure, account, arguments, login::account_name::is_made_by_login, output, terminal::Terminal};
use crate::{
    accounts::{Account, AccountsError, AccountsFile, SignIn},
    encryption,
    homeserver::{HomeserverClient, HomeserverError},
    http_client::DEADLINE,
    secrets::Secrets,
    session::{self, SessionError, Sessions},
};

/// How taking leave of the homeserver went.
enum Leave {
    /// It knows of nothing any more.
    Taken,
    /// The access token is gone, so that somebody else has to end the session.
    NoToken,
    /// It may be possible later.
    NotNow(String),
}

pub(super) fn run(context: &Context, asked: &arguments::Logout, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let is_theirs = |account: &&Account| account.sign_in.as_ref().is_some_and(|it| it.user_id == asked.name);
    let account = accounts.find(&asked.name).or_else(|| accounts.iter().find(is_theirs));
    let account = account.ok_or_else(|| AccountsError::NoSuchAccount(asked.name.clone()))?;
    let name = &*account.name;
    let Some(sign_in) = &account.sign_in else {
        return Err(Failure::Failed(format!(
            "the account \"{name}\" was registered by hand: `pushbell account remove {name}` removes it"
        )));
    };
    let terminal = Terminal::find();
    let secrets = Secrets::of_a_command(&context.paths, terminal.is_some());
    let runtime = super::runtime()?;
    let left = runtime.block_on(async {
        let leave = leave(account, sign_in, &secrets, out).await?;
        if let Leave::NotNow(reason) = &leave
            && !asked.anyway
        {
            writeln!(out, "{}: {}.", sign_in.homeserver, output::harmless(reason))?;
            let question = "Forget the session here though its homeserver cannot be told?";
            let forget = match terminal {
                Some(terminal) => terminal.confirm(out, question, false).await?,
                None => false,
            };
            if !forget {
                return Err(Failure::Failed(format!(
                    "nothing has changed: try again later, or forget it here with `pushbell logout {name} --anyway`"
                )));
            }
        }
        secrets.forget(sign_in).await?;
        encryption::forget(&context.paths, &secrets, sign_in).await;
        Ok(remaining(account, sign_in, &leave))
    });
    runtime.shutdown_background();
    let left = left?;
    let file = AccountsFile::new(&context.paths.accounts);
    if is_made_by_login(account) {
        file.remove(name)?;
        account::tell_running(context)?;
        writeln!(out, "Forgot the account \"{name}\" and its access token.")?;
    } else {
        // It was there before, and another pusher may have its pushkey.
        file.put(Account { sign_in: None, ..account.clone() })?;
        account::tell_running(context)?;
        writeln!(
            out,
            "Forgot the access token. The account \"{name}\" was there before the login and stays, for pushers that are \
             set by hand; `pushbell account remove {name}` removes it."
        )?;
    }
    match left {
        None => Ok(()),
        Some(step) => {
            writeln!(out, "\nThis remains to be done: {step}")?;
            Err(Failure::Told(crate::failure::FAILED))
        }
    }
}

async fn leave(account: &Account, sign_in: &SignIn, secrets: &Secrets, out: &mut dyn Write) -> Result<Leave, Failure> {
    if secrets.load(sign_in).await.is_ok_and(|tokens| tokens.is_none()) {
        return Ok(Leave::NoToken);
    }
    let signed_in = match Sessions::new(secrets.clone()).open(sign_in, DEADLINE).await {
        Ok(signed_in) => signed_in,
        // The homeserver has ended the session itself, and the pusher with it.
        Err(SessionError::Over(_)) => return Ok(Leave::Taken),
        Err(error) => return Ok(Leave::NotNow(error.to_string())),
    };
    if let Err(error) = remove_pusher(&signed_in.client, account).await {
        return Ok(Leave::NotNow(error.to_string()));
    }
    writeln!(out, "Removed the pusher.")?;
    if !sign_in.method.owns_session() {
        writeln!(out, "The session of the access token goes on: it is not Pushbell's own.")?;
    } else if let Err(error) = signed_in.end().await {
        return Ok(Leave::NotNow(error.to_string()));
    } else {
        writeln!(out, "Signed out.")?;
    }
    Ok(Leave::Taken)
}

/// A session that has ended has no pusher.
async fn remove_pusher(client: &HomeserverClient, account: &Account) -> Result<(), HomeserverError> {
    match client.remove_pusher(&account.app_id, &account.pushkey).await {
        Err(error) if !error.is_unknown_token() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What the person has to do (pure).
fn remaining(account: &Account, sign_in: &SignIn, leave: &Leave) -> Option<String> {
    match leave {
        Leave::Taken => None,
        Leave::NoToken | Leave::NotNow(_) if sign_in.method.owns_session() => {
            let device = if sign_in.device_id.is_empty() { String::new() } else { format!(" ({})", sign_in.device_id) };
            Some(format!(
                "sign out the session \"{}\"{device} of {} in your client's list of sessions. Its pusher goes with it.",
                session::device_name(),
                sign_in.user_id
            ))
        }
        Leave::NoToken | Leave::NotNow(_) if !is_made_by_login(account) => Some(format!(
            "{} still has the pusher of \"{}\", and goes on pushing to it. If nobody else does, run `pushbell account \
             remove {}`: the next push then ends it.",
            sign_in.homeserver, account.name, account.name
        )),
        Leave::NoToken | Leave::NotNow(_) => Some(format!(
            "{} still has the pusher of \"{}\". If this desktop can be reached, the next push ends it: Pushbell answers \
             that it does not know the account.",
            sign_in.homeserver, account.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::accounts::{CountsScope, SignInMethod};

    #[test]
    fn what_remains_depends_on_whose_session_it_was() {
        fn check(name: &str, method: SignInMethod, leave: &Leave, expected: Option<&str>) {
            let sign_in = SignIn {
                user_id: "@alice:b".to_owned(),
                device_id: "DEVICE".to_owned(),
                homeserver: "https://b".to_owned(),
                method,
                event_id_only: false,
                server: String::new(),
            };
            let account = Account {
                name: name.into(),
                app_id: "app".to_owned(),
                pushkey: "sesame".to_owned(),
                counts: CountsScope::Account,
                created_at: Timestamp::UNIX_EPOCH,
                sign_in: None,
            };
            let step = remaining(&account, &sign_in, leave);
            assert_eq!(step.is_some(), expected.is_some(), "{step:?}");
            let step = step.unwrap_or_default();
            assert!(step.contains(expected.unwrap_or_default()) && !step.contains("sesame"), "{step}");
        }
        let not_now = Leave::NotNow("it is down".to_owned());
        check("@alice:b", SignInMethod::Password, &Leave::Taken, None);
        check("@alice:b", SignInMethod::Password, &not_now, Some("(DEVICE) of @alice:b"));
        check("@alice:b", SignInMethod::OAuth, &Leave::NoToken, Some("(DEVICE) of @alice:b"));
        check("@alice:b", SignInMethod::Token, &not_now, Some("next push"));
        check("home", SignInMethod::Token, &not_now, Some("account remove home"));
        check("@alice:b", SignInMethod::Token, &Leave::Taken, None);
    }
}
