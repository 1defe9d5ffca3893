//! The program on a bare desktop, one account in it, and how much memory it takes.

use serde_json::{Value, json};

use crate::rig::{
    Desktop, DesktopOptions, FakeNotifications, Pushbell,
    pushbell::{Account, message},
};

/// The most memory that the program may ever have taken, in MiB. A debug build with a database and popups takes 30 of
/// them at rest. 8 MiB of bodies may be held at once, and what is made from one is about as large; the rest is
/// connections, as many as there may be, in all stages.
pub(crate) const MOST_MEMORY: u64 = 100;

/// A desktop, its notification service, the program and its account.
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

    /// `run` with more arguments than none, on a desktop of these parts.
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

    /// What every body of the account ends in.
    pub(crate) fn device(&self) -> Value {
        json!({"app_id": self.account.app_id, "pushkey": self.account.pushkey})
    }

    /// A push of the account arrives and is shown: nothing that was sent before has harmed it.
    #[track_caller]
    pub(crate) fn serves(&self, event: &str) {
        self.app.notify(&self.account, message(event, event, "still here"));
        self.desktop
            .notifications()
            .wait_for_notify("a real message is shown", |popup| popup.summary == format!("Bob in {event}"));
    }

    /// The most memory that the program has ever taken, in MiB.
    #[track_caller]
    pub(crate) fn peak_memory(&mut self) -> u64 {
        self.app.app().peak_memory()
    }

    #[track_caller]
    pub(crate) fn memory_is_bounded(&mut self) {
        let peak = self.peak_memory();
        assert!(peak <= MOST_MEMORY, "{peak} MiB");
    }
}
