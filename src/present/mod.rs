//! The text of popups, menu lines and history (pure).

mod event;
mod phrase;
pub mod popup;
pub(crate) mod words;

use std::borrow::Cow;

use event::{Headline, ParsedNotice};
use words::Membership;

use crate::{
    notice::{Call, CallState, Notice, Presentation, RoomDigest},
    present::popup::{Action, OwnPopup, Popup, PopupKey, Timeout, Urgency},
    push::{
        event::{Meaning, meaning},
        text,
    },
};

/// Maximum length of a popup's title, in characters.
pub const MAX_TITLE_CHARS: usize = 180;

/// Maximum length of a popup's text, in characters.
pub const MAX_TEXT_CHARS: usize = 600;

/// Maximum number of lines of a popup's text.
pub const MAX_TEXT_LINES: usize = 14;

/// Maximum number of lines of a popup's text with only a few messages.
const MAX_LINES_OF_FEW: usize = 8;

/// Minimum number of lines for the newest message.
const MIN_MESSAGE_LINES: usize = 3;

/// Maximum length of a menu line, in characters.
pub const MAX_MENU_CHARS: usize = 60;

/// Maximum length of a message in history, in characters.
pub const MAX_BODY_CHARS: usize = 4000;

/// Maximum number of lines of a message in history.
pub const MAX_BODY_LINES: usize = 200;

/// Maximum length of a message in a popup with several messages.
const MAX_SHARED_CHARS: usize = 250;
/// Maximum number of rooms whose unread count is named.
const MAX_NAMED_ROOMS: usize = 5;

/// Maximum length of sender and room in a menu line that also has a text.
const MAX_MENU_TITLE_CHARS: usize = 36;

/// Maximum length of the account's name in a title.
const MAX_ACCOUNT_CHARS: usize = 20;

/// How popups and menu lines are rendered.
#[expect(clippy::struct_excessive_bools, reason = "each may be on or off whatever the others are")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether message texts may be shown (`popup.preview` and the screen lock).
    pub show_text: bool,
    /// `popup.timeout`.
    pub timeout: Timeout,
    /// `popup.lines`.
    pub lines: usize,
    /// Whether the newest line comes first.
    pub newest_first: bool,
    /// The urgency of highlights.
    pub highlight_urgency: Urgency,
    /// Whether titles name the account, because there are several.
    pub names_account: bool,
    /// Whether popups have a separate field for the account.
    pub has_origin: bool,
}

impl Default for RenderOptions {
    /// Text is shown, with the desktop's own timeout.
    fn default() -> Self {
        Self {
            show_text: true,
            timeout: Timeout::Default,
            lines: 3,
            newest_first: false,
            highlight_urgency: Urgency::Critical,
            names_account: false,
            has_origin: false,
        }
    }
}

/// The popup of a room: its newest messages, how many more there are, and an older unread highlight, so that later
/// messages do not hide it. `me` is the user ID of its account, if it is known.
#[must_use]
pub fn room_popup(digest: &RoomDigest, me: Option<&str>, options: RenderOptions) -> Popup {
    let digest = &*without_answered_invites(digest);
    let newest = ParsedNotice::read(&digest.newest, me);
    let headline = Headline::of(&newest);
    let parts = if options.show_text {
        lines(digest, me, options)
    } else {
        let older_highlight = digest.highlight.as_ref().filter(|notice| notice.id != digest.newest.id);
        let highlight = older_highlight.map(|notice| Headline::of(&ParsedNotice::read(notice, me)).text);
        let is_invite = |notice: &&Notice| ParsedNotice::read(notice, me).membership() == Some(Membership::Invited);
        let invites = digest.lines.iter().filter(is_invite).count() as u64;
        let messages = digest.count.saturating_sub(invites);
        let counted = (digest.count > 1 && messages > 0).then(|| words::messages(messages));
        let plain = (digest.count <= 1 && !headline.says_all).then(|| words::new_message().to_owned());
        counted.into_iter().chain(highlight.or(plain)).collect()
    };
    let shown = text::composed(&parts.join("\n"), MAX_TEXT_CHARS, MAX_TEXT_LINES);
    let is_new =
        |highlight: &Notice| highlight.id == digest.newest.id || highlight.presentation == Presentation::Waiting;
    let (title, origin) = popup_title(&headline.text, &digest.newest, options);
    let text = if shown == headline.text { String::new() } else { shown };
    Popup {
        urgency: if digest.newest.highlight || digest.highlight.as_ref().is_some_and(is_new) {
            options.highlight_urgency
        } else {
            Urgency::Normal
        },
        timeout: options.timeout,
        origin,
        ..Popup::new(PopupKey::Room(digest.newest.room()), title, text)
    }
}

/// A message in the room implies that its invites have been answered.
fn without_answered_invites(digest: &RoomDigest) -> Cow<'_, RoomDigest> {
    if is_invite(&digest.newest) || !digest.lines.iter().any(is_invite) {
        return Cow::Borrowed(digest);
    }
    let mut rest = digest.clone();
    rest.lines.retain(|notice| !is_invite(notice));
    rest.highlight.take_if(|notice| is_invite(notice));
    rest.count = rest.count.saturating_sub((digest.lines.len() - rest.lines.len()) as u64);
    Cow::Owned(rest)
}

