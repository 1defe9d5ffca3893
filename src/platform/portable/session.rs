//! The desktop session on systems without a session bus. Counts on docks and task bars are not supported.

use tokio::sync::mpsc::UnboundedSender;

use super::{open::Launcher, popups::Popups};
use crate::{
    config::OpenWith,
    desktop::{DesktopEvent, LauncherCount, OpenTarget, PopupCall, popup_services::DoNotDisturb},
    platform::{
        opener::Opener,
        system::{system_events::SystemEvents, toasts::Toasts},
    },
};

/// The desktop session. Every method returns at once; results arrive as [`DesktopEvent`]s.
#[derive(Debug)]
pub struct Session {
    events: UnboundedSender<DesktopEvent>,
    popups: Popups,
    opener: Opener,
    system_events: SystemEvents,
}

impl Session {
    /// Starts in the background, on the tokio runtime of this thread. `icon` is the app icon, an absolute path.
    #[must_use]
    pub fn start(icon: String, _tray: bool, events: &UnboundedSender<DesktopEvent>) -> Self {
        let clicks = events.clone();
        Self {
            events: events.clone(),
            popups: Popups::start(move || Toasts::new(&icon, clicks), events.clone()),
            opener: Opener::new(Launcher, events.clone()),
            system_events: SystemEvents::watch(events.clone()),
        }
    }

    /// Passes a call on to the system, see [`crate::desktop::Desktop::popup`].
    pub fn popup(&self, call: PopupCall) {
        self.popups.call(call);
    }

    /// Opens a target. Activation tokens are not used here.
    pub fn open(&self, target: &OpenTarget, with: &OpenWith, activation_token: Option<String>) {
        self.opener.open(target, with, activation_token);
    }

    /// Does nothing: the count is on the tray icon only.
    pub fn set_count(&self, _count: LauncherCount) {}

    /// Starts or stops reporting [`DesktopEvent::ScreenLock`].
    pub fn watch_screen_lock(&self, wanted: bool) {
        self.system_events.screen_lock(wanted);
    }

    /// Starts or stops reporting [`DesktopEvent::ColorScheme`].
    pub fn watch_color_scheme(&self, wanted: bool) {
        self.system_events.color_scheme(wanted);
    }

    /// Reports that do-not-disturb is off. The system itself suppresses popups; sounds play.
    pub fn ask_do_not_disturb(&self, _how: DoNotDisturb) {
        // A closed channel means that the program is ending.
        drop(self.events.send(DesktopEvent::DoNotDisturb(false)));
    }

    /// Ends the session.
    #[expect(clippy::unused_async, reason = "it waits on Linux")]
    pub async fn close(self) {
        drop(self);
    }
}
