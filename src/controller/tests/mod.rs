//! The controller between a real inbox and a desktop that notes what it is told.
//!
//! Time is tokio's, paused: it goes on only in [`Bench::pass`], so what is due comes at once and in order.

mod announcing;
mod backlog;
mod calling;
mod catching_up;
mod clicking;
mod going_on;
mod invariants;
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
    sync::{Notify, mpsc},
    time::{Duration, Instant},
};

use self::{
    push::Push,
    screen::{Screen, Service},
};
use super::*;
use crate::{
    desktop::{
        popup::PopupKey,
        tray_view::{TrayAction, TrayView},
    },
    inbox::history,
    notice::{Notice, RoomKey},
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
    news: Arc<Notify>,
    config: Config,
    accounts: Arc<Accounts>,
    screen: Screen,
    controller: Controller<Screen>,
    asks: mpsc::UnboundedReceiver<Ask>,
    wake_window: WakeWindow,
}

impl Bench {
    /// A controller that has looked around, with a notification service.
    async fn new() -> Self {
        let mut bench = Self::without_service().await;
        bench.service(Service::Shows).await;
        bench
    }

    async fn without_service() -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("accounts.toml"), ACCOUNTS).unwrap();
        let accounts = Arc::new(Accounts::read(&directory.path().join("accounts.toml")).unwrap());
        let (config, news, screen) = (Config::default(), Arc::new(Notify::new()), Screen::default());
        let inbox = open(&directory, &config, &news);
        let wake_window = WakeWindow::default();
        let (asks, asked) = mpsc::unbounded_channel();
        let mut controller = Controller::new(Parts {
            desktop: screen.clone(),
            inbox: inbox.clone(),
            news: Arc::clone(&news),
            config: config.clone(),
            accounts: Arc::clone(&accounts),
            asks,
            tray: true,
            wake_window: wake_window.clone(),
        });
        controller.prepare(Listening::default(), None, std::iter::empty()).await;
        Self { directory, inbox, news, config, accounts, screen, controller, asks: asked, wake_window }
    }

    /// As when the program ends in good order and starts again, on a service that is not heard of before it says so.
    /// Popups stay up; which of them the new controller has asked for is returned.
    async fn end_and_start(&mut self) -> Vec<PopupKey> {
        let before = self.screen.clone();
        self.service(Service::Shows).await;
        let up = before.state().up.clone();
        let ending = self.controller_again();
        ending.end(mpsc::unbounded_channel().1).await;
        self.restart().await;
        self.screen.state().up = up;
        let standing = self.screen.state().adopted.take();
        standing.into_iter().flat_map(|standing| standing.popups).map(|(key, _)| key).collect()
    }

    /// The controller, with another one in its place.
    fn controller_again(&mut self) -> Controller<Screen> {
        let parts = Parts {
            desktop: Screen::default(),
            inbox: self.inbox.clone(),
            news: Arc::clone(&self.news),
            config: self.config.clone(),
            accounts: Arc::clone(&self.accounts),
            asks: mpsc::unbounded_channel().0,
            tray: true,
            wake_window: self.wake_window.clone(),
        };
        std::mem::replace(&mut self.controller, Controller::new(parts))
    }

    /// As when the program dies and starts again: the service forgets nothing, and is not heard of before it says so.
    async fn restart(&mut self) {
        let news_before = take(&mut self.news);
        self.inbox = open(&self.directory, &self.config, &self.news);
        let (service, recorded) = {
            let state = self.screen.state();
            (state.service, state.recorded)
        };
        self.screen = Screen::default();
        self.screen.state().recorded = recorded;
        self.wake_window = WakeWindow::default();
        let (asks, asked) = mpsc::unbounded_channel();
        self.asks = asked;
        self.controller = Controller::new(Parts {
            desktop: self.screen.clone(),
            inbox: self.inbox.clone(),
            news: Arc::clone(&self.news),
            config: self.config.clone(),
            accounts: Arc::clone(&self.accounts),
            asks,
            tray: true,
            wake_window: self.wake_window.clone(),
        });
        // Whatever the first inbox was at is over, as it is when a program has died.
        while Arc::strong_count(&news_before) > 1 {
            std::thread::yield_now();
        }
        self.controller.prepare(Listening::default(), None, std::iter::empty()).await;
        self.service(service).await;
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
        self.inbox.record(push.delivery(self.wake_window.is_open())).await.unwrap();
    }

    async fn say(&mut self, event: DesktopEvent) {
        self.handle(Event::Desktop(event)).await;
    }

    async fn tray(&mut self, action: TrayAction) {
        self.say(DesktopEvent::Tray(action)).await;
    }

    async fn handle(&mut self, event: Event) {
        self.controller.handle(event).await;
        self.settle().await;
    }

    /// What has happened is taken up as `run` would, and so is what is due within the time that news wait for each other.
    async fn settle(&mut self) {
        loop {
            if let Some(event) = self.screen.next_event() {
                self.controller.handle(Event::Desktop(event)).await;
            } else if futures_lite::future::poll_once(self.news.notified()).await.is_some() {
                // Time goes by only when a test says so: news that keep coming do not make the interval longer.
                self.controller.news_interval = NEWS_INTERVAL;
                self.controller.news_came().await;
            } else if self.controller.next_due().is_some_and(|due| due <= Instant::now() + NEWS_INTERVAL) {
                tokio::time::advance(NEWS_INTERVAL).await;
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
        take(&mut self.screen.state().shows).into_iter().map(|popup| popup.title).collect()
    }

    /// Titles and texts of the popups that are up.
    fn up(&self) -> Vec<(String, String)> {
        self.screen.state().up.iter().map(|popup| (popup.title.clone(), popup.text.clone())).collect()
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
        history(&self.directory.path().join("pushbell.db"), usize::MAX).unwrap()
    }

    fn notice(&self, event_id: &str) -> Notice {
        self.history().into_iter().find(|notice| notice.event_id.as_deref() == Some(event_id)).unwrap()
    }
}

fn open(directory: &TempDir, config: &Config, news: &Arc<Notify>) -> Inbox {
    let retention = Retention { keep_days: config.history.keep_days, keep_bodies: config.history.keep_bodies };
    Inbox::open(&directory.path().join("pushbell.db"), retention, Arc::clone(news)).unwrap()
}

fn room(room_id: &str) -> PopupKey {
    PopupKey::Room(RoomKey::with_id("home", room_id))
}

const SECOND: Duration = Duration::from_secs(1);
