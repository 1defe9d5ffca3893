//! What happens to a room and its members, in words.

use super::event::Said;
use crate::push::lenient::Object;

/// A member event that is not about the recipient. Its target is not pushed, so it goes unnamed.
pub(super) fn member(membership: Option<&str>, reason: Option<String>, who: &str) -> Said {
    let sentence = match membership {
        Some("join") => format!("{who} joined"),
        Some("knock") => format!("{who} asks to join"),
        Some("ban") => format!("{who} banned a member"),
        Some("leave") => "A member left".to_owned(),
        Some(_) | None => format!("{who} changed a membership"),
    };
    Said::sentence(match reason {
        Some(reason) => format!("{sentence}: {reason}"),
        None => sentence,
    })
}

/// A state event of a known type.
pub(super) fn state(event_type: &str, content: &Object<'_>, who: &str) -> Option<Said> {
    let to = |key: &str, change: &str, removal: &str| match content.text(key) {
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
        "m.space.child" => "changed the rooms of the space".to_owned(),
        _ => return None,
    };
    Some(Said::sentence(format!("{who} {did}")))
}

fn upgraded(content: &Object<'_>) -> Said {
    Said::sentence(match content.text("body") {
        Some(body) => format!("The room was upgraded: {body}"),
        None => "The room was upgraded".to_owned(),
    })
}
