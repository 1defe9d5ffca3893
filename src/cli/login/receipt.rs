//! A proof that needs nobody: reading a room changes the unread number, which the homeserver then pushes.

use serde_json::{Value, json};

use super::output;
use crate::homeserver::{HomeserverClient, HomeserverError, https::encode};

/// A room with something unread in it.
pub(super) struct Unread {
    room_id: String,
    /// Its newest unread event.
    event_id: String,
    /// What people call it, harmless to print.
    pub(super) name: String,
}

/// Only what is needed to find an unread room and its name.
const FILTER: &str = r#"{"presence":{"not_types":["*"]},"account_data":{"not_types":["*"]},"room":{"account_data":{"not_types":["*"]},"ephemeral":{"not_types":["*"]},"timeline":{"limit":1},"state":{"types":["m.room.name","m.room.canonical_alias"]}}}"#;

/// The room with the newest unread notification, if there is one and the homeserver tells.
pub(super) async fn unread_room(client: &HomeserverClient) -> Option<Unread> {
    let (room_id, event_id) = match client.get("/_matrix/client/v3/notifications?limit=50").await {
        Ok(answer) => newest_unread(&answer)?,
        Err(error) if error.is_unrecognized() => {
            let path = format!("/_matrix/client/v3/sync?timeout=0&filter={}", encode(FILTER));
            unread_in_sync(&client.get(&path).await.ok()?)?
        }
        Err(_) => return None,
    };
    let name = room_name(client, &room_id).await.unwrap_or_else(|| room_id.clone());
    Some(Unread { room_id, event_id, name: output::harmless(&name) })
}

/// Marks it as read up to there, for the user's own devices alone.
pub(super) async fn mark_as_read(client: &HomeserverClient, unread: &Unread) -> Result<(), HomeserverError> {
    let (room, event) = (encode(&unread.room_id), encode(&unread.event_id));
    client.post(&format!("/_matrix/client/v3/rooms/{room}/receipt/m.read.private/{event}"), json!({})).await.map(drop)
}

/// They come newest first.
fn newest_unread(answer: &Value) -> Option<(String, String)> {
    let mut list = answer["notifications"].as_array()?.iter();
    list.find_map(|entry| {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        // An invite cannot be read.
        let is_message = entry["event"]["type"] != "m.room.member";
        (entry["read"] == false && is_message)
            .then(|| Some((text(&entry["room_id"])?, text(&entry["event"]["event_id"])?)))?
    })
}

/// A joined room with something unread, and its newest event.
fn unread_in_sync(answer: &Value) -> Option<(String, String)> {
    answer["rooms"]["join"].as_object()?.iter().find_map(|(room_id, room)| {
        let unread = room["unread_notifications"]["notification_count"].as_u64()?;
        let newest = room["timeline"]["events"].as_array()?.last()?["event_id"].as_str()?;
        (unread > 0).then(|| (room_id.clone(), newest.to_owned()))
    })
}

async fn room_name(client: &HomeserverClient, room_id: &str) -> Option<String> {
    let room = encode(room_id);
    for (state, key) in [("m.room.name", "name"), ("m.room.canonical_alias", "alias")] {
        let answer = client.get(&format!("/_matrix/client/v3/rooms/{room}/state/{state}/")).await;
        if let Some(name) = answer.ok().and_then(|answer| answer[key].as_str().map(ToOwned::to_owned)) {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_unread_message_is_found() {
        let entry = |room: &str, event: &str, kind: &str, read: bool| json!({"room_id": room, "read": read, "event": {"event_id": event, "type": kind}});
        let check = |list: Value, expected: Option<(&str, &str)>| {
            let found = newest_unread(&json!({"notifications": list}));
            assert_eq!(found.as_ref().map(|(room, event)| (room.as_str(), event.as_str())), expected);
        };
        let invite = entry("!i", "$4", "m.room.member", false);
        let message = |room, event, read| entry(room, event, "m.room.message", read);
        check(
            json!([invite, message("!a", "$3", true), message("!b", "$2", false), message("!c", "$1", false)]),
            Some(("!b", "$2")),
        );
        check(json!([message("!a", "$3", true)]), None);
        check(json!([{"read": false}, 7]), None);
        assert!(newest_unread(&Value::Null).is_none());
    }

    #[test]
    fn an_unread_room_is_found_where_notifications_are_not_listed() {
        let room = |unread: u64, event: &str| json!({"unread_notifications": {"notification_count": unread}, "timeline": {"events": [{"event_id": event}]}});
        let check = |rooms: Value, expected: Option<(&str, &str)>| {
            let found = unread_in_sync(&json!({"rooms": {"join": rooms}}));
            assert_eq!(found.as_ref().map(|(room, event)| (room.as_str(), event.as_str())), expected);
        };
        check(json!({"!a": room(0, "$1"), "!b": room(2, "$2"), "!c": {}}), Some(("!b", "$2")));
        check(json!({"!a": room(0, "$1")}), None);
        check(Value::Null, None);
        assert!(serde_json::from_str::<Value>(FILTER).is_ok());
    }
}
