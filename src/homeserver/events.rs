//! `GET /notifications`, a room's newest events, single events, and the names of rooms and of those in them (Matrix
//! specification, client-server API, "Listing notifications" and "Getting events for a room").
//!
//! For rooms that the person has not joined, also those of invites, homeservers answer 404 or 403.

use hyper::StatusCode;

use super::{HomeserverClient, HomeserverError, client::AnswerKind};
use crate::{
    http_client::encode,
    push::{
        listed::{ListedPage, RoomEvent, room_events, single_event},
        notify::{Notification, state_name},
    },
};

const NOTIFICATIONS: &str = "/_matrix/client/v3/notifications";

impl HomeserverClient {
    /// A page of at most `limit` notifications, newest first: the first page, or the one at the token `from`.
    ///
    /// # Errors
    /// When the request fails ([`HomeserverError::is_unrecognized`]: not supported), or the answer has no list.
    pub async fn notifications(
        &self,
        user_id: &str,
        from: Option<&str>,
        limit: usize,
    ) -> Result<ListedPage, HomeserverError> {
        let from = from.map(|token| format!("&from={}", encode(token))).unwrap_or_default();
        let path = format!("{NOTIFICATIONS}?limit={limit}{from}");
        let user_id = user_id.to_owned();
        // A malformed event must not make the whole list unreadable.
        let read = move |body: &[u8]| ListedPage::read(&String::from_utf8_lossy(body), &user_id);
        let page = self.get_with(&path, AnswerKind::Page, read).await?;
        page.ok_or_else(|| HomeserverError::Unexpected { path: NOTIFICATIONS.to_owned(), missing: "notifications" })
    }

    /// The room's newest events, at most `limit`, newest first.
    ///
    /// # Errors
    /// When the request fails, or the answer has no list.
    pub async fn newest_events(&self, room_id: &str, limit: usize) -> Result<Vec<RoomEvent>, HomeserverError> {
        self.messages(room_id, &format!("limit={limit}")).await
    }

    /// The room's events after one token and before another, at most `limit`, newest first.
    ///
    /// # Errors
    /// When the request fails, or the answer has no list.
    pub(crate) async fn events_between(
        &self,
        room_id: &str,
        (after, before): (&str, &str),
        limit: usize,
    ) -> Result<Vec<RoomEvent>, HomeserverError> {
        self.messages(room_id, &format!("limit={limit}&from={}&to={}", encode(before), encode(after))).await
    }

    async fn messages(&self, room_id: &str, query: &str) -> Result<Vec<RoomEvent>, HomeserverError> {
        let path = format!("/_matrix/client/v3/rooms/{}/messages?dir=b&{query}", encode(room_id));
        let read = |body: &[u8]| room_events(&String::from_utf8_lossy(body));
        self.get_with(&path, AnswerKind::Page, read).await?.ok_or_else(|| {
            let path = "/rooms/{roomId}/messages".to_owned();
            HomeserverError::Unexpected { path, missing: "chunk" }
        })
    }

    /// The event; `None` if it does not exist or is not visible to this user.
    ///
    /// # Errors
    /// When the request fails, or the answer is no event.
    pub async fn event(
        &self,
        user_id: &str,
        room_id: &str,
        event_id: &str,
    ) -> Result<Option<Notification>, HomeserverError> {
        let path = format!("/_matrix/client/v3/rooms/{}/event/{}", encode(room_id), encode(event_id));
        let user_id = user_id.to_owned();
        let read = move |body: &[u8]| single_event(&String::from_utf8_lossy(body), &user_id);
        match present(self.get_with(&path, AnswerKind::Event, read).await)? {
            None => Ok(None),
            Some(Some(event)) => Ok(Some(event)),
            Some(None) => {
                let path = "/rooms/{roomId}/event/{eventId}".to_owned();
                Err(HomeserverError::Unexpected { path, missing: "event" })
            }
        }
    }

    /// The member's display name in the room; `None` if there is none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn member_name(&self, room_id: &str, user_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, &format!("m.room.member/{}", encode(user_id)), "displayname").await
    }

    /// The room's name; `None` if it has none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn room_name(&self, room_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, "m.room.name", "name").await
    }

    /// The room's canonical alias; `None` if it has none.
    ///
    /// # Errors
    /// When the request fails.
    pub async fn room_alias(&self, room_id: &str) -> Result<Option<String>, HomeserverError> {
        self.state_name(room_id, "m.room.canonical_alias", "alias").await
    }

    /// The id of the room with this alias; `None` if there is none.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn room_of_alias(&self, alias: &str) -> Result<Option<String>, HomeserverError> {
        let path = format!("/_matrix/client/v3/directory/room/{}", encode(alias));
        let read = |body: &[u8]| state_name(&String::from_utf8_lossy(body), "room_id");
        Ok(present(self.get_with(&path, AnswerKind::Small, read).await)?.flatten())
    }

    async fn state_name(
        &self,
        room_id: &str,
        state: &str,
        key: &'static str,
    ) -> Result<Option<String>, HomeserverError> {
        let path = format!("/_matrix/client/v3/rooms/{}/state/{state}", encode(room_id));
        let read = move |body: &[u8]| state_name(&String::from_utf8_lossy(body), key);
        Ok(present(self.get_with(&path, AnswerKind::Small, read).await)?.flatten())
    }
}

/// `None` for a resource that does not exist or is not visible to this user.
pub(super) fn present<T>(answer: Result<T, HomeserverError>) -> Result<Option<T>, HomeserverError> {
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
