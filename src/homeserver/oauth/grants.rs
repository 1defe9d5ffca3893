//! Registering as a client (RFC 7591), the token and revocation endpoints (RFC 6749, RFC 7009), and a session made of
//! tokens.

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::json;
use tracing::debug;

use super::{error::OAuthError, metadata::Metadata};
use crate::{
    app_info,
    homeserver::{
        HomeserverClient, OAuthClient, Session, Tokens,
        client::Lenient,
        redirect::{RedirectError, RedirectListener},
    },
    http_client::{Answer, HttpClient, Request, encode},
};

/// Upper bound of an access token's lifetime: a century.
const MAX_LIFE: i64 = 100 * 365 * 24 * 60 * 60;
/// Characters of a device id: those of RFC 4648's base32, which are easy to read.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DEVICE_ID_CHARS: usize = 12;

/// POSTs form fields to an endpoint of the authorization server, with our client id.
async fn post_form(
    http: &HttpClient,
    endpoint: &str,
    client: &OAuthClient,
    fields: &[(&str, &str)],
) -> Result<Answer, OAuthError> {
    let fields = fields.iter().copied().chain([("client_id", client.client_id.as_str())]);
    accepted(endpoint, http.send(&Request::new(Method::POST, endpoint).form(fields)).await?)
}

fn accepted(endpoint: &str, answer: Answer) -> Result<Answer, OAuthError> {
    if answer.status.is_success() { Ok(answer) } else { Err(OAuthError::answered(endpoint, &answer)) }
}

