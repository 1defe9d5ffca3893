//! What each kind of event says: messages, stickers, polls, reactions, room changes, unknown types.

use super::words;
use crate::push::{
    html,
    lenient::{Object, Value},
    text,
};

/// Maximum length of a reaction, in characters.
const MAX_REACTION_CHARS: usize = 32;

/// Maximum length of the words made from an unknown event type, in characters.
const MAX_TYPE_CHARS: usize = 40;

/// What an event says.
pub(super) struct Phrase {
    /// The text, not yet sanitised.
    pub(super) text: String,
    /// Whether the text begins with the sender.
    pub(super) names_sender: bool,
}

impl Phrase {
    /// A text that does not name its sender.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), names_sender: false }
    }

    /// A text that begins with its sender.
    pub(super) fn sentence(text: impl Into<String>) -> Self {
        Self { text: text.into(), names_sender: true }
    }
}

/// A string of the content as part of a sentence. All text written by others passes through here.
pub(super) fn spoken(content: &Object<'_>, key: &str) -> Option<String> {
    content.text(key).map(text::without_isolates)
}

/// `m.room.message`, by its `msgtype`.
pub(super) fn message(content: &Object<'_>, who: &str) -> Option<Phrase> {
    let text = message_text(content);
    let name = || caption(content).or_else(|| spoken(content, "filename"));
    Some(match content.string("msgtype").as_deref().unwrap_or_default() {
        "m.emote" => Phrase::sentence(format!("* {who} {}", text?)),
        "m.image" => labelled(words::photo(), name().or(text)),
        "m.file" => labelled(words::file(), name().or(text)),
        "m.audio" if is_voice(content) => labelled(words::voice_message(), caption(content)),
        "m.audio" => labelled(words::audio(), name().or(text)),
        "m.video" => labelled(words::video(), name().or(text)),
        "m.location" => labelled(words::location(), description(content).or(text)),
        "m.key.verification.request" => Phrase::sentence(words::asks_for_verification(who)),
        _ => Phrase::plain(text?),
    })
}

/// Other event types, by their stable name.
pub(super) fn known(event_type: &str, content: &Object<'_>, who: &str) -> Option<Phrase> {
    Some(match event_type {
        "m.sticker" => labelled(words::sticker(), message_text(content)),
        "m.reaction" => reaction(content, who),
        "m.poll.start" => labelled(words::poll(), question(content)),
        "m.beacon_info" | "m.beacon" => {
            let has_stopped = content.get("live").and_then(Value::bool) == Some(false);
            Phrase::sentence(words::live_location(who, has_stopped))
        }
        "m.call.answer" | "m.call.select_answer" => Phrase::plain(words::call_answered()),
        "m.call.reject" => Phrase::plain(words::call_declined()),
        "m.call.hangup" => Phrase::plain(words::call_ended()),
        "m.call.member" | "m.rtc.member" => Phrase::sentence(words::call_member(who, content.is_empty())),
        _ => {
            let key = match event_type {
                "m.room.name" => Some("name"),
                "m.room.topic" => Some("topic"),
                "m.room.canonical_alias" => Some("alias"),
                "m.room.tombstone" => Some("body"),
                _ => None,
            };
            let value = key.and_then(|key| spoken(content, key));
            Phrase::sentence(words::event(event_type, value.as_deref(), who)?)
        }
    })
}

/// An event of an unknown type: the type in words, without its namespace, and its text if there is one (MSC1767).
pub(super) fn unknown(event_type: &str, content: &Object<'_>) -> Option<Phrase> {
    let parts: Vec<&str> = event_type.split('.').filter(|part| !text::line(part, 1).is_empty()).collect();
    let namespace = if parts.first() == Some(&"m") { 1 } else { 2 };
    let is_proposal = |part: &str| part.strip_prefix("msc").is_some_and(|number| number.parse::<u32>().is_ok());
    let mut name: Vec<&str> = parts.iter().skip(namespace).copied().filter(|part| !is_proposal(part)).collect();
    if name.is_empty() {
        name.extend(parts.last());
    }
    let words = text::line(&name.join(" ").replace(['_', '-'], " "), MAX_TYPE_CHARS);
    let is_readable = words.contains(char::is_alphanumeric);
    is_readable.then(|| labelled(&text::capitalized(&words), message_text(content)))
}

fn labelled(label: &str, text: Option<String>) -> Phrase {
    Phrase::plain(match text {
        Some(text) => format!("{label}: {text}"),
        None => label.to_owned(),
    })
}

/// `m.reaction`. The key of an image reaction is a URL, which is not shown.
fn reaction(content: &Object<'_>, who: &str) -> Phrase {
    let key = content.object("m.relates_to").and_then(|relation| spoken(&relation, "key")).unwrap_or_default();
    let key = text::line(&key, MAX_REACTION_CHARS);
    let is_shown = !key.is_empty() && !key.starts_with("mxc://");
    Phrase::sentence(words::reacted(who, Some(&*key).filter(|_| is_shown)))
}

