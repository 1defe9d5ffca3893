//! Why encrypted messages cannot be read.

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

/// A homeserver that asks to be left alone for longer is left alone for this long.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Why encrypted messages cannot be read, as the rest of a sentence about them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncryptionError {
    /// Another process has the store open, or this one.
    #[error("another Pushbell uses the keys of this session at the moment")]
    Busy,
    /// The device was deleted, and its keys at the homeserver with it.
    #[error("the homeserver has no keys of this session any more: sign in anew with `pushbell login {0}`")]
    Deleted(String),
    /// The device has keys already that are not those of the store.
    #[error(
        "the session already has encryption keys that are not Pushbell's, and they are left alone: sign in anew with \
         `pushbell login {0}`"
    )]
    ForeignDevice(String),
    /// The key that the store is locked with is gone.
    #[error(
        "the key to the session's encryption keys is no longer in the keyring: sign in anew with `pushbell login {0}`"
    )]
    KeyLost(String),
    /// The homeserver has newer keys of the device than the store.
    #[error(
        "the session's encryption keys are older than those that the homeserver has, as after restoring a backup: sign in \
         anew with `pushbell login {0}`"
    )]
    Outdated(String),
    /// The store failed.
    #[error("the session's encryption keys cannot be used: {0}")]
    Store(String),
    /// An event cannot be made as it is to be sent.
    #[error("the event cannot be encrypted: {0}")]
    Event(String),
    /// A request cannot be made or its answer not be read.
    #[error("the homeserver's answer to {0} is not what the specification says")]
    Unexpected(&'static str),
    /// What a sync has brought is not in the inbox: it comes again.
    #[error("what has come could not be kept yet")]
    NotTaken,
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Inbox(#[from] InboxError),
}

impl EncryptionError {
    /// Whether only the user can do something about it.
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

    /// Whether a long request may have ended so because somebody between here and the homeserver has cut it.
    pub(super) fn is_cut(&self) -> bool {
        let is_transport = matches!(self, Self::Session(SessionError::Homeserver(HomeserverError::Transport(_))));
        is_transport || self.refusal().is_some_and(|refusal| refusal.status.is_server_error())
    }

    /// Whether a proxy says that the homeserver took too long.
    pub(super) fn is_gateway_timeout(&self) -> bool {
        self.refusal().is_some_and(|refusal| refusal.status == StatusCode::GATEWAY_TIMEOUT)
    }

    /// How long the homeserver asks to be left alone, at most an hour.
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

    /// Whether the homeserver has refused, and will refuse again.
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
