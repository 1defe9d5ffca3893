//! What is known of an account that is signed in to a homeserver. Its tokens are elsewhere: they are secrets.

use serde::{Deserialize, Serialize};

/// The session of an account on its homeserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// `@alice:example.org`
    pub user_id: String,
    /// The device that signing in made; empty where the homeserver did not say (an access token's).
    pub device_id: String,
    /// The homeserver's base address, without a trailing slash.
    pub homeserver: String,
    /// How it was signed in, which is how it signs in again and out.
    pub method: SignInMethod,
    /// The homeserver sends no content: events are fetched from it.
    #[serde(default)]
    pub event_id_only: bool,
    /// What the homeserver calls itself ("Synapse", "tuwunel"); empty: it does not say.
    pub server: String,
}

/// How an account was signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignInMethod {
    /// With a password (`m.login.password`).
    Password,
    /// In the browser (`m.login.sso`).
    Sso,
    /// By the OAuth 2.0 API.
    OAuth,
    /// With an access token that somebody else made: signing out leaves that session alone.
    Token,
}

impl SignIn {
    /// Whether encrypted messages are read with it. Only a session that was made for Pushbell is an encryption device of its
    /// own; that of an access token belongs to another client, whose keys nobody else may touch.
    #[must_use]
    pub fn reads_encrypted(&self) -> bool {
        cfg!(feature = "encryption") && self.method.owns_session() && !self.device_id.is_empty()
    }
}

impl SignInMethod {
    /// Whether the session was made for Pushbell, so that signing out ends it.
    #[must_use]
    pub fn owns_session(self) -> bool {
        self != Self::Token
    }
}
