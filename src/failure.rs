//! Failures of commands, and their exit codes.

use std::io;

use tracing::subscriber::SetGlobalDefaultError;

use crate::{
    accounts::AccountsError,
    config::ConfigError,
    control::{AskError, InstanceError},
    homeserver::{HomeserverError, oauth::OAuthError, redirect::RedirectError, sso::SsoError},
    http::tls::TlsError,
    http_client::TransportError,
    inbox::InboxError,
    paths::NoHome,
    secrets::SecretsError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// Wrong usage. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Pushbell is not running. Exit code 69.
    #[error("{}", AskError::NotRunning)]
    NotRunning,
    /// The configuration is invalid. Exit code 78.
    #[error(transparent)]
    BadConfig(#[from] ConfigError),
    /// Already reported: only the exit code remains.
    #[error("")]
    Reported(u8),
    /// The output could not be written. Exit code 1.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Exit code when something failed.
pub(crate) const FAILED: u8 = 1;
/// Exit code for wrong usage, the same as clap's.
pub(crate) const USAGE: u8 = 2;
/// `EX_UNAVAILABLE`: Pushbell is not running.
pub(crate) const NOT_RUNNING: u8 = 69;
/// `EX_CONFIG`: the configuration is invalid.
pub(crate) const BAD_CONFIG: u8 = 78;

impl Failure {
    /// Its exit code.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            // The reader has closed the pipe, as `head` does.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Failed(_) | Self::Output(_) => FAILED,
            Self::Usage(_) => USAGE,
            Self::NotRunning => NOT_RUNNING,
            Self::BadConfig(_) => BAD_CONFIG,
            Self::Reported(code) => *code,
        }
    }

    /// The message for stderr, if there is any.
    #[must_use]
    pub(crate) fn message(&self) -> Option<String> {
        (!matches!(self, Self::Reported(_)) && self.exit_code() != 0).then(|| self.to_string())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        if matches!(error, AskError::NotRunning) { Self::NotRunning } else { Self::Failed(error.to_string()) }
    }
}

impl From<AccountsError> for Failure {
    fn from(error: AccountsError) -> Self {
        if let AccountsError::Invalid(problem) = error { Self::Usage(problem) } else { Self::Failed(error.to_string()) }
    }
}

/// Errors whose message is the failure's.
macro_rules! failed {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Failed(error.to_string())
            }
        })*
    };
}

failed!(
    HomeserverError,
    InboxError,
    InstanceError,
    NoHome,
    OAuthError,
    RedirectError,
    SecretsError,
    SetGlobalDefaultError,
    SsoError,
    TlsError,
    TransportError,
    getrandom::Error,
);
