//! The wording of each kind of event: messages, stickers, polls, reactions, room changes, unknown types.

use crate::push::{
    event::is_call_member,
    html,
    lenient::{Object, Value},
    text,
};

/// Maximum length of a reaction, in characters.
const MAX_REACTION_CHARS: usize = 32;

/// Maximum length of the words made from an unknown event type, in characters.
const MAX_TYPE_CHARS: usize = 40;

/// The wording of an event.
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
    let msgtype = content.string("msgtype");
    let label = match msgtype.as_deref().unwrap_or_default() {
        "m.emote" => return text.map(|text| Phrase::sentence(format!("* {who} {text}"))),
        "m.image" => "Photo",
        "m.file" => "File",
        "m.audio" if is_voice(content) => "Voice message",
        "m.audio" => "Audio",
        "m.video" => "Video",
        "m.location" => "Location",
        "m.key.verification.request" => return Some(Phrase::sentence(format!("{who} asks for verification"))),
        _ => return text.map(Phrase::plain),
    };
    Some(match label {
        "Voice message" => labelled(label, caption(content)),
        "Location" => labelled(label, description(content).or(text)),
        _ => labelled(label, caption(content).or_else(|| spoken(content, "filename")).or(text)),
    })
}

/// Other event types that represent something said by a user.
pub(super) fn special(event_type: &str, content: &Object<'_>, who: &str) -> Option<Phrase> {
    Some(match event_type {
        "m.sticker" => labelled("Sticker", message_text(content)),
        "m.reaction" => reaction(content, who),
        "m.poll.start" | "org.matrix.msc3381.poll.start" => labelled("Poll", question(content)),
        "m.poll.response" | "org.matrix.msc3381.poll.response" => Phrase::sentence(format!("{who} voted in a poll")),
        "m.poll.end" | "org.matrix.msc3381.poll.end" => Phrase::sentence(format!("{who} ended a poll")),
        "m.beacon_info" | "org.matrix.msc3672.beacon_info" => Phrase::sentence(match live(content) {
            Some(false) => format!("{who} stopped sharing a live location"),
            Some(true) | None => format!("{who} shares a live location"),
        }),
        "m.beacon" | "org.matrix.msc3672.beacon" => Phrase::sentence(format!("{who} shares a live location")),
        "m.room.redaction" => Phrase::sentence(format!("{who} deleted a message")),
        "m.call.answer" | "m.call.select_answer" => Phrase::plain("Call answered"),
        "m.call.reject" => Phrase::plain("Call declined"),
        "m.call.hangup" => Phrase::plain("Call ended"),
        "m.call.candidates" | "m.call.negotiate" => Phrase::sentence(format!("{who} is connecting a call")),
        _ if is_call_member(event_type) => {
            let has_left = content.is_empty();
            Phrase::sentence(if has_left { format!("{who} left a call") } else { format!("{who} is in a call") })
        }
        _ => return None,
    })
}

/// `live` of a shared location.
fn live(content: &Object<'_>) -> Option<bool> {
    content.get("live").and_then(Value::bool)
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
    Phrase::sentence(if key.is_empty() || key.starts_with("mxc://") {
        format!("{who} reacted")
    } else {
        format!("{who} reacted {key}")
    })
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
    let sentence = match membership {
        Some("join") => format!("{who} joined"),
        Some("knock") => format!("{who} asks to join"),
        Some("ban") => format!("{who} banned a member"),
        Some("leave") => "A member left".to_owned(),
        Some(_) | None => format!("{who} changed a membership"),
    };
    Phrase::sentence(match reason {
        Some(reason) => format!("{sentence}: {reason}"),
        None => sentence,
    })
}

/// A state event of a known type.
pub(super) fn state(event_type: &str, content: &Object<'_>, who: &str) -> Option<Phrase> {
    let to = |key: &str, change: &str, removal: &str| match spoken(content, key) {
        Some(value) => format!("{change} to {value}"),
        None => removal.to_owned(),
    };
    let did = match event_type {
        "m.room.name" => to("name", "renamed the room", "removed the room's name"),
        "m.room.topic" => to("topic", "changed the topic", "removed the topic"),
        "m.room.tombstone" => return Some(upgraded(content)),
        "m.room.avatar" => "changed the room's picture".to_owned(),
        "m.room.canonical_alias" => to("alias", "changed the room's address", "removed the room's address"),
        "m.room.create" => "created the room".to_owned(),
        "m.room.encryption" => "turned on encryption".to_owned(),
        "m.room.guest_access" => "changed whether guests may join".to_owned(),
        "m.room.history_visibility" => "changed who may read the history".to_owned(),
        "m.room.join_rules" => "changed who may join".to_owned(),
        "m.room.pinned_events" => "changed the pinned messages".to_owned(),
        "m.room.power_levels" => "changed the permissions".to_owned(),
        "m.room.server_acl" => "changed which servers may take part".to_owned(),
        "m.room.third_party_invite" => "invited somebody by email".to_owned(),
        "m.policy.rule.room" | "m.policy.rule.server" | "m.policy.rule.user" => "changed a ban list".to_owned(),
        "m.space.child" => "changed the rooms of the space".to_owned(),
        "m.widget" | "im.vector.modular.widgets" => "changed the widgets of the room".to_owned(),
        _ => return None,
    };
    Some(Phrase::sentence(format!("{who} {did}")))
}

fn upgraded(content: &Object<'_>) -> Phrase {
    Phrase::sentence(match spoken(content, "body") {
        Some(body) => format!("The room was upgraded: {body}"),
        None => "The room was upgraded".to_owned(),
    })
}
