//! The device authorization grant (RFC 8628; Matrix specification 1.18): the browser may be anywhere.

use std::{fmt, time::Duration};

use serde::Deserialize;
use tokio::time::{self, Instant};

use super::{
    error::OAuthError,
    grants::{self, register},
    metadata::{DEVICE_CODE, Metadata, is_address},
};
use crate::homeserver::{HomeserverClient, OAuthClient, Session, client::Lenient, redirect::PATIENCE};

/// Default polling interval (RFC 8628, section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// Added to the interval at each `slow_down` (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Longest polling interval.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// Longest user code that is shown, in characters.
const MAX_USER_CODE: usize = 64;

/// A sign-in in a browser on any device.
pub struct DeviceAuthorization {
    client: OAuthClient,
    device_id: String,
    granted: Granted,
    expires: Instant,
}

/// The server's answer.
#[derive(PartialEq, Eq)]
struct Granted {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    life: Duration,
    interval: Duration,
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = &self.granted.verification_uri;
        f.debug_struct("DeviceAuthorization").field("verification_uri", uri).finish_non_exhaustive()
    }
}

impl DeviceAuthorization {
    /// Registers us and asks for a code. `None`: the authorization server has no such grant.
    ///
    /// # Errors
    /// When the authorization server does not register us or gives no code.
    pub async fn begin(homeserver: &HomeserverClient, metadata: &Metadata) -> Result<Option<Self>, OAuthError> {
        let Some(endpoint) = &metadata.device_authorization_endpoint else { return Ok(None) };
        let client = register(homeserver, metadata, None).await?;
        let device_id = grants::new_device_id()?;
        let fields = [("client_id", client.client_id.as_str()), ("scope", &grants::scope(&device_id))];
        let answer: DeviceAnswer = grants::post_form(homeserver.http(), endpoint, fields).await?.json();
        let granted = answer.granted(!homeserver.base().is_https());
        let granted = granted.map_err(|missing| OAuthError::Unexpected { endpoint: endpoint.clone(), missing })?;
        let expires = Instant::now() + granted.life;
        Ok(Some(Self { client, device_id, granted, expires }))
    }

    /// The address to open in any browser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.granted.verification_uri
    }

    /// The same with the code in it, if the server has such an address.
    #[must_use]
    pub fn url_with_code(&self) -> Option<&str> {
        self.granted.verification_uri_complete.as_deref()
    }

    /// What the person types there: printable.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.granted.user_code
    }

    /// Lifetime of the code.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.granted.life
    }

    /// Polls until the sign-in is complete, at the server's interval.
    ///
    /// # Errors
    /// When the code expires, or the person or the server refuses.
    pub async fn finish(self, homeserver: &HomeserverClient, device_name: &str) -> Result<Session, OAuthError> {
        let Self { client, device_id, granted, expires } = self;
        let grant = [("grant_type", DEVICE_CODE), ("device_code", &granted.device_code)];
        let mut interval = granted.interval;
        loop {
            if Instant::now() + interval > expires {
                time::sleep_until(expires).await;
                return Err(OAuthError::Expired);
            }
            time::sleep(interval).await;
            match grants::request(homeserver.http(), &client, &grant).await {
                Ok(tokens) => return grants::begin_session(homeserver, tokens, device_id, device_name).await,
                Err(error) => interval = next_interval(interval, error)?,
            }
        }
    }
}

/// Delay before the next poll; `None` ends the polling.
fn next_interval(interval: Duration, error: OAuthError) -> Result<Duration, OAuthError> {
    match error.code() {
        Some("authorization_pending") => Ok(interval),
        Some("slow_down") => Ok((interval + SLOWER).min(MAX_INTERVAL)),
        Some("access_denied") => Err(OAuthError::Denied),
        Some("expired_token") => Err(OAuthError::Expired),
        // No answer, or the server is away for a moment (section 3.5: exponential backoff).
        Some(_) | None if error.is_temporary() => Ok((interval * 2).min(MAX_INTERVAL)),
        Some(_) | None => Err(error),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeviceAnswer {
    device_code: Lenient<String>,
    user_code: Lenient<String>,
    verification_uri: Lenient<String>,
    verification_uri_complete: Lenient<String>,
    expires_in: Lenient<u64>,
    interval: Lenient<u64>,
}

impl DeviceAnswer {
    fn granted(self, allow_http: bool) -> Result<Granted, &'static str> {
        let address = |text: &String| is_address(text, allow_http);
        let printable = |code: &String| {
            (1..=MAX_USER_CODE).contains(&code.len())
                && code.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        let uri = self.verification_uri.0.filter(address).ok_or("verification_uri with an https address")?;
        Ok(Granted {
            device_code: self.device_code.text().ok_or("device_code")?,
            user_code: self.user_code.0.filter(printable).ok_or("user_code that can be typed")?,
            verification_uri: uri,
            verification_uri_complete: self.verification_uri_complete.0.filter(address),
            life: self.expires_in.0.map(Duration::from_secs).ok_or("expires_in")?.min(PATIENCE * 3),
            interval: self.interval.0.map_or(INTERVAL, Duration::from_secs).clamp(Duration::from_secs(1), MAX_INTERVAL),
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use serde_json::{Value, json};

    use super::*;
    use crate::http_client::Answer;

    #[test]
    fn the_pace_is_what_the_server_likes() {
        fn check(status: u16, code: &str, expected: Result<u64, &str>) {
            let body = json!({ "error": code }).to_string();
            let status = StatusCode::from_u16(status).unwrap();
            let answer = Answer { status, body: body.into(), retry_after: None, location: None };
            let error = OAuthError::answered("a.org", &answer);
            let next = next_interval(Duration::from_secs(5), error);
            let next = next.map(|interval| interval.as_secs()).map_err(|error| error.to_string());
            assert_eq!(next, expected.map_err(str::to_owned), "{code}");
        }
        check(400, "authorization_pending", Ok(5));
        check(400, "slow_down", Ok(10));
        check(503, "unavailable", Ok(10));
        check(400, "access_denied", Err("access was denied: nothing has changed"));
        check(400, "expired_token", Err("nobody signed in while the code was good: try again"));
        check(400, "invalid_grant", Err("a.org: invalid_grant"));
    }

    #[test]
    fn an_answer_is_bounded_and_printable() {
        let example = json!({
            "device_code": "GmRh", "user_code": "WDJB-MJHT", "verification_uri": "https://a.org/link",
            "verification_uri_complete": "https://a.org/link?user_code=WDJB-MJHT", "expires_in": 1800, "interval": 5,
        });
        let check = |key: &str, value: Value, expected: Result<(u64, u64), &str>| {
            let mut answer = example.clone();
            answer[key] = value.clone();
            let read: DeviceAnswer = serde_json::from_value(answer).unwrap();
            let read = read.granted(false).map(|granted| (granted.life.as_secs(), granted.interval.as_secs()));
            assert_eq!(read, expected, "{key}: {value}");
        };
        check("more", Value::Null, Ok((1800, 5)));
        check("interval", Value::Null, Ok((1800, 5)));
        check("interval", json!(0), Ok((1800, 1)));
        check("interval", json!(u64::MAX), Ok((1800, 60)));
        check("expires_in", json!(u64::MAX), Ok((1800, 5)));
        check("verification_uri_complete", json!("file:///"), Ok((1800, 5)));
        check("expires_in", Value::Null, Err("expires_in"));
        check("user_code", json!("\u{1b}[31m"), Err("user_code that can be typed"));
        check("verification_uri", json!("http://a.org/"), Err("verification_uri with an https address"));
        check("device_code", json!(""), Err("device_code"));
    }
}
