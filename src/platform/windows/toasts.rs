//! Popups on Windows: toasts of its notification manager.
//!
//! The `notify-rust` crate shows toasts as well, but without the tag by which one is replaced or withdrawn, and with a
//! thread for each click that is awaited.

use std::collections::VecDeque;

use tokio::sync::mpsc::UnboundedSender;
use windows::{
    Data::Xml::Dom::XmlDocument,
    Foundation::{IPropertyValue, TypedEventHandler},
    UI::Notifications::{
        NotificationSetting, ToastActivatedEventArgs, ToastDismissalReason, ToastDismissedEventArgs,
        ToastFailedEventArgs, ToastNotification, ToastNotificationManager, ToastNotifier,
    },
    core::{HSTRING, IInspectable, Interface, Result},
};
use windows_registry::{CURRENT_USER, Key};

use crate::{
    app_info,
    desktop::{Activation, CloseReason, DesktopEvent, PopupEvent},
    platform::portable::popups::{Presenter, toast_xml},
    present::popup::{Action, Popup, TEXT_KEY},
};

/// Maximum number of toasts whose clicks are received. Older ones stay in the notification center without effect.
const MAX_HEARD: usize = 64;

/// The group of our toasts: the scope of their tags.
const GROUP: &str = "pushbell";

/// Shows toasts.
pub(in crate::platform) struct Toasts {
    notifier: ToastNotifier,
    /// Their clicks are received until they are dropped.
    heard: VecDeque<(u32, ToastNotification)>,
    events: UnboundedSender<DesktopEvent>,
}

impl Toasts {
    /// Registers our name and icon (an absolute path): Windows accepts toasts only from registered applications.
    ///
    /// # Errors
    /// When the registry cannot be written, or there is no notification manager.
    pub(in crate::platform) fn new(
        icon: &str,
        events: UnboundedSender<DesktopEvent>,
    ) -> std::result::Result<Self, String> {
        let key = format!(r"Software\Classes\AppUserModelId\{}", app_info::APP_ID);
        let set = |key: Key| {
            key.set_string("DisplayName", app_info::APP_NAME)?;
            key.set_string("IconUri", icon)
        };
        CURRENT_USER
            .create(&key)
            .and_then(set)
            .map_err(|error| format!(r"HKEY_CURRENT_USER\{key} cannot be written, so there are no popups: {error}"))?;
        let notifier = ToastNotificationManager::CreateToastNotifierWithId(&HSTRING::from(app_info::APP_ID))
            .map_err(|error| format!("this Windows has no notification service: {error}"))?;
        Ok(Self { notifier, heard: VecDeque::new(), events })
    }

    fn show(&mut self, id: u32, popup: &Popup) -> Result<()> {
        let document = XmlDocument::new()?;
        document.LoadXml(&HSTRING::from(toast_xml::of(popup)))?;
        let toast = ToastNotification::CreateToastNotification(&document)?;
        toast.SetTag(&HSTRING::from(tag(id)))?;
        toast.SetGroup(&HSTRING::from(GROUP))?;
        self.listen(id, &toast)?;
        self.notifier.Show(&toast)?;
        self.heard.retain(|(heard, _)| *heard != id);
        self.heard.truncate(MAX_HEARD - 1);
        self.heard.push_front((id, toast));
        Ok(())
    }

    fn listen(&self, id: u32, toast: &ToastNotification) -> Result<()> {
        let events = self.events.clone();
        let activated = move |_: windows::core::Ref<'_, ToastNotification>,
                              how: windows::core::Ref<'_, IInspectable>| {
            let activated = how.ok()?.cast::<ToastActivatedEventArgs>()?;
            let arguments = activated.Arguments()?;
            let key = if arguments.is_empty() { Action::Open.key().to_owned() } else { arguments.to_string() };
            let text = (key == TEXT_KEY).then(|| entered_text(&activated)).transpose()?;
            let activation = Activation { key, text, token: None };
            let _ = events.send(DesktopEvent::Popup(PopupEvent::Activated { id, activation }));
            Ok(())
        };
        toast.Activated(&TypedEventHandler::new(activated))?;
        let events = self.events.clone();
        let dismissed = move |_: windows::core::Ref<'_, ToastNotification>,
                              how: windows::core::Ref<'_, ToastDismissedEventArgs>| {
            // Otherwise it was moved to the notification center, or withdrawn by us.
            if how.ok()?.Reason()? == ToastDismissalReason::UserCanceled {
                let reason = CloseReason::Dismissed;
                let _ = events.send(DesktopEvent::Popup(PopupEvent::Closed { id, reason }));
            }
            Ok(())
        };
        toast.Dismissed(&TypedEventHandler::new(dismissed))?;
        let failed = |_: windows::core::Ref<'_, ToastNotification>,
                      how: windows::core::Ref<'_, ToastFailedEventArgs>| {
            tracing::warn!("Windows did not show a popup: {}", how.ok()?.ErrorCode()?.message());
            Ok(())
        };
        toast.Failed(&TypedEventHandler::new(failed))?;
        Ok(())
    }

    /// Whether the user and the administrator permit popups.
    fn permission(&self) -> std::result::Result<(), String> {
        // Unknown for an application that has never shown any.
        let setting = self.notifier.Setting().unwrap_or(NotificationSetting::Enabled);
        let who = match setting {
            NotificationSetting::DisabledForApplication => "of Pushbell are switched off",
            NotificationSetting::DisabledForUser => "are switched off",
            NotificationSetting::DisabledByGroupPolicy => {
                return Err("popups are forbidden by a group policy: ask who looks after this computer".to_owned());
            }
            _ => return Ok(()),
        };
        Err(format!("popups {who}: switch them on in Windows' settings, under System, Notifications"))
    }
}

impl Presenter for Toasts {
    fn present(&mut self, id: u32, popup: &Popup) -> std::result::Result<(), String> {
        self.permission()?;
        self.show(id, popup).map_err(|error| format!("Windows did not take the popup: {error}"))
    }

    fn close(&mut self, id: u32) {
        self.heard.retain(|(heard, _)| *heard != id);
        let (tag, group, application) = (tag(id).into(), GROUP.into(), app_info::APP_ID.into());
        let removed = ToastNotificationManager::History()
            .and_then(|history| history.RemoveGroupedTagWithId(&tag, &group, &application));
        if let Err(error) = removed {
            tracing::debug!("a popup was not closed: {error}");
        }
    }
}

/// The text that was entered in the toast's field.
fn entered_text(activated: &ToastActivatedEventArgs) -> Result<String> {
    let value = activated.UserInput()?.Lookup(&HSTRING::from(TEXT_KEY))?;
    Ok(value.cast::<IPropertyValue>()?.GetString()?.to_string())
}

/// The tag of the toast with this id.
fn tag(id: u32) -> String {
    format!("{id:08x}")
}
