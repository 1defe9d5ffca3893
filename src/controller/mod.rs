//! The sole owner of what is presented: events in, calls to the inbox and the desktop out.
//!
//! What must survive lives in the inbox; in here is only what a restart may forget: which popups are up, what rings,
//! whether services are there. Popups are renderings of the inbox, so that nothing that was recorded can be lost here.

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
    sync::{Notify, mpsc, oneshot},
    time::{Duration, Instant, timeout},
};

pub use self::requests::{Act, AppRequest, Missing, RingingCall, RoomAct};
pub use crate::present::popup::ProblemKind;
use crate::{
    accounts::Accounts,
    config::{Config, Preview},
    control::{Command, EncryptionStatus, Reply, Request, SignInStatus, TlsStatus},
    desktop::{Desktop, DesktopEvent, OpenTarget, ServiceState},
    inbox::{Inbox, InboxError, Retention, Snapshot},
    notice::NoticeId,
    present::{
        RenderOptions,
        popup::{OwnPopup, Urgency},
    },
    resume::ResumeWindow,
};
use calls::Calls;
use desktop_events::{Refusals, Surroundings};
use do_not_disturb::Question;
use gathering::Gathering;
use pause::Pause;
use pending_writes::{POPUPS, PendingWrites};
use plan::Planner;
use problems::Problems;
use schedule::Schedule;
use screen::{About, Screen, ScreenEvent};

/// When the inbox cannot be used, it is tried again after this long.
const INBOX_RETRY: Duration = Duration::from_secs(5);
/// How long the last calls to the notification service may take at the end.
const LAST_CALLS_TIME: Duration = Duration::from_secs(3);
/// How long it may take to note, at the end, what was shown last.
const LAST_NOTE_TIME: Duration = Duration::from_secs(5);

/// What the controller reacts to, besides changes of the inbox and its own timers.
#[derive(Debug)]
pub enum Event {
    /// The desktop says something.
    Desktop(DesktopEvent),
    /// A command asks for something.
    Command(Command),
    /// The configuration was read again, whole and good.
    Configured(Box<Config>),
    /// The accounts were read again.
    Accounts(Arc<Accounts>),
    /// Something is (or with `None` no longer is) not as the person wants it: shown in `status`, and in a popup of its own
    /// when it is new.
    Problem(ProblemKind, Option<String>),
    /// Catching up has begun, or it has ended for all accounts.
    CatchingUp(bool),
    /// What was missed is in the inbox; `false`: there was more than is read back.
    CaughtUp(bool),
    /// What is known of the sessions of signed-in accounts, by the account's name.
    SignedIn(BTreeMap<String, SignInStatus>),
    /// Whether encrypted messages are read, by the account's name.
    Encryption(BTreeMap<String, EncryptionStatus>),
    /// The person is to be told this, once.
    Announce(OwnPopup, String),
    /// What is listened on has changed.
    Listening(Listening),
    /// Something is to be opened, with the activation token of the click that asked for it.
    Open(OpenTarget, Option<String>),
    /// Whether the desktop starts Pushbell; or why that could not be changed.
    Autostart(Result<bool, String>),
    /// The test push that the person asked for did not arrive, and why.
    TestFailed(String),
    /// What the person did with a popup had not the whole effect: what, and why.
    NotDone(String),
    /// A reply was given up.
    NotSent {
        /// Whether it may have been sent, and why no more is known.
        reason: String,
        /// What was written.
        text: String,
    },
}

/// Where and how homeservers are listened to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// The addresses, as bound.
    pub addresses: Vec<SocketAddr>,
    /// The certificate, where TLS is spoken.
    pub tls: Option<TlsStatus>,
    /// What works, but the person may not want.
    pub warnings: Vec<String>,
}

