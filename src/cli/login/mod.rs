//! `pushbell login`: signs in, makes an account, sets the http pusher, and proves that a push arrives.
//!
//! The order is such that what can be wrong is said before anything is left behind: is the homeserver there, can it
//! reach us, do we listen; then the session, the account, the pusher; then the proof.

mod address;
mod browser;
mod credentials;
mod naming;
mod proof;
mod pushers;
mod receipt;
mod terminal;
mod whereabouts;

use std::{io::Write, path::Path};

use super::{Context, Failure, arguments, failure, output};
use crate::{
    accounts::{Account, AccountsFile, SignIn, SignInMethod, new_pushkey},
    app::Interim,
    config::Config,
    control::{AskError, Reply, Request, ask},
    homeserver::{BaseUrl, Homeserver, HomeserverClient, HttpsClient, Session, UserId, discovery, server},
    secrets::{Place, Secrets},
    session,
};
use credentials::Credentials;
use terminal::Terminal;

/// Exit code: the pusher is set, but no push has come yet.
const NOTHING_CAME: u8 = 3;

pub(super) fn run(context: &Context, asked: &arguments::Login, out: &mut dyn Write) -> Result<(), Failure> {
    let user = UserId::parse(&asked.user).map_err(|error| Failure::Usage(format!("{}: {error}", asked.user)))?;
    let terminal = Terminal::find();
    let credentials = Credentials::read(asked)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let login =
        Login { context, asked, user, terminal, secrets: Secrets::of_a_command(&context.paths, terminal.is_some()) };
    let ended = runtime.block_on(login.run(credentials, out));
    // A line that the person has not typed must not keep us.
    runtime.shutdown_background();
    ended
}

/// One login.
struct Login<'a> {
    context: &'a Context,
    asked: &'a arguments::Login,
    user: UserId,
    terminal: Option<Terminal>,
    secrets: Secrets,
}

/// Who takes the pushes while we wait for one.
enum Receiver {
    /// The running app.
    App,
    /// We ourselves.
    Own(Box<Interim>),
}