/// The lines of a room's popup. Each names its sender, unless all have the same one.
fn lines(digest: &RoomDigest, me: Option<&str>, options: RenderOptions) -> Vec<String> {
    let newest = ParsedNotice::read(&digest.newest, me);
    let older = digest.lines.iter().filter(|notice| notice.id != digest.newest.id);
    let first_shown = older.clone().count().saturating_sub(options.lines.saturating_sub(1));
    let older: Vec<&Notice> = older.skip(first_shown).collect();
    let events: Vec<ParsedNotice<'_>> = older.iter().map(|notice| ParsedNotice::read(notice, me)).collect();
    let highlight = (digest.highlight.iter())
        .find(|highlight| highlight.id != digest.newest.id && older.iter().all(|notice| notice.id != highlight.id))
        .map(|highlight| shared_line(&ParsedNotice::read(highlight, me), true));
    let names_sender = events.iter().any(|event| event.who() != newest.who());
    let mut lines: Vec<String> =
        events.iter().filter(|event| event.is_readable()).map(|event| shared_line(event, names_sender)).collect();
    let headline = Headline::of(&newest);
    let is_alone = digest.count <= 1;
    lines.extend(own_text(&newest, &headline).filter(|said| is_alone || said != words::new_message()).map(|said| {
        match newest.who().filter(|_| names_sender && newest.is_said_by_sender()) {
            Some(who) => format!("{who}: {said}"),
            None => said,
        }
    }));
    // The title of an invite without a reason says everything.
    let is_in_title = headline.says_all && newest.reason().is_none();
    let shown = lines.len() + usize::from(highlight.is_some()) + usize::from(is_in_title);
    let more = digest.count.saturating_sub(shown as u64);
    let more = (more > 0 && !is_alone).then(|| match shown {
        0 => words::messages(more),
        _ => words::more(more),
    });
    // The newest message must not be cut off by earlier ones.
    let share = MAX_TEXT_CHARS / (shown + usize::from(more.is_some())).max(1) - 1;
    let lines_left = (MAX_LINES_OF_FEW + 1).saturating_sub(shown + usize::from(more.is_some()));
    for line in &mut lines {
        *line = text::composed(line, share, lines_left.max(MIN_MESSAGE_LINES));
    }
    let before = [more, highlight.map(|line| text::composed(&line, share, 1))];
    if options.newest_first {
        lines.into_iter().rev().chain(before.into_iter().rev().flatten()).collect()
    } else {
        before.into_iter().flatten().chain(lines).collect()
    }
}

/// The name of a notice's room: its name or alias, or else the sender.
#[must_use]
pub fn room_name(notice: &Notice) -> String {
    let event = ParsedNotice::read(notice, None);
    event.place().unwrap_or_else(|| event.who_or_somebody())
}

/// Whether it invites the account's user.
#[must_use]
pub fn is_invite(notice: &Notice) -> bool {
    ParsedNotice::read(notice, None).membership() == Some(Membership::Invited)
}

/// The popup of a call: "Bob is calling" while it rings, "Missed call from Bob" afterwards. Never contains message
/// texts.
#[must_use]
pub fn call_popup(call: &Call, options: RenderOptions) -> Popup {
    let event = ParsedNotice::read(&call.notice, None);
    let place = event.place();
    let key = PopupKey::Call(call.notice.id);
    let (title, origin) = popup_title(&words::call(call.state, &event.who_or_somebody()), &call.notice, options);
    match call.state {
        CallState::Silenced | CallState::Ringing => {
            let text = match (event.call_kind(), place) {
                (Some(kind), place) => words::located(kind, place.as_deref(), false),
                (None, place) => place.unwrap_or_default(),
            };
            Popup {
                urgency: Urgency::Critical,
                category: "call.incoming",
                buttons: vec![Action::Answer, Action::Ignore],
                timeout: Timeout::Never,
                shown_when_locked: options.show_text,
                origin,
                ..Popup::new(key, title, text)
            }
        }
        CallState::Missed | CallState::Over | CallState::PerhapsTaken => Popup {
            category: "call.unanswered",
            timeout: options.timeout,
            origin,
            ..Popup::new(key, title, place.unwrap_or_default())
        },
    }
}

/// The popup of a summary: "127 messages in 9 rooms". Invites are notices, but not counted as messages. Each highlight
/// is listed with its [`menu_line`], so that no mention goes unseen.
#[must_use]
pub fn summary_popup(notices: u64, invites: u64, rooms: u64, highlights: &[String], options: RenderOptions) -> Popup {
    let title = words::summary(notices.saturating_sub(invites), invites, rooms);
    let text = if highlights.is_empty() { words::open_summary().to_owned() } else { highlights.join("\n") };
    Popup {
        urgency: if highlights.is_empty() { Urgency::Normal } else { options.highlight_urgency },
        timeout: options.timeout,
        ..Popup::new(PopupKey::Summary, title, text)
    }
}