/// Registers a client, as the specification wants it for each sign-in. `redirect`: where the browser comes back to.
pub(super) async fn register(
    client: &HomeserverClient,
    metadata: &Metadata,
    redirect: &RedirectListener,
) -> Result<OAuthClient, OAuthError> {
    let endpoint = metadata.registration_endpoint.as_deref();
    let endpoint = endpoint.ok_or_else(|| OAuthError::NoRegistration { issuer: metadata.issuer.clone() })?;
    let client_id = match register_uri(client, endpoint, &redirect.uri_without_port()).await {
        // This server compares ports, against RFC 8252.
        Err(error) if error.code() == Some("invalid_redirect_uri") => {
            register_uri(client, endpoint, &redirect.uri()).await?
        }
        registered => registered?,
    };
    Ok(OAuthClient {
        client_id,
        token_endpoint: metadata.token_endpoint.clone(),
        revocation_endpoint: metadata.revocation_endpoint.clone(),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RegistrationAnswer {
    client_id: Lenient<String>,
    token_endpoint_auth_method: Lenient<String>,
}

/// Registers a client with this redirect URI, and returns its id.
async fn register_uri(client: &HomeserverClient, endpoint: &str, redirect_uri: &str) -> Result<String, OAuthError> {
    let metadata = json!({
        "application_type": "native",
        "client_name": "Pushbell",
        "client_uri": app_info::HOMEPAGE,
        "token_endpoint_auth_method": "none",
        "redirect_uris": [redirect_uri],
        "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let answer = client.http().send(&Request::new(Method::POST, endpoint).json(metadata.to_string())).await?;
    let answer: RegistrationAnswer = accepted(endpoint, answer)?.json();
    let unexpected = |missing| OAuthError::Unexpected { endpoint: endpoint.to_owned(), missing };
    // A server may register other values than requested.
    if answer.token_endpoint_auth_method.0.is_some_and(|method| method != "none") {
        return Err(unexpected("token_endpoint_auth_method \"none\""));
    }
    answer.client_id.text().ok_or_else(|| unexpected("client_id"))
}

/// Refreshes the tokens. If the server returns no new refresh token, the old one is kept. The new tokens have to be stored
/// before they are used: the old ones may be invalid from now on.
///
/// # Errors
/// If [`OAuthError::is_signed_out`], the session has ended. After other errors the old tokens remain valid.
pub async fn refresh(http: &HttpClient, tokens: &Tokens) -> Result<Tokens, OAuthError> {
    let (Some(client), Some(refresh_token)) = (&tokens.oauth, &tokens.refresh_token) else {
        return Err(OAuthError::NoRefreshToken);
    };
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let renewed = request(http, client, &grant).await?;
    Ok(Tokens { refresh_token: renewed.refresh_token.or_else(|| Some(refresh_token.clone())), ..renewed })
}

/// Ends the session by revoking its tokens. Succeeds if it has already ended.
///
/// # Errors
/// When the session may not have ended.
pub async fn revoke(http: &HttpClient, tokens: &Tokens) -> Result<(), OAuthError> {
    let client = tokens.oauth.as_ref().ok_or(OAuthError::NoRevocation)?;
    let endpoint = client.revocation_endpoint.as_deref().ok_or(OAuthError::NoRevocation)?;
    let (token, hint) = match &tokens.refresh_token {
        Some(token) => (token.as_str(), "refresh_token"),
        None => (tokens.access_token.as_str(), "access_token"),
    };
    let fields = [("token", token), ("token_type_hint", hint)];
    post_form(http, endpoint, client, &fields).await.map(drop)
}

/// Requests tokens from the token endpoint.
pub(super) async fn request(
    http: &HttpClient,
    client: &OAuthClient,
    grant: &[(&str, &str)],
) -> Result<Tokens, OAuthError> {
    let endpoint = &client.token_endpoint;
    let answer: TokenAnswer = post_form(http, endpoint, client, grant).await?.json();
    let tokens = answer.tokens(client, Timestamp::now());
    tokens.map_err(|missing| OAuthError::Unexpected { endpoint: endpoint.clone(), missing })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenAnswer {
    token_type: Lenient<String>,
    access_token: Lenient<String>,
    refresh_token: Lenient<String>,
    expires_in: Lenient<i64>,
}

impl TokenAnswer {
    fn tokens(self, client: &OAuthClient, now: Timestamp) -> Result<Tokens, &'static str> {
        if !self.token_type.0.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
            return Err("token_type \"Bearer\"");
        }
        let life = self.expires_in.0.map(|seconds| SignedDuration::from_secs(seconds.clamp(0, MAX_LIFE)));
        Ok(Tokens {
            access_token: self.access_token.text().ok_or("access_token")?,
            refresh_token: self.refresh_token.text(),
            expires_at: life.and_then(|life| now.checked_add(life).ok()),
            oauth: Some(client.clone()),
        })
    }
}

/// A new device id: 60 random bits.
pub(super) fn new_device_id() -> Result<String, RedirectError> {
    let mut bytes = [0; DEVICE_ID_CHARS];
    getrandom::fill(&mut bytes).map_err(|error| RedirectError::NoRandomness(error.to_string()))?;
    Ok(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// The scope: the whole client-server API, as that device.
pub(super) fn scope(device_id: &str) -> String {
    format!("urn:matrix:client:api:* urn:matrix:client:device:{device_id}")
}

/// Begins the session of these tokens: gets the user from the homeserver, and names the device. If the homeserver does not
/// accept the tokens, they are revoked.
pub(super) async fn begin_session(
    client: &HomeserverClient,
    tokens: Tokens,
    device_id: String,
    device_name: &str,
) -> Result<Session, OAuthError> {
    let client = client.clone().with_token(&tokens.access_token);
    match client.whoami().await {
        Ok((user_id, known_device)) => {
            let device_id = known_device.unwrap_or(device_id);
            name_device(&client, &device_id, device_name).await;
            Ok(Session { user_id, device_id: Some(device_id), tokens })
        }
        Err(error) => {
            if let Err(error) = revoke(client.http(), &tokens).await {
                debug!(%error, "a session could not be ended");
            }
            Err(error.into())
        }
    }
}

/// Names the device, which the grant cannot do. If the server refuses, the device has the client's name.
async fn name_device(client: &HomeserverClient, device_id: &str, device_name: &str) {
    let path = format!("/_matrix/client/v3/devices/{}", encode(device_id));
    if let Err(error) = client.put(&path, &json!({"display_name": device_name})).await {
        debug!(%error, "the device could not be named");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn tokens_are_parsed_with_their_expiry() {
        let client = OAuthClient {
            client_id: "c".to_owned(),
            token_endpoint: "https://a.org/token".to_owned(),
            revocation_endpoint: None,
        };
        let now = Timestamp::from_second(1_000).unwrap();
        let check = |answer: Value, expected: Result<(&str, Option<&str>, Option<i64>), &str>| {
            let read: TokenAnswer = serde_json::from_value(answer.clone()).unwrap_or_default();
            let read = read.tokens(&client, now);
            let read = read.as_ref().map_err(|missing| *missing).map(|tokens| {
                let expires = tokens.expires_at.map(Timestamp::as_second);
                (tokens.access_token.as_str(), tokens.refresh_token.as_deref(), expires)
            });
            assert_eq!(read, expected, "{answer}");
        };
        let whole = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 299, "refresh_token": "r"});
        check(whole, Ok(("a", Some("r"), Some(1_299))));
        check(json!({"access_token": "a", "token_type": "bearer"}), Ok(("a", None, None)));
        check(json!({"access_token": "a", "token_type": "bearer", "expires_in": -5}), Ok(("a", None, Some(1_000))));
        let long = Ok(("a", None, Some(1_000 + MAX_LIFE)));
        check(json!({"access_token": "a", "token_type": "bearer", "expires_in": i64::MAX}), long);
        check(json!({"access_token": "", "token_type": "bearer"}), Err("access_token"));
        check(json!({"access_token": "a", "token_type": "mac"}), Err("token_type \"Bearer\""));
        check(Value::Null, Err("token_type \"Bearer\""));
    }

    #[test]
    fn device_ids_are_unreserved_and_differ() {
        let (one, other) = (new_device_id().unwrap(), new_device_id().unwrap());
        assert_eq!(one.len(), 12);
        assert!(one.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()), "{one}");
        assert_ne!(one, other);
        assert_eq!(scope("ABC"), "urn:matrix:client:api:* urn:matrix:client:device:ABC");
    }
}
