//! Finding a homeserver: `/.well-known/matrix/client`, then `/versions` (Matrix specification, client-server API,
//! "Server discovery").

use std::collections::BTreeMap;

use hyper::{Method, StatusCode};
use serde::{Deserialize, de::IgnoredAny};

use super::{BaseUrl, HomeserverClient, HomeserverError, UserId, client::Lenient};
use crate::http_client::{HttpClient, Request, TransportError, TransportFault};

const WELL_KNOWN: &str = "/.well-known/matrix/client";
const VERSIONS: &str = "/_matrix/client/versions";

/// Why no homeserver was found.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DiscoveryError {
    /// The well-known file is invalid (the specification's `FAIL_PROMPT` and `FAIL_ERROR`).
    #[error("{url} does not say where the homeserver is: {reason}")]
    WellKnown {
        /// The file's URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An https URL leads to an http one.
    #[error("{from} leads to an address that is not encrypted: {reason}")]
    Unencrypted {
        /// The https URL.
        from: String,
        /// Where it leads.
        reason: String,
    },
    /// Nothing answers at that address.
    #[error("no homeserver answers at {}: {}", base, error.reason)]
    Unreachable {
        /// Where it should be.
        base: BaseUrl,
        /// The error.
        error: TransportError,
    },
    /// Something answers there that is no homeserver.
    #[error("{base} is no Matrix homeserver: {reason}")]
    NoHomeserver {
        /// The address.
        base: BaseUrl,
        /// How that was recognised.
        reason: String,
    },
}

/// A homeserver that was found.
#[derive(Clone)]
pub struct Homeserver {
    /// A client without a token.
    pub client: HomeserverClient,
    /// The answer of `/versions`.
    pub(super) versions: Versions,
}

/// `GET /_matrix/client/versions`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Versions {
    #[serde(rename = "versions")]
    listed: Lenient<Vec<IgnoredAny>>,
    pub(super) unstable_features: Lenient<BTreeMap<String, serde_json::Value>>,
    /// Not in the specification.
    pub(super) server: Lenient<ServerField>,
}

/// The two forms in which homeservers name themselves in `/versions`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum ServerField {
    Name(String),
    Object { name: String },
}

#[derive(Default, Deserialize)]
struct WellKnown {
    #[serde(default, rename = "m.homeserver")]
    homeserver: Lenient<WellKnownHomeserver>,
}

#[derive(Deserialize)]
struct WellKnownHomeserver {
    #[serde(default)]
    base_url: Lenient<String>,
}

/// Result of reading `/.well-known/matrix/client`.
#[derive(Debug, PartialEq, Eq)]
enum Delegation {
    /// None: the server name is the homeserver's address.
    None,
    /// To this address.
    To(BaseUrl),
    /// Invalid, for this reason.
    Unreadable(String),
}

/// Finds the user's homeserver and checks that it answers. Unencrypted addresses are rejected unless `http` allows
/// downgrades.
///
/// # Errors
/// When none is found; the error names the address.
pub(crate) async fn find(http: &HttpClient, user: &UserId) -> Result<Homeserver, DiscoveryError> {
    let named = format!("https://{}", user.server_name());
    let url = format!("{named}{WELL_KNOWN}");
    let own = BaseUrl::parse(&named).map_err(|reason| DiscoveryError::WellKnown { url: url.clone(), reason })?;
    let request = Request { follows_redirects: true, ..Request::new(Method::GET, &url) };
    let base = match http.send(&request).await {
        Ok(answer) => match delegation(answer.status, &answer.body) {
            Delegation::None => own,
            Delegation::To(base) if !base.is_https() && !http.allows_downgrade() => {
                return Err(DiscoveryError::Unencrypted { from: url, reason: base.to_string() });
            }
            Delegation::To(base) => base,
            Delegation::Unreadable(reason) => return Err(DiscoveryError::WellKnown { url, reason }),
        },
        Err(TransportError { fault: TransportFault::Downgrade, reason, .. }) => {
            return Err(DiscoveryError::Unencrypted { from: url, reason });
        }
        // The server may be the homeserver itself, which is tried next.
        Err(_) => own,
    };
    check(http, base).await
}

