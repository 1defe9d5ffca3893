//! Saves a new session as an account, sets its pusher, and rolls both back on failure.

use std::{io::Write, pin::pin, time::Duration};

use jiff::Timestamp;
use tokio::time;

use super::{
    Failure, Login, LoginContext, account_name, existing_account, output, pushers, read_receipt, relay, verify_push,
};
use crate::{
    accounts::{Account, AccountsFile, SignIn, SignInMethod, Way, new_pushkey},
    cli::{account, verify},
    encryption,
    homeserver::{HomeserverClient, Session},
    http_client::DEADLINE,
    ntfy::Relay,
    secrets::Place,
    session::{self, SessionError, Sessions},
};

/// A keyring that takes longer is probably waiting for the user.
const KEYRING_IS_QUIET: Duration = Duration::from_secs(2);

/// A session that was saved as an account.
pub(super) struct SavedSession {
    /// Uses the session's token.
    pub(super) client: HomeserverClient,
    pub(super) account: Account,
    pub(super) sign_in: SignIn,
    session: Session,
    /// The account before the login, if there was one.
    before: Option<Account>,
    /// The pushkey of the new pusher.
    pushkey: String,
    /// The pushkey of the pusher before, if known.
    old_pushkey: Option<String>,
    /// Whether a push has arrived through the relay.
    pub(super) is_proven: bool,
}

/// Saves the session's secrets, creates or updates the account, and retires the user's previous session. `old_device`: the
/// device of an earlier login that the session may have used again.
pub(super) async fn save(
    login: &Login<'_>,
    context: &LoginContext,
    (session, method): (Session, SignInMethod),
    old_device: Option<&str>,
    out: &mut dyn Write,
) -> Result<SavedSession, Failure> {
    let homeserver = &context.homeserver.client;
    let client = homeserver.clone().with_token(&session.tokens.access_token);
    if !session.user_id.as_str().eq_ignore_ascii_case(login.user.as_str()) {
        end(&client, &session, method).await;
        return Err(Failure::Failed(format!("that signs in {}, not {}", session.user_id, login.user)));
    }
    let sign_in = SignIn {
        user_id: session.user_id.to_string(),
        device_id: session.device_id.clone().unwrap_or_default(),
        homeserver: homeserver.base().as_str().to_owned(),
        method,
        event_id_only: login.asked.event_id_only,
        installation: login.secrets.installation_mark(),
        server: context.software.clone(),
    };
    let prepared = login.context.accounts().and_then(|accounts| Ok((accounts, new_pushkey()?)));
    let (accounts, pushkey) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            // A device that was used again still belongs to the account.
            if old_device.is_none_or(|old| session.device_id.as_deref() != Some(old)) {
                end(&client, &session, method).await;
            }
            return Err(failure);
        }
    };
    let existing = existing_account::find(login.context, &accounts, &session.user_id, &client, &login.secrets).await;
    let before = existing.as_ref().map(|existing| existing.account);
    let mut account = account_name::account_for(before, &accounts, &session.user_id, sign_in.clone(), pushkey);
    account.way = login.way();
    account.relay = context.relay.as_ref().map(|relay| relay.base().to_owned());
    if existing.as_ref().is_some_and(|existing| existing.is_unused) {
        account.name = account_name::name_for(&accounts, &session.user_id).into();
    }
    let pushkey = context.relay.as_ref().map_or_else(|| account.pushkey.clone(), Relay::pushkey);
    let old_pushkey = match before {
        Some(before) => login.secrets.pushkey(before).await.ok(),
        None => None,
    };
    let before = before.cloned();
    let mut saved = SavedSession { client, account, sign_in, session, before, pushkey, old_pushkey, is_proven: false };
    match saved.write(login, context, out).await {
        Ok(is_proven) => saved.is_proven = is_proven,
        Err(failure) => {
            saved.roll_back(login).await;
            return Err(failure);
        }
    }
    if let Some(old) = saved.replaced_session() {
        retire(login, old, !saved.is_copy(old), out).await?;
    }
    Ok(saved)
}

