//! `GET /_matrix/client/v1/auth_metadata`: what the authorization server has and where (RFC 8414).

use hyper::{StatusCode, Uri};
use serde_json::Value;

use crate::homeserver::{HomeserverClient, HomeserverError};

/// The path, and that of servers from before it was in the specification (MSC2965).
const PATHS: [&str; 2] =
    ["/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"];

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A homeserver's authorization server, as far as signing in needs it. Each endpoint is an address that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What it calls itself: an address.
    pub issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens become tokens.
    pub token_endpoint: String,
    /// Where clients are registered, if they can be.
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<String>,
    /// Where the device grant begins, if there is one.
    pub device_authorization_endpoint: Option<String>,
}

/// Asks for the homeserver's authorization server. `None`: it has no OAuth 2.0 API.
///
/// # Errors
/// When there is no answer, or one that cannot be used.
pub async fn metadata(client: &HomeserverClient) -> Result<Option<Metadata>, HomeserverError> {
    for path in PATHS {
        match client.get(path).await {
            Ok(answer) => {
                let checked = check(&answer, !client.base().is_https());
                return checked
                    .map(Some)
                    .map_err(|missing| HomeserverError::Unexpected { path: path.to_owned(), missing });
            }
            Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::NOT_FOUND => {}
            Err(error) if error.is_unrecognized() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Plain http is for homeservers that are reached by it themselves, and for the loopback interface.
fn check(answer: &Value, allow_http: bool) -> Result<Metadata, &'static str> {
    let address = |key: &str| answer[key].as_str().filter(|text| is_address(text, allow_http)).map(str::to_owned);
    // What is not said is as RFC 8414 says.
    let lists = |key: &str, word: &str, unsaid: bool| match answer[key].as_array() {
        Some(list) => list.iter().any(|value| value == word),
        None => unsaid,
    };
    let required = [
        ("response_types_supported", "code", true, "\"code\" in response_types_supported"),
        ("response_modes_supported", "query", true, "\"query\" in response_modes_supported"),
        ("grant_types_supported", "authorization_code", true, "\"authorization_code\" in grant_types_supported"),
        ("code_challenge_methods_supported", "S256", false, "\"S256\" in code_challenge_methods_supported"),
    ];
    for (key, word, unsaid, missing) in required {
        if !lists(key, word, unsaid) {
            return Err(missing);
        }
    }
    let device = address("device_authorization_endpoint").filter(|_| lists("grant_types_supported", DEVICE_CODE, true));
    Ok(Metadata {
        issuer: address("issuer").ok_or("issuer with an https address")?,
        authorization_endpoint: address("authorization_endpoint")
            .ok_or("authorization_endpoint with an https address")?,
        token_endpoint: address("token_endpoint").ok_or("token_endpoint with an https address")?,
        registration_endpoint: address("registration_endpoint"),
        revocation_endpoint: address("revocation_endpoint"),
        device_authorization_endpoint: device,
    })
}

/// Whether that is an address that may be asked, or opened in a browser.
pub(super) fn is_address(text: &str, allow_http: bool) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains('#');
    let loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&authority.host());
    let scheme = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => allow_http || loopback,
        Some(_) | None => false,
    };
    scheme && plain && !authority.host().is_empty() && !authority.as_str().contains('@')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the specification shows it, with the device grant.
    fn example() -> Value {
        json!({
            "issuer": "https://account.example.com/",
            "authorization_endpoint": "https://account.example.com/oauth2/auth",
            "token_endpoint": "https://account.example.com/oauth2/token",
            "registration_endpoint": "https://account.example.com/oauth2/clients/register",
            "revocation_endpoint": "https://account.example.com/oauth2/revoke",
            "device_authorization_endpoint": "https://account.example.com/oauth2/device",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token", DEVICE_CODE],
            "response_modes_supported": ["query", "fragment"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    #[test]
    fn what_can_be_used_is_told_from_what_cannot() {
        let check_with = |key: &str, value: Value, expected: Result<(), &str>| {
            let mut answer = example();
            answer[key] = value.clone();
            assert_eq!(check(&answer, false).map(drop), expected, "{key}: {value}");
        };
        check_with("more", json!("whatever"), Ok(()));
        check_with("response_types_supported", Value::Null, Ok(()));
        check_with("response_modes_supported", Value::Null, Ok(()));
        check_with("registration_endpoint", Value::Null, Ok(()));
        check_with("issuer", Value::Null, Err("issuer with an https address"));
        check_with("issuer", json!("http://account.example.com/"), Err("issuer with an https address"));
        check_with("token_endpoint", json!(7), Err("token_endpoint with an https address"));
        check_with("token_endpoint", json!("http://127.0.0.1:8080/token"), Ok(()));
        check_with(
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            Err("authorization_endpoint with an https address"),
        );
        check_with("response_modes_supported", json!(["fragment"]), Err("\"query\" in response_modes_supported"));
        let no_pkce = "\"S256\" in code_challenge_methods_supported";
        check_with("code_challenge_methods_supported", json!(["plain"]), Err(no_pkce));
        check_with("code_challenge_methods_supported", Value::Null, Err(no_pkce));
        assert!(check(&Value::Null, false).is_err());
    }

    #[test]
    fn a_device_grant_has_an_endpoint_and_is_listed() {
        let mut answer = example();
        let endpoint = |answer: &Value| check(answer, false).unwrap().device_authorization_endpoint;
        assert_eq!(endpoint(&answer).as_deref(), Some("https://account.example.com/oauth2/device"));
        answer["grant_types_supported"] = json!(["authorization_code", "refresh_token"]);
        assert_eq!(endpoint(&answer), None);
    }

    #[test]
    fn addresses_are_https_or_near() {
        fn check(text: &str, allow_http: bool, expected: bool) {
            assert_eq!(is_address(text, allow_http), expected, "{text}");
        }
        check("https://a.org/x?y=z", false, true);
        check("http://a.org/x", false, false);
        check("http://a.org/x", true, true);
        check("http://[::1]:8080/x", false, true);
        check("http://localhost.evil.org/x", false, false);
        check("https://a.org/#x", false, false);
        check("https://me@a.org/", false, false);
        check("https://a.org/\u{202e}", false, false);
        check("--help", true, false);
        check("file:///etc/passwd", true, false);
        check("", true, false);
    }
}