/// "Kitchen: 47 unread", a line for each room with what it is called.
#[must_use]
pub fn unread_in_rooms(rooms: &[(String, u64)]) -> String {
    let named = rooms.iter().take(MAX_NAMED_ROOMS);
    let mut lines: Vec<_> = named
        .map(|(name, unread)| {
            let name = text::isolated(text::line(name, MAX_MENU_TITLE_CHARS));
            words::unread_in_room(&name, *unread)
        })
        .collect();
    if let Some(more @ 1..) = rooms.len().checked_sub(MAX_NAMED_ROOMS) {
        lines.push(words::more_rooms(more as u64));
    }
    lines.join("\n")
}

/// A popup about Pushbell itself, with this text.
#[must_use]
pub fn own_popup(own: OwnPopup, text: &str) -> Popup {
    // The text of a reply is stored nowhere else.
    let timeout = if own == OwnPopup::NotSent { Timeout::Never } else { Timeout::Default };
    Popup { category: "device", timeout, ..Popup::new(PopupKey::Own(own), words::own(own), text) }
}

/// One line of the tray menu: sender, room and the beginning of the text. At most [`MAX_MENU_CHARS`] characters. `me`
/// is as in [`room_popup`].
#[must_use]
pub fn menu_line(notice: &Notice, me: Option<&str>, options: RenderOptions) -> String {
    let event = ParsedNotice::read(notice, me);
    if matches!(meaning(notice.event_type.as_deref(), notice.content.as_deref()), Meaning::Ringing { .. }) {
        let state = notice.call_state.unwrap_or(CallState::Over);
        return title(&words::call(state, &event.who_or_somebody()), notice, options, MAX_MENU_CHARS);
    }
    let headline = Headline::of(&event);
    match own_text(&event, &headline).filter(|_| options.show_text) {
        None => title(&headline.text, notice, options, MAX_MENU_CHARS),
        Some(said) => {
            let room_for_account = if options.names_account { MAX_ACCOUNT_CHARS / 2 } else { 0 };
            let title = title(&headline.text, notice, options, MAX_MENU_TITLE_CHARS + room_for_account);
            text::composed(&format!("{title}: {}", text::composed(&said, MAX_MENU_CHARS, 1)), MAX_MENU_CHARS, 1)
        }
    }
}

/// The sanitised text of a notice for history, in one or more paragraphs; empty if there is none.
#[must_use]
pub fn body(notice: &Notice) -> String {
    let event = ParsedNotice::read(notice, None);
    let headline = Headline::of(&event);
    let said = if headline.says_all {
        [Some(headline.text), event.reason()].into_iter().flatten().collect::<Vec<_>>().join("\n")
    } else {
        event.phrase().map(|said| said.text).unwrap_or_default()
    };
    text::history(&said, MAX_BODY_CHARS, MAX_BODY_LINES)
}

/// The title of a popup, and its origin.
fn popup_title(headline: &str, notice: &Notice, options: RenderOptions) -> (String, Option<String>) {
    let origin = (options.names_account && options.has_origin).then(|| text::line(&notice.account, MAX_ACCOUNT_CHARS));
    let options = RenderOptions { names_account: options.names_account && origin.is_none(), ..options };
    (title(headline, notice, options, MAX_TITLE_CHARS), origin)
}

/// A title of at most `max_chars` characters, followed by the account's name if there are several.
fn title(headline: &str, notice: &Notice, options: RenderOptions, max_chars: usize) -> String {
    if !options.names_account {
        return text::composed(headline, max_chars, 1);
    }
    let account = text::isolated(text::line(&notice.account, MAX_ACCOUNT_CHARS));
    let account = format!(" ({account})");
    format!("{}{account}", text::composed(headline, max_chars - account.chars().count(), 1))
}

/// The text of a popup below its headline; `None` if the headline says everything.
fn own_text(event: &ParsedNotice<'_>, headline: &Headline) -> Option<String> {
    if headline.says_all { event.reason() } else { Some(event.text()).filter(|text| *text != headline.text) }
}

/// An event as a line in a popup with several events: "Bob mentioned you: text".
fn shared_line(event: &ParsedNotice<'_>, names_sender: bool) -> String {
    let headline = Headline::of(event);
    let (said, who) = (event.text(), event.who());
    let line = match (event.mention(), event.reason()) {
        (_, Some(reason)) if headline.says_all => format!("{}: {reason}", headline.text),
        _ if headline.says_all => headline.text,
        (None, _) => match who.filter(|_| names_sender && event.is_said_by_sender()) {
            Some(who) => format!("{who}: {said}"),
            None => said,
        },
        (Some(mention), _) => format!("{}: {said}", words::highlight(mention, who.as_deref())),
    };
    text::composed(&line, MAX_SHARED_CHARS, 1)
}

#[cfg(test)]
mod tests;
