//! Login with a password, token refresh, and logout (Matrix specification, client-server API, "Client authentication",
//! legacy API).

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::json;
use tokio::time;

use super::{HomeserverClient, HomeserverError, UserId, client::Lenient};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const REFRESH: &str = "/_matrix/client/v3/refresh";

/// Longest wait after `M_LIMIT_EXCEEDED`; longer requested delays are errors.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A session on a homeserver, right after signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user, according to the homeserver.
    pub user_id: UserId,
    /// The session's device, if the homeserver named it.
    pub device_id: Option<String>,
    /// Its tokens.
    pub tokens: Tokens,
}

/// The secrets of a session, stored in the keyring, else in a private file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Sent with each request.
    pub access_token: String,
    /// For getting a new access token when this one expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// When the access token expires, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Set when the session comes from the OAuth 2.0 API: how to refresh and revoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth: Option<OAuthClient>,
}

/// Our registration as an OAuth 2.0 client, and the endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthClient {
    /// From dynamic client registration.
    pub client_id: String,
    /// For refreshing tokens.
    pub token_endpoint: String,
    /// For revoking tokens.
    pub revocation_endpoint: Option<String>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The login flows that a homeserver offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginFlows {
    /// `m.login.password`
    pub password: bool,
    /// `m.login.sso`
    pub sso: bool,
}

/// A login with a password.
pub struct PasswordLogin<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Their password.
    pub password: &'a str,
    /// The session's name in the list of devices.
    pub device_name: &'a str,
    /// An existing device to use again.
    pub device_id: Option<&'a str>,
}

impl HomeserverClient {
    /// The login flows; none if the homeserver does not support the request.
    ///
    /// # Errors
    /// When the request fails for another reason.
    pub async fn login_flows(&self) -> Result<LoginFlows, HomeserverError> {
        match self.get::<FlowsAnswer>(LOGIN).await {
            Ok(answer) => Ok(answer.flows()),
            Err(error) if error.is_unrecognized() => Ok(LoginFlows::default()),
            Err(error) => Err(error),
        }
    }

    /// Logs in with a password. After `M_LIMIT_EXCEEDED` it waits and retries once.
    ///
    /// # Errors
    /// When the request fails: `M_FORBIDDEN` for a wrong password.
    pub async fn login_password(&self, login: &PasswordLogin<'_>) -> Result<Session, HomeserverError> {
        let PasswordLogin { user, password, device_name, device_id } = login;
        let mut body = json!({
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": user.as_str()},
            "password": password,
            "initial_device_display_name": device_name,
        });
        if let Some(device_id) = device_id {
            body["device_id"] = (*device_id).into();
        }
        let answer: SessionAnswer = match self.post(LOGIN, &body).await {
            Err(HomeserverError::Refused(refusal)) if refusal.retry_after.is_some_and(|wait| wait <= LONGEST_WAIT) => {
                time::sleep(refusal.retry_after.unwrap_or_default()).await;
                self.post(LOGIN, &body).await?
            }
            answered => answered?,
        };
        answer.session(LOGIN)
    }

    /// The user and the device of this client's access token.
    ///
    /// # Errors
    /// When the request fails: the token is invalid, or there is no answer.
    pub async fn whoami(&self) -> Result<(UserId, Option<String>), HomeserverError> {
        let answer: SessionAnswer = self.get(WHOAMI).await?;
        Ok((answer.user(WHOAMI)?, answer.device_id.0))
    }

