//! One run for one account, with one request at a time. Catching up:
//!
//! ```text
//! state in the inbox -> set the pusher -> read the list -> names -> one commit: notices, what was read, the mark
//! ```
//! The pusher is set first: later events are pushed, earlier ones are listed. The other order would lose events in
//! between.
//!
//! While the person has switched the pusher off in another client, nothing is changed or fetched.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{
    names::Names,
    reach::Pushes,
    reading::{Found, NextPage, PAGE, Reading},
    record::Recording,
    schedule::{Ending, Run},
};
use crate::{
    accounts::{Account, SignIn, Way},
    config,
    controller::Event,
    encryption::Incoming,
    homeserver::{HomeserverClient, HomeserverError, HomeserverKind, ListedPusher, push_rules::RoomNotify},
    http_client::{DEADLINE, TransportError, TransportFault},
    inbox::{CatchUpState, CaughtUp, Inbox, InboxError, Recipient, UnreadEvent},
    push::notify::Tweaks,
    reachability,
    resume::ResumeWindow,
    secrets::Secrets,
    session::{self, AskError, SessionError, Sessions},
};

/// Time limit for requesting the names of missed events.
const NAMES_TIME: Duration = Duration::from_secs(10);

/// Shared by all runs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inbox: Inbox,
    pub(super) secrets: Secrets,
    pub(super) sessions: Sessions,
    pub(super) names: Names,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// While it is open, incoming events were delayed.
    pub(super) resume_window: ResumeWindow,
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) ending: Ending,
    /// New text of `catching_up` in `status`, if it has changed.
    pub(super) says: Option<String>,
    /// When catching up completed.
    pub(super) completed_at: Option<Timestamp>,
    /// What catching up has shown about pushes.
    pub(super) pushes: Pushes,
    /// Why the person has to sign in again, if so.
    pub(super) session_end: Option<SessionEnd>,
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        Self { ending, says: None, completed_at: None, pushes: Pushes::NoneMissing, session_end: None }
    }
}

impl Outcome {
    /// Of a run that panicked.
    pub(super) fn broken() -> Self {
        let says = Some("it failed and is tried again: Pushbell made a mistake, which its log names".to_owned());
        Self { says, ..Ending::TryAgain(None).into() }
    }

    /// Of catching up.
    fn caught_up(says: String, at: Timestamp, pushes: Pushes) -> Self {
        Self { says: Some(says), completed_at: Some(at), pushes, ..Ending::Completed.into() }
    }

    /// Of a session that has ended.
    fn over(end: SessionEnd) -> Self {
        Self { says: Some("signed out".to_owned()), session_end: Some(end), ..Ending::Over.into() }
    }
}

/// Why a session can no longer be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SessionEnd {
    /// The homeserver has ended the session, and its pusher with it, for this reason.
    Over(String),
    /// There is no valid token for this reason; the session and its pusher still exist.
    NoToken(String),
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// There is no address for a pusher.
    #[error(
        "the homeserver has no pusher for this desktop any more, and none can be set: server.listen names no address that \
         it can push to; set server.public_url in pushbell.toml to one"
    )]
    NoAddress,
}

impl From<HomeserverError> for CheckError {
    fn from(error: HomeserverError) -> Self {
        Self::Session(error.into())
    }
}

impl AskError for CheckError {
    fn session_error(&self) -> Option<&SessionError> {
        match self {
            Self::Session(error) => Some(error),
            Self::Inbox(_) | Self::NoAddress => None,
        }
    }
}

impl CheckError {
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Session(SessionError::Homeserver(HomeserverError::Refused(refusal))) => refusal.retry_after,
            Self::Session(_) | Self::Inbox(_) | Self::NoAddress => None,
        }
    }
}

/// One run.
pub(super) struct Check {
    pub(super) shared: Arc<Shared>,
    pub(super) account: Account,
    pub(super) sign_in: SignIn,
    /// `[server]`, which determines the pusher's URL.
    pub(super) server: config::Server,
    /// A look also catches up.
    pub(super) is_thorough: bool,
    /// For [`Run::Record`].
    pub(super) recording: Option<Recording>,
}

impl Check {
    /// Asks the homeserver what the run is for.
    pub(super) async fn run(&self, run: Run) -> Outcome {
        let error = match self.try_run(run).await {
            Ok(outcome) => return outcome,
            Err(CheckError::Session(SessionError::Over(reason))) => return Outcome::over(SessionEnd::Over(reason)),
            Err(CheckError::Session(SessionError::NoToken(reason))) => {
                return Outcome::over(SessionEnd::NoToken(reason));
            }
            Err(error) => error,
        };
        let what = match run {
            Run::CatchUp => "catching up failed",
            Run::Details => "details are not known yet",
            Run::Read => "it is not known yet what was read elsewhere",
            Run::Record => "what has come is not recorded yet",
            Run::Look => "the state of the session is not known now",
        };
        tracing::info!(account = &*self.account.name, "{what}: {error}");
        let says = (run == Run::CatchUp).then(|| format!("it failed and is tried again: {error}"));
        Outcome { says, ..Ending::TryAgain(error.retry_after()).into() }
    }

