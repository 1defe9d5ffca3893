//! `pushbell login`: signs in, creates an account, sets the http pusher, and verifies that a push arrives.
//!
//! What can fail without side effects comes first: finding the homeserver, whether it can reach us, whether we can listen.
//! Then come the session ([`credentials`]), the account ([`save_account`]) and the pusher; then the verification.

pub(super) mod account_name;
mod address;
mod browser;
mod credentials;
mod existing_account;
mod homeserver;
mod pushers;
mod read_receipt;
mod receiver;
mod relay;
mod save_account;
mod start_with_desktop;
mod verify_push;

use std::{cell::Cell, io::Write, time::Duration};

pub(super) use credentials::read_secret;

use super::{
    Context, Failure, arguments, block_on, output,
    person::{self, Person},
};
use crate::{
    accounts::{SignIn, SignInMethod, Way},
    config::Config,
    control::Request,
    encryption,
    homeserver::{Homeserver, HomeserverClient, HomeserverKind, UserId, kind},
    invocation,
    ntfy::Relay,
    page::{Conversation, SignInForm, Step},
    paths::Paths,
    secrets::Secrets,
    session::{SessionError, Sessions},
};
use credentials::Credentials;
use existing_account::KeptWay;
use receiver::Receiver;
use save_account::SavedSession;
use verify_push::PushVerification;

/// Maximum number of yes/no questions; further ones are not asked.
const MAX_QUESTIONS: u8 = 2;
/// Time limit for checking an earlier session.
const OLD_SESSION: Duration = Duration::from_secs(10);

fn say_not_running(out: &mut dyn Write) -> Result<(), Failure> {
    Ok(writeln!(out, "\nPushbell itself is not running yet: start it with `{}`.", invocation::command())?)
}

pub(super) fn run(context: &Context, asked: &arguments::Login, out: &mut dyn Write) -> Result<(), Failure> {
    let user = UserId::parse(&asked.user).map_err(|error| Failure::Usage(format!("{}: {error}", asked.user)))?;
    let credentials = Credentials::read(asked)?;
    sign_in(context, asked, user, credentials, Person::at_terminal(), out)
}

/// The same, started from the page.
pub(super) fn for_page(paths: Paths, asked: SignInForm, conversation: &Conversation) -> Result<(), Failure> {
    let context = Context { paths, config_named: false };
    let user = UserId::parse(&asked.user).map_err(|error| Failure::Usage(error.to_string()))?;
    let (is, relay) = (|way| asked.way == Some(way), asked.relay);
    let asked = arguments::Login {
        homeserver: asked.homeserver,
        auto: is(Way::Auto),
        push: is(Way::Push),
        listen: is(Way::Listen),
        ntfy: relay.filter(|_| is(Way::Ntfy)),
        ..arguments::Login::of(&asked.user)
    };
    let person = Some(Person::AtPage(conversation.clone()));
    sign_in(&context, &asked, user, Credentials::None, person, &mut conversation.writer())
}

fn sign_in(
    context: &Context,
    asked: &arguments::Login,
    user: UserId,
    credentials: Credentials,
    person: Option<Person>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let secrets = context.secrets(person.as_ref());
    let kept = existing_account::kept_way(&context.accounts()?, &user, asked);
    let login = Login { context, asked, user, kept, person, questions: Cell::new(MAX_QUESTIONS), secrets };
    block_on(async {
        login.run(credentials, out).await?;
        start_with_desktop::offer(&login, out).await
    })
}

/// Shared state of the steps of a login.
struct Login<'a> {
    context: &'a Context,
    asked: &'a arguments::Login,
    user: UserId,
    /// The way that stays unless another is chosen.
    kept: KeptWay,
    person: Option<Person>,
    /// Number of yes/no questions left.
    questions: Cell<u8>,
    secrets: Secrets,
}

