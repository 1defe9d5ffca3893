//! Popups on macOS: the notification center. It knows applications by their bundles, and shows popups of no other.
//!
//! Each call has an autorelease pool of its own: the thread of popups lives as long as the program, and has none.

use std::{sync::mpsc, time::Duration};

use block2::{DynBlock, RcBlock};
use objc2::{
    AnyThread, DefinedClass, define_class, msg_send,
    rc::{Retained, autoreleasepool},
    runtime::{Bool, ProtocolObject},
};
use objc2_foundation::{NSArray, NSBundle, NSError, NSObject, NSObjectProtocol, NSSet, NSString};
use objc2_user_notifications::{
    UNAuthorizationOptions, UNMutableNotificationContent, UNNotification, UNNotificationAction,
    UNNotificationActionOptions, UNNotificationCategory, UNNotificationCategoryOptions,
    UNNotificationDefaultActionIdentifier, UNNotificationDismissActionIdentifier, UNNotificationPresentationOptions,
    UNNotificationRequest, UNNotificationResponse, UNTextInputNotificationAction, UNTextInputNotificationResponse,
    UNUserNotificationCenter, UNUserNotificationCenterDelegate,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    desktop::{Activation, CloseReason, DesktopEvent, PopupEvent},
    platform::portable::popups::Presenter,
    present::{
        popup::{Action, Popup},
        words,
    },
};

/// Deadline for accepting a popup.
const ACCEPT_TIMEOUT: Duration = Duration::from_secs(8);

/// Shows popups.
pub(in crate::platform) struct Toasts {
    center: Retained<UNUserNotificationCenter>,
    /// The center holds a weak reference to it.
    _listener: Retained<Listener>,
    /// The sets of buttons used so far, by name.
    categories: Vec<(String, Retained<UNNotificationCategory>)>,
}

impl Toasts {
    /// Requests permission from the user, if that was not done before, and does not wait for the answer. The icon is
    /// that of the application.
    ///
    /// # Errors
    /// When the program was not started from its bundle.
    pub(in crate::platform) fn new(_icon: &str, events: UnboundedSender<DesktopEvent>) -> Result<Self, String> {
        // Without a bundle, requesting the center aborts the program.
        if NSBundle::mainBundle().bundleIdentifier().is_none() {
            return Err("macOS shows popups only of applications: start Pushbell from Pushbell.app".to_owned());
        }
        let center = UNUserNotificationCenter::currentNotificationCenter();
        let listener = Listener::new(events);
        center.setDelegate(Some(ProtocolObject::from_ref(&*listener)));
        let answered = RcBlock::new(|granted: Bool, error: *mut NSError| {
            if !granted.as_bool() {
                tracing::warn!("macOS may not show popups: {}", words(error));
            }
        });
        center.requestAuthorizationWithOptions_completionHandler(UNAuthorizationOptions::Alert, &answered);
        Ok(Self { center, _listener: listener, categories: Vec::new() })
    }

    /// Shows a popup in place of the one with the same id.
    ///
    /// # Errors
    /// Why macOS did not accept it.
    fn show(&mut self, id: u32, popup: &Popup) -> Result<(), String> {
        let content = UNMutableNotificationContent::new();
        content.setTitle(&NSString::from_str(&popup.title));
        content.setBody(&NSString::from_str(&popup.text));
        content.setCategoryIdentifier(&NSString::from_str(&self.category(popup)));
        let request = UNNotificationRequest::requestWithIdentifier_content_trigger(&identifier(id), &content, None);
        let (answer, answered) = mpsc::channel();
        let taken = RcBlock::new(move |error: *mut NSError| {
            let _ = answer.send(if error.is_null() { Ok(()) } else { Err(words(error)) });
        });
        self.center.addNotificationRequest_withCompletionHandler(&request, Some(&taken));
        let outcome =
            answered.recv_timeout(ACCEPT_TIMEOUT).map_err(|_| "macOS does not say whether it took the popup")?;
        outcome.map_err(|reason| {
            format!("macOS did not take the popup: {reason}; allow them in System Settings, under Notifications")
        })
    }

    /// The name of this popup's set of buttons. There are a handful of sets.
    fn category(&mut self, popup: &Popup) -> String {
        let names = popup.buttons.iter().map(|button| format!("{button:?}"));
        let name = names.collect::<Vec<_>>().join(",");
        if self.categories.iter().any(|(known, _)| *known == name) {
            return name;
        }
        let actions: Vec<_> = popup.buttons.iter().copied().map(action).collect();
        let category = UNNotificationCategory::categoryWithIdentifier_actions_intentIdentifiers_options(
            &NSString::from_str(&name),
            &NSArray::from_retained_slice(&actions),
            &NSArray::new(),
            // Without this, dismissals are not reported.
            UNNotificationCategoryOptions::CustomDismissAction,
        );
        self.categories.push((name.clone(), category));
        let all: Vec<_> = self.categories.iter().map(|(_, category)| category.clone()).collect();
        self.center.setNotificationCategories(&NSSet::from_retained_slice(&all));
        name
    }
}

