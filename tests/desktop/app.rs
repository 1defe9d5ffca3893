//! The app on a desktop, with one account.

use std::time::Duration;

use pushbell::app_info;
use serde_json::{Value, json};

use crate::rig::{
    Desktop, DesktopOptions, Notifications, Notifier, Notify, Pushbell,
    notifications::Traffic,
    pushbell::{Account, message},
};

/// A desktop with only a notification service.
pub(crate) const DUNST: DesktopOptions = DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE };
pub(crate) const XFCE4_NOTIFYD: DesktopOptions =
    DesktopOptions { notifier: Some(Notifier::Xfce4Notifyd), ..DesktopOptions::BARE };

/// How long to wait for something that must not happen.
pub(crate) const MOMENT: Duration = Duration::from_millis(300);

/// Gives the app an account and returns its name. Having an account avoids the welcome popup.
pub(crate) type GetAccount<'a> = dyn Fn(&Pushbell) -> String + 'a;

/// An account without a signed-in user.
#[track_caller]
pub(crate) fn by_hand(pushbell: &Pushbell) -> String {
    pushbell.ok(&["account", "add", "home"]);
    "home".to_owned()
}

/// The app, its account and its desktop. The app is dropped before the desktop.
pub(crate) struct App {
    pub(crate) pushbell: Pushbell,
    pub(crate) account: Account,
    pub(crate) desktop: Desktop,
}

impl App {
    /// Starts the desktop and the app. `config` is TOML.
    #[track_caller]
    pub(crate) fn start(options: DesktopOptions, config: &str) -> Self {
        Self::on(Desktop::start(options), config)
    }

    /// Starts the app on this desktop.
    #[track_caller]
    pub(crate) fn on(desktop: Desktop, config: &str) -> Self {
        let pushbell = Pushbell::prepare(&desktop, config);
        Self::run(desktop, pushbell, &by_hand)
    }

    /// Runs the app with this account.
    #[track_caller]
    pub(crate) fn run(desktop: Desktop, mut pushbell: Pushbell, get_account: &GetAccount<'_>) -> Self {
        let name = get_account(&pushbell);
        pushbell.run();
        let account = pushbell.account_named(&name);
        assert_eq!(account.app_id, app_info::APP_ID);
        Self { pushbell, account, desktop }
    }

    pub(crate) fn notifications(&self) -> &Notifications {
        self.desktop.notifications()
    }

    /// The current position in the notification traffic.
    pub(crate) fn mark(&self) -> usize {
        self.notifications().len()
    }

    /// Pushes to the account; the push must be accepted.
    #[track_caller]
    pub(crate) fn push(&self, notification: Value) {
        self.pushbell.notify(&self.account, notification);
    }

    /// A text message from Bob; the unread count is 1.
    #[track_caller]
    pub(crate) fn message(&self, event: &str, room: &str, body: &str) {
        self.push(message(event, room, body));
    }

    /// Pushes only counts.
    #[track_caller]
    pub(crate) fn unread(&self, unread: u64) {
        self.push(json!({"id": "", "type": null, "sender": "", "counts": {"unread": unread}}));
    }

    /// Waits for a popup with this text (as sent over D-Bus).
    #[track_caller]
    pub(crate) fn shows(&self, mark: usize, text: &str) -> Notify {
        let what = format!("a popup says {text:?}");
        self.notifications().wait_for_notify_since(mark, &what, |notify| notify.body == text)
    }

    /// Waits for a popup with this title.
    #[track_caller]
    pub(crate) fn titled(&self, mark: usize, title: &str) -> Notify {
        let what = format!("a popup is titled {title:?}");
        self.notifications().wait_for_notify_since(mark, &what, |notify| notify.summary == title)
    }

    /// Waits until the app withdraws this popup.
    #[track_caller]
    pub(crate) fn withdraws(&self, mark: usize, id: u32) {
        let what = format!("popup {id} is withdrawn");
        self.notifications().wait_since(mark, &what, crate::rig::SOON, |traffic| {
            (*traffic == Traffic::CloseNotification(id)).then_some(())
        });
    }

    /// Waits until the app counts this many unread messages.
    #[track_caller]
    pub(crate) fn counts(&self, unread: u64) {
        self.pushbell.wait_for_status(&format!("{unread} unread"), |status| status["unread"] == unread);
    }

    /// Waits until the app counts this many missed calls.
    #[track_caller]
    pub(crate) fn missed_calls(&self, missed: u64) {
        let what = format!("{missed} missed calls");
        self.pushbell.wait_for_status(&what, |status| status["missed_calls"] == missed);
    }

    /// Checks that no popup has come since the mark, and that none comes within [`MOMENT`].
    #[track_caller]
    pub(crate) fn shows_nothing(&self, mark: usize) {
        crate::rig::never_within(MOMENT, "there is a popup", || !self.notifications().all_since(mark).is_empty());
    }
}
