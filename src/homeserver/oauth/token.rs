//! The token endpoint (RFC 6749, sections 4.1.3, 5 and 6) and the revocation endpoint (RFC 7009).

use hyper::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::{OAuthError, OAuthRefusal};
use crate::homeserver::{HttpsClient, OAuthClient, Tokens, https::Body};

/// Longest life of an access token that is believed: a century.
const MAX_LIFE: i64 = 100 * 365 * 24 * 60 * 60;

/// Gets new tokens in place of those. The session's other data stay; the old refresh token does where the server gives
/// no new one. The answer has to be kept before it is used: the old tokens may be no good any more.
///
/// # Errors
/// [`OAuthError::is_signed_out`] tells a session that is over, after which trying again is no use. With all else the
/// old tokens stay.
pub async fn refresh(https: &HttpsClient, tokens: &Tokens) -> Result<Tokens, OAuthError> {
    let (Some(client), Some(refresh_token)) = (&tokens.oauth, &tokens.refresh_token) else {
        return Err(OAuthError::NoRefreshToken);
    };
    let grant = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    let renewed = request(https, client, &grant).await?;
    Ok(Tokens { refresh_token: renewed.refresh_token.or_else(|| Some(refresh_token.clone())), ..renewed })
}

/// Ends the session: its access token and its refresh token are no good any more. A session that is over is no error.
///
/// # Errors
/// When the session may not have ended.
pub async fn revoke(https: &HttpsClient, tokens: &Tokens) -> Result<(), OAuthError> {
    let client = tokens.oauth.as_ref().ok_or(OAuthError::NoRevocation)?;
    let endpoint = client.revocation_endpoint.as_deref().ok_or(OAuthError::NoRevocation)?;
    let (token, hint) = match &tokens.refresh_token {
        Some(token) => (token.as_str(), "refresh_token"),
        None => (tokens.access_token.as_str(), "access_token"),
    };
    let fields = [("token", token), ("token_type_hint", hint)];
    let answer = https.send(&Method::POST, endpoint, None, &form(client, &fields)).await?;
    if answer.status.is_success() { Ok(()) } else { Err(OAuthRefusal::answered(endpoint, &answer).into()) }
}

/// Asks the token endpoint for tokens.
pub(super) async fn request(
    https: &HttpsClient,
    client: &OAuthClient,
    grant: &[(&str, &str)],
) -> Result<Tokens, OAuthError> {
    let endpoint = &client.token_endpoint;
    let answer = https.send(&Method::POST, endpoint, None, &form(client, grant)).await?;
    if !answer.status.is_success() {
        return Err(OAuthRefusal::answered(endpoint, &answer).into());
    }
    let read = read(&answer.json(), client, Timestamp::now());
    read.map_err(|missing| OAuthError::Unexpected { endpoint: endpoint.clone(), missing })
}

fn form(client: &OAuthClient, fields: &[(&str, &str)]) -> Body {
    let id = [("client_id", client.client_id.as_str())];
    let fields = fields.iter().chain(&id).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Body::Form(fields.collect())
}

fn read(answer: &Value, client: &OAuthClient, now: Timestamp) -> Result<Tokens, &'static str> {
    let word = |key: &str| answer[key].as_str().filter(|word| !word.is_empty());
    if !word("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")) {
        return Err("token_type \"Bearer\"");
    }
    let life = answer["expires_in"].as_i64().map(|seconds| SignedDuration::from_secs(seconds.clamp(0, MAX_LIFE)));
    Ok(Tokens {
        access_token: word("access_token").ok_or("access_token")?.to_owned(),
        refresh_token: word("refresh_token").map(str::to_owned),
        expires_at: life.and_then(|life| now.checked_add(life).ok()),
        oauth: Some(client.clone()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_read_and_know_when_they_expire() {
        let client = OAuthClient {
            client_id: "c".to_owned(),
            token_endpoint: "https://a.org/token".to_owned(),
            revocation_endpoint: None,
        };
        let now = Timestamp::from_second(1_000).unwrap();
        let check = |answer: Value, expected: Result<(&str, Option<&str>, Option<i64>), &str>| {
            let read = read(&answer, &client, now);
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
}