/// The text of a message without reply fallback and spoilers. The plain text is preferred, but only HTML marks
/// spoilers.
fn message_text(content: &Object<'_>) -> Option<String> {
    let plain = content.text("body").or_else(|| extensible_text(content, "text/plain"));
    let plain = plain.filter(|text| !text::line(text, 1).is_empty());
    let formatted = content.text("formatted_body").or_else(|| extensible_text(content, "text/html"));
    let text = match (plain, formatted) {
        (Some(_), Some(formatted)) if html::has_spoiler(&formatted) => html::text(&formatted),
        (None, Some(formatted)) => html::text(&formatted),
        (Some(plain), formatted) if has_reply_fallback(content, &plain, formatted.as_deref()) => {
            without_quote(&plain).to_owned()
        }
        (plain, _) => plain?,
    };
    Some(text::without_isolates(text)).filter(|text| !text::line(text, 1).is_empty())
}

/// Whether the text begins with a reply fallback that the client has added.
fn has_reply_fallback(content: &Object<'_>, body: &str, formatted: Option<&str>) -> bool {
    let Some(relation) = content.object("m.relates_to").filter(|it| it.object("m.in_reply_to").is_some()) else {
        return false;
    };
    match formatted {
        Some(formatted) => html::has_reply_fallback(formatted),
        // In a thread, this relation is only a fallback for clients without threads.
        None if relation.is_true("is_falling_back") => false,
        None => {
            let first_line = body.lines().next().unwrap_or_default();
            let quoted = first_line.strip_prefix("> ").map(|line| line.strip_prefix("* ").unwrap_or(line));
            let user = quoted.and_then(|line| line.strip_prefix("<@")?.split_once('>'));
            user.is_some_and(|(user, _)| user.contains(':'))
        }
    }
}

/// Drops the leading lines that begin with `>`, and one empty line after them.
fn without_quote(body: &str) -> &str {
    let mut rest = body;
    while let Some(quoted) =
        rest.strip_prefix("> ").or_else(|| rest.strip_prefix('>').filter(|it| it.starts_with('\n')))
    {
        rest = quoted.split_once('\n').map_or("", |(_, rest)| rest);
    }
    if rest.len() < body.len() {
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    if rest.trim().is_empty() { body } else { rest }
}

/// The caption of a file: its `body`, unless that is the file name.
fn caption(content: &Object<'_>) -> Option<String> {
    let filename = spoken(content, "filename")?;
    message_text(content).filter(|body| *body != filename)
}

fn is_voice(content: &Object<'_>) -> bool {
    ["m.voice", "org.matrix.msc3245.voice", "org.matrix.msc3245.voice.v2"]
        .iter()
        .any(|key| content.object(key).is_some())
}

fn description(content: &Object<'_>) -> Option<String> {
    ["m.location", "org.matrix.msc3488.location"].iter().find_map(|key| spoken(&content.object(key)?, "description"))
}

/// The question of a poll, with the stable or unstable key.
fn question(content: &Object<'_>) -> Option<String> {
    ["m.poll", "m.poll.start", "org.matrix.msc3381.poll.start"]
        .iter()
        .find_map(|key| content.object(key))
        .and_then(|poll| poll.object("question"))
        .and_then(|question| extensible_text(&question, "text/plain").or_else(|| question.text("body")))
        .map(text::without_isolates)
        .or_else(|| message_text(content))
}

/// The text of this type in an extensible event (MSC1767), with the stable or unstable keys.
fn extensible_text(content: &Object<'_>, mimetype: &str) -> Option<String> {
    ["m.text", "org.matrix.msc1767.text", "m.message", "org.matrix.msc1767.message"]
        .iter()
        .find_map(|key| content.get(key).and_then(|value| representation(value, mimetype)))
}

/// A string is plain text; an array contains `{"body", "mimetype"}`, plain text if the type is absent.
fn representation(value: Value<'_>, mimetype: &str) -> Option<String> {
    let is_plain = mimetype == "text/plain";
    let text = if is_plain { value.text().filter(|text| !text.is_empty()) } else { None };
    text.or_else(|| {
        let is_asked_for = |part: &Object<'_>| match part.string("mimetype") {
            Some(found) => found == mimetype,
            None => is_plain,
        };
        value.array()?.into_iter().filter_map(Value::object).find(is_asked_for)?.text("body")
    })
}

/// A member event about another user, who is not named because the target is not pushed.
pub(super) fn member(membership: Option<&str>, reason: Option<String>, who: &str) -> Phrase {
    let sentence = words::member(membership, who);
    Phrase::sentence(match reason {
        Some(reason) => format!("{sentence}: {reason}"),
        None => sentence,
    })
}
