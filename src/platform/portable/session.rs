//! The desktop session where nothing has to be connected to.
//!
//! Not there yet: whether the screen is locked or the desktop is dark (reported as unknown), waking from sleep, and
//! counts on docks and task bars.

use tokio::sync::mpsc::UnboundedSender;

use super::{open::Opener, popups::Popups};
use crate::{
    config::OpenWith,
    desktop::{
        DesktopEvent, LauncherCount, OpenTarget,
        popup::{Popup, PopupKey, PopupSerial},
    },
    platform::system::toasts::Toasts,
};

/// The desktop session. Every method returns at once; what became of it arrives as [`DesktopEvent`]s.
#[derive(Debug)]
pub struct Session {
    popups: Popups,
    opener: Opener,
    events: UnboundedSender<DesktopEvent>,
}

impl Session {
    /// Starts in the background, on the tokio runtime of this thread. `icon` is the app icon, an absolute path.
    #[must_use]
    pub fn start(icon: String, _tray: bool, events: &UnboundedSender<DesktopEvent>) -> Self {
        let clicks = events.clone();
        Self {
            popups: Popups::start(move || Toasts::new(&icon, clicks), events.clone()),
            opener: Opener::new(events.clone()),
            events: events.clone(),
        }
    }

    /// Shows a popup. Answered by `Shown` or `NotShown`.
    pub fn show(&self, serial: PopupSerial, popup: Popup) {
        self.popups.show(serial, popup);
    }

    /// Withdraws the popup with this key, if it still waits. One that is shown stays.
    pub fn withdraw(&self, key: &PopupKey) {
        self.popups.withdraw(key);
    }

    /// Withdraws every popup that still waits.
    pub fn withdraw_all(&self) {
        self.popups.withdraw_all();
    }

    /// Opens a target. There are no activation tokens here.
    pub fn open(&self, target: &OpenTarget, with: &OpenWith, _activation_token: Option<String>) {
        self.opener.open(target, with);
    }

    /// Tells nobody: the number is on the tray icon alone.
    pub fn set_count(&self, _count: LauncherCount) {}

    /// Reports [`DesktopEvent::ScreenLock`] as unknown.
    pub fn watch_screen_lock(&self, wanted: bool) {
        if wanted {
            let _ = self.events.send(DesktopEvent::ScreenLock(None));
        }
    }

    /// Reports [`DesktopEvent::ColorScheme`] as unknown.
    pub fn watch_color_scheme(&self, wanted: bool) {
        if wanted {
            let _ = self.events.send(DesktopEvent::ColorScheme(None));
        }
    }

    /// Finishes what was asked for, in bounded time.
    pub async fn close(self) {
        self.popups.close().await;
    }
}
