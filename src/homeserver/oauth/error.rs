//! What can go wrong.

use hyper::StatusCode;
use serde_json::Value;

use crate::homeserver::{
    HomeserverError, Refusal, TransportError, client::printable, https::Answer, redirect::RedirectError,
};

/// Why somebody is not signed in, or a token not renewed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OAuthError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The authorization server said no.
    #[error(transparent)]
    Refused(Box<OAuthRefusal>),
    /// It said yes, but not in a form that the standards know.
    #[error("{endpoint}: the answer has no {missing}")]
    Unexpected {
        /// Which of its addresses.
        endpoint: String,
        /// What the answer should have had.
        missing: &'static str,
    },
    /// It takes no clients that it does not know.
    #[error(
        "{issuer} registers no apps by itself: sign in with a password if the homeserver takes one, or with an access \
         token (--token-file)"
    )]
    NoRegistration {
        /// The authorization server.
        issuer: String,
    },
    /// It has no address at which tokens are revoked.
    #[error("the homeserver's account service cannot be told to end a session: end it on the pages of your account")]
    NoRevocation,
    /// The session has nothing to get new tokens with.
    #[error("the session cannot be renewed: sign in again")]
    NoRefreshToken,
    /// The person who was asked said no.
    #[error("access was denied: nothing has changed")]
    Denied,
    /// Nobody signed in in time.
    #[error("nobody signed in while the code was good: try again")]
    Expired,
    /// The browser did not come back.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// Signed in, but the homeserver does not know it.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
}

/// An authorization server's "no" (RFC 6749, sections 4.1.2.1 and 5.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{endpoint}: {error}{}", if description.is_empty() { String::new() } else { format!(" ({description})") })]
pub struct OAuthRefusal {
    /// Which of its addresses was asked.
    pub endpoint: String,
    /// The status; of a redirect there is none.
    pub status: Option<StatusCode>,
    /// `invalid_grant` and so on; the status where it sent no such code.
    pub error: String,
    /// Its own words, harmless to print; may be empty.
    pub description: String,
    /// The answer is one of an authorization server, not of something before it.
    is_coded: bool,
}

impl OAuthRefusal {
    /// A "no" that came with a redirect.
    pub(super) fn redirected(endpoint: &str, error: &str, description: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            status: None,
            error: printable(error),
            description: printable(description),
            is_coded: true,
        }
    }

    pub(super) fn answered(endpoint: &str, answer: &Answer) -> Self {
        let body = answer.json();
        let word = |value: &Value| value.as_str().map(printable).filter(|word| !word.is_empty());
        let code = word(&body["error"]);
        Self {
            endpoint: endpoint.to_owned(),
            status: Some(answer.status),
            is_coded: code.is_some(),
            error: code.unwrap_or_else(|| answer.status.to_string()),
            description: word(&body["error_description"]).unwrap_or_default(),
        }
    }
}

impl OAuthError {
    /// Whether the session is over, so that only signing in again helps: a refresh token that is expired, used or
    /// revoked, a client that is not known any more.
    ///
    /// The specification means any 4xx. One without an OAuth error code is not taken for that: it comes from a proxy in
    /// front of a server that is away.
    #[must_use]
    pub fn is_signed_out(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_coded && refusal.status.is_some_and(is_final),
            Self::NoRefreshToken => true,
            Self::Homeserver(error) => error.is_unknown_token(),
            Self::Transport(_)
            | Self::Unexpected { .. }
            | Self::NoRegistration { .. }
            | Self::NoRevocation
            | Self::Denied
            | Self::Expired
            | Self::Redirect(_) => false,
        }
    }

    /// Whether asking again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Refused(refusal) => refusal.status.is_some_and(|status| !refusal.is_coded || !is_final(status)),
            Self::Homeserver(error) => error.is_temporary(),
            Self::Unexpected { .. }
            | Self::NoRegistration { .. }
            | Self::NoRevocation
            | Self::NoRefreshToken
            | Self::Denied
            | Self::Expired
            | Self::Redirect(_) => false,
        }
    }

    /// The code of a "no".
    pub(super) fn code(&self) -> Option<&str> {
        if let Self::Refused(refusal) = self { Some(&refusal.error) } else { None }
    }
}

/// For those who ask a homeserver, and its authorization server with it.
impl From<OAuthError> for HomeserverError {
    fn from(error: OAuthError) -> Self {
        let lacks = |path: &str, missing| Self::Unexpected { path: path.to_owned(), missing };
        match error {
            OAuthError::Transport(error) => error.into(),
            OAuthError::Homeserver(error) => error,
            OAuthError::Refused(refusal) => Self::Refused(Box::new(Refusal {
                path: refusal.endpoint,
                status: refusal.status.unwrap_or(StatusCode::FORBIDDEN),
                errcode: refusal.error,
                error: refusal.description,
                soft_logout: false,
                retry_after: None,
                body: Value::Null,
            })),
            OAuthError::Unexpected { endpoint, missing } => lacks(&endpoint, missing),
            OAuthError::NoRegistration { issuer } => lacks(&issuer, "registration_endpoint"),
            OAuthError::NoRevocation => lacks("the authorization server", "revocation_endpoint"),
            OAuthError::NoRefreshToken => lacks("the session", "refresh_token"),
            OAuthError::Denied | OAuthError::Expired | OAuthError::Redirect(_) => lacks("the browser", "consent"),
        }
    }
}

impl From<OAuthRefusal> for OAuthError {
    fn from(refusal: OAuthRefusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Whether a status is a "no" that stays one.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over_is_told_from_a_server_that_is_away() {
        fn check(status: u16, body: &str, signed_out: bool, words: &str) {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: body.to_owned().into(),
                retry_after: None,
            };
            let error = OAuthError::from(OAuthRefusal::answered("a.org", &answer));
            assert_eq!(error.to_string(), words);
            assert_eq!((error.is_signed_out(), error.is_temporary()), (signed_out, !signed_out), "{words}");
        }
        check(400, r#"{"error":"invalid_grant"}"#, true, "a.org: invalid_grant");
        check(401, r#"{"error":"invalid_client","error_description":"?"}"#, true, "a.org: invalid_client (?)");
        check(400, r#"{"error":"a\u001b[31m\nb"}"#, true, "a.org: a\\u{1b}[31m b");
        check(429, r#"{"error":"slow_down"}"#, false, "a.org: slow_down");
        check(503, r#"{"error":"temporarily_unavailable"}"#, false, "a.org: temporarily_unavailable");
        check(502, "<html>", false, "a.org: 502 Bad Gateway");
        check(404, "<html>", false, "a.org: 404 Not Found");
    }
}
