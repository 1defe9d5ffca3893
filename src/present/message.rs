//! What people say to each other: messages of every kind, stickers, polls, reactions, and events of unknown types.

use super::event::Said;
use crate::push::{
    lenient::{Object, Value},
    text,
};

/// The most characters of a reaction.
const MAX_REACTION_CHARS: usize = 32;

/// The most characters of the words made from an unknown event type.
const MAX_TYPE_CHARS: usize = 40;

/// `m.room.message`, by its `msgtype`.
pub(super) fn message(content: &Object<'_>, who: &str) -> Option<Said> {
    let text = message_text(content);
    let msgtype = content.string("msgtype");
    let label = match msgtype.as_deref().unwrap_or_default() {
        "m.emote" => return text.map(|text| Said::sentence(format!("* {who} {text}"))),
        "m.image" => "Photo",
        "m.file" => "File",
        "m.audio" if is_voice(content) => "Voice message",
        "m.audio" => "Audio",
        "m.video" => "Video",
        "m.location" => "Location",
        "m.key.verification.request" => return Some(Said::sentence(format!("{who} asks for verification"))),
        _ => return text.map(Said::plain),
    };
    Some(match label {
        "Voice message" => labelled(label, caption(content)),
        "Location" => labelled(label, description(content).or(text)),
        _ => labelled(label, caption(content).or_else(|| content.text("filename")).or(text)),
    })
}

/// Events with a type of their own that are said by people.
pub(super) fn special(event_type: &str, content: &Object<'_>, who: &str) -> Option<Said> {
    Some(match event_type {
        "m.sticker" => labelled("Sticker", message_text(content)),
        "m.reaction" => reaction(content, who),
        "m.poll.start" | "org.matrix.msc3381.poll.start" => labelled("Poll", question(content)),
        "m.poll.response" | "org.matrix.msc3381.poll.response" => Said::sentence(format!("{who} voted in a poll")),
        "m.poll.end" | "org.matrix.msc3381.poll.end" => Said::sentence(format!("{who} ended a poll")),
        "m.beacon_info" | "org.matrix.msc3672.beacon_info" => Said::sentence(format!("{who} shares a live location")),
        "m.room.redaction" => Said::sentence(format!("{who} deleted a message")),
        "m.call.answer" | "m.call.select_answer" => Said::plain("Call answered"),
        "m.call.reject" => Said::plain("Call declined"),
        "m.call.hangup" => Said::plain("Call ended"),
        _ => return None,
    })
}

/// An event of an unknown type: the last part of the type in words, and its text if it has one (MSC1767).
pub(super) fn unknown(event_type: &str, content: &Object<'_>) -> Option<Said> {
    let last = event_type.rsplit('.').find(|part| part.contains(char::is_alphanumeric))?;
    let words = text::line(&last.replace(['_', '-'], " "), MAX_TYPE_CHARS);
    let mut rest = words.chars();
    let first = rest.next()?;
    Some(labelled(&format!("{}{}", first.to_uppercase(), rest.as_str()), message_text(content)))
}

fn labelled(label: &str, text: Option<String>) -> Said {
    Said::plain(match text {
        Some(text) => format!("{label}: {text}"),
        None => label.to_owned(),
    })
}

/// `m.reaction`. A picture as a reaction has an address for its key, which says nothing.
fn reaction(content: &Object<'_>, who: &str) -> Said {
    let key = content.object("m.relates_to").and_then(|relation| relation.text("key")).unwrap_or_default();
    let key = text::line(&key, MAX_REACTION_CHARS);
    Said::sentence(if key.is_empty() || key.starts_with("mxc://") {
        format!("{who} reacted")
    } else {
        format!("{who} reacted {key}")
    })
}

/// The text of a message without what it quotes.
fn message_text(content: &Object<'_>) -> Option<String> {
    let text = content.text("body").or_else(|| extensible_text(content))?;
    let is_reply = content.object("m.relates_to").is_some_and(|relation| relation.object("m.in_reply_to").is_some());
    Some(if is_reply { without_quote(&text).to_owned() } else { text })
}

/// Drops the fallback of a reply: the lines that begin with `>`, and one empty line after them.
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

/// The caption of a file: its `body`, when it is not the file's name.
fn caption(content: &Object<'_>) -> Option<String> {
    let filename = content.text("filename")?;
    message_text(content).filter(|body| *body != filename)
}

fn is_voice(content: &Object<'_>) -> bool {
    ["m.voice", "org.matrix.msc3245.voice", "org.matrix.msc3245.voice.v2"]
        .iter()
        .any(|key| content.object(key).is_some())
}

fn description(content: &Object<'_>) -> Option<String> {
    ["m.location", "org.matrix.msc3488.location"].iter().find_map(|key| content.object(key)?.text("description"))
}

/// The question of a poll: `m.poll.question`, in its stable and unstable spelling.
fn question(content: &Object<'_>) -> Option<String> {
    ["m.poll", "m.poll.start", "org.matrix.msc3381.poll.start"]
        .iter()
        .find_map(|key| content.object(key))
        .and_then(|poll| poll.object("question"))
        .and_then(|question| extensible_text(&question).or_else(|| question.text("body")))
        .or_else(|| message_text(content))
}

/// The plain text of an extensible event (MSC1767), in its stable and unstable spellings.
fn extensible_text(content: &Object<'_>) -> Option<String> {
    ["m.text", "org.matrix.msc1767.text", "m.message", "org.matrix.msc1767.message"]
        .iter()
        .find_map(|key| content.get(key).and_then(plain_text))
}

/// A string, or the representation in an array of `{"body", "mimetype"}` that is plain text.
fn plain_text(value: Value<'_>) -> Option<String> {
    value.text().filter(|text| !text.is_empty()).or_else(|| {
        let is_plain = |part: &Object<'_>| part.string("mimetype").is_none_or(|mimetype| mimetype == "text/plain");
        value.array()?.into_iter().filter_map(Value::object).find(is_plain)?.text("body")
    })
}
