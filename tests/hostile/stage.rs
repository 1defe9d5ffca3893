//! The app on a minimal desktop with one account, and its memory usage.

use serde_json::{Value, json};

use crate::rig::{
    Desktop, DesktopOptions, FakeNotifications, Pushbell,
    pushbell::{Account, message},
};

/// The limit of the app's peak memory, in MiB. A debug build with a database and popups needs 30 of them when idle. At
/// most 8 MiB of bodies are held at once, and what is parsed from one is about as large; the rest is for the maximum
/// number of connections, in all states.
pub(crate) const MEMORY_LIMIT: u64 = 100;

/// A desktop, its notification service, the app and its account.
pub(crate) struct Stage {
    pub(crate) app: Pushbell,
    pub(crate) account: Account,
    pub(crate) service: FakeNotifications,
    pub(crate) desktop: Desktop,
}

impl Stage {
    pub(crate) fn set(config: &str) -> Self {
        Self::with(config, DesktopOptions::BARE, &[])
    }

    /// Passes more arguments to `run`, on a desktop with these components.
    pub(crate) fn with(config: &str, options: DesktopOptions, arguments: &[&str]) -> Self {
        let desktop = Desktop::start(options);
        let service = desktop.fake_notifier(&["actions", "body", "body-markup", "body-hyperlinks"]);
        let mut app = Pushbell::prepare(&desktop, config);
        app.ok(&["account", "add", "real"]);
        app.launch(&[&["run"], arguments].concat());
        app.wait_until_ready();
        let account = app.account_named("real");
        Self { app, account, service, desktop }
    }

    /// The end of every body for the account.
    pub(crate) fn device(&self) -> Value {
        json!({"app_id": self.account.app_id, "pushkey": self.account.pushkey})
    }

    /// Checks that a push to the account arrives and is shown, whatever was sent before.
    #[track_caller]
    pub(crate) fn serves(&self, event: &str) {
        self.app.notify(&self.account, message(event, event, "still here"));
        self.desktop
            .notifications()
            .wait_for_notify("a real message is shown", |popup| popup.summary == format!("Bob in {event}"));
    }

    /// The app's peak memory, in MiB.
    #[track_caller]
    pub(crate) fn peak_memory(&mut self) -> u64 {
        self.app.app().peak_memory()
    }

    #[track_caller]
    pub(crate) fn memory_is_bounded(&mut self) {
        let peak = self.peak_memory();
        assert!(peak <= MEMORY_LIMIT, "{peak} MiB");
    }
}
