//! `pushbell login`: signs in, makes an account, sets the http pusher, and proves that a push arrives.
//!
//! The order is such that what can be wrong is said before anything is left behind: is the homeserver there, can it
//! reach us, can we listen; then the session, the account, the pusher; then the proof.

pub(super) mod account_name;
mod address;
mod browser;
mod credentials;
mod existing_account;
mod pushers;
mod read_receipt;
mod receiver;
mod save_account;
mod verify_push;

use std::{io::Write, net::IpAddr};

pub(super) use credentials::read_secret;

use super::{Context, Failure, arguments, output, terminal::Terminal, verify};
use crate::{
    accounts::{SignIn, SignInMethod},
    address::Scope,
    config::Config,
    encryption,
    homeserver::{BaseUrl, Homeserver, HomeserverKind, UserId, discovery, kind},
    http_client::HttpClient,
    reachability,
    secrets::Secrets,
};
use credentials::Credentials;
use receiver::Receiver;
use verify_push::PushVerification;

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
struct LoginContext {
    homeserver: Homeserver,
    /// What the homeserver calls itself; may be empty.
    software: String,
    kind: HomeserverKind,
    config: Config,
    /// The base address that the homeserver is to push to.
    reached_at: String,
}

impl Login<'_> {
    async fn run(&self, credentials: Credentials, out: &mut dyn Write) -> Result<(), Failure> {
        let context = self.prepare(out).await?;
        Receiver::check(self.context, &context.config)?;
        let old_device = self.old_device()?;
        let session = credentials::sign_in(self, &context, credentials, old_device.as_deref(), out).await?;
        let saved = save_account::save(self, &context, session, old_device.as_deref(), out).await?;
        let how = (self.asked.recovery_key_file.as_deref(), self.terminal);
        if let Err(failure) = verify::after_sign_in(&self.context.paths, &self.secrets, &saved.sign_in, how, out).await
        {
            saved.undo(self).await;
            return Err(failure);
        }
        let receiver = match Receiver::start(self.context, &context.config).await {
            Ok(receiver) => receiver,
            Err(failure) => {
                saved.undo(self).await;
                return Err(failure);
            }
        };
        let ended = match saved.set_pusher(self, &context, out).await {
            Ok(since) => {
                let verification =
                    PushVerification { login: self, context: &context, saved: &saved, receiver: &receiver, since };
                verification.run(out).await
            }
            Err(failure) => Err(failure),
        };
        let goes_on = receiver.close().await;
        if !goes_on && matches!(ended, Ok(()) | Err(Failure::Told(_))) {
            writeln!(out, "\nPushbell itself is not running yet: start it with `pushbell`.")?;
        }
        ended
    }

    async fn prepare(&self, out: &mut dyn Write) -> Result<LoginContext, Failure> {
        let homeserver = self.find_homeserver().await?;
        let software = kind::software(&homeserver).await;
        let base = homeserver.client.base().clone();
        let called = if software.is_empty() { String::new() } else { format!(" ({software})") };
        writeln!(out, "The homeserver of {} is {base}{called}.", self.user)?;
        let config = self.context.config()?;
        let kind = HomeserverKind::named(&software);
        let (config, reached_at) = address::settle(self, config, &base, &kind, out).await?;
        self.refuse_unencrypted(&base).await?;
        Ok(LoginContext { homeserver, software, kind, config, reached_at })
    }

    async fn find_homeserver(&self) -> Result<Homeserver, Failure> {
        let http = HttpClient::new().map_err(|error| Failure::Failed(error.to_string()))?;
        let http = http.allow_downgrade(self.asked.anyway);
        let found = match &self.asked.homeserver {
            Some(address) => {
                let base = BaseUrl::parse(address).map_err(Failure::Usage)?;
                discovery::check(&http, base).await
            }
            None => discovery::find(&http, &self.user).await,
        };
        found.map_err(|error| Failure::Failed(format!("{error}.\n{}", error.advice())))
    }

    /// A password or token that goes out in clear can be read on its way. This computer and private networks are taken for
    /// the person's own.
    async fn refuse_unencrypted(&self, base: &BaseUrl) -> Result<(), Failure> {
        if base.is_https() || self.asked.anyway {
            return Ok(());
        }
        let (host, port) = base.host_and_port();
        let addresses = reachability::resolve(&host, port).await.unwrap_or_default();
        if are_private(&addresses) {
            return Ok(());
        }
        Err(Failure::Failed(format!(
            "{base} is not encrypted: whoever is on the way could read the password and every message. Name an \
             https:// address with --homeserver, or take this one with --anyway"
        )))
    }

    /// The device of an earlier login with a password, to be used again. Without its keys a device can read nothing.
    fn old_device(&self) -> Result<Option<String>, Failure> {
        let accounts = self.context.accounts()?;
        let old = existing_account::account_of(&accounts, &self.user).and_then(|account| account.sign_in.as_ref());
        let has_keys = |old: &SignIn| encryption::has_store(&self.context.paths, old);
        let ours = |old: &&SignIn| old.method == SignInMethod::Password && !old.device_id.is_empty() && has_keys(old);
        Ok(old.filter(ours).map(|old| old.device_id.clone()))
    }
}

/// Whether an address that leads to these leaves neither this computer nor a private network.
fn are_private(addresses: &[IpAddr]) -> bool {
    let is_private = |address: &IpAddr| matches!(Scope::of(*address), Scope::Loopback | Scope::Local);
    !addresses.is_empty() && addresses.iter().all(is_private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unencrypted_address_is_taken_in_private_networks_alone() {
        let check = |addresses: &str, expected: bool| {
            let parsed: Vec<IpAddr> = addresses.split_whitespace().map(|address| address.parse().unwrap()).collect();
            assert_eq!(are_private(&parsed), expected, "{addresses}");
        };
        check("127.0.0.1 ::1", true);
        check("192.168.1.5", true);
        check("100.64.0.9 fd00::1", true);
        check("203.0.113.7", false);
        check("192.168.1.5 2001:db8::5", false);
        check("", false);
    }
}