    async fn try_run(&self, run: Run) -> Result<Outcome, CheckError> {
        let catches_up = match run {
            Run::Details => {
                self.fetch_details().await?;
                return Ok(Ending::Completed.into());
            }
            Run::Read => {
                self.find_read().await?;
                return Ok(Ending::Completed.into());
            }
            Run::Record => {
                let take = |client| async move { self.record_incoming(&client).await };
                self.shared.sessions.ask(&self.sign_in, DEADLINE, take).await?;
                return Ok(Ending::Completed.into());
            }
            Run::CatchUp => true,
            Run::Look => self.is_thorough,
        };
        let look = |client| async move { self.look_at_pusher(&client, catches_up).await };
        self.shared.sessions.ask(&self.sign_in, DEADLINE, look).await
    }

    /// Checks that session and pusher still exist. Catches up if that is wanted, or if the pusher is gone.
    async fn look_at_pusher(&self, client: &HomeserverClient, catches_up: bool) -> Result<Outcome, CheckError> {
        let app_id = &self.account.app_id;
        let pushkey = &self.shared.secrets.pushkey(&self.account).await.map_err(SessionError::from)?;
        let listed = client.pushers().await?;
        let pusher = listed.into_iter().find(|pusher| pusher.app_id == *app_id && pusher.pushkey == *pushkey);
        if self.account.way_in_force() == Way::Listen {
            if pusher.is_some() {
                client.remove_pusher(app_id, pushkey).await?;
            }
            return if catches_up { self.catch_up(client, None).await } else { Ok(Ending::Completed.into()) };
        }
        if pusher.as_ref().is_some_and(|pusher| !pusher.is_enabled()) {
            return Ok(Ending::SwitchedOff.into());
        }
        if !catches_up && pusher.is_some() {
            return Ok(Ending::Completed.into());
        }
        self.catch_up(client, pusher).await
    }

