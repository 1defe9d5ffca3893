//! Sends into encrypted rooms: the room key to the members, then the event, encrypted with it.

use hyper::Method;
use matrix_sdk_crypto::{CollectStrategy, EncryptionSettings};
use ruma::{
    OwnedUserId, RoomId, UserId,
    events::room::{encryption::RoomEncryptionEventContent, history_visibility::HistoryVisibility},
    serde::Raw,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, value::to_raw_value};

use super::{api::DEADLINE, error::EncryptionError, machine::Machine};
use crate::{homeserver::OutgoingEvent, http_client::encode};

#[derive(Deserialize)]
struct Members {
    chunk: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    state_key: OwnedUserId,
    content: Membership,
}

#[derive(Deserialize)]
struct Membership {
    membership: String,
}

#[derive(Deserialize)]
struct Visibility {
    history_visibility: HistoryVisibility,
}

impl Machine {
    /// Sends this event, encrypted for the devices that are known since the last sync. Sending a transaction twice gives one
    /// event.
    pub(super) async fn send_encrypted(&self, event: &OutgoingEvent) -> Result<(), EncryptionError> {
        let room = RoomId::parse(&event.room_id).map_err(|error| EncryptionError::Event(error.to_string()))?;
        let settings = self.room_settings(&event.room_id).await?;
        let users = self.recipients(&event.room_id, &settings.history_visibility).await?;
        let users = || users.iter().map(AsRef::<UserId>::as_ref);
        self.olm.update_tracked_users(users()).await?;
        self.upload().await?;
        if let Some((id, claim)) = self.olm.get_missing_sessions(users()).await? {
            let claimed = self.api.send(claim, "keys/claim").await?;
            self.olm.mark_request_as_sent(&id, &claimed).await?;
        }
        for key in self.olm.share_room_key(&room, users(), settings).await? {
            self.send_to_device(&key).await?;
        }
        let unsendable = |error: serde_json::Error| EncryptionError::Event(error.to_string());
        let content = Raw::from_json(to_raw_value(&event.content).map_err(unsendable)?);
        let encrypted = self.olm.encrypt_room_event_raw(&room, &event.event_type, &content).await;
        let encrypted = encrypted.map_err(|error| EncryptionError::Store(error.to_string()))?;
        let content: Value = serde_json::from_str(encrypted.content.json().get()).map_err(unsendable)?;
        let path = event.path("m.room.encrypted");
        self.api.ask(Method::PUT, &path, Some(content.to_string().into()), DEADLINE).await.map(drop)
    }

    /// The room's encryption settings. A verified session sends to verified sessions only (MSC4153).
    async fn room_settings(&self, room_id: &str) -> Result<EncryptionSettings, EncryptionError> {
        let own = self.olm.get_identity(self.olm.user_id(), None).await?;
        let sharing_strategy = if own.is_some_and(|own| own.is_verified()) {
            CollectStrategy::IdentityBasedStrategy
        } else {
            CollectStrategy::AllDevices
        };
        let visibility = self.state::<Visibility>(room_id, "m.room.history_visibility").await?;
        let visibility = visibility.map_or(HistoryVisibility::Shared, |visibility| visibility.history_visibility);
        // There is only one algorithm, whatever the room's state says.
        Ok(match self.state::<RoomEncryptionEventContent>(room_id, "m.room.encryption").await? {
            Some(content) => EncryptionSettings {
                algorithm: EncryptionSettings::default().algorithm,
                ..EncryptionSettings::new(content, visibility, sharing_strategy)
            },
            None => {
                EncryptionSettings { history_visibility: visibility, sharing_strategy, ..EncryptionSettings::default() }
            }
        })
    }

    /// The members who may read a new message.
    async fn recipients(
        &self,
        room_id: &str,
        visibility: &HistoryVisibility,
    ) -> Result<Vec<OwnedUserId>, EncryptionError> {
        let path = format!("/_matrix/client/v3/rooms/{}/members?not_membership=leave", encode(room_id));
        let members: Members = self.api.get(&path, "members", DEADLINE).await?;
        let may_read = |member: &Member| match member.content.membership.as_str() {
            "join" => true,
            "invite" => *visibility != HistoryVisibility::Joined,
            _ => false,
        };
        Ok(members.chunk.into_iter().filter(may_read).map(|member| member.state_key).collect())
    }

    /// State of the room; `None` if there is none, or it is invalid.
    async fn state<T: DeserializeOwned>(
        &self,
        room_id: &str,
        event_type: &'static str,
    ) -> Result<Option<T>, EncryptionError> {
        let path = format!("/_matrix/client/v3/rooms/{}/state/{event_type}", encode(room_id));
        match self.api.get(&path, event_type, DEADLINE).await {
            Err(error) if error.is_refused() || matches!(error, EncryptionError::Unexpected(_)) => Ok(None),
            state => state.map(Some),
        }
    }
}