impl SavedSession {
    /// Saves secrets and account. Returns whether a push has arrived through the relay.
    async fn write(&self, login: &Login<'_>, context: &LoginContext, out: &mut dyn Write) -> Result<bool, Failure> {
        let place = self.save(login, out).await?;
        if self.sign_in.method.owns_session() {
            writeln!(out, "Signed in as the device \"{}\".", session::device_name())?;
        } else {
            writeln!(out, "Your access token is good.")?;
        }
        writeln!(out, "The access token is in {}.", output::place(&place))?;
        // Before the account is saved, since a running program then sets its pusher.
        let how = (login.asked.recovery_key_file.as_deref(), login.person.clone());
        verify::after_sign_in(&login.context.paths, &login.secrets, &self.sign_in, how, out).await?;
        if login.way() == Way::Listen {
            // If this fails, the account keeps its old way.
            login.prove_listening(&self.sign_in, out).await?;
        }
        let is_proven = match &context.relay {
            Some(relay) => self.prove_relay(login, context, relay, out).await?,
            None => false,
        };
        let name = self.before.as_ref().map_or(&self.account.name, |before| &before.name);
        if let Some(relay) = &context.relay {
            login.secrets.save_relay(&self.account.name, relay).await?;
        }
        AccountsFile::new(&login.context.paths.accounts).replace(name, self.account.clone())?;
        Ok(is_proven)
    }

    /// Has the homeserver push to the relay. If no push arrives, an account that had another pusher keeps that one.
    async fn prove_relay(
        &self,
        login: &Login<'_>,
        context: &LoginContext,
        relay: &Relay,
        out: &mut dyn Write,
    ) -> Result<bool, Failure> {
        let waits = if login.person.is_some() { verify_push::ATTENDED } else { verify_push::UNATTENDED };
        let patience = login.asked.wait.map_or(waits, Duration::from_secs);
        let begin = async |out: &mut dyn Write| {
            pushers::set(login, &self.client, &self.account, Some(relay), relay.base()).await?;
            read_receipt::offer(login, context, self, out).await.map(drop)
        };
        let proven = relay::prove(relay, &self.account.app_id, patience, out, begin).await;
        if matches!(proven, Ok(true)) || !self.has_old_pusher() {
            return proven;
        }
        self.client.remove_pusher(&self.account.app_id, &self.pushkey).await.ok();
        proven.and(Err(login.way_not_proven()))
    }

    /// Whether the account had another pusher before.
    fn has_old_pusher(&self) -> bool {
        self.old_session().is_some() && self.replaced_pushkey().is_some()
    }

    /// The pushkey of the replaced pusher, if this computer had set one.
    fn replaced_pushkey(&self) -> Option<&str> {
        let is_copy = self.before.as_ref()?.sign_in.as_ref().is_some_and(|old| self.is_copy(old));
        self.old_pushkey.as_deref().filter(|old| !is_copy && *old != self.pushkey)
    }

    /// Removes the pusher of the old way after a success; restores the old way after a failure.
    pub(super) async fn settle(
        &self,
        login: &Login<'_>,
        ended: Result<(), Failure>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match (ended, &self.before) {
            (Ok(()), Some(before)) => {
                if let Some(pushkey) = self.replaced_pushkey()
                    && let Err(error) = self.client.remove_pusher(&before.app_id, pushkey).await
                {
                    let reason = output::harmless(&error.to_string());
                    writeln!(out, "The pusher from before could not be removed: {reason}")?;
                }
                if before.relay.is_some()
                    && (self.account.relay.is_none() || before.name != self.account.name)
                    && let Err(error) = login.secrets.forget_relay(&before.name).await
                {
                    tracing::warn!("{error}");
                }
                Ok(())
            }
            (Err(failure), Some(before)) if self.old_session().is_some() && login.way() != login.kept.way => {
                self.restore_old_way(login, before).await?;
                if !matches!(failure, Failure::Reported(_)) {
                    return Err(failure);
                }
                // Both ways use the same pusher.
                if (login.kept.way, login.way()) == (Way::Auto, Way::Push) {
                    writeln!(out, "The way stays \"auto\" until a push has come while --push waits for one.")?;
                    return Err(failure);
                }
                Err(login.way_not_proven())
            }
            (ended, _) => ended,
        }
    }

    /// Saves the account with the new session and its old way.
    async fn restore_old_way(&self, login: &Login<'_>, before: &Account) -> Result<(), Failure> {
        let (pushkey, relay) = (before.pushkey.clone(), before.relay.clone());
        let account = Account { way: login.kept.way, pushkey, relay, ..self.account.clone() };
        AccountsFile::new(&login.context.paths.accounts).replace(&self.account.name, account)?;
        if self.has_old_pusher() || login.kept.way == Way::Listen {
            // A failure does no harm: its pushkey is unknown now, or the running program removes it.
            self.client.remove_pusher(&self.account.app_id, &self.pushkey).await.ok();
        }
        drop(account::tell_running(login.context));
        Ok(())
    }

