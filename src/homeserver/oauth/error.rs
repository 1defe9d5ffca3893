//! Errors of the OAuth 2.0 API.

use hyper::StatusCode;
use serde::Deserialize;

use crate::{
    homeserver::{
        HomeserverError,
        client::{Lenient, printable},
        redirect::RedirectError,
    },
    http_client::{Answer, TransportError},
};

/// Why signing in or renewing a token failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OAuthError {
    /// There is no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The authorization server refused (RFC 6749, sections 4.1.2.1 and 5.2).
    #[error("{endpoint}: {}{description}", in_words(code.as_deref(), *status))]
    Refused {
        /// The URL of the request.
        endpoint: String,
        /// The status; `None` for a redirect.
        status: Option<StatusCode>,
        /// `invalid_grant` and so on. An answer without a code is that of a proxy.
        code: Option<String>,
        /// The server's message in brackets, safe to print; may be empty.
        description: String,
    },
    /// A successful response that does not have the specified form.
    #[error("{endpoint}: the answer has no {missing}")]
    Unexpected {
        /// The URL of the request.
        endpoint: String,
        /// What the answer lacks.
        missing: &'static str,
    },
    /// It does not register clients.
    #[error(
        "{issuer} registers no apps by itself: sign in with a password if the homeserver takes one, or with an access \
         token (--token-file)"
    )]
    NoRegistration {
        /// The authorization server.
        issuer: String,
    },
    /// It has no revocation endpoint.
    #[error("the homeserver's account service cannot be told to end a session: end it on the pages of your account")]
    NoRevocation,
    /// The session has no refresh token.
    #[error("the session cannot be renewed: sign in again")]
    NoRefreshToken,
    /// The person refused.
    #[error("access was denied: nothing has changed")]
    Denied,
    /// There was no redirect.
    #[error(transparent)]
    Redirect(#[from] RedirectError),
    /// The homeserver does not accept the tokens.
    #[error(transparent)]
    Homeserver(#[from] HomeserverError),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorAnswer {
    error: Lenient<String>,
    error_description: Lenient<String>,
}

impl OAuthError {
    /// An error in a redirect.
    pub(super) fn redirected(endpoint: &str, code: &str, description: &str) -> Self {
        let (endpoint, code) = (endpoint.to_owned(), Some(printable(code)));
        Self::Refused { endpoint, status: None, code, description: in_brackets(description) }
    }

    pub(super) fn answered(endpoint: &str, answer: &Answer) -> Self {
        let ErrorAnswer { error, error_description } = answer.json();
        Self::Refused {
            endpoint: endpoint.to_owned(),
            status: Some(answer.status),
            code: error.text().map(|code| printable(&code)),
            description: in_brackets(&error_description.0.unwrap_or_default()),
        }
    }

    /// Whether the session has ended, so that only signing in again helps: the refresh token is expired, used or revoked,
    /// or the client is unknown.
    ///
    /// The specification means any 4xx. One without an OAuth error code does not count: it is that of a proxy.
    #[must_use]
    pub fn is_signed_out(&self) -> bool {
        if let Self::Refused { status, code, .. } = self {
            return code.is_some() && status.is_some_and(is_final);
        }
        if let Self::Homeserver(error) = self {
            return error.is_unknown_token();
        }
        matches!(self, Self::NoRefreshToken)
    }

    /// Whether a retry may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        if let Self::Refused { status, code, .. } = self {
            return status.is_some_and(|status| code.is_none() || !is_final(status));
        }
        if let Self::Homeserver(error) = self {
            return error.is_temporary();
        }
        matches!(self, Self::Transport(_))
    }

    /// The OAuth error code.
    pub(super) fn code(&self) -> Option<&str> {
        if let Self::Refused { code, .. } = self { code.as_deref() } else { None }
    }
}

fn in_words(code: Option<&str>, status: Option<StatusCode>) -> String {
    let status = || status.map(|status| status.to_string()).unwrap_or_default();
    code.map_or_else(status, ToOwned::to_owned)
}

fn in_brackets(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(" ({})", printable(description)) }
}

/// Whether a request with this status would fail again.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_differs_from_an_unavailable_server() {
        fn check(status: u16, body: &str, signed_out: bool, words: &str) {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: body.to_owned().into(),
                retry_after: None,
                location: None,
            };
            let error = OAuthError::answered("a.org", &answer);
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