impl Presenter for Toasts {
    fn present(&mut self, id: u32, popup: &Popup) -> Result<(), String> {
        autoreleasepool(|_| self.show(id, popup))
    }

    fn close(&mut self, id: u32) {
        autoreleasepool(|_| {
            let tags = NSArray::from_retained_slice(&[identifier(id)]);
            self.center.removeDeliveredNotificationsWithIdentifiers(&tags);
        });
    }
}

fn action(button: Action) -> Retained<UNNotificationAction> {
    let (key, label) = (NSString::from_str(button.key()), NSString::from_str(words::button(button)));
    let options = UNNotificationActionOptions::empty();
    if !button.takes_text() {
        return UNNotificationAction::actionWithIdentifier_title_options(&key, &label, options);
    }
    Retained::into_super(
        UNTextInputNotificationAction::actionWithIdentifier_title_options_textInputButtonTitle_textInputPlaceholder(
            &key,
            &label,
            options,
            &label,
            &NSString::from_str(words::write_a_reply()),
        ),
    )
}

/// The identifier of the popup with this id.
fn identifier(id: u32) -> Retained<NSString> {
    NSString::from_str(&format!("{id:08x}"))
}

/// Reports the user's response to a popup.
fn report(events: &UnboundedSender<DesktopEvent>, response: &UNNotificationResponse) {
    let action = response.actionIdentifier();
    let identifier = response.notification().request().identifier().to_string();
    let Ok(id) = u32::from_str_radix(&identifier, 16) else { return };
    #[expect(unsafe_code, reason = "names that the system has")]
    // SAFETY: they live as long as the framework.
    let (default, dismiss) = unsafe { (UNNotificationDefaultActionIdentifier, UNNotificationDismissActionIdentifier) };
    let event = if action.isEqualToString(dismiss) {
        PopupEvent::Closed { id, reason: CloseReason::Dismissed }
    } else {
        let is_default = action.isEqualToString(default);
        let key = if is_default { Action::Open.key().to_owned() } else { action.to_string() };
        let text = response.downcast_ref::<UNTextInputNotificationResponse>();
        let text = text.map(|response| response.userText().to_string());
        PopupEvent::Activated { id, activation: Activation { key, text, token: None } }
    };
    let _ = events.send(DesktopEvent::Popup(event));
}

define_class!(
    // SAFETY: `NSObject` asks nothing of its subclasses, and this one has no `Drop`.
    #[unsafe(super(NSObject))]
    #[ivars = UnboundedSender<DesktopEvent>]
    struct Listener;

    unsafe impl NSObjectProtocol for Listener {}

    unsafe impl UNUserNotificationCenterDelegate for Listener {
        /// Shows popups while the application runs.
        #[unsafe(method(userNotificationCenter:willPresentNotification:withCompletionHandler:))]
        fn will_present(
            &self,
            _center: &UNUserNotificationCenter,
            _notification: &UNNotification,
            answer: &DynBlock<dyn Fn(UNNotificationPresentationOptions)>,
        ) {
            answer.call((UNNotificationPresentationOptions::Banner | UNNotificationPresentationOptions::List,));
        }

        #[unsafe(method(userNotificationCenter:didReceiveNotificationResponse:withCompletionHandler:))]
        fn did_receive(
            &self,
            _center: &UNUserNotificationCenter,
            response: &UNNotificationResponse,
            done: &DynBlock<dyn Fn()>,
        ) {
            report(self.ivars(), response);
            done.call(());
        }
    }
);

impl Listener {
    fn new(events: UnboundedSender<DesktopEvent>) -> Retained<Self> {
        let listener = Self::alloc().set_ivars(events);
        #[expect(unsafe_code, reason = "a call of the system")]
        // SAFETY: this is how an `NSObject` is made.
        unsafe {
            msg_send![super(listener), init]
        }
    }
}

fn words(error: *mut NSError) -> String {
    #[expect(unsafe_code, reason = "the system hands over a pointer")]
    // SAFETY: it is null, or an error that is valid during the call.
    let error = unsafe { error.as_ref() };
    error.map_or_else(|| "the user does not want them".to_owned(), |error| error.localizedDescription().to_string())
}
