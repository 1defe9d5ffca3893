//! Why encrypted messages cannot be decrypted.

use std::time::Duration;

use hyper::StatusCode;
use matrix_sdk_crypto::{CryptoStoreError, OlmError};
use matrix_sdk_sqlite::OpenStoreError;

use crate::{
    homeserver::{HomeserverError, Refusal},
    inbox::InboxError,
    secrets::SecretsError,
    session::{AskError, SessionError},
};

/// Upper bound of a homeserver's `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why encrypted messages cannot be decrypted, worded as the end of a sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncryptionError {
    /// The store is open in another process, or elsewhere in this one.
    #[error("another Pushbell uses the keys of this session at the moment")]
    Busy,
    /// The device was deleted at the homeserver, with its keys.
    #[error("the homeserver has no keys of this session any more: sign in anew with `pushbell login {0}`")]
    Deleted(String),
    /// The device has other keys at the homeserver than in the store.
    #[error(
        "the session already has encryption keys that are not Pushbell's, and they are left alone: sign in anew with \
         `pushbell login {0}`"
    )]
    ForeignDevice(String),
    /// The key of the store is lost.
    #[error(
        "the key to the session's encryption keys is no longer in the keyring: sign in anew with `pushbell login {0}`"
    )]
    KeyLost(String),
    /// The homeserver has newer keys of the device than the store: the store is an old copy.
    #[error(
        "the session's encryption keys are older than those that the homeserver has, as after restoring a backup: sign in \
         anew with `pushbell login {0}`"
    )]
    Outdated(String),
    /// The store failed.
    #[error("the session's encryption keys cannot be used: {0}")]
    Store(String),
    /// The event cannot be encrypted.
    #[error("the event cannot be encrypted: {0}")]
    Event(String),
    /// A request cannot be built, or its answer cannot be parsed.
    #[error("the homeserver's answer to {0} is not what the specification says")]
    Unexpected(&'static str),
    /// The result of a sync could not be recorded; the homeserver will send it again.
    #[error("what has arrived could not be recorded yet")]
    NotRecorded,
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

impl EncryptionError {
    /// Whether only the user can fix it.
    pub(super) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Deleted(_)
                | Self::ForeignDevice(_)
                | Self::KeyLost(_)
                | Self::Outdated(_)
                | Self::Session(SessionError::Over(_) | SessionError::NoToken(_))
        )
    }

    /// Whether a long request may have been cut off by a proxy.
    pub(super) fn is_cut(&self) -> bool {
        let is_transport = matches!(self, Self::Session(SessionError::Homeserver(HomeserverError::Transport(_))));
        is_transport || self.refusal().is_some_and(|refusal| refusal.status.is_server_error())
    }

    /// Whether a proxy reports that the homeserver took too long.
    pub(super) fn is_gateway_timeout(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == StatusCode::GATEWAY_TIMEOUT)
    }

    /// The homeserver's `Retry-After`, at most an hour.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|refusal| refusal.retry_after).map(|wait| wait.min(MAX_RETRY_AFTER))
    }

    fn refusal(&self) -> Option<&Refusal> {
        if let Self::Session(SessionError::Homeserver(HomeserverError::Refused(refusal))) = self {
            Some(refusal)
        } else {
            None
        }
    }

    /// Whether the homeserver has refused and would refuse again.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Session(SessionError::Homeserver(error @ HomeserverError::Refused(_))) if !error.is_temporary())
    }
}

impl AskError for EncryptionError {
    fn session_error(&self) -> Option<&SessionError> {
        if let Self::Session(error) = self { Some(error) } else { None }
    }
}

impl From<HomeserverError> for EncryptionError {
    fn from(error: HomeserverError) -> Self {
        Self::Session(error.into())
    }
}

impl From<CryptoStoreError> for EncryptionError {
    fn from(error: CryptoStoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<OpenStoreError> for EncryptionError {
    fn from(error: OpenStoreError) -> Self {
        Self::Store(error.to_string())
    }
}

impl From<OlmError> for EncryptionError {
    fn from(error: OlmError) -> Self {
        Self::Store(error.to_string())
    }
}

#[cfg(test)]
impl EncryptionError {
    /// A refusal with this status.
    pub(super) fn of_status(status: u16) -> Self {
        HomeserverError::Refused(Box::new(Refusal {
            path: "/sync".to_owned(),
            status: StatusCode::from_u16(status).unwrap(),
            errcode: "M_UNKNOWN".to_owned(),
            error: String::new(),
            soft_logout: false,
            retry_after: None,
        }))
        .into()
    }
}