    /// The account's previous session on this computer.
    fn old_session(&self) -> Option<&SignIn> {
        self.before.as_ref().and_then(|before| before.sign_in.as_ref()).filter(|old| !self.is_copy(old))
    }

    /// The account's previous session, if its device is another one.
    fn replaced_session(&self) -> Option<&SignIn> {
        let old = self.before.as_ref().and_then(|before| before.sign_in.as_ref());
        old.filter(|old| old.device_id != self.sign_in.device_id)
    }

    /// Whether the session belongs to another computer whose files were copied here.
    fn is_copy(&self, old: &SignIn) -> bool {
        old.is_anothers(&self.sign_in.installation)
    }

    /// Saves the session's secrets. A locked keyring waits for the user.
    async fn save(&self, login: &Login<'_>, out: &mut dyn Write) -> Result<Place, Failure> {
        let mut saving = pin!(login.secrets.save(&self.sign_in, &self.session.tokens));
        if login.person.is_some() {
            match time::timeout(KEYRING_IS_QUIET, &mut saving).await {
                Ok(saved) => return Ok(saved?),
                Err(_) => writeln!(out, "Waiting for the keyring: it may have opened a window to be unlocked.")?,
            }
        }
        Ok(saving.await?)
    }

    /// Sets the pusher. Returns a time before that.
    pub(super) async fn set_pusher(
        &self,
        login: &Login<'_>,
        context: &LoginContext,
        out: &mut dyn Write,
    ) -> Result<Timestamp, Failure> {
        let since = Timestamp::now();
        let reached_at = context.reached_at.as_deref().unwrap_or_default();
        if let Err(failure) = pushers::set(login, &self.client, &self.account, None, reached_at).await {
            self.undo(login).await;
            return Err(failure);
        }
        // The running program may know the pusher as switched off.
        drop(account::tell_running(login.context));
        writeln!(out, "The homeserver now pushes to {} for the account \"{}\".", reached_at, self.account.name)?;
        let accounts = login.context.accounts()?;
        pushers::review(login, &self.client, &accounts, out).await?;
        Ok(since)
    }

    /// Rolls the login back; but an account that was signed in before keeps the new session, since the old one has ended.
    pub(super) async fn undo(&self, login: &Login<'_>) {
        if self.old_session().is_none() {
            self.roll_back(login).await;
        }
    }

    /// Ends and forgets the new session, and restores the account. Failures are ignored: the user is told the first one.
    async fn roll_back(&self, login: &Login<'_>) {
        if self.old_session().is_some() && self.replaced_session().is_none() {
            // The same device: there is no other session to go on with.
            return;
        }
        end(&self.client, &self.session, self.sign_in.method).await;
        encryption::forget(&login.context.paths, &login.secrets, &self.sign_in).await;
        drop(login.secrets.forget(&self.sign_in).await);
        let accounts = AccountsFile::new(&login.context.paths.accounts);
        if self.before.is_none() && self.account.relay.is_some() {
            drop(login.secrets.forget_relay(&self.account.name).await);
        }
        drop(match &self.before {
            Some(before) => accounts.replace(&self.account.name, before.clone()),
            None => accounts.remove(&self.account.name).map(drop),
        });
        drop(account::tell_running(login.context));
    }
}

/// Ends a session if it is our own, ignoring failures.
async fn end(client: &HomeserverClient, session: &Session, method: SignInMethod) {
    if method.owns_session() {
        drop(session::end(client, &session.tokens).await);
    }
}

/// Ends the account's previous session if it was our own, and forgets its secrets. A failure is only reported.
async fn retire(login: &Login<'_>, old: &SignIn, is_ours: bool, out: &mut dyn Write) -> Result<(), Failure> {
    let ended = if is_ours && old.method.owns_session() {
        match Sessions::new(login.secrets.clone()).open(old, DEADLINE).await {
            Ok(signed_in) => signed_in.end().await.map_err(|error| error.to_string()),
            // It has ended by itself.
            Err(SessionError::Over(_)) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    } else {
        Ok(())
    };
    encryption::forget(&login.context.paths, &login.secrets, old).await;
    let ended = match ended {
        Ok(()) => login.secrets.forget(old).await.map_err(|error| error.to_string()),
        failed => failed,
    };
    if let Err(reason) = ended {
        let reason = output::harmless(&reason);
        writeln!(out, "The session from before could not be signed out ({reason}): remove it in your client.")?;
    }
    Ok(())
}
