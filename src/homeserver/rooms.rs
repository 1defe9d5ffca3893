//! Acts in a room: marking it as read, joining and leaving it, sending into it (Matrix specification,
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

/// The types of the account data that marks a room as unread.
const MARKED_UNREAD: [&str; 2] = ["m.marked_unread", "com.famedly.marked_unread"];

/// An event to send into a room.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingEvent {
    /// `room_id`
    pub(crate) room_id: String,
    /// `type`
    pub(crate) event_type: String,
    /// The transaction id: the homeserver accepts each once per device.
    pub(crate) transaction: String,
    /// `content`
    pub(crate) content: Value,
}

impl OutgoingEvent {
    /// The path for sending it as an event of this type.
    pub(crate) fn path(&self, event_type: &str) -> String {
        format!("{}/send/{}/{}", room_path(&self.room_id), encode(event_type), encode(&self.transaction))
    }
}

/// A random transaction id.
///
/// # Errors
/// When the system has no random numbers.
pub(crate) fn new_transaction() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("pushbell-{:032x}", u128::from_ne_bytes(bytes)))
}

fn room_path(room_id: &str) -> String {
    format!("/_matrix/client/v3/rooms/{}", encode(room_id))
}

impl HomeserverClient {
    /// Sends an unthreaded read receipt for this event, private unless `is_public`.
    ///
    /// # Errors
    /// When the request fails.
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

    /// Marks the room as read up to this event, as other clients do: sends a receipt, advances the fully-read marker, and
    /// removes the mark as unread.
    ///
    /// # Errors
    /// When a request fails; some of them may have succeeded.
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

    /// Sets the fully-read marker unless that moves it back, which not every homeserver checks.
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

    /// `origin_server_ts` of the event, in milliseconds.
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

    /// Whether the user has a pending invite to this room.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn is_invited(&self, room_id: &str) -> Result<bool, HomeserverError> {
        let nothing = json!({"not_types": ["*"]});
        let room = json!({
            "rooms": [room_id], "timeline": {"limit": 1}, "state": nothing, "ephemeral": nothing, "account_data": nothing,
        });
        // The time makes the request unique: some homeservers cache answers.
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
    /// When the request fails.
    pub(crate) async fn join(&self, room_id: &str) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(&format!("{}/join", room_path(room_id)), &json!({})).await.map(drop)
    }

    /// Leaves a room, or declines an invite.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn leave(&self, room_id: &str) -> Result<(), HomeserverError> {
        self.post::<IgnoredAny>(&format!("{}/leave", room_path(room_id)), &json!({})).await.map(drop)
    }

    /// Whether the room is encrypted: it has an `m.room.encryption` event, whatever its content.
    ///
    /// # Errors
    /// When the request fails, unless the homeserver says that there is no such state.
    pub(crate) async fn is_encrypted(&self, room_id: &str) -> Result<bool, HomeserverError> {
        match self.get::<IgnoredAny>(&format!("{}/state/m.room.encryption", room_path(room_id))).await {
            Ok(_) => Ok(true),
            // A 404 of a proxy has no Matrix error code.
            Err(HomeserverError::Refused(refusal))
                if refusal.status == StatusCode::NOT_FOUND && refusal.errcode == "M_NOT_FOUND" =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends this event unencrypted. Sending a transaction twice gives one event.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn send_event(&self, event: &OutgoingEvent) -> Result<(), HomeserverError> {
        self.put(&event.path(&event.event_type), &event.content).await
    }
}

fn room_account_data(user_id: &str, room_id: &str, name: &str) -> String {
    let (user, room) = (encode(user_id), encode(room_id));
    format!("/_matrix/client/v3/user/{user}/rooms/{room}/account_data/{name}")
}
