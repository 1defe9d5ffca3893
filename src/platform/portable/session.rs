//! The desktop session where nothing has to be connected to. Docks and task bars are told no counts.

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

/// The desktop session. Every method returns at once; what became of it arrives as [`DesktopEvent`]s.
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

    /// Opens a target. There are no activation tokens here.
    pub fn open(&self, target: &OpenTarget, with: &OpenWith, activation_token: Option<String>) {
        self.opener.open(target, with, activation_token);
    }

    /// Tells nobody: the number is on the tray icon alone.
    pub fn set_count(&self, _count: LauncherCount) {}

    /// Reports [`DesktopEvent::ScreenLock`] from now on, or no longer.
    pub fn watch_screen_lock(&self, wanted: bool) {
        self.system_events.screen_lock(wanted);
    }

    /// Reports [`DesktopEvent::ColorScheme`] from now on, or no longer.
    pub fn watch_color_scheme(&self, wanted: bool) {
        self.system_events.color_scheme(wanted);
    }

    /// The system shows no toasts then; of sounds it is not asked.
    pub fn ask_do_not_disturb(&self, _how: DoNotDisturb) {
        // A controller that has gone means that the program ends.
        drop(self.events.send(DesktopEvent::DoNotDisturb(false)));
    }

    /// There is nothing to be taken back.
    #[expect(clippy::unused_async, reason = "elsewhere something is to be waited for")]
    pub async fn close(self) {
        drop(self);
    }
}
