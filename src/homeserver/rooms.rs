//! What a person does in a room: reading it, joining and leaving it, writing into it (Matrix specification,
//! client-server API, "Receipts", "Fully read markers", "Marking rooms as unread", "Room membership", "Sending events
//! to a room").

use hyper::StatusCode;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    HomeserverClient, HomeserverError,
    client::{AnswerKind, from_json},
    events::present,
};
use crate::http_client::encode;

/// The names of the account data that says that the person has marked a room as unread.
const MARKED_UNREAD: [&str; 2] = ["m.marked_unread", "com.famedly.marked_unread"];

/// An event that is to be sent into a room.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingEvent {
    /// `room_id`
    pub(crate) room_id: String,
    /// `type`
    pub(crate) event_type: String,
    /// Its transaction: the homeserver takes each only once of a device.
    pub(crate) transaction: String,
    /// `content`
    pub(crate) content: Value,
}

impl OutgoingEvent {
    /// Where it is sent to as an event of this type.
    pub(crate) fn path(&self, event_type: &str) -> String {
        format!("{}/send/{}/{}", room_path(&self.room_id), encode(event_type), encode(&self.transaction))
    }
}

/// A new transaction, which nobody can guess.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn new_transaction() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("pushbell-{:032x}", u128::from_ne_bytes(bytes)))
}

fn room_path(room_id: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}", encode(room_id))
}

impl HomeserverClient {
    /// Sends a receipt for this event that is not of a thread; only the user sees it, unless it is public.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub(crate) async fn send_receipt(
        &self,
        room_id: &str,
        event_id: &str,
        is_public: bool,
    ) -> Result<(), HomeserverError> {
        let receipt = if is_public { "m.read" } else { "m.read.private" };
        let path = format!("{}/receipt/{receipt}/{}", room_path(room_id), encode(event_id));
        self.post::<IgnoredAny>(&path, &json!({})).await.map(drop)
    }

    /// Marks the room as read up to this event, as other clients do: with a receipt, with the marker that only goes
    /// forward, and without the mark that it is unread.
    ///
    /// # Errors
    /// When there is no answer or it is a "no": some of it may be done.
    pub(crate) async fn mark_as_read(
        &self,
        user_id: &str,
        room_id: &str,
        event_id: &str,
        is_public: bool,
    ) -> Result<(), HomeserverError> {
        self.send_receipt(room_id, event_id, is_public).await?;
        self.advance_fully_read(user_id, room_id, event_id).await?;
        for name in MARKED_UNREAD {
            let mark = self.room_account_data(user_id, room_id, name).await?;
            if mark.is_some_and(|mark| mark.get("unread") == Some(&Value::Bool(true))) {
                self.put(&room_account_data(user_id, room_id, name), &json!({"unread": false})).await?;
            }
        }
        Ok(())
    }

    /// Not every homeserver looks whether the marker would go back.
    async fn advance_fully_read(&self, user_id: &str, room_id: &str, event_id: &str) -> Result<(), HomeserverError> {
        let marker = self.room_account_data(user_id, room_id, "m.fully_read").await?;
        if let Some(before) = marker.as_ref().and_then(|marker| marker.get("event_id")?.as_str()) {
            let is_newer = match (self.sent_at(room_id, event_id).await?, self.sent_at(room_id, before).await?) {
                (Some(this), Some(before)) => this > before,
                (None, _) | (_, None) => false,
            };
            if !is_newer {
                return Ok(());
            }
        }
        let path = format!("{}/read_markers", room_path(room_id));
        self.post::<IgnoredAny>(&path, &json!({"m.fully_read": event_id})).await.map(drop)
    }

    /// When the event was sent, by its sender's homeserver; in milliseconds.
    async fn sent_at(&self, room_id: &str, event_id: &str) -> Result<Option<i64>, HomeserverError> {
        let path = format!("{}/event/{}", room_path(room_id), encode(event_id));
        let read = |body: &[u8]| from_json::<Value>(body)?.get("origin_server_ts")?.as_i64();
        Ok(present(self.get_with(&path, AnswerKind::Event, read).await)?.flatten())
    }

    async fn room_account_data(
        &self,
        user_id: &str,
        room_id: &str,
        name: &str,
    ) -> Result<Option<Value>, HomeserverError> {
        let path = room_account_data(user_id, room_id, name);
        Ok(present(self.get_with(&path, AnswerKind::Small, from_json).await)?.flatten())
    }

    /// Whether an invite to this room waits for an answer.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub(crate) async fn is_invited(&self, room_id: &str) -> Result<bool, HomeserverError> {
        let nothing = json!({"not_types": ["*"]});
        let room = json!({
            "rooms": [room_id], "timeline": {"limit": 1}, "state": nothing, "ephemeral": nothing, "account_data": nothing,
        });
        // Some homeservers answer the same request from a cache for a while.
        let now = jiff::Timestamp::now().as_microsecond();
        let filter = json!({"room": room, "presence": nothing, "account_data": nothing, "asked_at": now}).to_string();
        let path = format!("/_matrix/client/v3/sync?timeout=0&set_presence=offline&filter={}", encode(&filter));
        let room_id = room_id.to_owned();
        let read = move |body: &[u8]| Some(from_json::<Value>(body)?.pointer("/rooms/invite")?.get(room_id).is_some());
        Ok(self.get_with(&path, AnswerKind::Page, read).await?.unwrap_or(false))
    }

    /// Accepts an invite.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub(crate) async fn join(&self, room_id: &str) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(&format!("{}/join", room_path(room_id)), &json!({})).await.map(drop)
    }

    /// Leaves a room, or declines an invite.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub(crate) async fn leave(&self, room_id: &str) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(&format!("{}/leave", room_path(room_id)), &json!({})).await.map(drop)
    }

    /// Whether the room is encrypted: it has an `m.room.encryption`, whatever that says.
    ///
    /// # Errors
    /// When there is no answer, or it is another "no" than that there is no such state.
    pub(crate) async fn is_encrypted(&self, room_id: &str) -> Result<bool, HomeserverError> {
        match self.get::<IgnoredAny>(&format!("{}/state/m.room.encryption", room_path(room_id))).await {
            Ok(_) => Ok(true),
            // A 404 of a proxy has no code of the specification.
            Err(HomeserverError::Refused(refusal))
                if refusal.status == StatusCode::NOT_FOUND && refusal.errcode == "M_NOT_FOUND" =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends this event as it is. The same transaction sent twice is one event.
    ///
    /// # Errors
    /// When there is no answer or it is a "no".
    pub(crate) async fn send_event(&self, event: &OutgoingEvent) -> Result<(), HomeserverError> {
        self.put(&event.path(&event.event_type), &event.content).await
    }
}

fn room_account_data(user_id: &str, room_id: &str, name: &str) -> String {
    let (user, room) = (encode(user_id), encode(room_id));
    format!("/_matrix/client/v3/user/{user}/rooms/{room}/account_data/{name}")
}
