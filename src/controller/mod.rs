//! The sole owner of what is presented: events in, calls to the inbox and the desktop out.
//!
//! All durable state is in the inbox. This module holds only what may be lost in a restart: which popups are up, what
//! rings, which services are available. Popups are derived from the inbox, so no recorded notice can be lost here.

mod acting;
mod calls;
mod commands;
mod desktop_events;
mod do_not_disturb;
mod gathering;
mod pause;
mod pending_writes;
mod plan;
mod problems;
mod refresh;
mod requests;
mod room_for_popups;
mod schedule;
pub mod screen;
#[cfg(test)]
mod tests;
mod token_bucket;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, timeout},
};

pub use self::requests::{Act, AppRequest, Missing, RingingCall, RoomAct};
pub use crate::present::popup::ProblemKind;
use crate::{
    accounts::Accounts,
    backoff::Backoff,
    config::{Config, Preview},
    control::{Command, EncryptionStatus, Reply, Request, SignInStatus, TlsStatus},
    desktop::{Desktop, DesktopEvent, OpenTarget, ServiceState},
    inbox::{Inbox, InboxError, Snapshot},
    notice::NoticeId,
    present::{
        RenderOptions,
        popup::{OwnPopup, Urgency},
        words,
    },
    resume::ResumeWindow,
};
use calls::Calls;
use desktop_events::{DesktopState, REFUSAL_BACKOFF};
use do_not_disturb::DoNotDisturbQuery;
use gathering::Gathering;
use pause::Pause;
use pending_writes::{POPUPS, PendingWrites};
use plan::Planner;
use problems::Problems;
use schedule::Schedule;
use screen::{About, Screen, ScreenEvent};

/// How long to wait before an unusable inbox is tried again.
const INBOX_RETRY: Duration = Duration::from_secs(5);
/// Time limit at shutdown for the pending calls to the notification service.
const LAST_CALLS_TIME: Duration = Duration::from_secs(3);
/// Time limit at shutdown for the last writes to the inbox.
const LAST_NOTE_TIME: Duration = Duration::from_secs(5);

/// The controller's inputs besides changes of the inbox and its own timers.
#[derive(Debug)]
pub enum Event {
    /// An event of the desktop.
    Desktop(DesktopEvent),
    /// A request of a command.
    Command(Command),
    /// A new, valid configuration.
    Configured(Box<Config>),
    /// A new list of accounts.
    Accounts(Arc<Accounts>),
    /// A problem has appeared or (`None`) is gone: listed in `status`, and shown in a popup when it is new.
    Problem(ProblemKind, Option<String>),
    /// Catching up has begun, or it has ended for all accounts.
    CatchingUp(bool),
    /// Missed events have been recorded; `false`: there were more than are fetched.
    CaughtUp(bool),
    /// State of the sessions of signed-in accounts, by the account's name.
    SignedIn(BTreeMap<String, SignInStatus>),
    /// State of the encryption of signed-in accounts, by the account's name.
    Encryption(BTreeMap<String, EncryptionStatus>),
    /// A message to show to the person once.
    Announce(OwnPopup, String),
    /// The listening sockets have changed.
    Listening(Listening),
    /// Something to open, with the activation token of the click.
    Open(OpenTarget, Option<String>),
    /// Whether the desktop starts Pushbell, or why that could not be changed.
    Autostart(Result<bool, String>),
    /// The test push did not arrive, and why.
    TestFailed(String),
    /// An action of the person did not succeed entirely: what, and why.
    NotDone(String),
    /// A reply was given up.
    NotSent {
        /// Whether it may have been sent, and why that is not known.
        reason: String,
        /// The text of the reply.
        text: String,
    },
}

/// The listening sockets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// The addresses, as bound.
    pub addresses: Vec<SocketAddr>,
    /// The certificate, where TLS is spoken.
    pub tls: Option<TlsStatus>,
    /// Settings that work but may be unintended.
    pub warnings: Vec<String>,
}

