//! The XML document of a Windows toast. Text from pushes is always escaped.

use std::fmt::Write as _;

use crate::present::{
    popup::{Action, Popup, TEXT_KEY, Timeout, Urgency},
    words,
};

/// Timeouts from here on use the long duration: Windows has about 7 s and 25 s.
const LONG: u32 = 16_000;

/// The document. It is silent: sounds are played by Pushbell.
pub(in crate::platform) fn of(popup: &Popup) -> String {
    let duration = match popup.timeout {
        Timeout::Default => "short",
        Timeout::Milliseconds(time) if time < LONG => "short",
        Timeout::Milliseconds(_) | Timeout::Never => "long",
    };
    // Both scenarios stay until they are answered, and require buttons.
    let scenario = match popup.urgency {
        Urgency::Critical if popup.buttons.is_empty() => "",
        Urgency::Critical if popup.category == "call.incoming" => r#" scenario="incomingCall""#,
        Urgency::Critical => r#" scenario="reminder""#,
        Urgency::Low | Urgency::Normal => "",
    };
    let mut document = format!(
        r#"<toast launch="{}" duration="{duration}"{scenario}><visual><binding template="ToastGeneric"><text>{}</text><text>{}</text></binding></visual><audio silent="true"/>"#,
        Action::Open.key(),
        escaped(&popup.title),
        escaped(&popup.text)
    );
    if !popup.buttons.is_empty() {
        document.push_str("<actions>");
        // Inputs must precede buttons. Writing to a string cannot fail.
        if popup.buttons.iter().any(|button| button.takes_text()) {
            let placeholder = escaped(words::write_a_reply());
            let _ = write!(document, r#"<input id="{TEXT_KEY}" type="text" placeHolderContent="{placeholder}"/>"#);
        }
        for button in &popup.buttons {
            let (key, label) = (escaped(button.key()), escaped(words::button(*button)));
            let field = if button.takes_text() { format!(r#" hint-inputId="{TEXT_KEY}""#) } else { String::new() };
            let _ = write!(document, r#"<action content="{label}" arguments="{key}"{field}/>"#);
        }
        document.push_str("</actions>");
    }
    document.push_str("</toast>");
    document
}

/// Escapes text for content and attributes. Characters that XML forbids are dropped: they would invalidate the
/// document.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => {}
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::popup::PopupKey;

    fn popup(title: &str, text: &str) -> Popup {
        Popup::new(PopupKey::Summary, title, text)
    }

    #[test]
    fn text_from_strangers_is_text() {
        assert_eq!(
            of(&popup("A & \"B\"", "<b>1</b>\n\u{1b}2\u{ffff}")),
            r#"<toast launch="default" duration="short"><visual><binding template="ToastGeneric"><text>A &amp; &quot;B&quot;</text>"#
                .to_owned()
                + "<text>&lt;b&gt;1&lt;/b&gt;\n2</text></binding></visual><audio silent=\"true\"/></toast>"
        );
    }

    #[test]
    fn what_is_urgent_stays_if_it_can_be_answered() {
        let check = |urgency, category, buttons: &[Action], expected: &str| {
            let document = of(&Popup { urgency, category, buttons: buttons.to_vec(), ..popup("", "") });
            let scenario = document.split("scenario=\"").nth(1).and_then(|rest| rest.split('"').next());
            assert_eq!(scenario.unwrap_or_default(), expected, "{document}");
        };
        let answers = &[Action::Ignore];
        check(Urgency::Normal, "im.received", answers, "");
        check(Urgency::Critical, "im.received", answers, "reminder");
        check(Urgency::Critical, "call.incoming", answers, "incomingCall");
        check(Urgency::Critical, "call.incoming", &[], "");
    }

    #[test]
    fn a_button_that_asks_for_a_text_has_a_field() {
        let document = of(&Popup { buttons: vec![Action::Reply], ..popup("", "") });
        let expected = r#"<actions><input id="inline-reply" type="text" placeHolderContent="Write a reply"/>"#
            .to_owned()
            + r#"<action content="Reply" arguments="inline-reply" hint-inputId="inline-reply"/></actions></toast>"#;
        assert!(document.ends_with(&expected), "{document}");
    }

    #[test]
    fn actions_are_buttons_and_the_time_is_the_nearest_known() {
        let check = |timeout, expected: &str| {
            let document = of(&Popup { timeout, buttons: vec![Action::Ignore], ..popup("", "") });
            assert!(document.contains(&format!("duration=\"{expected}\"")), "{document}");
            let buttons = r#"<actions><action content="Dismiss" arguments="ignore"/></actions></toast>"#;
            assert!(document.ends_with(buttons), "{document}");
        };
        check(Timeout::Default, "short");
        check(Timeout::Milliseconds(5000), "short");
        check(Timeout::Milliseconds(20_000), "long");
        check(Timeout::Never, "long");
    }
}
