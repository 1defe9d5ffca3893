//! What signing in gives.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A session on a homeserver, right after signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user that the homeserver says we are.
    pub user_id: super::UserId,
    /// The device that the session is, if the homeserver said so.
    pub device_id: Option<String>,
    /// What proves it.
    pub tokens: Tokens,
}

/// The secrets of a session: kept in the keyring, else in a file that only the person can read.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Sent with each request.
    pub access_token: String,
    /// Gets a new access token once this one is expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Set when the session comes from the OAuth 2.0 API: how to refresh and revoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuthClient>,
}

/// The OAuth 2.0 client that we are registered as, and its endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthClient {
    /// From dynamic registration.
    pub client_id: String,
    /// Where tokens are refreshed.
    pub token_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}
