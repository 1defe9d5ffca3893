//! The controller between a real inbox and a desktop that notes what it is told.
//!
//! Time is tokio's, paused: it goes on only in [`Bench::pass`], so what is due comes at once and in order.

mod acting;
mod announcing;
mod backlog;
mod calling;
mod catching_up;
mod clicking;
mod going_on;
mod invariants;
mod one_banner;
mod pausing;
mod popping_up;
mod push;
mod running;
mod screen;
mod sounding;
mod status;
mod withdrawing;

use std::{fs, mem::take, sync::Arc};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant},
};

use self::{
    push::Push,
    screen::{Screen, Service},
};
use super::{schedule::READ_INTERVAL, *};
use crate::{
    desktop::tray_view::{TrayAction, TrayView},
    inbox::history,
    notice::{Notice, RoomKey},
    present::popup::{self, Popup, PopupKey},
};

const ACCOUNTS: &str = r#"
version = 1

[[account]]
name = "home"
app_id = "org.pushbell.Pushbell"
pushkey = "secret of home"
counts = "account"
created_at = "2026-11-22T00:00:00Z"

[[account]]
name = "work"
app_id = "org.pushbell.Pushbell"
pushkey = "secret of work"
counts = "account"
created_at = "2026-11-22T00:00:00Z"
"#;

struct Bench {
    directory: TempDir,
    inbox: Inbox,
    inbox_changes: watch::Receiver<()>,
    config: Config,
    accounts: Arc<Accounts>,
    screen: Screen,
    controller: Controller<Screen>,
    requests: mpsc::UnboundedReceiver<AppRequest>,
    resume_window: ResumeWindow,
}

/// There are two accounts, so that each title names its own.
fn without_account(title: &str) -> String {
    title.trim_end_matches(" (home)").trim_end_matches(" (work)").to_owned()
}

impl Bench {
    /// A controller that has looked around, with a notification service.
    async fn new() -> Self {
        let mut bench = Self::without_service().await;
        bench.service(Service::Shows).await;
        bench
    }

    /// The same with this notification service.
    async fn on(service: &'static str) -> Self {
        let mut bench = Self::without_service().await;
        bench.screen.state().name = service;
        bench.service(Service::Shows).await;
        bench
    }