    /// Marks as read here what the newest page of the list shows as read. Older events are left as they are.
    async fn find_read(&self) -> Result<(), CheckError> {
        let account = &self.account.name;
        let state = self.shared.inbox.catch_up_state(Arc::clone(account)).await?;
        let mut reading = Reading::new(state, self.account.created_at, Timestamp::now());
        let list = |client: HomeserverClient| async move {
            Ok::<_, SessionError>(client.notifications(&self.sign_in.user_id, None, PAGE).await?)
        };
        match self.shared.sessions.ask(&self.sign_in, DEADLINE, list).await {
            Ok(page) => reading.page(page),
            Err(SessionError::Homeserver(error)) if error.is_unrecognized() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let unlists_read = HomeserverKind::named(&self.sign_in.server).unlists_read();
        let read = reading.finish(unlists_read, Timestamp::now()).read;
        Ok(self.shared.inbox.were_read(Arc::clone(account), read).await?)
    }

    async fn catch_up(&self, client: &HomeserverClient, pusher: Option<ListedPusher>) -> Result<Outcome, CheckError> {
        let kind = HomeserverKind::named(&self.sign_in.server);
        let mut state = self.shared.inbox.catch_up_state(Arc::clone(&self.account.name)).await?;
        self.leave_out_unlisted(client, &mut state).await?;
        match self.account.way_in_force() {
            Way::Listen => {}
            Way::Push | Way::Ntfy => self.set_pusher(client, &kind, pusher).await?,
            Way::Auto => match self.set_pusher(client, &kind, pusher).await {
                Err(CheckError::NoAddress) => tracing::debug!("there is no address to push to"),
                set => set?,
            },
        }
        let at = Timestamp::now();
        let reading = Reading::new(state, self.account.created_at, at);
        let (reading, is_listed) = self.read_back(client, reading, PAGE).await?;
        if !is_listed {
            let says = "the pusher is set again; this homeserver does not list what was missed";
            return Ok(Outcome::caught_up(says.to_owned(), Timestamp::now(), Pushes::NotTold));
        }
        let found = reading.finish(kind.unlists_read(), at);
        let has_unread = found.missed.iter().any(|missed| !missed.read);
        let is_whole = found.is_whole;
        let new = self.take_over(client, &kind, found, at, None).await?;
        let missing = match (new > 0 && has_unread, kind.lists_new()) {
            (true, _) => Pushes::Missing,
            (false, true) => Pushes::NoneMissing,
            (false, false) => Pushes::NotTold,
        };
        let more = if is_whole { "" } else { ", and there was more than is read back" };
        let says = match new {
            0 => format!("nothing was missed{more}"),
            1 => format!("one event was missed{more}"),
            new => format!("{new} events were missed{more}"),
        };
        tracing::info!(account = &*self.account.name, "caught up: {says}");
        Ok(Outcome::caught_up(says, at, missing))
    }

    /// Reads the homeserver's list, this many entries at a time. Returns false if it has no list.
    pub(super) async fn read_back(
        &self,
        client: &HomeserverClient,
        mut reading: Reading,
        mut entries: usize,
    ) -> Result<(Reading, bool), CheckError> {
        loop {
            let from = match reading.next_page() {
                NextPage::First => None,
                NextPage::From(token) => Some(token.as_str()),
                NextPage::None => break,
            };
            match client.notifications(&self.sign_in.user_id, from, entries).await {
                Ok(page) => reading.page(page),
                Err(error) if error.is_unrecognized() => return Ok((reading, false)),
                // Large events: request fewer at a time.
                Err(HomeserverError::Transport(TransportError { fault: TransportFault::TooLarge, .. }))
                    if entries > 1 =>
                {
                    entries = (entries / 10).max(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((reading, true))
    }

    /// Removes from the state events that the homeserver never lists, since only we evaluate push rules for them: that they
    /// are not listed does not mean that they were read.
    pub(super) async fn leave_out_unlisted(
        &self,
        client: &HomeserverClient,
        state: &mut CatchUpState,
    ) -> Result<(), CheckError> {
        let may_be_unlisted = |event: &UnreadEvent| event.encrypted_in.is_some();
        if self.account.way_in_force() == Way::Push || !state.unread.iter().any(may_be_unlisted) {
            return Ok(());
        }
        let rules = client.push_rules().await?;
        let is_unlisted =
            |room: &String| rules.of_room(room) == RoomNotify::Mentions && rules.pushes_encrypted(room).is_none();
        state.unread.retain(|event| !event.encrypted_in.as_ref().is_some_and(is_unlisted));
        Ok(())
    }

    /// Sets the pusher again: its URL follows the configuration and the network, and the homeserver's backoff ends. Its
    /// names are kept. If these files were copied from another computer, the pusher belongs to that one and is left alone.
    async fn set_pusher(
        &self,
        client: &HomeserverClient,
        kind: &HomeserverKind,
        listed: Option<ListedPusher>,
    ) -> Result<(), CheckError> {
        let mark = self.shared.secrets.installation_mark();
        if self.sign_in.is_anothers(&mark) {
            return Ok(());
        }
        let relay = self.shared.secrets.relay(&self.account).await.map_err(SessionError::from)?;
        let base_url = if let Some(relay) = &relay {
            Some(relay.base().to_owned())
        } else {
            let seen = reachability::observe(client.base()).await;
            reachability::base_url(&self.server, seen, kind)
        };
        let mut pusher =
            session::pusher(&self.account, relay.as_ref(), base_url.as_deref().unwrap_or_default(), "en", mark);
        if let Some(listed) = listed {
            let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
            if base_url.is_none() {
                pusher.url = listed.data.url;
            }
            pusher.app_display_name = or(listed.app_display_name, &pusher.app_display_name);
            pusher.device_display_name = or(listed.device_display_name, &pusher.device_display_name);
            pusher.lang = or(listed.lang, &pusher.lang);
        } else if base_url.is_none() {
            return Err(CheckError::NoAddress);
        }
        Ok(client.set_pusher(&pusher).await?)
    }

    /// Adds names as far as time permits, and records everything in the inbox. Returns the number of new events.
    pub(super) async fn take_over(
        &self,
        client: &HomeserverClient,
        kind: &HomeserverKind,
        found: Found,
        at: Timestamp,
        incoming: Option<&Incoming>,
    ) -> Result<usize, CheckError> {
        let Found { mut missed, read, listed_unread, is_all, mark, is_whole } = found;
        let names = &self.shared.names;
        let unread = missed.iter().filter(|missed| !missed.read).map(|missed| &missed.notification);
        names.ask_within(NAMES_TIME, client, &self.account.name, unread).await?;
        let events = missed.iter_mut().map(|missed| &mut missed.notification);
        names.fill_in(&self.account.name, events);
        if incoming.is_none() {
            // The controller holds these notices back until `Event::CaughtUp`.
            self.tell(Event::CatchingUp(true));
        }
        let new = self
            .shared
            .inbox
            .apply_catch_up(CaughtUp {
                recipient: Recipient::new(&self.account, Tweaks::default()),
                counts_rooms: kind.counts_unread_rooms(),
                is_live: incoming.is_some_and(|incoming| incoming.is_live) && !self.shared.resume_window.is_open(),
                missed,
                read,
                read_rooms: incoming.map(|incoming| incoming.read.clone()).unwrap_or_default(),
                listed_unread,
                is_all,
                mark,
                at,
            })
            .await?;
        if new > 0 && (!is_whole || incoming.is_none_or(|incoming| !incoming.is_live)) {
            self.tell(Event::CaughtUp(is_whole));
        }
        Ok(new)
    }

    pub(super) fn tell(&self, event: Event) {
        // A closed channel means that the program is ending.
        drop(self.shared.events.send(event));
    }
}