impl Login<'_> {
    async fn run(&self, credentials: Credentials, out: &mut dyn Write) -> Result<(), Failure> {
        let homeserver = self.find_homeserver().await?;
        let software = server::software(&homeserver).await;
        let base = homeserver.client.base().clone();
        let called = if software.is_empty() { String::new() } else { format!(" ({software})") };
        writeln!(out, "The homeserver of {} is {}{called}.", self.user, base.as_str())?;

        let config = self.context.config()?;
        let (config, reached_at) = address::settle(self, config, &base, &software, out).await?;
        let receiver = self.receiver(&config).await?;
        let ended =
            self.sign_in_and_prove(&homeserver, software, credentials, &config, &reached_at, &receiver, out).await;
        if let Receiver::Own(interim) = receiver {
            interim.close().await;
            if matches!(ended, Ok(()) | Err(Failure::Told(_))) {
                writeln!(out, "Pushbell itself is not running: start it with `pushbell`.")?;
            }
        }
        ended
    }

    async fn find_homeserver(&self) -> Result<Homeserver, Failure> {
        let https = HttpsClient::new().map_err(|error| Failure::Failed(error.to_string()))?;
        let found = match &self.asked.homeserver {
            Some(address) => {
                let base = BaseUrl::parse(address).map_err(Failure::Usage)?;
                discovery::check(&https, base).await
            }
            None => discovery::find(&https, &self.user).await,
        };
        found.map_err(|error| Failure::Failed(format!("{error}.\n{}", error.advice())))
    }

    /// The running app, else an endpoint of our own.
    async fn receiver(&self, config: &Config) -> Result<Receiver, Failure> {
        match Interim::start(&self.context.paths, config).await? {
            Some(interim) => Ok(Receiver::Own(Box::new(interim))),
            None => match self.context.status() {
                Ok(_) => Ok(Receiver::App),
                Err(Failure::NotRunning) => {
                    Err(Failure::Failed("another `pushbell login` is under way: let it end first".to_owned()))
                }
                Err(other) => Err(other),
            },
        }
    }

    #[expect(clippy::too_many_arguments, reason = "each is a result of a step before")]
    async fn sign_in_and_prove(
        &self,
        homeserver: &Homeserver,
        software: String,
        credentials: Credentials,
        config: &Config,
        reached_at: &str,
        receiver: &Receiver,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let accounts = self.context.accounts()?;
        let before = naming::account_of(&accounts, &self.user).cloned();
        let old_device =
            before.as_ref().and_then(|account| account.sign_in.as_ref()).filter(|it| !it.device_id.is_empty());
        let device = old_device.filter(|it| it.method == SignInMethod::Password).map(|it| it.device_id.as_str());
        let (session, method) = credentials::sign_in(self, &homeserver.client, credentials, device, out).await?;
        let client = homeserver.client.clone().with_token(&session.tokens.access_token);
        if !session.user_id.as_str().eq_ignore_ascii_case(self.user.as_str()) {
            if method != SignInMethod::Token {
                // As far as that is possible: it is not the session that was asked for.
                drop(session::end(&client, &session.tokens).await);
            }
            return Err(Failure::Failed(format!("that signs in {}, not {}", session.user_id, self.user)));
        }
        let sign_in = SignIn {
            user_id: session.user_id.to_string(),
            device_id: session.device_id.clone().unwrap_or_default(),
            homeserver: homeserver.client.base().as_str().to_owned(),
            method,
            event_id_only: self.asked.event_id_only,
            server: software,
        };
        let pushkey = new_pushkey().map_err(|error| Failure::Failed(error.to_string()))?;
        let account = naming::account_for(&accounts, &session.user_id, sign_in.clone(), pushkey);
        let set =
            self.keep_and_set(&client, before.as_ref(), &account, &sign_in, &session, reached_at, receiver, out).await;
        let since = match set {
            Ok(since) => since,
            Err(failure) => {
                if before.is_none() {
                    self.undo(&client, &account, &sign_in, &session, receiver).await;
                }
                return Err(failure);
            }
        };
        let proof = proof::Proof {
            login: self,
            client: &client,
            account: &account,
            sign_in: &sign_in,
            config,
            reached_at,
            since,
        };
        proof.run(receiver, out).await
    }

    /// Keeps session and account, and sets the pusher. Pushes that come later than the time it returns come of it.
    #[expect(clippy::too_many_arguments, reason = "each is a result of a step before")]
    async fn keep_and_set(
        &self,
        client: &HomeserverClient,
        before: Option<&Account>,
        account: &Account,
        sign_in: &SignIn,
        session: &Session,
        reached_at: &str,
        receiver: &Receiver,
        out: &mut dyn Write,
    ) -> Result<jiff::Timestamp, Failure> {
        let place = self.secrets.save(sign_in, &session.tokens).await?;
        self.retire(before, sign_in, out).await?;
        AccountsFile::new(&self.context.paths.accounts).put(account.clone())?;
        self.reload_accounts(receiver)?;
        let as_device = match sign_in.method {
            SignInMethod::Token => "with your access token".to_owned(),
            SignInMethod::Password | SignInMethod::Sso | SignInMethod::OAuth => {
                format!("as the device \"{}\"", session::device_name())
            }
        };
        writeln!(out, "Signed in {as_device}. {}", told(&place))?;
        let since = jiff::Timestamp::now();
        pushers::set(client, account, reached_at).await?;
        writeln!(out, "The homeserver now pushes to {reached_at} for the account \"{}\".", account.name)?;
        let accounts = self.context.accounts()?;
        pushers::offer_to_remove_dead(self.terminal, client, &accounts, out).await?;
        Ok(since)
    }

    /// Ends the session that the account had before, if it is another one and was ours.
    async fn retire(&self, before: Option<&Account>, now: &SignIn, out: &mut dyn Write) -> Result<(), Failure> {
        let Some((account, old)) = before.and_then(|account| Some((account, account.sign_in.as_ref()?))) else {
            return Ok(());
        };
        if old.device_id == now.device_id && old.user_id == now.user_id {
            return Ok(());
        }
        if old.method != SignInMethod::Token
            && let Err(error) = session::leave(account, &self.secrets).await
        {
            let reason = output::harmless(&error.to_string());
            writeln!(out, "The session from before could not be signed out ({reason}): remove it in your client.")?;
        }
        Ok(self.secrets.forget(old).await?)
    }

    /// Leaves nothing behind of a login that has failed half-way.
    async fn undo(
        &self,
        client: &HomeserverClient,
        account: &Account,
        sign_in: &SignIn,
        session: &Session,
        receiver: &Receiver,
    ) {
        // Each as far as it is possible: the failure that led here is what the person is told.
        if sign_in.method != SignInMethod::Token {
            drop(session::end(client, &session.tokens).await);
        }
        drop(self.secrets.forget(sign_in).await);
        drop(AccountsFile::new(&self.context.paths.accounts).remove(&account.name));
        drop(self.reload_accounts(receiver));
    }

    fn reload_accounts(&self, receiver: &Receiver) -> Result<(), Failure> {
        match receiver {
            Receiver::Own(interim) => {
                interim.read_accounts();
                Ok(())
            }
            Receiver::App => reload(&self.context.paths.control, &Request::ReloadAccounts),
        }
    }
}

/// Has the running app read its files, if it runs.
fn reload(control: &Path, request: &Request) -> Result<(), Failure> {
    match ask(control, request) {
        Ok(Reply::Done | Reply::Status(_) | Reply::Pushed { .. }) | Err(AskError::NotRunning) => Ok(()),
        Ok(Reply::Failed { reason }) => Err(Failure::Failed(output::harmless(&reason))),
        Err(error @ (AskError::Unreachable { .. } | AskError::NoAnswer(_))) => Err(error.into()),
    }
}

fn told(place: &Place) -> String {
    match place {
        Place::Keyring(name) => format!("The access token is in the keyring ({name})."),
        Place::File { path, reason } => {
            let reason = output::harmless(reason);
            format!("The access token is in {}, which only you can read ({reason}).", path.display())
        }
    }
}

/// What exit code 3 means.
fn nothing_came() -> Failure {
    Failure::Told(NOTHING_CAME)
}

/// Exit code 1, all having been said.
fn failed() -> Failure {
    Failure::Told(failure::FAILED)
}
