//! A push without another user: reading a room changes the unread count, which the homeserver then pushes.

use std::{collections::BTreeMap, io::Write};

use serde::de::IgnoredAny;
use serde_json::json;

use super::{Failure, Login, LoginContext, output, save_account::SavedSession};
use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    http_client::encode,
    push::{listed::ListedPage, text},
};

/// Newest notifications that are looked through.
const LISTED: usize = 50;

/// A room with something unread in it.
struct Unread {
    room_id: String,
    /// Its newest unread event.
    event_id: String,
    /// Its display name, harmless to print.
    name: String,
}

/// The room with the newest unread notification, if there is one and the homeserver tells.
async fn unread_room(client: &HomeserverClient, user_id: &str) -> Option<Unread> {
    let (room_id, event_id) = newest_unread(client.notifications(user_id, None, LISTED).await.ok()?)?;
    let name = room_name(client, &room_id, user_id).await;
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

/// They come newest first. An invite cannot be read.
fn newest_unread(page: ListedPage) -> Option<(String, String)> {
    let mut unread = page.entries.into_iter().filter(|entry| !entry.read).map(|entry| entry.notification);
    let newest =
        unread.find(|event| event.event_type.as_deref() != Some("m.room.member") && event.room_id.is_some())?;
    Some((newest.room_id?, newest.event_id?))
}

/// The room's name or alias, else who is in it.
async fn room_name(client: &HomeserverClient, room_id: &str, user_id: &str) -> String {
    if let Ok(Some(name)) = client.room_name(room_id).await {
        return name;
    }
    match client.room_alias(room_id).await {
        Ok(Some(alias)) => alias,
        Ok(None) | Err(_) => people(client.joined_members(room_id).await.unwrap_or_default(), user_id),
    }
}

/// What a room of these members is called, which has no name of its own.
fn people(members: BTreeMap<String, Option<String>>, user_id: &str) -> String {
    let others = members.into_iter().filter(|(user, _)| user != user_id);
    let names: Vec<String> = others.map(|(user, name)| name.unwrap_or(user)).collect();
    match names.as_slice() {
        [] => "a room without a name".to_owned(),
        [one] => format!("the chat with {one}"),
        [one, two] => format!("the chat with {one} and {two}"),
        [one, two, rest @ ..] => {
            format!("the chat with {one}, {two} and {}", text::counted(rest.len() as u64, "other"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_room_without_a_name_is_called_after_those_in_it() {
        let check = |members: &[(&str, Option<&str>)], expected: &str| {
            let members = members.iter().map(|(user, name)| ((*user).to_owned(), name.map(ToOwned::to_owned)));
            assert_eq!(people(members.collect(), "@alice:b"), expected);
        };
        let (alice, bob, carol) = (("@alice:b", Some("Alice")), ("@bob:b", Some("Bob")), ("@carol:b", None));
        check(&[], "a room without a name");
        check(&[alice], "a room without a name");
        check(&[alice, bob], "the chat with Bob");
        check(&[alice, bob, carol], "the chat with Bob and @carol:b");
        check(&[alice, bob, carol, ("@dan:b", None)], "the chat with Bob, @carol:b and 1 other");
        check(&[alice, bob, carol, ("@dan:b", None), ("@eve:b", None)], "the chat with Bob, @carol:b and 2 others");
    }

    #[test]
    fn the_newest_unread_message_is_found() {
        let entry = |room: &str, event: &str, kind: &str, read: bool| json!({"room_id": room, "read": read, "event": {"event_id": event, "type": kind}});
        let check = |list: Value, expected: Option<(&str, &str)>| {
            let page = ListedPage::read(&json!({"notifications": list}).to_string(), "@alice:b").unwrap();
            let found = newest_unread(page);
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
    }
}
