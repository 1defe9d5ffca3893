//! Messages of the Desktop Notifications Specification, org.freedesktop.Notifications.

use std::{borrow::Cow, collections::HashMap, iter};

use notify_rust::Timeout;
use zbus::{Connection, Message, zvariant::Value};

use crate::{
    app_info,
    desktop::{
        CloseReason,
        popup_services::{PopupNeeds, PopupService},
    },
    present::{
        popup::{Action, Popup, TEXT_KEY},
        words,
    },
    push::text::escape_markup,
};

/// Maximum length of an entered text, in bytes: that of a Matrix event.
const MAX_TEXT: usize = 64 * 1024;

/// A signal of org.freedesktop.Notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signal {
    /// `ActivationToken`, which precedes its action.
    Token { id: u32, token: String },
    /// `ActionInvoked`, or `NotificationReplied` with a text.
    Activated { id: u32, key: String, text: Option<String> },
    /// `NotificationClosed`
    Closed { id: u32, reason: CloseReason },
}

/// The scope of a service's ids: the bus and the service's unique name, which are never reused, and also the sender for
/// a service that closes popups with their sender.
pub(super) fn service_id(connection: &Connection, owner: &str, needs: PopupNeeds) -> String {
    let id = format!("{} {owner}", connection.server_guid());
    match connection.unique_name().filter(|_| needs.forgets_with_sender) {
        Some(sender) => format!("{id} {sender}"),
        None => id,
    }
}

/// The arguments of `Notify`.
pub(super) type Notify<'a> =
    (&'a str, u32, &'a str, Cow<'a, str>, Cow<'a, str>, Vec<&'a str>, HashMap<&'static str, Value<'static>>, i32);

/// The arguments for a popup, adapted to the service.
pub(super) fn notify<'a>(popup: &'a Popup, replaces: u32, icon: &'a str, service: &PopupService) -> Notify<'a> {
    let text = if service.reads_markup { escape_markup(&popup.text) } else { Cow::Borrowed(popup.text.as_str()) };
    let needs = service.needs();
    let buttons = popup.buttons.iter().filter(|button| !button.takes_text() || service.has_text_input);
    let actions: Vec<_> = iter::once(&Action::Open)
        .chain(buttons.clone())
        .flat_map(|action| [action.key(), words::button(*action)])
        .filter(|_| service.has_actions)
        .collect();
    let mut hints = HashMap::from([
        ("urgency", Value::U8(popup.urgency as u8)),
        ("category", popup.category.into()),
        ("desktop-entry", app_info::APP_ID.into()),
    ]);
    if buttons.clone().any(|button| button.takes_text()) {
        hints.insert("x-kde-reply-placeholder-text", words::write_a_reply().into());
    }
    hints.extend(popup.origin.iter().map(|origin| ("x-kde-origin-name", origin.clone().into())));
    if needs.wants_resident {
        hints.insert("resident", true.into());
    }
    if needs.has_privacy_scope && popup.shown_when_locked {
        hints.insert("x-gnome-privacy-scope", "system".into());
    }
    (
        app_info::APP_NAME,
        replaces,
        if needs.shows_two_icons { "" } else { icon },
        without_nul(Cow::Borrowed(&popup.title)),
        without_nul(text),
        actions,
        hints,
        expire_timeout(popup.timeout),
    )
}

/// Milliseconds; -1 for the service's default, 0 for never.
fn expire_timeout(timeout: Timeout) -> i32 {
    match timeout {
        Timeout::Default => -1,
        Timeout::Never => 0,
        Timeout::Milliseconds(milliseconds) => i32::try_from(milliseconds).unwrap_or(i32::MAX).max(1),
    }
}

/// The bus disconnects a client that sends a NUL.
fn without_nul(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text }
}

/// Reads a signal; `None` for any other message.
pub(super) fn signal(message: &Message) -> Option<Signal> {
    let header = message.header();
    let body = message.body();
    match header.member()?.as_str() {
        "ActionInvoked" => body.deserialize().ok().map(|(id, key)| Signal::Activated { id, key, text: None }),
        "NotificationReplied" => {
            let (id, text) = body.deserialize::<(u32, String)>().ok()?;
            (text.len() <= MAX_TEXT).then(|| Signal::Activated { id, key: TEXT_KEY.to_owned(), text: Some(text) })
        }
        "ActivationToken" => body.deserialize().ok().map(|(id, token)| Signal::Token { id, token }),
        "NotificationClosed" => body.deserialize().ok().map(|(id, reason)| Signal::Closed { id, reason: why(reason) }),
        _ => None,
    }
}

fn why(reason: u32) -> CloseReason {
    match reason {
        2 => CloseReason::Dismissed,
        3 => CloseReason::Withdrawn,
        _ => CloseReason::Expired,
    }
}

#[cfg(test)]
mod tests {
    use notify_rust::Urgency;
    use zbus::zvariant::{LE, serialized::Context, to_bytes};

    use super::*;
    use crate::present::popup::PopupKey;

