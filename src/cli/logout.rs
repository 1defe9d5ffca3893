//! `pushbell logout`: removes the pusher, signs out, forgets the secrets and the account.

use std::io::{IsTerminal, Write};

use super::{Context, Failure, account, output};
use crate::{
    accounts::{Account, AccountsError, AccountsFile, SignIn, SignInMethod},
    homeserver::{HomeserverClient, HomeserverError},
    secrets::Secrets,
    session,
};

pub(super) fn run(context: &Context, name: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let account = accounts.find(name).ok_or_else(|| AccountsError::NoSuchAccount(name.to_owned()))?;
    let Some(sign_in) = &account.sign_in else {
        return Err(Failure::Failed(format!(
            "the account \"{name}\" was registered by hand: `pushbell account remove {name}` removes it"
        )));
    };
    let secrets = Secrets::of_a_command(&context.paths, std::io::stdin().is_terminal());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let left = runtime.block_on(leave(account, sign_in, &secrets, out))?;
    runtime.block_on(secrets.forget(sign_in))?;
    AccountsFile::new(&context.paths.accounts).remove(name)?;
    account::tell_running(context)?;
    writeln!(out, "Forgot the account \"{name}\" and its access token.")?;
    if left.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nThis remains to be done:")?;
    for step in &left {
        writeln!(out, "- {step}")?;
    }
    Err(Failure::Told(super::failure::FAILED))
}

/// Removes the pusher and signs out; says what of that remains to be done.
async fn leave(
    account: &Account,
    sign_in: &SignIn,
    secrets: &Secrets,
    out: &mut dyn Write,
) -> Result<Vec<String>, Failure> {
    let mut left = Vec::new();
    let client = match session::client(account, secrets).await {
        Ok(client) => client,
        Err(error) => {
            writeln!(out, "Not signed out: {}.", output::harmless(&error.to_string()))?;
            return Ok(remaining(account, sign_in, true, true));
        }
    };
    let removed = remove_pusher(&client, account).await;
    match &removed {
        Ok(()) => writeln!(out, "Removed the pusher.")?,
        Err(error) => writeln!(out, "The pusher is not removed: {}.", output::harmless(&error.to_string()))?,
    }
    let signed_out = match sign_in.method {
        SignInMethod::Token => {
            writeln!(out, "The session of the access token goes on: it is not Pushbell's own.")?;
            Ok(())
        }
        SignInMethod::Password | SignInMethod::Sso | SignInMethod::OAuth => session::leave(account, secrets).await,
    };
    match (&signed_out, sign_in.method) {
        (Ok(()), SignInMethod::Token) => {}
        (Ok(()), SignInMethod::Password | SignInMethod::Sso | SignInMethod::OAuth) => writeln!(out, "Signed out.")?,
        (Err(error), _) => writeln!(out, "Not signed out: {}.", output::harmless(&error.to_string()))?,
    }
    // A homeserver deletes a session's pushers with it.
    let pusher_left = removed.is_err() && (signed_out.is_err() || sign_in.method == SignInMethod::Token);
    left.extend(remaining(account, sign_in, pusher_left, signed_out.is_err()));
    Ok(left)
}

/// A session that has ended has no pusher.
async fn remove_pusher(client: &HomeserverClient, account: &Account) -> Result<(), HomeserverError> {
    match client.remove_pusher(&account.app_id, &account.pushkey).await {
        Err(error) if !error.is_unknown_token() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What the person has to do (pure).
fn remaining(account: &Account, sign_in: &SignIn, pusher: bool, session: bool) -> Vec<String> {
    let mut steps = Vec::new();
    if session && sign_in.method != SignInMethod::Token {
        let device = if sign_in.device_id.is_empty() { String::new() } else { format!(" ({})", sign_in.device_id) };
        steps.push(format!(
            "sign out the session \"{}\"{device} of {} in your client's list of sessions; its pusher goes with it",
            session::device_name(),
            sign_in.user_id
        ));
    } else if pusher {
        steps.push(format!(
            "nothing, if this desktop can be reached: {} deletes the pusher of {} at its next push, which is answered with \
             \"unknown\"",
            sign_in.homeserver, account.name
        ));
    }
    steps
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::inbox::CountsScope;

    #[test]
    fn what_remains_is_told_once() {
        fn check(method: SignInMethod, pusher: bool, session: bool, expected: &[&str]) {
            let sign_in = SignIn {
                user_id: "@alice:b".to_owned(),
                device_id: "DEVICE".to_owned(),
                homeserver: "https://b".to_owned(),
                method,
                event_id_only: false,
                server: String::new(),
            };
            let account = Account {
                name: "home".into(),
                app_id: "app".to_owned(),
                pushkey: "sesame".to_owned(),
                counts: CountsScope::Account,
                created_at: Timestamp::UNIX_EPOCH,
                sign_in: None,
            };
            let steps = remaining(&account, &sign_in, pusher, session);
            assert_eq!(steps.len(), expected.len(), "{steps:?}");
            assert!(steps.iter().zip(expected).all(|(step, part)| step.contains(part)), "{steps:?}");
            assert!(!steps.concat().contains("sesame"));
        }
        check(SignInMethod::Password, false, false, &[]);
        check(SignInMethod::Password, true, true, &["DEVICE"]);
        check(SignInMethod::Token, true, true, &["next push"]);
        check(SignInMethod::Token, false, false, &[]);
    }
}