/// Where events come from.
pub struct Inputs {
    /// The program around the controller. When it closes, the controller ends.
    pub app: mpsc::UnboundedReceiver<Event>,
    /// The desktop.
    pub desktop: mpsc::UnboundedReceiver<DesktopEvent>,
    /// Commands.
    pub commands: mpsc::Receiver<Command>,
}

/// What the controller is given.
pub struct Parts<D> {
    /// The desktop.
    pub desktop: D,
    /// The inbox.
    pub inbox: Inbox,
    /// Raised by the inbox when it has changed.
    pub inbox_changed: Arc<Notify>,
    /// The configuration in force.
    pub config: Config,
    /// The accounts in force.
    pub accounts: Arc<Accounts>,
    /// What is asked of the program.
    pub requests: mpsc::UnboundedSender<AppRequest>,
    /// Whether there is to be a tray icon at all.
    pub tray: bool,
    /// Opened when the computer wakes: pushes that come then were held back while it slept.
    pub resume_window: ResumeWindow,
}

/// The sole owner of what is presented.
pub struct Controller<D> {
    parts: Parts<D>,
    screen: Screen,
    planner: Planner,
    calls: Calls,
    /// The calls whose rooms are watched.
    watched: Vec<RingingCall>,
    gathering: Gathering,
    pending: PendingWrites,
    problems: Problems,
    refusals: Refusals,
    schedule: Schedule,
    surroundings: Surroundings,
    /// The inbox as it was last read.
    snapshot: Snapshot,
    /// Notices up to this one have had their sound, or came before this run. `None` before the first snapshot.
    sounded: Option<NoticeId>,
    /// Notices of which it was not known yet whether they ask for a sound.
    undecided: Vec<NoticeId>,
    /// What made way for a call that rings, to be shown again after it.
    set_aside: Vec<About>,
    pause: Option<Pause>,
    muted: bool,
    /// Whether the person is not to be disturbed.
    question: Question,
    started_at: Timestamp,
    listening: Listening,
    /// The sessions of signed-in accounts.
    sessions: BTreeMap<String, SignInStatus>,
    encryption: BTreeMap<String, EncryptionStatus>,
    /// Whether it is known what an earlier run noted: a pause, being muted. Nothing is presented before it is.
    is_restored: bool,
    /// Whether the inbox has done all that was asked of it since it was last read.
    inbox_works: bool,
    /// Commands that wait for a push of an account, later than that. As few as commands can be at a time.
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
            refusals: Refusals::default(),
            schedule: Schedule::default(),
            surroundings: Surroundings {
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
            question: Question::default(),
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

    /// Reads the inbox, before the first push comes: what it finds is a backlog, and old calls do not ring again.
    pub async fn prepare(
        &mut self,
        listening: Listening,
        is_first_run: bool,
        problems: impl Iterator<Item = (ProblemKind, String)>,
    ) {
        self.listens(listening);
        if is_first_run {
            self.announce(OwnPopup::Welcome, "Click to see how to connect your homeserver.");
        }
        for (kind, reason) in problems {
            self.problem(kind, reason);
        }
        self.refresh().await;
    }

    /// Presents what the inbox has and what happens, until [`Inputs::app`] closes.
    pub async fn run(mut self, inputs: Inputs) {
        let Inputs { mut app, mut desktop, mut commands } = inputs;
        let inbox_changed = Arc::clone(&self.parts.inbox_changed);
        loop {
            self.call_popup_service();
            let due = self.next_due();
            let event = tokio::select! {
                () = inbox_changed.notified() => {
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

    /// Popups stay: what they tell is still unread. What comes up or is dismissed at the last moment is noted, or the next
    /// run would show it again; so is what could not be noted before.
    async fn end(mut self, mut desktop: mpsc::UnboundedReceiver<DesktopEvent>) {
        let last_calls = async {
            while let Ok(event) = desktop.try_recv() {
                self.note_last(event);
            }
            self.call_popup_service();
            while self.screen.is_busy()
                && let Some(event) = desktop.recv().await
            {
                self.note_last(event);
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

    fn note_last(&mut self, event: DesktopEvent) {
        let DesktopEvent::Popup(event) = event else { return };
        for event in self.screen.handle(event) {
            match event {
                ScreenEvent::Shown(told) => self.pending.shown(&told.about),
                ScreenEvent::Dismissed(about) => self.pending.seen(&about),
                ScreenEvent::NotShown(..) | ScreenEvent::Activated { .. } => {}
            }
        }
    }

    /// When to read the inbox again though nobody says anything: every timer there is leads to the same.
    fn next_due(&self) -> Option<Instant> {
        [self.schedule.due, self.pause.and_then(|pause| pause.ends_at())].into_iter().flatten().min()
    }

    /// Makes the next call to the notification service, if there is one.
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
            Event::Desktop(event) => self.desktop_said(event).await,
            Event::Command((Request::WaitForPush { account, since, seconds: _ }, reply)) => {
                self.awaiting_push.push((account, since, reply));
                self.answer_waiting_for_push();
            }
            Event::Command((request, reply)) => {
                let answer = self.answer(request).await;
                // A command that has gone does not want to know.
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
            Event::Encryption(encryption) => self.encryption_stands(encryption),
            Event::Announce(own, text) => self.announce(own, &text),
            Event::Listening(listening) => self.listens(listening),
            Event::Open(target, token) => self.open(target, token),
            Event::Autostart(Ok(on)) => {
                self.surroundings.autostart = Some(on);
                self.draw_tray();
            }
            Event::Autostart(Err(reason)) => {
                // Some menus set the tick as they are clicked, and nothing in the view has changed that would take it
                // away.
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

    /// The inbox forgets the numbers of accounts that were removed; not while nobody can tell which those are.
    fn accounts_changed(&mut self) {
        if self.parts.accounts.unreadable().is_none() {
            self.pending.set_accounts(self.parts.accounts.iter().map(|account| account.name.to_string()).collect());
        }
        self.watch_screen_lock();
    }

    /// Whether the screen is locked decides about texts, and that it is unlocked is when sessions are looked at.
    fn watch_screen_lock(&mut self) {
        let is_signed_in = self.parts.accounts.iter().any(|account| account.sign_in.is_some());
        let hides_text = self.parts.config.popup.preview == Preview::Unlocked;
        self.parts.desktop.watch_screen_lock(hides_text || is_signed_in);
    }

    fn listens(&mut self, listening: Listening) {
        let before = std::mem::replace(&mut self.listening, listening);
        for warning in self.listening.warnings.iter().filter(|warning| !before.warnings.contains(warning)) {
            tracing::warn!("{warning}");
        }
    }

    async fn configure(&mut self, config: Config) {
        self.solved(ProblemKind::Configuration);
        self.parts.desktop.configure(&config);
        let retention = Retention { keep_days: config.history.keep_days, keep_bodies: config.history.keep_bodies };
        self.parts.config = config;
        self.watch_screen_lock();
        if let Err(error) = self.parts.inbox.set_retention(retention, Timestamp::now()).await {
            self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    fn inbox_failed(&mut self, error: &InboxError) {
        self.inbox_works = false;
        self.schedule.look_again_at(Instant::now() + INBOX_RETRY);
        self.problem(ProblemKind::Inbox, error.to_string());
    }

    fn options(&self) -> RenderOptions {
        let show_text = match self.parts.config.popup.preview {
            Preview::Always => true,
            Preview::Unlocked => self.surroundings.screen_locked == Some(false),
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

    /// Whether popups are wanted and somebody is there to show them.
    fn can_pop_up(&self) -> bool {
        self.wants_popups() && self.has_popup_service()
    }

    fn has_popup_service(&self) -> bool {
        self.surroundings.popups.as_ref().is_some_and(|service| service.available)
    }

    fn is_silent(&self) -> bool {
        self.pause.is_some() || self.muted || !self.parts.config.sound.enabled
    }
}
