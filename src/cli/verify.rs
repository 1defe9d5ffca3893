//! `pushbell verify`: verifies the session; also the encryption part of `login`.

use std::{io::Write, path::Path};

use super::{Context, Failure, account, arguments, block_on, login::read_secret, output, person::Person};
use crate::{
    accounts::SignIn,
    encryption::{self, SetUp, Step, Trust, VerifyError, not_read},
    page::Conversation,
    paths::Paths,
    secrets::Secrets,
    session,
};

/// Attempts at typing the recovery key.
const TRIES: usize = 3;

const WHY: &str = "Other people's clients may send the keys of encrypted messages to verified sessions alone. Another session \
                   of yours can make this one verified, and so can your recovery key or passphrase, which is not kept.";

const BY_EMOJI: &str = "Compare emoji with another session of yours that is at hand? (No: with the recovery key)";

const BACKUP: &str = "Read the account's key backup too, for messages that were not sent to this session? It opens the account's \
                      whole history to this computer.";

const NO_IDENTITY: &str = "the account has no cross-signing that this session could be verified with: set up encryption in your \
                           usual client, then run `pushbell verify`";

pub(super) fn run(context: &Context, asked: &arguments::Verify, out: &mut dyn Write) -> Result<(), Failure> {
    verify(context, asked, Person::at_terminal(), out)
}

/// The same of this account for somebody at the page.
pub(super) fn for_page(
    paths: Paths,
    account: &str,
    with_backup: bool,
    conversation: &Conversation,
) -> Result<(), Failure> {
    let context = Context { paths, config_named: false };
    let asked = arguments::Verify { name: Some(account.to_owned()), recovery_key_file: None, with_backup };
    verify(&context, &asked, Some(Person::AtPage(conversation.clone())), &mut conversation.writer())
}

fn verify(
    context: &Context,
    asked: &arguments::Verify,
    person: Option<Person>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let accounts = context.accounts()?;
    let (_, sign_in) = account::signed_in(&accounts, asked.name.as_deref())?;
    if !sign_in.reads_encrypted() {
        return Err(Failure::Failed(not_read(sign_in)));
    }
    let secrets = context.secrets(person.as_ref());
    let file = asked.recovery_key_file.as_deref();
    if file.is_none() && person.is_none() {
        return Err(Failure::Usage(
            "there is no terminal to ask for the recovery key: use --recovery-key-file, with `-` for standard input"
                .into(),
        ));
    }
    let session = Session { paths: &context.paths, secrets: &secrets, sign_in, file, person };
    block_on(async {
        let set_up = session.set_up().await?;
        let verified = match set_up.trust {
            Trust::NoIdentity => Err(Failure::Failed(NO_IDENTITY.to_owned())),
            Trust::Verified => {
                writeln!(out, "The session of {} is verified already.", sign_in.user_id)?;
                Ok(None)
            }
            Trust::Unverified => session.verify(&set_up, out).await.map(Some),
        };
        // Even if it is not verified: keys may have arrived meanwhile.
        let told = account::tell_running(context);
        let verified = verified?;
        told?;
        if session.read_backup(verified, asked.with_backup, out).await? {
            account::tell_running(context)?;
        }
        Ok(())
    })
}

