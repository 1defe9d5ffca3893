//! `pushbell login`: signs in, makes an account, sets the http pusher, and proves that a push arrives.
//!
//! The order is such that what can be wrong is said before anything is left behind: is the homeserver there, can it
//! reach us, can we listen; then the session, the account, the pusher; then the proof.

mod address;
mod before;
mod browser;
mod credentials;
mod keeping;
pub(super) mod naming;
mod proof;
mod pushers;
mod receipt;
mod receiver;

use std::io::Write;

use super::{Context, Failure, arguments, output, terminal::Terminal};
use crate::{
    accounts::{SignIn, SignInMethod},
    config::Config,
    homeserver::{BaseUrl, Homeserver, HttpsClient, UserId, discovery, server},
    secrets::Secrets,
};
use credentials::Credentials;
use proof::Proof;
use receiver::Receiver;

pub(super) fn run(context: &Context, asked: &arguments::Login, out: &mut dyn Write) -> Result<(), Failure> {
    let user = UserId::parse(&asked.user).map_err(|error| Failure::Usage(format!("{}: {error}", asked.user)))?;
    let credentials = Credentials::read(asked)?;
    let terminal = Terminal::find();
    let secrets = Secrets::of_a_command(&context.paths, terminal.is_some());
    let runtime = super::runtime()?;
    let ended = runtime.block_on(Login { context, asked, user, terminal, secrets }.run(credentials, out));
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

/// What is settled before anybody signs in.
struct Ground {
    homeserver: Homeserver,
    /// What the homeserver calls itself; may be empty.
    software: String,
    config: Config,
    /// The base address that the homeserver is to push to.
    reached_at: String,
}

impl Login<'_> {
    async fn run(&self, credentials: Credentials, out: &mut dyn Write) -> Result<(), Failure> {
        let ground = self.ground(out).await?;
        Receiver::check(self.context, &ground.config)?;
        let old_device = self.old_device()?;
        let session = credentials::sign_in(self, &ground, credentials, old_device.as_deref(), out).await?;
        let kept = keeping::keep(self, &ground, session, old_device.as_deref(), out).await?;
        let receiver = match Receiver::start(self.context, &ground.config).await {
            Ok(receiver) => receiver,
            Err(failure) => {
                kept.undo(self).await;
                return Err(failure);
            }
        };
        let ended = match kept.set_pusher(self, &ground, out).await {
            Ok(since) => Proof { login: self, ground: &ground, kept: &kept, receiver: &receiver, since }.run(out).await,
            Err(failure) => Err(failure),
        };
        let goes_on = receiver.close().await;
        if !goes_on && matches!(ended, Ok(()) | Err(Failure::Told(_))) {
            writeln!(out, "\nPushbell itself is not running yet: start it with `pushbell`.")?;
        }
        ended
    }

    async fn ground(&self, out: &mut dyn Write) -> Result<Ground, Failure> {
        let homeserver = self.find_homeserver().await?;
        let software = server::software(&homeserver).await;
        let base = homeserver.client.base().clone();
        let called = if software.is_empty() { String::new() } else { format!(" ({software})") };
        writeln!(out, "The homeserver of {} is {}{called}.", self.user, base.as_str())?;
        let config = self.context.config()?;
        let (config, reached_at) = address::settle(self, config, &base, &software, out).await?;
        Ok(Ground { homeserver, software, config, reached_at })
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

    /// The device of an earlier login with a password, to be used again.
    fn old_device(&self) -> Result<Option<String>, Failure> {
        let accounts = self.context.accounts()?;
        let old = naming::account_of(&accounts, &self.user).and_then(|account| account.sign_in.as_ref());
        let ours = |old: &&SignIn| old.method == SignInMethod::Password && !old.device_id.is_empty();
        Ok(old.filter(ours).map(|old| old.device_id.clone()))
    }
}
