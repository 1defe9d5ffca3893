//! Signing in with a password or a token, going on with a session, and signing out (Matrix specification, client-server
//! API, "Client authentication", legacy API).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time;

use super::{HomeserverClient, HomeserverError, Session, Tokens, UserId};

const LOGIN: &str = "/_matrix/client/v3/login";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const REFRESH: &str = "/_matrix/client/v3/refresh";

/// The longest that is waited because a homeserver has had too many requests.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which ways of signing in a homeserver offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoginFlows {
    /// `m.login.password`
    pub password: bool,
    /// `m.login.sso`
    pub sso: bool,
}

/// Who signs in with a password.
pub struct PasswordLogin<'a> {
    /// The user.
    pub user: &'a UserId,
    /// Their password.
    pub password: &'a str,
    /// What the session is called in the list of devices.
    pub device_name: &'a str,
    /// A device that is to be used again.
    pub device_id: Option<&'a str>,
}

impl HomeserverClient {
    /// Which ways of signing in there are; none of those that we know where the homeserver has no such list.
    ///
    /// # Errors
    /// When there is no answer or it is a "no" of another kind.
    pub async fn login_flows(&self) -> Result<LoginFlows, HomeserverError> {
        match self.get(LOGIN).await {
            Ok(answer) => Ok(flows(&answer)),
            Err(error) if error.is_unrecognized() => Ok(LoginFlows::default()),
            Err(error) => Err(error),
        }
    }

    /// Signs in with a password. Waits, once, when the homeserver says that it has had too many requests.
    ///
    /// # Errors
    /// When there is no answer, or it is a "no": `M_FORBIDDEN` for a wrong password.
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
        let answer = match self.post(LOGIN, body.clone()).await {
            Err(HomeserverError::Refused(refusal)) if refusal.retry_after.is_some_and(|wait| wait <= LONGEST_WAIT) => {
                time::sleep(refusal.retry_after.unwrap_or_default()).await;
                self.post(LOGIN, body).await?
            }
            answered => answered?,
        };
        session(LOGIN, &answer)
    }

    /// Whose access token this client has, and of which device.
    ///
    /// # Errors
    /// When there is no answer, or it is a "no": the token is no good.
    pub async fn whoami(&self) -> Result<(UserId, Option<String>), HomeserverError> {
        identity(WHOAMI, &self.get(WHOAMI).await?)
    }

    /// Ends the session of this client's token. One that has ended before is as good.
    ///
    /// # Errors
    /// When there is no answer or it is another "no".
    pub async fn logout(&self) -> Result<(), HomeserverError> {
        match self.post("/_matrix/client/v3/logout", json!({})).await {
            Err(error) if !error.is_unknown_token() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Gets a new access token for a session of the legacy API. What the answer leaves out stays as it was.
    ///
    /// # Errors
    /// When there is no answer, or it is a "no": the session has ended.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Tokens, HomeserverError> {
        let answer = self.post(REFRESH, json!({"refresh_token": refresh_token})).await?;
        let mut tokens = tokens(REFRESH, &answer)?;
        tokens.refresh_token.get_or_insert_with(|| refresh_token.to_owned());
        Ok(tokens)
    }
}

fn flows(answer: &Value) -> LoginFlows {
    let types: Vec<_> =
        answer["flows"].as_array().into_iter().flatten().filter_map(|flow| flow["type"].as_str()).collect();
    LoginFlows { password: types.contains(&"m.login.password"), sso: types.contains(&"m.login.sso") }
}

/// The session that the answer to a login (`m.login.password`, `m.login.token`) describes. `path` is what was asked.
///
/// # Errors
/// When the answer lacks something.
pub fn session(path: &str, answer: &Value) -> Result<Session, HomeserverError> {
    let (user_id, device_id) = identity(path, answer)?;
    Ok(Session { user_id, device_id, tokens: tokens(path, answer)? })
}

fn identity(path: &str, answer: &Value) -> Result<(UserId, Option<String>), HomeserverError> {
    let user = answer["user_id"].as_str().and_then(|user| UserId::parse(user).ok());
    let user = user.ok_or_else(|| missing(path, "user_id"))?;
    Ok((user, answer["device_id"].as_str().map(ToOwned::to_owned)))
}

fn tokens(path: &str, answer: &Value) -> Result<Tokens, HomeserverError> {
    let text = |key: &str| answer[key].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let lifetime = answer["expires_in_ms"].as_u64().and_then(|millis| i64::try_from(millis).ok());
    let expires_at = lifetime.and_then(|millis| Timestamp::now().checked_add(SignedDuration::from_millis(millis)).ok());
    Ok(Tokens {
        access_token: text("access_token").ok_or_else(|| missing(path, "access_token"))?,
        refresh_token: text("refresh_token"),
        expires_at,
        oauth: None,
    })
}

fn missing(path: &str, missing: &'static str) -> HomeserverError {
    HomeserverError::Unexpected { path: path.to_owned(), missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_are_found_among_others() {
        let check = |answer: Value, password, sso| assert_eq!(flows(&answer), LoginFlows { password, sso }, "{answer}");
        check(json!({"flows": [{"type": "m.login.password"}, {"type": "m.login.application_service"}]}), true, false);
        check(json!({"flows": [{"type": "m.login.sso", "identity_providers": []}, {"type": 7}]}), false, true);
        check(json!({"flows": null}), false, false);
        check(Value::Null, false, false);
    }

    #[test]
    fn a_session_needs_a_user_and_a_token_and_nothing_else() {
        let full = json!({"user_id": "@a:b", "device_id": "D", "access_token": "t", "refresh_token": "r", "expires_in_ms": 60000});
        let read = session(LOGIN, &full).unwrap();
        assert_eq!((read.user_id.as_str(), read.device_id.as_deref()), ("@a:b", Some("D")));
        assert_eq!((read.tokens.access_token.as_str(), read.tokens.refresh_token.as_deref()), ("t", Some("r")));
        assert!(read.tokens.expires_at.is_some());
        let least = session(LOGIN, &json!({"user_id": "@a:b", "access_token": "t", "expires_in_ms": -3})).unwrap();
        assert_eq!((least.device_id, least.tokens.expires_at), (None, None));
        let check = |answer: Value, what| assert_eq!(session(LOGIN, &answer).unwrap_err(), missing(LOGIN, what));
        check(json!({"access_token": "t"}), "user_id");
        check(json!({"user_id": "nobody", "access_token": "t"}), "user_id");
        check(json!({"user_id": "@a:b", "access_token": ""}), "access_token");
        check(Value::Null, "user_id");
    }
}
