//! The words of popups, menu lines and history (pure).

mod event;
mod headline;
mod message;
pub mod popup;
mod room;

use event::Event;
use headline::{Headline, Mention, PLAIN_TITLE};

use crate::push::text;
use crate::{
    notice::{Call, CallState, Notice, RoomDigest},
    present::popup::{Action, Popup, PopupKey, Timeout, Urgency},
};

/// The most characters of a popup's title.
pub const MAX_TITLE_CHARS: usize = 180;

/// The most characters of a popup's text.
pub const MAX_TEXT_CHARS: usize = 600;

/// The most lines of a popup's text.
pub const MAX_TEXT_LINES: usize = 8;

/// The most characters of a line for the menu.
pub const MAX_MENU_CHARS: usize = 60;

/// The most characters that history keeps of a message.
pub const MAX_BODY_CHARS: usize = 4000;

/// The most lines that history keeps of a message.
pub const MAX_BODY_LINES: usize = 200;

/// Of a message in a popup that tells more than one.
const MAX_SHARED_CHARS: usize = 250;

/// Of who and where in a line for the menu, when a text follows.
const MAX_MENU_TITLE_CHARS: usize = 36;

/// What a popup may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether the text of messages may be shown (`popup.preview`, and whether the screen is locked).
    pub show_text: bool,
    /// `popup.timeout`.
    pub timeout: Timeout,
}

/// The popup of a room: its newest message, how many there are, and before it an older highlight that is unread still,
/// so that chatter does not fold it away. `me` is the user ID of its account, where that is known.
#[must_use]
pub fn room_popup(digest: &RoomDigest, me: Option<&str>, options: RenderOptions) -> Popup {
    let newest = Event::read(&digest.newest, me);
    let older_highlight = digest.highlight.as_ref().filter(|notice| notice.id != digest.newest.id);
    let older_highlight = older_highlight.map(|notice| Event::read(notice, me));
    let headline = Headline::of(&newest);
    let mut parts = Vec::new();
    if digest.count > 1 {
        parts.push(counted(digest.count, "message"));
    }
    if options.show_text {
        parts.extend(older_highlight.as_ref().map(shared_line));
        parts.extend(own_text(&newest, &headline).filter(|said| digest.count <= 1 || said != PLAIN_TITLE));
    } else if let Some(highlight) = &older_highlight {
        parts.push(Headline::of(highlight).text().to_owned());
    } else if digest.count <= 1 && !headline.says_all() {
        parts.push(PLAIN_TITLE.to_owned());
    }
    let title = text::line(headline.text(), MAX_TITLE_CHARS);
    let shown = text::paragraph(&parts.join("\n"), MAX_TEXT_CHARS, MAX_TEXT_LINES);
    Popup {
        key: PopupKey::Room(digest.newest.room()),
        text: if shown == title { String::new() } else { shown },
        title,
        urgency: if digest.highlight.is_some() || digest.newest.highlight {
            Urgency::Critical
        } else {
            Urgency::Normal
        },
        category: "im.received",
        actions: vec![Action::Open],
        timeout: options.timeout,
    }
}

/// The popup of a call: "Bob is calling" while it rings, "Missed call from Bob" afterwards. Never the text of messages.
#[must_use]
pub fn call_popup(call: &Call, options: RenderOptions) -> Popup {
    let event = Event::read(&call.notice, None);
    let who = event.who_or_somebody();
    let place = event.place();
    let key = PopupKey::Call(call.notice.id);
    match call.state {
        CallState::Ringing => Popup {
            key,
            title: format!("{who} is calling"),
            text: match (event.call_kind(), place) {
                (Some(kind), Some(place)) => format!("{kind} in {place}"),
                (Some(kind), None) => kind.to_owned(),
                (None, place) => place.unwrap_or_default(),
            },
            urgency: Urgency::Critical,
            category: "call.incoming",
            actions: vec![Action::Open, Action::Ignore],
            timeout: Timeout::Never,
        },
        CallState::Missed | CallState::Over => Popup {
            key,
            title: format!("Missed call from {who}"),
            text: place.unwrap_or_default(),
            urgency: Urgency::Normal,
            category: "call.unanswered",
            actions: vec![Action::Open],
            timeout: options.timeout,
        },
    }
}

