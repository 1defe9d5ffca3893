//! The sole owner of what is presented: events in, calls to the inbox and the desktop out.
//!
//! What must survive lives in the inbox; in here is only what a restart may forget: which popups are up, what rings,
//! whether services are there. Popups are renderings of the inbox, so that nothing that was recorded can be lost here.

mod announcements;
mod budget;
mod calls;
mod catching_up;
mod left_up;
mod pause;
mod plan;
mod popups;
mod presentation;
mod reactions;
mod requests;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Duration, Instant, timeout},
};

use crate::{
    accounts::Accounts,
    config::{Config, Preview},
    control::{Command, Reply, Request, SignInStatus, TlsStatus},
    desktop::{Desktop, DesktopEvent, OpenTarget, ServiceState},
    inbox::{Inbox, InboxError, News, Read, Retention, Shown},
    notice::NoticeId,
    present::{RenderOptions, popup::Popup},
    wake::WakeWindow,
};
pub use announcements::{ProblemKind, WELCOME, own_popup};
use calls::Calls;
use catching_up::CatchingUp;
use left_up::LeftUp;
use pause::Pause;
use plan::Planner;
use popups::Popups;
use reactions::seen;

/// News are asked for at most this often; what comes sooner is told together.
const NEWS_INTERVAL: Duration = Duration::from_millis(20);
/// The same while they keep coming: no popup changes as often, and nobody reads a number that does.
const LONGEST_NEWS_INTERVAL: Duration = Duration::from_millis(250);
/// When the inbox cannot be used, it is tried again after this long.
const INBOX_RETRY: Duration = Duration::from_secs(5);
/// So many rooms of a backlog are shown room by room; more are one summary.
const BACKLOG_ROOMS: u64 = 3;
/// After the computer woke, what homeservers held back is gathered for this long before it is shown.
const WAKE_GATHER: Duration = Duration::from_secs(1);

/// How long it may take to note, at the end, what was shown last.
const LAST_NOTE_TIME: Duration = Duration::from_secs(5);

/// What the controller reacts to, besides the inbox's news and its own timers.
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
    /// What is known of the sessions of signed-in accounts, by the account's name.
    SignedIn(BTreeMap<String, SignInStatus>),
    /// What is listened on has changed.
    Listening(Listening),
    /// Something is to be opened, with the activation token of the click that asked for it.
    Open(OpenTarget, Option<String>),
    /// Whether the desktop starts Pushbell; or why that could not be changed.
    Autostart(Result<bool, String>),
    /// The test push that the person asked for did not arrive, and why.
    TestFailed(String),
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

/// What the controller asks of the program around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppRequest {
    /// Send a test push through the real endpoint.
    SendTest {
        /// The unread number of now, that the push may say one more.
        unread: u64,
    },
    /// Show how to connect a homeserver, with the activation token of the click that asked for it.
    Connect {
        /// The token, if there was one.
        token: Option<String>,
    },
    /// Open the configuration, likewise.
    OpenConfiguration {
        /// The token, if there was one.
        token: Option<String>,
    },
    /// Have the desktop start Pushbell from the next login on, or no longer.
    SetAutostart(bool),
    /// Pushes may be missing: catch up.
    CatchUp(Missing),
    /// End.
    Quit,
}

/// Which pushes may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Those of any account: the computer slept, or pushes had to be refused.
    Anywhere,
    /// Those of this one, of which nothing was heard for long before a push came now.
    After {
        /// Its name.
        account: String,
    },
}

/// What the controller is given.
pub struct Parts<D> {
    /// The desktop.
    pub desktop: D,
    /// The inbox.
    pub inbox: Inbox,
    /// Raised by the inbox after every commit worth presenting.
    pub news: Arc<Notify>,
    /// The configuration in force.
    pub config: Config,
    /// The accounts in force.
    pub accounts: Arc<Accounts>,
    /// What is asked of the program.
    pub asks: mpsc::UnboundedSender<AppRequest>,
    /// Whether there is to be a tray icon at all.
    pub tray: bool,
    /// Opened when the computer wakes: pushes that come then were held back while it slept.
    pub wake_window: WakeWindow,
}

