//! `pushbell verify`: makes the session a verified one; and what `login` does about encryption.

use std::{io::Write, path::Path};

use super::{Context, Failure, account, arguments, login::read_secret, output, terminal::Terminal};
use crate::{
    accounts::{Account, SignIn},
    encryption::{self, Trust},
    paths::Paths,
    secrets::Secrets,
};

/// Attempts at typing the recovery key.
const TRIES: usize = 3;

const WHY: &str = "Other people's clients may send the keys of encrypted messages to verified sessions alone. Your recovery \
                   key or passphrase makes this session a verified one; it is used once and not kept.";

const NO_IDENTITY: &str = "the account has no cross-signing that this session could be verified with: set up encryption in your \
                           usual client, then run `pushbell verify`";

pub(super) fn run(context: &Context, asked: &arguments::Verify, out: &mut dyn Write) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let (account, sign_in) = find(accounts.iter(), asked.name.as_deref())?;
    let terminal = Terminal::find();
    let secrets = Secrets::of_a_command(&context.paths, terminal.is_some());
    let file = asked.recovery_key_file.as_deref();
    if file.is_none() && terminal.is_none() {
        return Err(Failure::Usage(
            "there is no terminal to ask for the recovery key: use --recovery-key-file, with `-` for standard input"
                .into(),
        ));
    }
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let session = Session { paths: &context.paths, secrets: &secrets, sign_in };
        match session.set_up().await? {
            Trust::Verified => return Ok(writeln!(out, "The session of {} is verified already.", sign_in.user_id)?),
            Trust::NoIdentity => return Err(Failure::Failed(NO_IDENTITY.to_owned())),
            Trust::Unverified => {}
        }
        if session.verify(file, terminal, out).await? {
            Ok(writeln!(out, "The session is verified: it gets the keys of encrypted messages.")?)
        } else {
            Err(Failure::Failed("the session stays unverified".to_owned()))
        }
    });
    runtime.shutdown_background();
    ended?;
    tracing::debug!(account = &*account.name, "verified");
    account::tell_running(context)
}

/// The account that is meant: of this name or user ID, else the only one.
fn find<'a>(
    accounts: impl Iterator<Item = &'a Account>,
    name: Option<&str>,
) -> Result<(&'a Account, &'a SignIn), Failure> {
    let named = |account: &&Account| {
        let user = account.sign_in.as_ref().map(|sign_in| sign_in.user_id.as_str());
        name.is_none_or(|name| *account.name == *name || user == Some(name))
    };
    let mut found = accounts.filter(named).filter_map(|account| Some((account, account.sign_in.as_ref()?)));
    match (found.next(), found.next()) {
        (Some((_, sign_in)), None) if !sign_in.reads_encrypted() => Err(Failure::Failed(not_read(sign_in))),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::Usage("there are several accounts: name one".to_owned())),
        (None, _) => Err(Failure::Failed("there is no such account that is signed in".to_owned())),
    }
}

/// Why this session reads no encrypted messages.
pub(super) fn not_read(sign_in: &SignIn) -> String {
    if cfg!(feature = "encryption") {
        format!(
            "encrypted messages are not read: the access token is that of another client's session, whose keys are left \
             alone. `pushbell login {}` without --token-file signs in with a session that can read them",
            sign_in.user_id
        )
    } else {
        "this build of Pushbell reads no encrypted messages".to_owned()
    }
}

/// What a login does for a session that is new: others get to know its keys before the first push comes, and it is
/// verified if the user wants. That it cannot be is told, and is no reason not to go on.
pub(super) async fn after_sign_in(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
    (key_file, terminal): (Option<&Path>, Option<Terminal>),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if !sign_in.reads_encrypted() {
        return Ok(writeln!(out, "Note: {}.", not_read(sign_in))?);
    }
    let session = Session { paths, secrets, sign_in };
    let trust = match session.set_up().await {
        Ok(trust) => trust,
        Err(failure) => {
            let reason = failure.message().unwrap_or_default();
            return Ok(writeln!(out, "Encrypted messages are not read: {}.", output::harmless(&reason))?);
        }
    };
    let is_verified = match trust {
        Trust::Verified => true,
        Trust::Unverified => match session.verify(key_file, terminal, out).await {
            Ok(is_verified) => is_verified,
            Err(failure) => {
                let reason = failure.message().unwrap_or_default();
                writeln!(out, "The session is not verified: {}.", output::harmless(&reason))?;
                false
            }
        },
        Trust::NoIdentity => false,
    };
    Ok(match trust {
        _ if is_verified => writeln!(out, "Encrypted messages are read."),
        Trust::NoIdentity => writeln!(out, "Encrypted messages are read; {NO_IDENTITY}."),
        Trust::Verified | Trust::Unverified => writeln!(
            out,
            "Encrypted messages are read, as far as their keys are sent to unverified sessions: `pushbell verify` makes this a \
             verified one."
        ),
    }?)
}

struct Session<'a> {
    paths: &'a Paths,
    secrets: &'a Secrets,
    sign_in: &'a SignIn,
}

impl Session<'_> {
    async fn set_up(&self) -> Result<Trust, Failure> {
        let set_up = encryption::set_up(self.paths, self.secrets, self.sign_in).await;
        set_up.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Verifies it with the key of that file, else with what is typed; an empty line skips it. Whether it is verified.
    async fn verify(
        &self,
        file: Option<&Path>,
        terminal: Option<Terminal>,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        if let Some(file) = file {
            let key = read_secret(file)?;
            let verified = encryption::verify(self.paths, self.secrets, self.sign_in, &key).await;
            return verified.map(|()| true).map_err(|error| Failure::Failed(error.to_string()));
        }
        let Some(terminal) = terminal else { return Ok(false) };
        writeln!(out, "{WHY}")?;
        for _ in 0..TRIES {
            let key = terminal.password(out, "Recovery key or passphrase (Enter to skip): ").await?;
            if key.trim().is_empty() {
                return Ok(false);
            }
            match encryption::verify(self.paths, self.secrets, self.sign_in, &key).await {
                Ok(()) => return Ok(true),
                Err(error) if error.is_wrong_key() => writeln!(out, "That is not it.")?,
                Err(error) => {
                    writeln!(out, "It could not be verified: {}.", output::harmless(&error.to_string()))?;
                    return Ok(false);
                }
            }
        }
        Ok(false)
    }
}