    fn popup() -> Popup {
        Popup { urgency: Urgency::Critical, ..Popup::new(PopupKey::Summary, "<b>&", "<i>\0") }
    }

    #[test]
    fn only_the_text_is_escaped_and_only_if_markup_is_read() {
        let check = |markup, text: &str| {
            let popup = popup();
            let service = PopupService { reads_markup: markup, ..PopupService::default() };
            let notify = notify(&popup, 3, "icon", &service);
            assert_eq!((&*notify.3, &*notify.4), ("<b>&", text));
        };
        check(false, "<i>\u{fffd}");
        check(true, "&lt;i&gt;\u{fffd}");
    }

    #[test]
    fn actions_are_left_out_for_a_service_without_them() {
        let popup = popup();
        let without = PopupService::default();
        let with = PopupService { has_actions: true, ..PopupService::default() };
        assert_eq!(notify(&popup, 0, "icon", &with).5, ["default", "Open"]);
        assert!(notify(&popup, 0, "icon", &without).5.is_empty());
    }

    #[test]
    fn a_text_is_asked_for_where_the_service_has_a_field_for_it() {
        let popup = Popup { buttons: vec![Action::Reply], origin: Some("work".into()), ..popup() };
        let check = |has_text_input, actions: &[&str], placeholder: Option<&str>| {
            let service = PopupService { has_actions: true, has_text_input, ..PopupService::default() };
            let notify = notify(&popup, 0, "icon", &service);
            assert_eq!(notify.5, actions);
            assert_eq!(notify.6.get("x-kde-reply-placeholder-text"), placeholder.map(Value::from).as_ref());
            assert_eq!(notify.6["x-kde-origin-name"], Value::from("work"));
        };
        check(true, &["default", "Open", TEXT_KEY, "Reply"], Some("Write a reply"));
        check(false, &["default", "Open"], None);
    }

    #[test]
    fn hints_and_signature_are_those_of_the_specification() {
        let popup = popup();
        let service = PopupService::default();
        let notify = notify(&popup, 0, "icon", &service);
        assert_eq!(notify.6["urgency"], Value::U8(2));
        assert_eq!(notify.6["category"], Value::from("im.received"));
        assert_eq!(notify.6["desktop-entry"], Value::from(app_info::APP_ID));
        assert_eq!(notify.6.len(), 3);
        let bytes = to_bytes(Context::new_dbus(LE, 0), &notify).expect("it can be sent");
        assert!(!bytes.is_empty());
        let message = Message::method_call("/x", "Notify").and_then(|call| call.build(&notify)).expect("a message");
        assert_eq!(message.header().signature().to_string_no_parens(), "susssasa{sv}i");
    }

    #[test]
    fn each_service_gets_the_hints_and_the_icon_that_it_needs() {
        let popup = Popup { shown_when_locked: true, ..popup() };
        let check = |name: &str, knows_app, icon: &str, hint: Option<&str>| {
            let service = PopupService { name: name.into(), knows_app, ..PopupService::default() };
            let notify = notify(&popup, 0, "icon", &service);
            assert_eq!((notify.2, notify.6.len()), (icon, 3 + usize::from(hint.is_some())), "{name}");
            assert!(hint.is_none_or(|hint| notify.6.contains_key(hint)), "{name}");
        };
        check("Plasma", true, "", Some("resident"));
        check("Plasma", false, "icon", Some("resident"));
        check("gnome-shell", true, "icon", Some("x-gnome-privacy-scope"));
        check("dunst", true, "icon", None);
    }

    #[test]
    fn a_timeout_is_milliseconds_or_a_word() {
        let check = |timeout, expected| assert_eq!(expire_timeout(timeout), expected);
        check(Timeout::Default, -1);
        check(Timeout::Never, 0);
        check(Timeout::Milliseconds(1500), 1500);
        check(Timeout::Milliseconds(0), 1);
        check(Timeout::Milliseconds(u32::MAX), i32::MAX);
    }

    #[test]
    fn signals_are_read_and_malformed_ones_ignored() {
        let message = |member: &str, body: &(u32, &str)| {
            let signal = Message::signal("/x", "org.freedesktop.Notifications", member).expect("a signal");
            signal.build(body).expect("a message")
        };
        let action = signal(&message("ActionInvoked", &(4, "default")));
        assert_eq!(action, Some(Signal::Activated { id: 4, key: "default".into(), text: None }));
        let replied = signal(&message("NotificationReplied", &(4, "yes")));
        assert_eq!(replied, Some(Signal::Activated { id: 4, key: TEXT_KEY.into(), text: Some("yes".into()) }));
        assert!(signal(&message("NotificationReplied", &(4, &"x".repeat(MAX_TEXT + 1)))).is_none());
        let token = signal(&message("ActivationToken", &(4, "t")));
        assert_eq!(token, Some(Signal::Token { id: 4, token: "t".into() }));
        assert_eq!(signal(&message("NotificationClosed", &(4, "no number"))), None);
        assert_eq!(signal(&message("Anything", &(4, "x"))), None);
    }
}
