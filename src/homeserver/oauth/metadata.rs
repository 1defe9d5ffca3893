//! `GET /_matrix/client/v1/auth_metadata`: the metadata of the authorization server (RFC 8414).

use hyper::StatusCode;
use serde::Deserialize;
use url::Url;

use crate::homeserver::{HomeserverClient, HomeserverError, client::Lenient};

/// The path, and its unstable predecessor (MSC2965).
const PATHS: [&str; 2] =
    ["/_matrix/client/v1/auth_metadata", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"];

/// A homeserver's authorization server. Its endpoints are checked URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its identifier, a URL.
    pub issuer: String,
    /// Where the browser is sent to.
    pub authorization_endpoint: String,
    /// Where codes and refresh tokens are exchanged for tokens.
    pub token_endpoint: String,
    /// Where clients are registered, if that is possible.
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked, if that is possible.
    pub revocation_endpoint: Option<String>,
}

/// Requests the metadata of the homeserver's authorization server; `None` if it has no OAuth 2.0 API.
///
/// # Errors
/// When the request fails, or the metadata are unusable.
pub async fn metadata(client: &HomeserverClient) -> Result<Option<Metadata>, HomeserverError> {
    for path in PATHS {
        match client.get::<MetadataAnswer>(path).await {
            Ok(answer) => {
                let checked = answer.check(!client.base().is_https());
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct MetadataAnswer {
    issuer: Lenient<String>,
    authorization_endpoint: Lenient<String>,
    token_endpoint: Lenient<String>,
    registration_endpoint: Lenient<String>,
    revocation_endpoint: Lenient<String>,
    response_types_supported: Lenient<Vec<String>>,
    response_modes_supported: Lenient<Vec<String>>,
    grant_types_supported: Lenient<Vec<String>>,
    code_challenge_methods_supported: Lenient<Vec<String>>,
}

impl MetadataAnswer {
    /// Checks that Pushbell can use the server. `allow_http`: the homeserver itself is reached by plain http.
    fn check(self, allow_http: bool) -> Result<Metadata, &'static str> {
        let address = |text: &String| is_address(text, allow_http);
        // The defaults are those of RFC 8414.
        let lists = |list: &Lenient<Vec<String>>, word: &str, unsaid: bool| {
            list.0.as_ref().map_or(unsaid, |list| list.iter().any(|value| value == word))
        };
        let required = [
            (&self.response_types_supported, "code", true, "\"code\" in response_types_supported"),
            (&self.response_modes_supported, "query", true, "\"query\" in response_modes_supported"),
            (
                &self.grant_types_supported,
                "authorization_code",
                true,
                "\"authorization_code\" in grant_types_supported",
            ),
            (&self.code_challenge_methods_supported, "S256", false, "\"S256\" in code_challenge_methods_supported"),
        ];
        for (list, word, unsaid, missing) in required {
            if !lists(list, word, unsaid) {
                return Err(missing);
            }
        }
        Ok(Metadata {
            issuer: self.issuer.0.filter(address).ok_or("issuer with an https address")?,
            authorization_endpoint: self
                .authorization_endpoint
                .0
                .filter(address)
                .ok_or("authorization_endpoint with an https address")?,
            token_endpoint: self.token_endpoint.0.filter(address).ok_or("token_endpoint with an https address")?,
            registration_endpoint: self.registration_endpoint.0.filter(address),
            revocation_endpoint: self.revocation_endpoint.0.filter(address),
        })
    }
}

/// Whether the URL may be requested, or opened in a browser.
fn is_address(text: &str, allow_http: bool) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    // The parser drops unprintable characters.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && url.fragment().is_none();
    let scheme = url.scheme() == "https" || url.scheme() == "http" && allow_http;
    scheme && plain && url.has_host() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(answer: &Value, allow_http: bool) -> Result<Metadata, &'static str> {
        serde_json::from_value::<MetadataAnswer>(answer.clone()).unwrap_or_default().check(allow_http)
    }

    /// As the specification shows it.
    fn example() -> Value {
        json!({
            "issuer": "https://account.example.com/",
            "authorization_endpoint": "https://account.example.com/oauth2/auth",
            "token_endpoint": "https://account.example.com/oauth2/token",
            "registration_endpoint": "https://account.example.com/oauth2/clients/register",
            "revocation_endpoint": "https://account.example.com/oauth2/revoke",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_modes_supported": ["query", "fragment"],
            "code_challenge_methods_supported": ["S256"],
        })
    }

    #[test]
    fn unusable_metadata_are_rejected() {
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
        let unencrypted = json!("http://127.0.0.1:8080/token");
        check_with("token_endpoint", unencrypted, Err("token_endpoint with an https address"));
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
    fn addresses_are_https_unless_the_homeservers_own_is_not() {
        fn check(text: &str, allow_http: bool, expected: bool) {
            assert_eq!(is_address(text, allow_http), expected, "{text}");
        }
        check("https://a.org/x?y=z", false, true);
        check("http://a.org/x", false, false);
        check("http://a.org/x", true, true);
        check("http://[::1]:8080/x", false, false);
        check("http://localhost.evil.org/x", false, false);
        check("https://a.org/#x", false, false);
        check("https://me@a.org/", false, false);
        check("https://a.org/\u{202e}", false, false);
        check("--help", true, false);
        check("file:///etc/passwd", true, false);
        check("", true, false);
    }
}
