//! The tray icon on the main thread, as its mailbox says.

use tokio::sync::mpsc::UnboundedSender;

use super::mailbox::Mailbox;
use crate::desktop::{DesktopEvent, ServiceState, tray::Tray, tray_view::TrayView};

/// The icon and the newest view of it. It stays on the main thread.
pub(in crate::platform) struct Icon {
    tray: Tray,
    view: Option<TrayView>,
    events: UnboundedSender<DesktopEvent>,
    told: Option<ServiceState>,
}

impl Icon {
    /// No icon yet.
    pub(in crate::platform) fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        Self { tray: Tray::new(events.clone()), view: None, events, told: None }
    }

    /// Does what has arrived, and says whether there is more to come.
    pub(in crate::platform) fn obey(&mut self, mailbox: &Mailbox) -> bool {
        let letters = mailbox.take();
        if letters.quit {
            self.tray.take_down();
            return false;
        }
        if letters.recreate {
            self.tray.take_down();
        }
        if letters.recreate || letters.view.is_some() {
            self.view = letters.view.or(self.view.take());
            if let Some(view) = self.view.clone() {
                let outcome = self.tray.show(view);
                self.tell(outcome.map_err(|error| error.to_string()));
            }
        }
        true
    }

    fn tell(&mut self, outcome: Result<(), String>) {
        let state = ServiceState { available: outcome.is_ok(), reason: outcome.err() };
        if self.told.as_ref() == Some(&state) {
            return;
        }
        if let Some(reason) = &state.reason {
            tracing::warn!("no tray icon: {reason}; everything else goes on");
        }
        let _ = self.events.send(DesktopEvent::TrayHost(state.clone()));
        self.told = Some(state);
    }
}
