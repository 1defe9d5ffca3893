//! One catching up of one account.
//!
//! ```text
//! standing -> set the pusher again -> read back -> names -> one commit: notices, what was read, the mark
//! ```
//! The pusher comes first: what is sent from then on is pushed, and what was sent before is listed. The other order
//! would lose what comes between.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    names::Names,
    reading::{Found, NextPage, PAGE, Reading},
    schedule::Ending,
};
use crate::{
    accounts::{Account, SignIn},
    homeserver::{HomeserverClient, HomeserverError, HttpPusher, https::DEADLINE},
    inbox::{CaughtUp, Inbox, InboxError},
    session::{self, SessionError, Sessions, SignedIn},
    whereabouts::{self, Way, way},
};

/// How long the names of what was missed may take; they are worth no more.
const NAMES_TIME: Duration = Duration::from_secs(10);
/// How Synapse calls itself. It lists nothing that was read, and counts rooms.
const SYNAPSE: &str = "Synapse";

/// What all runs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Inbox,
    pub(super) sessions: Sessions,
    pub(super) names: Names,
}

/// What of the configuration concerns catching up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) struct Settings {
    /// `server.public_url`, where it is set.
    pub(in crate::app) public_url: Option<String>,
    /// `server.listen`
    pub(in crate::app) listen: Vec<SocketAddr>,
    /// How URLs of these begin.
    pub(in crate::app) scheme: &'static str,
    /// `calls.missed = "derive"`
    pub(in crate::app) derive_missed_calls: bool,
}

/// What a run came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ending: Ending,
    /// For `status`.
    pub(super) says: String,
    /// When it completed.
    pub(super) completed_at: Option<Timestamp>,
    /// The session is over, and why.
    pub(super) session_over: Option<String>,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// There is no pusher any more, and no address to set one to.
    #[error(
        "the homeserver has no pusher for this desktop any more, and none can be set: server.listen names no address that \
         it can push to; set server.public_url in pushbell.toml to one"
    )]
    NoAddress,
}

impl From<HomeserverError> for RunError {
    fn from(error: HomeserverError) -> Self {
        Self::Session(error.into())
    }
}

/// Catches up with an account.
pub(super) async fn catch_up(shared: &Shared, account: &Account, sign_in: &SignIn, settings: &Settings) -> Outcome {
    let run = Run { shared, account, sign_in, settings };
    match run.with_session().await {
        Ok((says, completed_at)) => {
            tracing::info!(account = &*account.name, "caught up: {says}");
            Outcome { ending: Ending::Completed, says, completed_at: Some(completed_at), session_over: None }
        }
        Err(RunError::Session(SessionError::Over(reason))) => {
            Outcome { ending: Ending::Over, says: "signed out".into(), completed_at: None, session_over: Some(reason) }
        }
        Err(error) => {
            tracing::info!(account = &*account.name, "catching up failed: {error}");
            let patience = match &error {
                RunError::Session(SessionError::Homeserver(HomeserverError::Refused(refusal))) => refusal.retry_after,
                RunError::Session(_) | RunError::Inbox(_) | RunError::NoAddress => None,
            };
            Outcome {
                ending: Ending::TryAgain(patience),
                says: format!("it failed and is tried again: {error}"),
                completed_at: None,
                session_over: None,
            }
        }
    }
}

struct Run<'a> {
    shared: &'a Shared,
    account: &'a Account,
    sign_in: &'a SignIn,
    settings: &'a Settings,
}

