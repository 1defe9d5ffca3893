//! Causes a push without another user: reading a room changes the unread count, which the homeserver then pushes.

use std::io::Write;

use serde::de::IgnoredAny;
use serde_json::json;

use super::{Failure, Login, LoginContext, output, save_account::SavedSession};
use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    http_client::encode,
    push::listed::ListedPage,
};

/// Number of notifications searched.
const LISTED: usize = 50;

/// A room with something unread in it.
struct Unread {
    room_id: String,
    /// Its newest unread event.
    event_id: String,
    /// Its display name, harmless to print.
    name: String,
}

/// The room with the newest unread notification.
async fn unread_room(client: &HomeserverClient, user_id: &str) -> Option<Unread> {
    let (room_id, event_id, sender) = newest_unread(client.notifications(user_id, None, LISTED).await.ok()?)?;
    let name = room_name(client, &room_id, &sender).await;
    Some(Unread { room_id, event_id, name: output::harmless(&name) })
}

/// Offers to mark a room as read, where that makes the homeserver push. Returns whether it was marked.
pub(super) async fn offer(
    login: &Login<'_>,
    context: &LoginContext,
    saved: &SavedSession,
    out: &mut dyn Write,
) -> Result<bool, Failure> {
    if !context.kind.pushes_when_read() {
        return Ok(false);
    }
    let Some(room) = unread_room(&saved.client, &saved.sign_in.user_id).await else { return Ok(false) };
    let question = format!("May Pushbell mark {} as read, to see whether a push arrives?", room.name);
    if login.confirm(out, &question, false).await? != Some(true) {
        return Ok(false);
    }
    let marked = mark_as_read(&saved.client, &room).await;
    if let Err(error) = &marked {
        writeln!(out, "It could not be marked: {}", output::harmless(&error.to_string()))?;
    }
    Ok(marked.is_ok())
}

/// Marks the room as read up to its newest unread event, for the user's own devices alone.
async fn mark_as_read(client: &HomeserverClient, unread: &Unread) -> Result<(), HomeserverError> {
    let (room, event) = (encode(&unread.room_id), encode(&unread.event_id));
    let path = format!("/_matrix/client/v3/rooms/{room}/receipt/m.read.private/{event}");
    client.post::<IgnoredAny>(&path, &json!({})).await.map(drop)
}

/// Room, id and sender of the first unread event that is not an invite, which cannot be read. The newest event is first.
fn newest_unread(page: ListedPage) -> Option<(String, String, String)> {
    let unread = page.entries.into_iter().filter(|entry| !entry.read).map(|entry| entry.notification);
    let mut messages = unread.filter(|event| event.event_type.as_deref() != Some("m.room.member"));
    messages.find_map(|event| Some((event.room_id?, event.event_id?, event.sender?)))
}

/// The room's name or alias, else who has written in it.
async fn room_name(client: &HomeserverClient, room_id: &str, sender: &str) -> String {
    if let Ok(Some(name)) = client.room_name(room_id).await {
        return name;
    }
    if let Ok(Some(alias)) = client.room_alias(room_id).await {
        return alias;
    }
    let name = client.member_name(room_id, sender).await.ok().flatten();
    format!("the chat with {}", name.as_deref().unwrap_or(sender))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_newest_unread_message_is_found() {
        let entry = |room: &str, event: &str, kind: &str, read: bool| json!({"room_id": room, "read": read, "event": {"event_id": event, "type": kind, "sender": "@bob:b"}});
        let check = |list: Value, expected: Option<(&str, &str)>| {
            let page = ListedPage::read(&json!({"notifications": list}).to_string(), "@alice:b").unwrap();
            let found = newest_unread(page);
            assert_eq!(found.as_ref().map(|(room, event, _)| (room.as_str(), event.as_str())), expected);
        };
        let invite = entry("!i", "$4", "m.room.member", false);
        let message = |room, event, read| entry(room, event, "m.room.message", read);
        check(
            json!([invite, message("!a", "$3", true), message("!b", "$2", false), message("!c", "$1", false)]),
            Some(("!b", "$2")),
        );
        check(json!([message("!a", "$3", true)]), None);
        check(json!([{"read": false}, 7]), None);
    }
}
