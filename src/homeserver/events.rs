//! Single events, and the names of rooms and of those in them (Matrix specification, client-server API, "Getting events
//! for a room").
//!
//! Of rooms that the person has not joined, invites among them, homeservers say nothing (404 or 403).

use hyper::StatusCode;

use super::{HomeserverClient, HomeserverError, https::encode};
use crate::push::{
    listed::single_event,
    notify::{Notification, state_name},
};

impl HomeserverClient {
    /// The event; `None` if the homeserver does not have it for this person.
    ///
    /// # Errors
    /// When there is no answer, it is another "no", or it is no event.
    pub async fn event(
        &self,
        user_id: &str,
        room_id: &str,
        event_id: &str,
    ) -> Result<Option<Notification>, HomeserverError> {
        let path = format!("/_matrix/client/v3/rooms/{}/event/{}", encode(room_id), encode(event_id));
        let Some(answer) = present(self.get_text(&path).await)? else { return Ok(None) };
        let missing = HomeserverError::Unexpected { path: "/rooms/{roomId}/event/{eventId}".into(), missing: "event" };
        single_event(&answer, user_id).map(Some).ok_or(missing)
    }

    /// What this member is called in the room; `None` if there is no name.
    ///
    /// # Errors
    /// When there is no answer or it is another "no" than that there is none.
    pub async fn member_name(&self, room_id: &str, user_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, &format!("m.room.member/{}", encode(user_id)), "displayname").await
    }

    /// The room's name; `None` if it has none.
    ///
    /// # Errors
    /// When there is no answer or it is another "no" than that there is none.
    pub async fn room_name(&self, room_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, "m.room.name", "name").await
    }

    /// The room's canonical alias; `None` if it has none.
    ///
    /// # Errors
    /// When there is no answer or it is another "no" than that there is none.
    pub async fn room_alias(&self, room_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, "m.room.canonical_alias", "alias").await
    }

    async fn state_name(&self, room_id: &str, state: &str, key: &str) -> Result<Option<String>, HomeserverError> {
        let path = format!("/_matrix/client/v3/rooms/{}/state/{state}", encode(room_id));
        let answer = present(self.get_text(&path).await)?;
        Ok(answer.and_then(|answer| state_name(&answer, key)))
    }
}

/// What there is; `None` if the homeserver has nothing there, or nothing for this person.
fn present<T>(answer: Result<T, HomeserverError>) -> Result<Option<T>, HomeserverError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(HomeserverError::Refused(refusal))
            if [StatusCode::NOT_FOUND, StatusCode::FORBIDDEN].contains(&refusal.status) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