    async fn without_service() -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("accounts.toml"), ACCOUNTS).unwrap();
        let accounts = Arc::new(Accounts::read(&directory.path().join("accounts.toml")).unwrap());
        let (mut config, screen) = (Config::default(), Screen::default());
        config.popup.lines = 1;
        let inbox = open(&directory, &config);
        let resume_window = ResumeWindow::default();
        let (requests, requested) = mpsc::unbounded_channel();
        let mut controller = Controller::new(Parts {
            desktop: screen.clone(),
            inbox: inbox.clone(),
            config: config.clone(),
            accounts: Arc::clone(&accounts),
            requests,
            tray: true,
            resume_window: resume_window.clone(),
        });
        controller.prepare(Listening::default(), false, std::iter::empty()).await;
        Self {
            directory,
            inbox_changes: inbox.changes(),
            inbox,
            config,
            accounts,
            screen,
            controller,
            requests: requested,
            resume_window,
        }
    }

    /// As when the program ends in good order and starts again, on a service that is not heard of before it says so.
    /// Popups stay up.
    async fn end_and_start(&mut self) {
        let next = self.screen.go_on();
        let (controller, _) = self.new_controller(next.clone());
        let ending = std::mem::replace(&mut self.controller, controller);
        // Paused time would not wait for the inbox.
        tokio::time::resume();
        ending.end(mpsc::unbounded_channel().1).await;
        tokio::time::pause();
        self.start_again(next).await;
    }

    /// As when the program dies and starts again. Nobody knows of the popups that are up.
    async fn restart(&mut self) {
        let service = self.screen.state().service;
        let next = self.screen.go_on();
        next.state().up.clear();
        self.start_again(next).await;
        self.service(service).await;
    }

    async fn start_again(&mut self, screen: Screen) {
        self.inbox = open(&self.directory, &self.config);
        let changes_before = std::mem::replace(&mut self.inbox_changes, self.inbox.changes());
        self.screen = screen.clone();
        self.resume_window = ResumeWindow::default();
        (self.controller, self.requests) = self.new_controller(screen);
        // Whatever the first inbox was at is over, as it is when a program has died.
        while changes_before.has_changed().is_ok() {
            std::thread::yield_now();
        }
        self.controller.prepare(Listening::default(), false, std::iter::empty()).await;
        self.settle().await;
    }

    fn new_controller(&self, desktop: Screen) -> (Controller<Screen>, mpsc::UnboundedReceiver<AppRequest>) {
        let (requests, requested) = mpsc::unbounded_channel();
        let controller = Controller::new(Parts {
            desktop,
            inbox: self.inbox.clone(),
            config: self.config.clone(),
            accounts: Arc::clone(&self.accounts),
            requests,
            tray: true,
            resume_window: self.resume_window.clone(),
        });
        (controller, requested)
    }

    async fn service(&mut self, service: Service) {
        self.screen.service(service);
        self.settle().await;
    }

    async fn release(&mut self) {
        self.screen.release();
        self.settle().await;
    }

    /// The push arrives, and everything that follows from it at once has happened.
    async fn push(&mut self, push: Push) {
        self.arrive(push).await;
        self.settle().await;
    }

    /// The push arrives while the controller does something else.
    async fn arrive(&mut self, push: Push) {
        self.inbox.record(push.delivery(self.resume_window.is_open())).await.unwrap();
    }

    async fn say(&mut self, event: DesktopEvent) {
        self.handle(Event::Desktop(event)).await;
    }

    async fn click(&mut self, key: &PopupKey) {
        let click = self.screen.action(key, popup::Action::Open, Some("token"));
        self.say(click).await;
    }

    async fn dismiss(&mut self, key: &PopupKey) {
        let dismissed = self.screen.dismissed(key);
        self.say(dismissed).await;
    }

    /// What the inbox has now.
    async fn snapshot(&self) -> Snapshot {
        self.inbox.snapshot(self.controller.on_screen()).await.unwrap()
    }

    /// Has the controller present a snapshot, whatever has happened since it was taken.
    async fn present_snapshot(&mut self, snapshot: Snapshot) {
        self.controller.present_snapshot(snapshot, Instant::now()).await.unwrap();
        self.settle().await;
    }

    async fn tray(&mut self, action: TrayAction) {
        self.say(DesktopEvent::Tray(action)).await;
    }

    async fn handle(&mut self, event: Event) {
        self.controller.handle(event).await;
        self.settle().await;
    }

    /// What has happened is taken up as `run` would, and so is what is due within the debounce interval.
    async fn settle(&mut self) {
        loop {
            self.controller.call_popup_service();
            if let Some(event) = self.screen.next_event() {
                self.controller.handle(Event::Desktop(event)).await;
            } else if futures_lite::future::poll_once(self.inbox_changes.changed())
                .await
                .is_some_and(|seen| seen.is_ok())
            {
                // Time goes by only when a test says so: changes that keep coming do not make the interval longer.
                self.controller.schedule.interval = READ_INTERVAL.0;
                self.controller.inbox_changed().await;
            } else if self.controller.next_due().is_some_and(|due| due <= Instant::now() + READ_INTERVAL.0) {
                tokio::time::advance(READ_INTERVAL.0).await;
                self.controller.refresh().await;
            } else {
                break;
            }
        }
    }

    /// So much time goes by.
    async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(due) = self.controller.next_due().filter(|due| *due <= end) {
            tokio::time::advance(due.saturating_duration_since(Instant::now())).await;
            self.controller.refresh().await;
            self.settle().await;
        }
        tokio::time::advance(end.saturating_duration_since(Instant::now())).await;
    }

    async fn configure(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.handle(Event::Configured(Box::new(self.config.clone()))).await;
    }

    /// Another program holds the database, until this is dropped: nothing can be written.
    fn lock_inbox(&self) -> rusqlite::Connection {
        let other = rusqlite::Connection::open(self.directory.path().join("pushbell.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    }

    /// Titles of the popups that came up since this was last asked.
    fn shows(&mut self) -> Vec<String> {
        take(&mut self.screen.state().shows).into_iter().map(|popup| without_account(&popup.title)).collect()
    }

    /// Titles and texts of the popups that are up.
    fn up(&self) -> Vec<(String, String)> {
        self.screen.state().up.iter().map(|(_, popup)| (without_account(&popup.title), popup.text.clone())).collect()
    }

    fn sounds(&mut self) -> Vec<String> {
        take(&mut self.screen.state().sounds)
    }

    fn badge(&self) -> (u64, u64) {
        let badge = self.shown_in_tray().badge;
        (badge.unread, badge.missed_calls)
    }

    fn shown_in_tray(&self) -> TrayView {
        self.screen.state().tray.clone().unwrap()
    }

    /// How many popups the service was asked for.
    fn asked(&self) -> usize {
        self.screen.state().asked
    }

    /// How many calls began to ring.
    fn rings(&self) -> usize {
        self.screen.state().rings
    }

    fn ringing(&self) -> Vec<NoticeId> {
        self.screen.state().ringing.clone()
    }

    /// What was opened since this was last asked, with the token of the click.
    fn opened(&self) -> Vec<(OpenTarget, Option<String>)> {
        take(&mut self.screen.state().opened)
    }

    fn renewed(&self) -> usize {
        self.screen.state().renewed
    }

    fn history(&self) -> Vec<Notice> {
        history(&self.directory.path().join("pushbell.db"), usize::MAX, &crate::inbox::Seals::default(), |_| true)
            .unwrap()
    }

    fn notice(&self, event_id: &str) -> Notice {
        self.history().into_iter().find(|notice| notice.event_id.as_deref() == Some(event_id)).unwrap()
    }
}

fn open(directory: &TempDir, config: &Config) -> Inbox {
    Inbox::open(&directory.path().join("pushbell.db"), config.into()).unwrap()
}

fn room(room_id: &str) -> PopupKey {
    PopupKey::Room(RoomKey::with_id("home", room_id))
}

const SECOND: Duration = Duration::from_secs(1);