/// "127 messages in 9 rooms". It names highlights, each with its [`menu_line`], so that no mention is folded away unseen.
#[must_use]
pub fn summary_popup(notices: u64, rooms: u64, highlights: &[String], options: RenderOptions) -> Popup {
    Popup {
        key: PopupKey::Summary,
        title: format!("{} in {}", counted(notices, "message"), counted(rooms, "room")),
        text: if highlights.is_empty() { "Click to open the newest".to_owned() } else { highlights.join("\n") },
        urgency: if highlights.is_empty() { Urgency::Normal } else { Urgency::Critical },
        category: "im.received",
        actions: vec![Action::Open],
        timeout: options.timeout,
    }
}

/// One line for the tray's menu: who, where and the beginning of the text. At most 60 characters. `me` is as in
/// [`room_popup`].
#[must_use]
pub fn menu_line(notice: &Notice, me: Option<&str>, options: RenderOptions) -> String {
    let event = Event::read(notice, me);
    let headline = Headline::of(&event);
    match own_text(&event, &headline).filter(|_| options.show_text) {
        None => text::line(headline.text(), MAX_MENU_CHARS),
        Some(said) => {
            let title = text::line(headline.text(), MAX_MENU_TITLE_CHARS);
            text::line(&format!("{title}: {}", text::line(&said, MAX_MENU_CHARS)), MAX_MENU_CHARS)
        }
    }
}

/// The text of a notice as history shows it: harmless, one paragraph or more; empty when there is none.
#[must_use]
pub fn body(notice: &Notice) -> String {
    let event = Event::read(notice, None);
    let text = match Headline::of(&event) {
        Headline::Sentence(sentence) => {
            [Some(sentence), event.reason()].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        Headline::Where(_) => event.said().map(|said| said.text).unwrap_or_default(),
    };
    text::paragraph(&text, MAX_BODY_CHARS, MAX_BODY_LINES)
}

/// The numbers of the badge in words: "3 unread, 1 missed call", "nothing unread".
#[must_use]
pub fn counts_sentence(unread: u64, missed_calls: u64) -> String {
    match (unread, missed_calls) {
        (0, 0) => "nothing unread".to_owned(),
        (unread, 0) => format!("{unread} unread"),
        (0, missed) => counted(missed, "missed call"),
        (unread, missed) => format!("{unread} unread, {}", counted(missed, "missed call")),
    }
}

/// What a popup says below the headline of the event; none when the headline has said it all.
fn own_text(event: &Event<'_>, headline: &Headline) -> Option<String> {
    if headline.says_all() {
        return event.reason();
    }
    let said = event.said().map(|said| said.text).filter(|said| !text::line(said, 1).is_empty());
    Some(said.unwrap_or_else(|| PLAIN_TITLE.to_owned())).filter(|said| said != headline.text())
}

/// An event in a popup that tells more than one: "Bob mentioned you: text".
fn shared_line(event: &Event<'_>) -> String {
    let line = match Headline::of(event) {
        Headline::Sentence(sentence) => match event.reason() {
            Some(reason) => format!("{sentence}: {reason}"),
            None => sentence,
        },
        Headline::Where(_) => {
            let said = event.said();
            let names_sender = said.as_ref().is_some_and(|said| said.names_sender);
            let said = said.map(|said| text::line(&said.text, MAX_SHARED_CHARS)).filter(|said| !said.is_empty());
            let said = said.unwrap_or_else(|| PLAIN_TITLE.to_owned());
            match (event.mention(), event.who()) {
                (None, None) => said,
                (None, Some(_)) if names_sender => said,
                (None, Some(who)) => format!("{who}: {said}"),
                (Some(mention), who) => {
                    let who = who.unwrap_or_else(|| "Somebody".to_owned());
                    match mention {
                        Mention::You => format!("{who} mentioned you: {said}"),
                        Mention::Room => format!("{who} mentioned the room: {said}"),
                        Mention::Other => format!("{who} (highlight): {said}"),
                    }
                }
            }
        }
    };
    text::line(&line, MAX_SHARED_CHARS)
}

/// "1 message", "3 messages".
fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

#[cfg(test)]
mod tests;