/// What is found out before signing in.
struct LoginContext {
    homeserver: Homeserver,
    /// What the homeserver calls itself; may be empty.
    software: String,
    kind: HomeserverKind,
    config: Config,
    /// The base address that the homeserver is to push to; `None`: it cannot.
    reached_at: Option<String>,
    /// The relay that it is to push to instead.
    relay: Option<Relay>,
}

impl Login<'_> {
    async fn run(&self, credentials: Credentials, out: &mut dyn Write) -> Result<(), Failure> {
        let existing = self.existing_session(out)?;
        let context = self.prepare(out).await?;
        if context.reached_at.is_some() {
            Receiver::check(self.context, &context.config)?;
        }
        let old_device = match &existing {
            Some(old) => self.reusable_device(old).await,
            None => None,
        };
        self.step(Step::Who);
        let session = credentials::sign_in(self, &context, credentials, old_device.as_deref(), out).await?;
        let saving = save_account::save(self, &context, session, old_device.as_deref(), out);
        let saved = Box::pin(saving).await?;
        if context.reached_at.is_none() {
            let ended = match (&context.relay, saved.is_proven) {
                (None, _) => self.complete_listening(&saved, out).await,
                (Some(_), true) => Ok(()),
                (Some(_), false) => Err(Failure::Reported(verify_push::NOTHING_CAME)),
            };
            let ended = saved.settle(self, ended, out).await;
            if !self.context.tell(&Request::ReloadAccounts)? && matches!(ended, Ok(()) | Err(Failure::Reported(_))) {
                say_not_running(out)?;
            }
            return ended;
        }
        let receiver = match Receiver::start(self.context, &context.config).await {
            Ok(receiver) => receiver,
            Err(failure) => {
                saved.undo(self).await;
                return saved.settle(self, Err(failure), out).await;
            }
        };
        self.step(Step::Proof);
        let ended = match saved.set_pusher(self, &context, out).await {
            Ok(since) => {
                let verification =
                    PushVerification { login: self, context: &context, saved: &saved, receiver: &receiver, since };
                verification.run(out).await
            }
            Err(failure) => Err(failure),
        };
        let goes_on = receiver.close().await;
        let ended = saved.settle(self, ended, out).await;
        if !goes_on && matches!(ended, Ok(()) | Err(Failure::Reported(_))) {
            say_not_running(out)?;
        }
        ended
    }

    /// Completes a login to a homeserver that does not push to us.
    async fn complete_listening(&self, saved: &SavedSession, out: &mut dyn Write) -> Result<(), Failure> {
        self.step(Step::Proof);
        if self.way() != Way::Listen
            && let Err(error) = self.prove_listening(&saved.sign_in, out).await
        {
            saved.undo(self).await;
            return Err(error);
        }
        Ok(())
    }

    /// Proves that notifications arrive over a held connection.
    async fn prove_listening(&self, sign_in: &SignIn, out: &mut dyn Write) -> Result<(), Failure> {
        let proven = Box::pin(encryption::prove_listening(&self.context.paths, &self.secrets, sign_in)).await;
        proven.map_err(|error| Failure::Failed(format!("listening does not work: {error}")))?;
        writeln!(out, "Pushbell listens at the homeserver: connected; the first message will be shown.")?;
        Ok(())
    }

    /// The chosen way, else the kept one.
    fn way(&self) -> Way {
        self.asked.way().unwrap_or(self.kept.way)
    }

    /// The failure when the account keeps its old way.
    fn way_not_proven(&self) -> Failure {
        let (before, now, user) = (self.kept.way.as_str(), self.way().as_str(), &self.user);
        let address = if self.way() == Way::Ntfy { " …" } else { "" };
        Failure::Failed(format!(
            "the way stays \"{before}\", since the new one is not proven: have somebody write to you while \
             `{} login {user} --{now}{address}` waits, or mark something as read elsewhere",
            invocation::command()
        ))
    }

    /// Whether listening is possible with these options.
    fn can_listen(&self) -> bool {
        let is_possible = cfg!(feature = "encryption") && self.asked.token_file.is_none();
        is_possible && matches!(self.way(), Way::Auto | Way::Listen)
    }

    async fn prepare(&self, out: &mut dyn Write) -> Result<LoginContext, Failure> {
        self.step(Step::Who);
        let homeserver = homeserver::find(self).await?;
        let software = kind::software(&homeserver).await;
        let base = homeserver.client.base().clone();
        let called = if software.is_empty() { String::new() } else { format!(" ({software})") };
        writeln!(out, "The homeserver of {} is {base}{called}.", self.user)?;
        let config = self.context.config()?;
        let kind = HomeserverKind::named(&software);
        if self.way() == Way::Listen && !self.can_listen() {
            return Err(Failure::Usage("--listen: this build of Pushbell can receive pushes alone".to_owned()));
        }
        self.step(Step::Way);
        let (config, reached_at) = match self.way() {
            Way::Listen | Way::Ntfy => (config, None),
            Way::Auto | Way::Push => address::settle(self, config, &base, &kind, out).await?,
        };
        homeserver::refuse_unencrypted(self, &base).await?;
        let address = self.asked.ntfy.as_ref().or(self.kept.relay.as_ref());
        let relay = match address.filter(|_| self.way() == Way::Ntfy) {
            Some(address) => Some(relay::choose(self, address, out).await?),
            None => None,
        };
        Ok(LoginContext { homeserver, software, kind, config, reached_at, relay })
    }

    /// Tells the user about an existing session, before any question. Returns it, unless it is another computer's.
    fn existing_session(&self, out: &mut dyn Write) -> Result<Option<SignIn>, Failure> {
        let accounts = self.context.accounts()?;
        let Some(account) = accounts.of_user(self.user.as_str()) else { return Ok(None) };
        let Some(old) = &account.sign_in else { return Ok(None) };
        let (user, name) = (&self.user, &account.name);
        if old.is_anothers(&self.secrets.installation_mark()) {
            writeln!(
                out,
                "The account \"{name}\" of {user} was signed in on another computer, and is here as a copy. Signing in gives \
                 this computer a session and a pusher of its own, and leaves those of the other alone."
            )?;
            return Ok(None);
        }
        writeln!(
            out,
            "{user} is signed in here already, as the account \"{name}\". Signing in again renews the session and sets the \
             pusher anew; the account stays."
        )?;
        Ok(Some(old.clone()))
    }

    /// The device of an earlier password login, to be used again. Not one without its keys, which could decrypt nothing, and
    /// not one that was deleted at the homeserver.
    async fn reusable_device(&self, old: &SignIn) -> Option<String> {
        let is_ours = old.method == SignInMethod::Password && !old.device_id.is_empty();
        if !is_ours || !encryption::has_store(&self.context.paths, old) {
            return None;
        }
        let whoami = |client: HomeserverClient| async move { Ok::<_, SessionError>(client.whoami().await?) };
        let asked = Sessions::new(self.secrets.clone()).ask(old, OLD_SESSION, whoami).await;
        (!matches!(asked, Err(SessionError::Over(_)))).then(|| old.device_id.clone())
    }

    /// Shows the current step on the page.
    fn step(&self, step: Step) {
        if let Some(page) = self.person.as_ref().and_then(Person::page) {
            page.step(step);
        }
    }

    /// Asks a yes/no question; an empty answer is `default`. `None` without a person to ask, or after [`MAX_QUESTIONS`].
    async fn confirm(&self, out: &mut dyn Write, question: &str, default: bool) -> Result<Option<bool>, Failure> {
        let Some((person, left)) = self.person.as_ref().zip(self.questions.get().checked_sub(1)) else {
            return Ok(None);
        };
        self.questions.set(left);
        person.confirm(out, question, default).await.map(Some)
    }
}
