//! Finding a homeserver: `/.well-known/matrix/client`, then `/versions` (Matrix specification, client-server API,
//! "Server discovery").

use hyper::{Method, StatusCode};
use serde_json::Value;

use super::{
    BaseUrl, HomeserverClient, HomeserverError, HttpsClient, TransportError, TransportFault, UserId, https::Body,
};

const WELL_KNOWN: &str = "/.well-known/matrix/client";
const VERSIONS: &str = "/_matrix/client/versions";

/// Why there is no homeserver to talk to.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DiscoveryError {
    /// The server's own word about its homeserver makes no sense (the specification's `FAIL_PROMPT` and `FAIL_ERROR`).
    #[error("{url} does not say where the homeserver is: {reason}")]
    WellKnown {
        /// Where that word is.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing answers at that address.
    #[error("no homeserver answers at {}: {}", base.as_str(), error.reason)]
    Unreachable {
        /// Where it should be.
        base: BaseUrl,
        /// What happened.
        error: TransportError,
    },
    /// Something answers there, but it is no homeserver.
    #[error("{} is no Matrix homeserver: {reason}", base.as_str())]
    NoHomeserver {
        /// The address.
        base: BaseUrl,
        /// What it says instead.
        reason: String,
    },
}

/// A homeserver that answers, and what it says of itself.
#[derive(Clone)]
pub struct Homeserver {
    /// Asks it, without a token.
    pub client: HomeserverClient,
    /// The answer of `/versions`.
    pub versions: Value,
}

/// What `/.well-known/matrix/client` comes to.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    /// There is none: the server's name is the address.
    Ignore,
    /// The homeserver is there.
    Base(BaseUrl),
    /// It cannot be understood.
    Nonsense(String),
}

/// Finds the user's homeserver and sees that it answers.
///
/// # Errors
/// When there is none; says where it was looked for.
pub async fn find(https: &HttpsClient, user: &UserId) -> Result<Homeserver, DiscoveryError> {
    let named = format!("https://{}", user.server_name());
    let url = format!("{named}{WELL_KNOWN}");
    let own = BaseUrl::parse(&named).map_err(|reason| DiscoveryError::WellKnown { url: url.clone(), reason })?;
    let base = match https.send(&Method::GET, &url, None, &Body::Empty).await {
        Ok(answer) => match read(answer.status, &answer.json()) {
            Word::Ignore => own,
            Word::Base(base) => base,
            Word::Nonsense(reason) => return Err(DiscoveryError::WellKnown { url, reason }),
        },
        // A server that cannot be reached at all has said nothing; whether it is the homeserver itself is seen next.
        Err(_) => own,
    };
    check(https, base).await
}

/// Sees that a homeserver answers at this address.
///
/// # Errors
/// When none does.
pub async fn check(https: &HttpsClient, base: BaseUrl) -> Result<Homeserver, DiscoveryError> {
    let client = HomeserverClient::new(https.clone(), base.clone());
    match client.get(VERSIONS).await {
        Ok(versions) if versions["versions"].is_array() => Ok(Homeserver { client, versions }),
        Ok(_) => Err(DiscoveryError::NoHomeserver { base, reason: format!("{VERSIONS} lists no versions") }),
        Err(HomeserverError::Transport(error)) => Err(DiscoveryError::Unreachable { base, error }),
        Err(error @ (HomeserverError::Refused(_) | HomeserverError::Unexpected { .. })) => {
            Err(DiscoveryError::NoHomeserver { base, reason: error.to_string() })
        }
    }
}

impl DiscoveryError {
    /// What the person can do about it.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::WellKnown { .. } | Self::NoHomeserver { .. } => {
                "Say where the homeserver is with --homeserver https://…"
            }
            Self::Unreachable { error, .. } => match error.fault {
                TransportFault::Unresolved => {
                    "Check the name, or say where the homeserver is with --homeserver https://…"
                }
                TransportFault::Certificate => {
                    "If the homeserver has a certificate of an authority of your own, name that authority's file in \
                     SSL_CERT_FILE."
                }
                TransportFault::Refused
                | TransportFault::TimedOut
                | TransportFault::TooLarge
                | TransportFault::Broken
                | TransportFault::NoCertificateStore => {
                    "Check that this computer is online and that the homeserver runs, or say where it is with \
                     --homeserver https://…"
                }
            },
        }
    }
}

/// Reads the word, whatever type it claims to have; only what is really unusable fails.
fn read(status: StatusCode, body: &Value) -> Word {
    if !status.is_success() {
        // 404 means none. Whatever else answers is more likely a web site that knows nothing of Matrix.
        return Word::Ignore;
    }
    let Some(word) = body.as_object() else {
        // A web site that answers everything with its front page.
        return Word::Ignore;
    };
    let Some(homeserver) = word.get("m.homeserver") else {
        return Word::Nonsense("it has no m.homeserver".to_owned());
    };
    match homeserver["base_url"].as_str().map(BaseUrl::parse) {
        Some(Ok(base)) => Word::Base(base),
        Some(Err(reason)) => Word::Nonsense(format!("its base_url: {reason}")),
        None => Word::Nonsense("its m.homeserver has no base_url".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_word_about_its_homeserver_is_read_leniently() {
        fn check(status: u16, body: &str, expected: &Word) {
            let json = serde_json::from_str(body).unwrap_or(Value::Null);
            assert_eq!(&read(StatusCode::from_u16(status).unwrap(), &json), expected, "{status} {body}");
        }
        let base = |url: &str| Word::Base(BaseUrl::parse(url).unwrap());
        let plain = r#"{"m.homeserver":{"base_url":"https://matrix.example.org"}}"#;
        check(200, plain, &base("https://matrix.example.org"));
        check(200, &plain.replace(".org", ".org/"), &base("https://matrix.example.org"));
        check(200, &plain.replace(".org", ".org/prefix//"), &base("https://matrix.example.org/prefix"));
        check(404, "", &Word::Ignore);
        check(404, plain, &Word::Ignore);
        check(500, "oops", &Word::Ignore);
        check(200, "<html>Welcome</html>", &Word::Ignore);
        check(200, "{}", &Word::Nonsense("it has no m.homeserver".to_owned()));
        check(
            200,
            r#"{"m.homeserver":{"base_url":7}}"#,
            &Word::Nonsense("its m.homeserver has no base_url".to_owned()),
        );
        let nonsense =
            |body: &str| matches!(read(StatusCode::OK, &serde_json::from_str(body).unwrap()), Word::Nonsense(_));
        assert!(nonsense(r#"{"m.homeserver":{"base_url":""}}"#));
        assert!(nonsense(r#"{"m.homeserver":{"base_url":"ftp://example.org"}}"#));
        assert!(nonsense(r#"{"m.homeserver":null}"#));
    }
}
