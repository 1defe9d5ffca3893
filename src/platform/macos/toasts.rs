//! Popups on macOS: the notification center.
//!
//! It knows applications by their bundles. From one, popups are replaced, withdrawn and clicked; a bare program has to
//! borrow the older way of the `notify-rust` crate, which only shows them.

mod center;

use notify_rust::Notification;
use objc2::rc::autoreleasepool;
use objc2_foundation::NSBundle;
use tokio::sync::mpsc::UnboundedSender;

use crate::{desktop::DesktopEvent, identity, platform::portable::popups::Presenter, present::popup::Popup};
use center::Center;

/// Shows popups.
pub(in crate::platform) enum Toasts {
    /// From a bundle.
    Center(Center),
    /// From a bare program.
    Bare,
}

impl Toasts {
    /// Tells the notification center who we are. The icon is the application's.
    ///
    /// # Errors
    /// When macOS does not know us as an application.
    pub(in crate::platform) fn new(_icon: &str, events: UnboundedSender<DesktopEvent>) -> Result<Self, String> {
        // Without a bundle, asking for the center ends the program.
        if NSBundle::mainBundle().bundleIdentifier().is_some() {
            return Ok(Self::Center(Center::new(events)));
        }
        notify_rust::set_application(identity::APP_ID).map(|()| Self::Bare).map_err(|error| {
            format!(
                "macOS shows popups only of applications that it knows, and knows no {}: \
                 start Pushbell from its application bundle ({error})",
                identity::APP_ID
            )
        })
    }
}

/// Each call has a pool of its own: what macOS's own code releases later is released with the pool, and the thread of
/// popups, which lives as long as the program, has no other.
impl Presenter for Toasts {
    fn present(&mut self, id: u32, popup: &Popup) -> Result<(), String> {
        autoreleasepool(|_| match self {
            Self::Center(center) => center.show(id, popup),
            Self::Bare => {
                let mut toast = Notification::new();
                toast.summary(&popup.title).body(&popup.text);
                // It is sent when the handle is dropped.
                toast.show().map(drop).map_err(|error| format!("macOS did not take the popup: {error}"))
            }
        })
    }

    fn close(&mut self, id: u32) {
        autoreleasepool(|_| match self {
            Self::Center(center) => center.close(id),
            Self::Bare => {}
        });
    }
}
