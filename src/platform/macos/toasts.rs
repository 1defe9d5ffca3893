//! Popups on macOS: the notification center, by the `notify-rust` crate.
//!
//! Clicks are not heard yet: that crate waits for them by asking twice a second, for as long as the popup stays in the
//! notification center. It can neither withdraw nor replace a popup.

use notify_rust::Notification;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    desktop::{DesktopEvent, popup::Popup},
    identity,
    platform::portable::popups::Presenter,
};

/// Shows popups.
pub(in crate::platform) struct Toasts;

impl Toasts {
    /// Tells the notification center who we are. The icon is the application's.
    ///
    /// # Errors
    /// When macOS does not know us as an application.
    pub(in crate::platform) fn new(_icon: &str, _events: UnboundedSender<DesktopEvent>) -> Result<Self, String> {
        notify_rust::set_application(identity::APP_ID).map(|()| Self).map_err(|error| {
            format!(
                "macOS shows popups only of applications that it knows, and knows no {}: \
                 start Pushbell from its application bundle ({error})",
                identity::APP_ID
            )
        })
    }
}

impl Presenter for Toasts {
    fn present(&mut self, popup: &Popup) -> Result<(), String> {
        let mut toast = Notification::new();
        toast.summary(&popup.title).body(&popup.text);
        // It is sent when the handle is dropped.
        toast.show().map(drop).map_err(|error| format!("macOS did not take the popup: {error}"))
    }
}