/// Checks that a homeserver answers at this address.
///
/// # Errors
/// When none does.
pub(crate) async fn check(http: &HttpClient, base: BaseUrl) -> Result<Homeserver, DiscoveryError> {
    let client = HomeserverClient::new(http.clone(), base.clone());
    match client.get::<Versions>(VERSIONS).await {
        Ok(versions) if versions.listed.0.is_some() => Ok(Homeserver { client, versions }),
        Ok(_) => Err(DiscoveryError::NoHomeserver { base, reason: format!("{VERSIONS} lists no versions") }),
        Err(HomeserverError::Transport(TransportError { fault: TransportFault::Downgrade, reason, .. })) => {
            Err(DiscoveryError::Unencrypted { from: base.to_string(), reason })
        }
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
                "Give the homeserver's own address (--homeserver https://…)"
            }
            Self::Unencrypted { .. } => {
                "Whoever is on the way could read the password and every message. Name an encrypted address with \
                 --homeserver https://…, or take this one with --anyway"
            }
            Self::Unreachable { error, .. } if error.fault == TransportFault::Unresolved => {
                "Check the name, or give the homeserver's own address (--homeserver https://…)"
            }
            Self::Unreachable { error, .. } if matches!(error.fault, TransportFault::Certificate(_)) => {
                "If the homeserver has a certificate of an authority of your own, name that authority's file in \
                 SSL_CERT_FILE."
            }
            Self::Unreachable { base, error }
                if base.is_https() && matches!(error.fault, TransportFault::NotTls | TransportFault::TimedOut) =>
            {
                "If it is not encrypted there, say so: --homeserver http://… Else check that this computer is online and \
                 that the homeserver runs."
            }
            Self::Unreachable { .. } => {
                "Check that this computer is online and that the homeserver runs, or say where it is with \
                 --homeserver https://…"
            }
        }
    }
}

/// Parses the answer, whatever its content type; fails only for unusable answers.
fn delegation(status: StatusCode, body: &[u8]) -> Delegation {
    if !status.is_success() {
        // 404 means none. Other errors are more likely of a web site that has nothing to do with Matrix.
        return Delegation::None;
    }
    let Ok(well_known) = serde_json::from_slice::<WellKnown>(body) else {
        // A web site that answers everything with its front page.
        return Delegation::None;
    };
    let Some(homeserver) = well_known.homeserver.0 else {
        return Delegation::Unreadable("it has no m.homeserver".to_owned());
    };
    match homeserver.base_url.0.as_deref().map(BaseUrl::parse) {
        Some(Ok(base)) => Delegation::To(base),
        Some(Err(reason)) => Delegation::Unreadable(format!("its base_url: {reason}")),
        None => Delegation::Unreadable("its m.homeserver has no base_url".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_files_are_parsed_leniently() {
        fn check(status: u16, body: &str, expected: &Delegation) {
            let delegation = delegation(StatusCode::from_u16(status).unwrap(), body.as_bytes());
            assert_eq!(&delegation, expected, "{status} {body}");
        }
        let base = |url: &str| Delegation::To(BaseUrl::parse(url).unwrap());
        let plain = r#"{"m.homeserver":{"base_url":"https://matrix.example.org"}}"#;
        check(200, plain, &base("https://matrix.example.org"));
        check(200, &plain.replace(".org", ".org/"), &base("https://matrix.example.org"));
        check(200, &plain.replace(".org", ".org/prefix//"), &base("https://matrix.example.org/prefix"));
        check(404, "", &Delegation::None);
        check(404, plain, &Delegation::None);
        check(500, "oops", &Delegation::None);
        check(200, "<html>Welcome</html>", &Delegation::None);
        check(200, "{}", &Delegation::Unreadable("it has no m.homeserver".to_owned()));
        check(
            200,
            r#"{"m.homeserver":{"base_url":7}}"#,
            &Delegation::Unreadable("its m.homeserver has no base_url".to_owned()),
        );
        let nonsense = |body: &str| matches!(delegation(StatusCode::OK, body.as_bytes()), Delegation::Unreadable(_));
        assert!(nonsense(r#"{"m.homeserver":{"base_url":""}}"#));
        assert!(nonsense(r#"{"m.homeserver":{"base_url":"ftp://example.org"}}"#));
        assert!(nonsense(r#"{"m.homeserver":null}"#));
    }
}