/// The sole owner of what is presented.
pub struct Controller<D> {
    parts: Parts<D>,
    planner: Planner,
    popups: Popups,
    calls: Calls,
    /// The newest news; what waits in it is as of then.
    last: News,
    /// Notices up to this one have had their sound, or came before this run. `None` before the first news.
    sounded: Option<NoticeId>,
    started_at: Timestamp,
    pause: Option<Pause>,
    muted: bool,
    screen_locked: Option<bool>,
    dark_panel: Option<bool>,
    autostart: Option<bool>,
    popup_service: Option<ServiceState>,
    tray_host: ServiceState,
    sound: ServiceState,
    listening: Listening,
    problems: BTreeMap<ProblemKind, String>,
    /// Popups about Pushbell itself that have not been shown yet, by title.
    announcements: BTreeMap<&'static str, Popup>,
    /// More waiting rooms than this become one summary, until all that waits has been shown.
    backlog: Option<u64>,
    catching_up: CatchingUp,
    /// The sessions of signed-in accounts.
    sessions: BTreeMap<String, SignInStatus>,
    unwritten: Unwritten,
    /// What an earlier run has left up, as it was written.
    left_up: LeftUp,
    /// How often in a row the notification service has refused a popup.
    refusals: u32,
    /// Why it has refused the last one.
    refusal: Option<String>,
    /// Whether it is known what an earlier run noted: a pause, being muted. Nothing is presented before it is.
    is_restored: bool,
    /// Whether the inbox has done all that was asked of it since the last look into it.
    inbox_works: bool,
    /// What came after the computer woke is gathered until then, from the first of it on.
    gathering: Option<Instant>,
    /// Commands that wait for a push of an account, later than that. As few as commands can be at a time.
    awaiting_push: Vec<(String, Timestamp, oneshot::Sender<Reply>)>,
    /// When the news were last asked for.
    asked_at: Option<Instant>,
    /// How long to wait after that, if news come sooner.
    news_interval: Duration,
    /// When to look again, if something is due. Nothing ticks while nothing is.
    due: Option<Instant>,
}

/// What the inbox has not noted yet: most of all what it could not.
#[derive(Debug, Default)]
struct Unwritten {
    /// What was shown: nothing else is shown before it is noted, or it would be shown again.
    shown: Vec<Shown>,
    /// What the person has read here. Likewise, or what was read would be told of again.
    reads: Vec<Read>,
    /// Settings, with their values.
    settings: BTreeMap<&'static str, Option<String>>,
    /// Which accounts there are.
    accounts: bool,
}

impl<D: Desktop> Controller<D> {
    /// A controller that has not yet looked into the inbox.
    #[must_use]
    pub fn new(parts: Parts<D>) -> Self {
        let tray_host = if parts.tray { "the session bus has not answered yet" } else { "turned off with --no-tray" };
        Self {
            planner: Planner::new(Instant::now()),
            popups: Popups::default(),
            calls: Calls::default(),
            last: News::default(),
            sounded: None,
            started_at: Timestamp::now(),
            pause: None,
            muted: false,
            screen_locked: None,
            dark_panel: None,
            autostart: None,
            popup_service: None,
            tray_host: ServiceState { available: false, reason: Some(tray_host.into()) },
            sound: ServiceState { available: true, reason: Some("opened when a sound is played".into()) },
            listening: Listening::default(),
            problems: BTreeMap::new(),
            announcements: BTreeMap::new(),
            backlog: Some(BACKLOG_ROOMS),
            catching_up: CatchingUp::default(),
            sessions: BTreeMap::new(),
            unwritten: Unwritten { accounts: true, ..Unwritten::default() },
            left_up: LeftUp::default(),
            refusals: 0,
            refusal: None,
            is_restored: false,
            inbox_works: true,
            gathering: None,
            awaiting_push: Vec::new(),
            asked_at: None,
            news_interval: NEWS_INTERVAL,
            due: None,
            parts,
        }
    }

    /// Looks into the inbox, before the first push comes: what it finds is a backlog, and old calls do not ring again.
    pub async fn prepare(
        &mut self,
        listening: Listening,
        announcement: Option<Popup>,
        problems: impl Iterator<Item = (ProblemKind, String)>,
    ) {
        self.listens(listening);
        if let Some(popup) = announcement {
            self.announce(popup);
        }
        for (topic, reason) in problems {
            self.problem(topic, reason);
        }
        self.refresh().await;
    }

    /// Presents what the inbox tells and what happens, until [`Inputs::app`] closes.
    pub async fn run(mut self, inputs: Inputs) {
        let Inputs { mut app, mut desktop, mut commands } = inputs;
        let news = Arc::clone(&self.parts.news);
        loop {
            let due = self.next_due();
            let event = tokio::select! {
                () = news.notified() => {
                    self.news_came().await;
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

    /// Popups stay: what they tell is still unread. Those that come up at the last moment are noted, or the next run
    /// would show them again; so is what is dismissed then, and what could not be noted before.
    async fn end(self, mut heard: mpsc::UnboundedReceiver<DesktopEvent>) {
        let Self { parts: Parts { desktop, inbox, .. }, mut popups, unwritten, left_up: before, .. } = self;
        let Unwritten { mut shown, mut reads, settings, .. } = unwritten;
        let standing = desktop.close().await;
        while let Ok(event) = heard.try_recv() {
            if let DesktopEvent::Shown(serial) = event {
                shown.extend(popups.shown(serial).and_then(|(_, shown)| shown));
            } else if let DesktopEvent::Dismissed(key) = event {
                reads.extend(seen(&key, popups.dismissed(&key).as_ref()));
            }
        }
        let left_up = standing.map(|standing| LeftUp::new(standing, |key| popups.subject(key))).unwrap_or_default();
        let note = async {
            inbox.mark_shown(shown).await?;
            for read in reads {
                inbox.mark_read(read).await?;
            }
            for (name, value) in settings {
                inbox.set_setting(name, value).await?;
            }
            if left_up != before {
                inbox.set_setting(left_up::SETTING, left_up.written()).await?;
            }
            Ok::<_, InboxError>(())
        };
        let reason = match timeout(LAST_NOTE_TIME, note).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the disk takes too long".to_owned(),
        };
        tracing::warn!("what was shown, read or set last could not be noted, and may come again: {reason}");
    }

    /// When to look into the inbox again though nobody says anything: every timer there is leads to the same look.
    fn next_due(&self) -> Option<Instant> {
        [self.due, self.pause.and_then(|pause| pause.ends_at())].into_iter().flatten().min()
    }

    fn look_again_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |earlier| earlier.min(at)));
    }