/// The controller's channels.
pub struct Inputs {
    /// Events of the program. When it closes, the controller ends.
    pub app: mpsc::UnboundedReceiver<Event>,
    /// Events of the desktop.
    pub desktop: mpsc::UnboundedReceiver<DesktopEvent>,
    /// Commands.
    pub commands: mpsc::Receiver<Command>,
}

/// The controller's dependencies.
pub struct Parts<D> {
    /// The desktop.
    pub desktop: D,
    /// The inbox.
    pub inbox: Inbox,
    /// The configuration in force.
    pub config: Config,
    /// The accounts in force.
    pub accounts: Arc<Accounts>,
    /// Requests to the program.
    pub requests: mpsc::UnboundedSender<AppRequest>,
    /// Whether a tray icon is wanted at all.
    pub tray: bool,
    /// Opened when the computer wakes: pushes that arrive within it were delayed by the sleep.
    pub resume_window: ResumeWindow,
}

/// The sole owner of what is presented.
pub struct Controller<D> {
    parts: Parts<D>,
    screen: Screen,
    planner: Planner,
    calls: Calls,
    /// The calls whose rooms are being watched.
    watched: Vec<RingingCall>,
    gathering: Gathering,
    pending: PendingWrites,
    problems: Problems,
    /// Why the service refused the latest popup.
    refusal: Option<String>,
    refusal_backoff: Backoff,
    schedule: Schedule,
    desktop_state: DesktopState,
    /// The latest snapshot of the inbox.
    snapshot: Snapshot,
    /// Notices up to this one had their sound, or are older than this run. `None` before the first snapshot.
    sounded: Option<NoticeId>,
    /// Notices whose sound is not known yet: they are still being decrypted or fetched.
    undecided: Vec<NoticeId>,
    /// Popups that were withdrawn for a ringing call, to be shown again after it.
    set_aside: Vec<About>,
    pause: Option<Pause>,
    muted: bool,
    /// Pending query of the do-not-disturb state.
    do_not_disturb_query: DoNotDisturbQuery,
    started_at: Timestamp,
    listening: Listening,
    /// State of the sessions of signed-in accounts.
    sessions: BTreeMap<String, SignInStatus>,
    encryption: BTreeMap<String, EncryptionStatus>,
    /// Whether the state of the previous run (pause, mutes) has been restored. Nothing is presented before that.
    is_restored: bool,
    /// Whether the inbox has carried out everything requested since it was last read.
    inbox_works: bool,
    /// Commands that wait for a push of an account later than this time. Bounded by the number of commands served at a
    /// time.
    awaiting_push: Vec<(String, Timestamp, oneshot::Sender<Reply>)>,
}

impl<D: Desktop> Controller<D> {
    /// A controller that has not yet read the inbox.
    #[must_use]
    pub fn new(parts: Parts<D>) -> Self {
        let mut controller = Self {
            screen: Screen::default(),
            planner: Planner::new(Instant::now()),
            calls: Calls::default(),
            watched: Vec::new(),
            gathering: Gathering::new(),
            pending: PendingWrites::default(),
            problems: Problems::default(),
            refusal: None,
            refusal_backoff: REFUSAL_BACKOFF,
            schedule: Schedule::default(),
            desktop_state: DesktopState {
                popups: None,
                tray_host: None,
                sound: ServiceState { available: true, reason: Some("opened when a sound is played".into()) },
                screen_locked: None,
                dark_panel: None,
                autostart: None,
            },
            snapshot: Snapshot::default(),
            sounded: None,
            undecided: Vec::new(),
            set_aside: Vec::new(),
            pause: None,
            muted: false,
            do_not_disturb_query: DoNotDisturbQuery::default(),
            started_at: Timestamp::now(),
            listening: Listening::default(),
            sessions: BTreeMap::new(),
            encryption: BTreeMap::new(),
            is_restored: false,
            inbox_works: true,
            awaiting_push: Vec::new(),
            parts,
        };
        controller.accounts_changed();
        controller
    }

