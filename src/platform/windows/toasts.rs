//! Popups on Windows: toasts, by the `notify-rust` crate.
//!
//! It can neither withdraw nor replace a toast, and hears no click on one that has gone to the notification center.

use std::{sync::Arc, thread};

use notify_rust::{CloseReason, Notification, NotificationHandle, NotificationResponse};
use tokio::sync::{Semaphore, mpsc::UnboundedSender};

use super::registry;
use crate::{
    desktop::{
        DesktopEvent,
        popup::{Popup, PopupKey},
    },
    identity,
    platform::portable::popups::Presenter,
};

/// Toasts whose clicks are listened for at a time, each on a thread, for as long as it is on the screen.
const MAX_LISTENERS: usize = 16;

/// The identifier of a click on the popup itself.
const DEFAULT_ACTION: &str = "default";

/// Shows toasts.
pub(in crate::platform) struct Toasts {
    events: UnboundedSender<DesktopEvent>,
    listeners: Arc<Semaphore>,
}

impl Toasts {
    /// Tells Windows our name and icon (an absolute path), for it takes toasts only from applications that it knows.
    ///
    /// # Errors
    /// When it does not want to know.
    pub(in crate::platform) fn new(icon: &str, events: UnboundedSender<DesktopEvent>) -> Result<Self, String> {
        let key = format!(r"Software\Classes\AppUserModelId\{}", identity::APP_ID);
        for (name, text) in [("DisplayName", identity::APP_NAME), ("IconUri", icon)] {
            registry::set_text(&key, name, text).map_err(|error| {
                format!(r"HKEY_CURRENT_USER\{key} cannot be written, so there are no popups: {error}")
            })?;
        }
        Ok(Self { events, listeners: Arc::new(Semaphore::new(MAX_LISTENERS)) })
    }

    fn listen(&self, key: PopupKey, toast: NotificationHandle) {
        let Ok(permit) = Arc::clone(&self.listeners).try_acquire_owned() else {
            return tracing::debug!("too many popups: nobody listens to the clicks on one");
        };
        let events = self.events.clone();
        let listen = move || {
            let answered = toast.wait_for_response(|response: &NotificationResponse| {
                if let Some(event) = event(key, response) {
                    let _ = events.send(event);
                }
            });
            if let Err(error) = answered {
                tracing::debug!("nothing was heard of a popup: {error}");
            }
            drop(permit);
        };
        if let Err(error) = thread::Builder::new().name("popup".to_owned()).spawn(listen) {
            tracing::debug!("nobody listens to the clicks on a popup: {error}");
        }
    }
}

impl Presenter for Toasts {
    fn present(&mut self, popup: &Popup) -> Result<(), String> {
        let mut toast = Notification::new();
        toast.app_id(identity::APP_ID).summary(&popup.title).body(&popup.text);
        toast.urgency(popup.urgency).timeout(popup.timeout);
        for (action, label) in popup.actions.iter().filter(|(action, _)| *action != DEFAULT_ACTION) {
            toast.action(action, label);
        }
        let shown = toast.show().map_err(|error| format!("Windows did not take the popup: {error}"))?;
        self.listen(popup.key.clone(), shown);
        Ok(())
    }
}

fn event(key: PopupKey, response: &NotificationResponse) -> Option<DesktopEvent> {
    let activated = |action: &str| DesktopEvent::Activated { key: key.clone(), action: action.to_owned(), token: None };
    match response {
        NotificationResponse::Default => Some(activated(DEFAULT_ACTION)),
        NotificationResponse::Action(action) => Some(activated(action)),
        NotificationResponse::Closed(CloseReason::Dismissed) => Some(DesktopEvent::Dismissed(key)),
        NotificationResponse::Closed(CloseReason::Expired | CloseReason::CloseAction | CloseReason::Other(_))
        | NotificationResponse::Reply(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_becomes_an_event_unless_nobody_gave_it() {
        let key = || PopupKey::Summary;
        let activated =
            |action: &str| Some(DesktopEvent::Activated { key: key(), action: action.to_owned(), token: None });
        let check = |response, expected| assert_eq!(event(key(), &response), expected);
        check(NotificationResponse::Default, activated("default"));
        check(NotificationResponse::Action("open".to_owned()), activated("open"));
        check(NotificationResponse::Closed(CloseReason::Dismissed), Some(DesktopEvent::Dismissed(key())));
        check(NotificationResponse::Closed(CloseReason::Expired), None);
        check(NotificationResponse::Closed(CloseReason::CloseAction), None);
    }
}