    async fn restore(&mut self) {
        let inbox = &self.parts.inbox;
        let noted = async {
            let paused_until = inbox.setting("paused_until").await?;
            Ok((paused_until, inbox.setting("muted").await?, inbox.setting(left_up::SETTING).await?))
        };
        match noted.await {
            Ok((until, muted, left_up)) => {
                // What the person has done meanwhile counts.
                if !self.unwritten.settings.contains_key("paused_until") {
                    let until = until.and_then(|until| until.parse().ok());
                    self.pause = until.map(|until| Pause::new(until, Timestamp::now(), Instant::now()));
                }
                if !self.unwritten.settings.contains_key("muted") {
                    self.muted = muted.is_some();
                }
                self.left_up = LeftUp::read(left_up.as_deref());
                if let Some(standing) = self.left_up.standing() {
                    self.parts.desktop.adopt(standing);
                }
                self.is_restored = true;
            }
            Err(error) => self.inbox_failed(&error),
        }
    }

    /// The inbox forgets the numbers of accounts that were removed; not while nobody can tell which those are.
    pub(super) async fn retain_accounts(&mut self) {
        if !self.unwritten.accounts {
            return;
        }
        let known = self.parts.accounts.iter().map(|account| account.name.to_string()).collect();
        if self.parts.accounts.unreadable().is_none()
            && let Err(error) = self.parts.inbox.retain_accounts(known).await
        {
            return self.inbox_failed(&error);
        }
        self.unwritten.accounts = false;
    }

    async fn news_came(&mut self) {
        let now = Instant::now();
        if self.parts.wake_window.is_open() {
            if self.gathering.is_none() {
                self.gathering = Some(now + WAKE_GATHER);
                // Though something may be due sooner.
                self.due = self.gathering;
            }
            return;
        }
        match self.asked_at {
            Some(asked_at) if now < asked_at + self.news_interval => {
                self.look_again_at(asked_at + self.news_interval);
            }
            Some(_) | None => self.refresh().await,
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Desktop(event) => self.desktop_said(event).await,
            Event::Command((Request::WaitForPush { account, since, seconds: _ }, reply)) => {
                self.awaiting_push.push((account, since, reply));
                self.tell_of_pushes();
            }
            Event::Command((request, reply)) => {
                let answer = self.answer(request).await;
                // A command that has gone does not want to know.
                drop(reply.send(answer));
            }
            Event::Configured(config) => self.configure(*config).await,
            Event::Accounts(accounts) => {
                self.parts.accounts = accounts;
                self.unwritten.accounts = true;
                self.refresh().await;
            }
            Event::Problem(topic, Some(reason)) => self.problem(topic, reason),
            Event::Problem(topic, None) => self.solved(topic),
            Event::CatchingUp(is_under_way) => self.catching_up_is(is_under_way).await,
            Event::SignedIn(sessions) => self.sessions = sessions,
            Event::Listening(listening) => self.listens(listening),
            Event::Open(target, token) => self.open(target, token),
            Event::Autostart(Ok(on)) => {
                self.autostart = Some(on);
                self.draw_tray();
            }
            Event::Autostart(Err(reason)) => {
                // Some menus set the tick as they are clicked, and nothing in the view has changed that would take it
                // away.
                self.parts.desktop.renew();
                self.answer_person(own_popup("Starting with the desktop could not be changed", &reason));
            }
            Event::TestFailed(reason) => {
                tracing::warn!("no test push: {reason}");
                self.answer_person(own_popup("The test did not arrive", &reason));
            }
        }
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
        if let Err(error) = self.parts.inbox.set_retention(retention, Timestamp::now()).await {
            self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    fn inbox_failed(&mut self, error: &InboxError) {
        self.inbox_works = false;
        self.look_again_at(Instant::now() + INBOX_RETRY);
        self.problem(ProblemKind::Inbox, error.to_string());
    }

    fn options(&self) -> RenderOptions {
        let show_text = match self.parts.config.popup.preview {
            Preview::Always => true,
            Preview::Unlocked => self.screen_locked == Some(false),
            Preview::Never => false,
        };
        RenderOptions { show_text, timeout: self.parts.config.popup.timeout }
    }

    /// Whether popups are wanted now.
    fn wants_popups(&self) -> bool {
        self.parts.config.popup.enabled && self.pause.is_none()
    }

    /// Whether popups are wanted and somebody is there to show them.
    fn can_pop_up(&self) -> bool {
        self.wants_popups() && self.popup_service.as_ref().is_some_and(|service| service.available)
    }

    fn silent(&self) -> bool {
        self.pause.is_some() || self.muted || !self.parts.config.sound.enabled
    }
}