    /// Takes the first snapshot, before the first push is accepted: what it contains is a backlog, and calls in it do
    /// not ring.
    pub async fn prepare(
        &mut self,
        listening: Listening,
        is_first_run: bool,
        problems: impl Iterator<Item = (ProblemKind, String)>,
    ) {
        self.set_listening(listening);
        if is_first_run {
            self.announce(OwnPopup::Welcome, words::welcome());
        }
        for (kind, reason) in problems {
            self.problem(kind, reason);
        }
        self.refresh().await;
    }

    /// Runs until [`Inputs::app`] closes.
    pub async fn run(mut self, inputs: Inputs) {
        let Inputs { mut app, mut desktop, mut commands } = inputs;
        let mut inbox_changes = self.parts.inbox.changes();
        loop {
            self.call_popup_service();
            let due = self.next_due();
            let event = tokio::select! {
                Ok(()) = inbox_changes.changed() => {
                    self.inbox_changed().await;
                    continue;
                }
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.refresh().await;
                    continue;
                }
                event = app.recv() => match event {
                    Some(event) => event,
                    None => break,
                },
                Some(event) = desktop.recv() => Event::Desktop(event),
                Some(command) = commands.recv() => Event::Command(command),
            };
            self.handle(event).await;
        }
        self.end(desktop).await;
    }

    /// Popups stay up, since their messages are still unread. Waits until the last answers and dismissals are recorded,
    /// since the next run would show the popups again otherwise.
    async fn end(mut self, mut desktop: mpsc::UnboundedReceiver<DesktopEvent>) {
        let last_calls = async {
            while let Ok(event) = desktop.try_recv() {
                self.handle_last(event);
            }
            self.call_popup_service();
            while self.screen.is_busy()
                && let Some(event) = desktop.recv().await
            {
                self.handle_last(event);
                self.call_popup_service();
            }
        };
        if timeout(LAST_CALLS_TIME, last_calls).await.is_err() {
            tracing::debug!("the last popups were not confirmed in time");
        }
        let Self { parts: Parts { desktop, inbox, .. }, screen, mut pending, .. } = self;
        desktop.close().await;
        if let Ok(popups) = screen.persisted().map(|popups| serde_json::to_string(&popups)).transpose() {
            pending.set(POPUPS, popups);
        }
        let reason = match timeout(LAST_NOTE_TIME, pending.write(&inbox)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the disk takes too long".to_owned(),
        };
        tracing::warn!("what was shown, read or set last could not be noted, and may come again: {reason}");
    }

    fn handle_last(&mut self, event: DesktopEvent) {
        let DesktopEvent::Popup(event) = event else { return };
        for event in self.screen.handle(event) {
            match event {
                ScreenEvent::Shown(told) => self.pending.shown(&told.about),
                ScreenEvent::Dismissed(about) => self.pending.seen(&about),
                ScreenEvent::NotShown(..) | ScreenEvent::Activated { .. } => {}
            }
        }
    }

    /// When to refresh without an event. All timers lead to the same refresh.
    fn next_due(&self) -> Option<Instant> {
        [self.schedule.due, self.pause.and_then(|pause| pause.ends_at())].into_iter().flatten().min()
    }

    /// Sends the next call to the notification service, if there is one.
    fn call_popup_service(&mut self) {
        if let Some(call) = self.screen.next_call() {
            self.parts.desktop.popup(call);
        }
    }

    async fn inbox_changed(&mut self) {
        if self.schedule.inbox_changed(self.parts.resume_window.is_open(), Instant::now()) {
            self.refresh().await;
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Desktop(event) => self.handle_desktop_event(event).await,
            Event::Command((Request::WaitForPush { account, since, seconds: _ }, reply)) => {
                self.awaiting_push.push((account, since, reply));
                self.answer_waiting_for_push();
            }
            Event::Command((request, reply)) => {
                let answer = self.answer(request).await;
                // The command may have disconnected.
                drop(reply.send(answer));
            }
            Event::Configured(config) => self.configure(*config).await,
            Event::Accounts(accounts) => {
                self.parts.accounts = accounts;
                self.accounts_changed();
                self.refresh().await;
            }
            Event::Problem(kind, Some(reason)) => self.problem(kind, reason),
            Event::Problem(kind, None) => self.solved(kind),
            Event::CatchingUp(is_under_way) => {
                if self.gathering.catching_up(is_under_way, Instant::now()) {
                    self.refresh().await;
                }
            }
            Event::CaughtUp(is_whole) => self.gathering.caught_up(is_whole),
            Event::SignedIn(sessions) => self.sessions = sessions,
            Event::Encryption(encryption) => self.encryption_changed(encryption),
            Event::Announce(own, text) => self.announce(own, &text),
            Event::Listening(listening) => self.set_listening(listening),
            Event::Open(target, token) => self.open(target, token),
            Event::Autostart(Ok(on)) => {
                self.desktop_state.autostart = Some(on);
                self.draw_tray();
            }
            Event::Autostart(Err(reason)) => {
                // Some menus toggle the check mark when clicked, though the view has not changed.
                self.parts.desktop.renew();
                self.answer_person(OwnPopup::AutostartFailed, &reason);
            }
            Event::NotSent { reason, text } => self.not_sent(&reason, &text),
            Event::NotDone(reason) => self.answer_person(OwnPopup::NotDone, &reason),
            Event::TestFailed(reason) => {
                tracing::warn!("no test push: {reason}");
                self.answer_person(OwnPopup::TestFailed, &reason);
            }
        }
    }

    /// Has the inbox forget the counts of removed accounts; not while `accounts.toml` is in doubt.
    fn accounts_changed(&mut self) {
        if self.parts.accounts.unreadable().is_none() {
            self.pending.set_accounts(self.parts.accounts.iter().map(|account| account.name.to_string()).collect());
        }
        self.watch_screen_lock();
    }

    /// The screen lock decides whether texts are shown; an unlock is when sessions are checked.
    fn watch_screen_lock(&mut self) {
        let is_signed_in = self.parts.accounts.iter().any(|account| account.sign_in.is_some());
        let hides_text = self.parts.config.popup.preview == Preview::Unlocked;
        self.parts.desktop.watch_screen_lock(hides_text || is_signed_in);
    }

    fn set_listening(&mut self, listening: Listening) {
        let before = std::mem::replace(&mut self.listening, listening);
        for warning in self.listening.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
    }

    async fn configure(&mut self, config: Config) {
        self.solved(ProblemKind::Configuration);
        self.parts.desktop.configure(&config);
        let settings = (&config).into();
        self.parts.config = config;
        self.watch_screen_lock();
        if let Err(error) = self.parts.inbox.configure(settings, Timestamp::now()).await {
            self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    fn inbox_failed(&mut self, error: &InboxError) {
        self.inbox_works = false;
        self.schedule.read_again_at(Instant::now() + INBOX_RETRY);
        self.problem(ProblemKind::Inbox, error.to_string());
    }

    fn options(&self) -> RenderOptions {
        let show_text = match self.parts.config.popup.preview {
            Preview::Always => true,
            Preview::Unlocked => self.desktop_state.screen_locked == Some(false),
            Preview::Never => false,
        };
        let needs = self.screen.needs();
        RenderOptions {
            show_text,
            timeout: self.parts.config.popup.timeout,
            lines: self.parts.config.popup.lines,
            newest_first: needs.newest_first,
            highlight_urgency: if needs.one_banner { Urgency::Normal } else { Urgency::Critical },
            names_account: self.parts.accounts.iter().len() > 1,
            has_origin: needs.shows_origin,
        }
    }

    /// Whether popups are wanted now.
    fn wants_popups(&self) -> bool {
        self.parts.config.popup.enabled && self.pause.is_none()
    }

    /// Whether popups are wanted and a service can show them.
    fn can_pop_up(&self) -> bool {
        self.wants_popups() && self.has_popup_service()
    }

    fn has_popup_service(&self) -> bool {
        self.desktop_state.popups.as_ref().is_some_and(|service| service.available)
    }

    fn is_silent(&self) -> bool {
        self.pause.is_some() || self.muted || !self.parts.config.sound.enabled
    }
}