    /// Ends the session of this client's token. Succeeds if it has already ended.
    ///
    /// # Errors
    /// When the request fails for another reason.
    pub async fn logout(&self) -> Result<(), HomeserverError> {
        match self.post::<IgnoredAny>("/_matrix/client/v3/logout", &json!({})).await {
            Err(error) if !error.is_unknown_token() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Gets a new access token for a session of the legacy API. Without a new refresh token the old one is kept.
    ///
    /// # Errors
    /// When the request fails: the session has ended, or there is no answer.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, HomeserverError> {
        let answer: SessionAnswer = self.post(REFRESH, &json!({"refresh_token": refresh_token})).await?;
        let mut tokens = answer.tokens(REFRESH)?;
        tokens.refresh_token.get_or_insert_with(|| refresh_token.to_owned());
        Ok(tokens)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FlowsAnswer {
    flows: Lenient<Vec<Flow>>,
}

#[derive(Deserialize)]
struct Flow {
    #[serde(default, rename = "type")]
    kind: Lenient<String>,
}

impl FlowsAnswer {
    fn flows(&self) -> LoginFlows {
        let has = |kind| self.flows.0.iter().flatten().any(|flow| flow.kind.0.as_deref() == Some(kind));
        LoginFlows { password: has("m.login.password"), sso: has("m.login.sso") }
    }
}

/// The answer to a login (`m.login.password`, `m.login.token`), a refresh or `whoami`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SessionAnswer {
    user_id: Lenient<String>,
    device_id: Lenient<String>,
    access_token: Lenient<String>,
    refresh_token: Lenient<String>,
    expires_in_ms: Lenient<u64>,
}

impl SessionAnswer {
    /// The session. `path` is that of the request.
    pub(super) fn session(self, path: &str) -> Result<Session, HomeserverError> {
        Ok(Session { user_id: self.user(path)?, device_id: self.device_id.0.clone(), tokens: self.tokens(path)? })
    }

    fn user(&self, path: &str) -> Result<UserId, HomeserverError> {
        let user = self.user_id.0.as_deref().and_then(|user| UserId::parse(user).ok());
        user.ok_or_else(|| missing(path, "user_id"))
    }

    fn tokens(self, path: &str) -> Result<Tokens, HomeserverError> {
        let lifetime =
            self.expires_in_ms.0.and_then(|millis| i64::try_from(millis).ok()).map(SignedDuration::from_millis);
        Ok(Tokens {
            access_token: self.access_token.text().ok_or_else(|| missing(path, "access_token"))?,
            refresh_token: self.refresh_token.text(),
            expires_at: lifetime.and_then(|lifetime| Timestamp::now().checked_add(lifetime).ok()),
            oauth: None,
        })
    }
}

fn missing(path: &str, missing: &'static str) -> HomeserverError {
    HomeserverError::Unexpected { path: path.to_owned(), missing }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn session(answer: &Value) -> Result<Session, HomeserverError> {
        serde_json::from_value::<SessionAnswer>(answer.clone()).unwrap_or_default().session(LOGIN)
    }

    #[test]
    fn flows_are_found_among_others() {
        let check = |answer: Value, password, sso| {
            let read: FlowsAnswer = serde_json::from_value(answer.clone()).unwrap_or_default();
            assert_eq!(read.flows(), LoginFlows { password, sso }, "{answer}");
        };
        check(json!({"flows": [{"type": "m.login.password"}, {"type": "m.login.application_service"}]}), true, false);
        check(json!({"flows": [{"type": "m.login.sso", "identity_providers": []}, {"type": 7}]}), false, true);
        check(json!({"flows": null}), false, false);
        check(Value::Null, false, false);
    }

    #[test]
    fn a_session_needs_a_user_and_a_token_and_nothing_else() {
        let full = json!({"user_id": "@a:b", "device_id": "D", "access_token": "t", "refresh_token": "r", "expires_in_ms": 60000});
        let read = session(&full).unwrap();
        assert_eq!((read.user_id.as_str(), read.device_id.as_deref()), ("@a:b", Some("D")));
        assert_eq!((read.tokens.access_token.as_str(), read.tokens.refresh_token.as_deref()), ("t", Some("r")));
        assert!(read.tokens.expires_at.is_some());
        let least = session(&json!({"user_id": "@a:b", "access_token": "t", "expires_in_ms": -3})).unwrap();
        assert_eq!((least.device_id, least.tokens.expires_at), (None, None));
        let check = |answer: Value, what| assert_eq!(session(&answer).unwrap_err(), missing(LOGIN, what));
        check(json!({"access_token": "t"}), "user_id");
        check(json!({"user_id": "nobody", "access_token": "t"}), "user_id");
        check(json!({"user_id": "@a:b", "access_token": ""}), "access_token");
        check(Value::Null, "user_id");
    }
}