/// The encryption part of a login with a new session: uploads its keys before the first push, and verifies it if the
/// user wants. A failure is reported, and does not stop the login.
pub(super) async fn after_sign_in(
    paths: &Paths,
    secrets: &Secrets,
    sign_in: &SignIn,
    (file, person): (Option<&Path>, Option<Person>),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if !sign_in.reads_encrypted() {
        return Ok(writeln!(out, "Note: {}.", not_read(sign_in))?);
    }
    let session = Session { paths, secrets, sign_in, file, person };
    let set_up = match session.set_up().await {
        Ok(set_up) => set_up,
        Err(failure) => {
            return Ok(writeln!(out, "Encrypted messages are not read: {}.", output::harmless(&failure.to_string()))?);
        }
    };
    let is_verified = match set_up.trust {
        Trust::Verified => true,
        Trust::Unverified => match session.verify_at_login(&set_up, out).await {
            Ok(is_verified) => is_verified,
            Err(failure) => {
                writeln!(out, "The session is not verified: {}.", output::harmless(&failure.to_string()))?;
                false
            }
        },
        Trust::NoIdentity => false,
    };
    Ok(match set_up.trust {
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
    /// The file with the recovery key, if it is not to be asked for.
    file: Option<&'a Path>,
    person: Option<Person>,
}

/// How the session was verified.
enum Verified {
    WithKey(String),
    ByEmoji,
}

impl Session<'_> {
    async fn set_up(&self) -> Result<SetUp, Failure> {
        let set_up = encryption::set_up(self.paths, self.secrets, self.sign_in).await;
        set_up.map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Verifies the session. Returns how.
    async fn verify(&self, set_up: &SetUp, out: &mut dyn Write) -> Result<Verified, Failure> {
        let verified = self.ask_and_verify(set_up, out).await?;
        let Some(verified) = verified else { return Err(Failure::Failed("the session stays unverified".to_owned())) };
        writeln!(out, "The session is verified: it gets the keys of encrypted messages.")?;
        Ok(verified)
    }

    /// Verifies the session at the end of a login. Returns whether it is verified.
    async fn verify_at_login(&self, set_up: &SetUp, out: &mut dyn Write) -> Result<bool, Failure> {
        let Some(verified) = self.ask_and_verify(set_up, out).await? else { return Ok(false) };
        if let Err(failure) = self.read_backup(Some(verified), false, out).await {
            writeln!(out, "The key backup is not read: {}.", output::harmless(&failure.to_string()))?;
        }
        Ok(true)
    }

    /// Verifies it by emoji or with the recovery key, as the user chooses; an empty line skips it.
    async fn ask_and_verify(&self, set_up: &SetUp, out: &mut dyn Write) -> Result<Option<Verified>, Failure> {
        if let Some(person) = self.person.as_ref().filter(|_| self.file.is_none()) {
            writeln!(out, "{WHY}")?;
            let by_emoji =
                set_up.is_asked || (set_up.has_other_sessions && person.confirm(out, BY_EMOJI, true).await?);
            if by_emoji {
                self.compare_emoji(person, out).await?;
                return Ok(Some(Verified::ByEmoji));
            }
        }
        let verify = async |key: &str| encryption::verify(self.paths, self.secrets, self.sign_in, key).await;
        Ok(self.with_recovery_key(verify, out).await?.map(Verified::WithKey))
    }

    /// Uses the recovery key in the file, or asks for one. Returns which. An empty line skips it.
    async fn with_recovery_key(
        &self,
        use_it: impl AsyncFn(&str) -> Result<(), VerifyError>,
        out: &mut dyn Write,
    ) -> Result<Option<String>, Failure> {
        let failed = |error: VerifyError| Failure::Failed(error.to_string());
        if let Some(file) = self.file {
            let key = read_secret(file)?;
            return use_it(&key).await.map(|()| Some(key)).map_err(failed);
        }
        let Some(person) = &self.person else { return Ok(None) };
        for _ in 0..TRIES {
            let key = person.password(out, "Recovery key or passphrase (empty: skip it): ").await?;
            if key.trim().is_empty() {
                return Ok(None);
            }
            match use_it(&key).await {
                Ok(()) => return Ok(Some(key)),
                Err(error) if error.is_wrong_key() => writeln!(out, "That is not it.")?,
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    async fn compare_emoji(&self, person: &Person, out: &mut dyn Write) -> Result<(), Failure> {
        let mut failure = None;
        let show = async |step: Step<'_>| {
            let answer = answer(person, step, out).await;
            answer.unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        };
        let verified = encryption::verify_with_emoji(self.paths, self.secrets, self.sign_in, show).await;
        match failure {
            Some(failure) => Err(failure),
            None => verified.map_err(|error| Failure::Failed(error.to_string())),
        }
    }

    /// Enables reading the account's key backup, if the user wants. Returns whether it is enabled. `verified`: how the
    /// session was just verified.
    async fn read_backup(
        &self,
        verified: Option<Verified>,
        is_wanted: bool,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let asks = verified.is_some() && self.file.is_none();
        let is_wanted = is_wanted
            || match &self.person {
                Some(person) if asks => person.confirm(out, BACKUP, false).await?,
                Some(_) | None => false,
            };
        if !is_wanted {
            return Ok(false);
        }
        let use_backup = async |key: &str| encryption::use_backup(self.paths, self.secrets, self.sign_in, key).await;
        let failed = |error: VerifyError| Failure::Failed(error.to_string());
        match verified {
            Some(Verified::WithKey(key)) => use_backup(&key).await.map_err(failed)?,
            Some(Verified::ByEmoji) => {
                writeln!(out, "Your other session is asked for the backup's key…")?;
                let used = encryption::use_backup_of_session(self.paths, self.secrets, self.sign_in).await;
                used.map_err(failed)?;
            }
            None => {
                if self.with_recovery_key(use_backup, out).await?.is_none() {
                    return Err(Failure::Failed("the key backup is not read".to_owned()));
                }
            }
        }
        writeln!(out, "The account's key backup is read where a key has not been sent to this session.")?;
        Ok(true)
    }
}

/// Shows a step of the emoji comparison. Returns the user's answer to a question.
async fn answer(person: &Person, step: Step<'_>, out: &mut dyn Write) -> Result<bool, Failure> {
    match step {
        Step::Asking => writeln!(
            out,
            "Your other sessions are asked to verify \"{}\": accept in one of them, within ten minutes.",
            session::device_name()
        )?,
        Step::AskedBy(name) => writeln!(out, "Your session \"{}\" asks to verify this one.", output::harmless(name))?,
        Step::Compare(shown) => {
            let emoji: Vec<_> = shown.iter().map(|(symbol, name)| format!("    {symbol}  {name}")).collect();
            let shown = format!("\nThe other session is to show the same:\n\n{}\n\n", emoji.join("\n"));
            // The page shows a question apart from what was said before it.
            let before = if person.page().is_some() { &*shown } else { "" };
            if before.is_empty() {
                write!(out, "{shown}")?;
            }
            return person.confirm(out, &format!("{before}Do they match?"), false).await;
        }
        Step::Waiting => writeln!(out, "Confirm it in the other session too, if you have not.")?,
    }
    Ok(true)
}
