//! Sends events into rooms: encrypted if the room is, and never unencrypted if it ever was.

use std::time::Duration;

use crate::{
    accounts::SignIn,
    encryption::{Encryption, NotSent},
    homeserver::{HomeserverClient, HomeserverError, OutgoingEvent},
    inbox::{Inbox, InboxError},
    notice::RoomKey,
    session::{SessionError, Sessions},
};

/// Deadline of a request.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Sends events. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) inbox: Inbox,
    pub(super) sessions: Sessions,
    pub(super) encryption: Encryption,
}

/// Why an event was not, or may not have been, sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Encryption(#[from] NotSent),
    #[error(transparent)]
    Inbox(#[from] InboxError),
    #[error("the system has no random numbers: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

impl SendError {
    /// Minimum delay before a retry; `None` if retrying does not help.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self {
            Self::Encryption(NotSent { is_temporary: false, .. })
            | Self::NoRandomness(_)
            | Self::Session(SessionError::Over(_) | SessionError::NoToken(_)) => None,
            Self::Session(SessionError::Homeserver(error)) if !error.is_temporary() => None,
            Self::Session(SessionError::Homeserver(HomeserverError::Refused(refusal))) => {
                Some(refusal.retry_after.unwrap_or_default())
            }
            Self::Session(SessionError::Homeserver(_) | SessionError::Secrets(_) | SessionError::OAuth(_))
            | Self::Encryption(_)
            | Self::Inbox(_) => Some(Duration::ZERO),
        }
    }
}

impl Sending {
    /// Sends this event for the account. Nothing is sent while it is unknown whether the room is encrypted.
    pub(super) async fn send(&self, account: &str, sign_in: &SignIn, event: &OutgoingEvent) -> Result<(), SendError> {
        if self.is_encrypted(account, sign_in, &event.room_id).await? {
            return Ok(self.encryption.send_event(account, event.clone()).await?);
        }
        let send = |client: HomeserverClient| async move { Ok(client.send_event(event).await?) };
        Ok(self.sessions.ask::<_, SessionError, _>(sign_in, DEADLINE, send).await?)
    }

    /// Whether the room is, or ever was, encrypted. This is stored for good, whatever the homeserver says later.
    async fn is_encrypted(&self, account: &str, sign_in: &SignIn, room_id: &str) -> Result<bool, SendError> {
        let room = RoomKey::with_id(account, room_id);
        if self.inbox.was_encrypted(room.clone()).await? {
            return Ok(true);
        }
        let ask = |client: HomeserverClient| async move { Ok(client.is_encrypted(room_id).await?) };
        let is_encrypted = self.sessions.ask::<_, SessionError, _>(sign_in, DEADLINE, ask).await?;
        if is_encrypted {
            self.inbox.note_encrypted(room).await?;
        }
        Ok(is_encrypted)
    }
}