impl Run<'_> {
    /// Runs; once more with a refreshed token if that is what is missing.
    async fn with_session(&self) -> Result<(String, Timestamp), RunError> {
        let signed_in = self.shared.sessions.open(self.sign_in, DEADLINE).await?;
        match self.with_client(&signed_in).await {
            Err(error) if is_unknown_token(&error) => {
                let signed_in = self.shared.sessions.renew(self.sign_in, &signed_in).await?;
                match self.with_client(&signed_in).await {
                    Err(error) if is_unknown_token(&error) => {
                        Err(SessionError::Over("the homeserver has ended the session".to_owned()).into())
                    }
                    outcome => outcome,
                }
            }
            outcome => outcome,
        }
    }

    async fn with_client(&self, signed_in: &SignedIn) -> Result<(String, Timestamp), RunError> {
        let client = &signed_in.client;
        let standing = self.shared.inbox.catch_up_state(Arc::clone(&self.account.name)).await?;
        self.set_pusher(client).await?;
        let at = Timestamp::now();
        let mut reading = Reading::new(standing, self.account.created_at, at);
        loop {
            let from = match reading.next_page() {
                NextPage::First => None,
                NextPage::From(token) => Some(token.as_str()),
                NextPage::None => break,
            };
            match client.notifications(&self.sign_in.user_id, from, PAGE).await {
                Ok(page) => reading.page(page),
                Err(error) if error.is_unrecognized() => {
                    let says = "the pusher is set again; this homeserver does not list what was missed";
                    return Ok((says.to_owned(), Timestamp::now()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let found = reading.finish(self.sign_in.server == SYNAPSE, at);
        self.take_over(client, found, at).await
    }

    /// Sets the pusher as it was set before, so that a homeserver that waits to try again waits no more.
    async fn set_pusher(&self, client: &HomeserverClient) -> Result<(), RunError> {
        let Account { app_id, pushkey, .. } = self.account;
        let listed = client.pushers().await?;
        let listed = listed.into_iter().find(|pusher| pusher.app_id == *app_id && pusher.pushkey == *pushkey);
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        // An address that was chosen comes before the one that it was set to.
        let set_to = listed.as_ref().map(|listed| &listed.url).filter(|url| !url.is_empty());
        let set_to = set_to.filter(|_| self.settings.public_url.is_none()).cloned();
        let mut pusher = match set_to {
            Some(url) => HttpPusher { url, ..session::pusher(self.account, "", "en") },
            None => session::pusher(self.account, &self.base_url(client).await?, "en"),
        };
        if let Some(listed) = listed {
            pusher.app_display_name = or(listed.app_display_name, &pusher.app_display_name);
            pusher.device_display_name = or(listed.device_display_name, &pusher.device_display_name);
            pusher.lang = or(listed.lang, &pusher.lang);
        }
        Ok(client.set_pusher(&pusher).await?)
    }

    /// The address that the homeserver reaches us at, as `pushbell login --anyway` would say.
    async fn base_url(&self, client: &HomeserverClient) -> Result<String, RunError> {
        let Settings { public_url, listen, scheme, .. } = self.settings;
        if let Some(url) = public_url {
            return Ok(url.clone());
        }
        let seen = whereabouts::look(client.base()).await;
        let accepts_loopback = whereabouts::accepts_loopback(&self.sign_in.server);
        match way(None, scheme, listen, seen.homeserver, accepts_loopback) {
            Way::Open(url) => Ok(url),
            Way::Listen(_) | Way::Closed => {
                whereabouts::unproven(scheme, listen, seen.source).ok_or(RunError::NoAddress)
            }
        }
    }

    /// Names what was missed, as far as there is time, and has the inbox keep it.
    async fn take_over(
        &self,
        client: &HomeserverClient,
        found: Found,
        at: Timestamp,
    ) -> Result<(String, Timestamp), RunError> {
        let Found { mut missed, read, listed_unread, is_all, mark, is_whole } = found;
        let names = &self.shared.names;
        let unread = missed.iter().filter(|missed| !missed.read).map(|missed| &*missed.notification);
        names.ask_within(NAMES_TIME, client, &self.account.name, unread).await;
        let events = missed.iter_mut().filter_map(|missed| Arc::get_mut(&mut missed.notification));
        names.fill_in(&self.account.name, events);
        let new = self
            .shared
            .inbox
            .apply_catch_up(CaughtUp {
                account: Arc::clone(&self.account.name),
                counts: self.account.counts,
                counts_rooms: self.sign_in.server == SYNAPSE,
                derive_missed_calls: self.settings.derive_missed_calls,
                missed,
                read,
                listed_unread,
                is_all,
                mark,
                at,
                is_whole,
            })
            .await?;
        let more = if is_whole { "" } else { ", and there was more than is read back" };
        let says = match new {
            0 => format!("nothing was missed{more}"),
            1 => format!("one event was missed{more}"),
            new => format!("{new} events were missed{more}"),
        };
        Ok((says, at))
    }
}

fn is_unknown_token(error: &RunError) -> bool {
    matches!(error, RunError::Session(SessionError::Homeserver(error)) if error.is_unknown_token())
}
