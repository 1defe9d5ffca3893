//! What the endpoint answers: JSON, whole, with a `Content-Length`; never a redirect, never 204.

use std::{borrow::Cow, fmt};

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde::Serialize;

use crate::{accounts::Rejected, inbox::InboxError, push::notify::PushError};

/// Seconds after which a push may be tried again. Synapse keeps to a schedule of its own.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer.
pub(super) enum Answer {
    /// To a push: all of it that is for us is on disk.
    Pushed(Rejected),
    /// To `GET /health`: a push could be accepted now.
    Healthy,
    /// To `GET /health`: it could not.
    Unhealthy(Failure),
    /// To anything: it could not be done.
    Failed(Failure),
}

/// Why a request could not be answered as it wished.
#[derive(Debug)]
pub(super) enum Failure {
    /// The body is not a push.
    Push(PushError),
    /// The body is larger than that.
    BodyTooLarge { limit: usize },
    /// The body ended early, or its framing is damaged.
    BodyBroken,
    /// Too many bodies at once.
    NoMemory,
    /// Whether the pushkey is known cannot be told.
    AccountsUnreadable,
    /// The inbox could not record it.
    Inbox(InboxError),
    /// The inbox did not say in time whether it could.
    InboxTooSlow,
    /// The path is known, the method is another.
    WrongMethod { allow: &'static str },
    /// There is no such path.
    WrongPath,
    /// The request's head is not HTTP, or too long: hyper says which.
    NotHttp(StatusCode),
    /// It is not encrypted, where TLS is spoken.
    NotTls,
}

impl Failure {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Push(PushError::NotJson(_) | PushError::BadJson(_) | PushError::MissingParam(_))
            | Self::BodyBroken
            | Self::NotTls => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoMemory | Self::AccountsUnreadable | Self::Inbox(_) | Self::InboxTooSlow => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::WrongPath => StatusCode::NOT_FOUND,
            Self::NotHttp(status) => *status,
        }
    }

    fn errcode(&self) -> &'static str {
        match self {
            Self::Push(PushError::NotJson(_)) | Self::BodyBroken => "M_NOT_JSON",
            Self::Push(PushError::BadJson(_)) => "M_BAD_JSON",
            Self::Push(PushError::MissingParam(_)) => "M_MISSING_PARAM",
            Self::BodyTooLarge { .. } => "M_TOO_LARGE",
            Self::NoMemory | Self::AccountsUnreadable | Self::Inbox(_) | Self::InboxTooSlow => "M_UNKNOWN",
            Self::WrongMethod { .. } | Self::WrongPath | Self::NotHttp(_) | Self::NotTls => "M_UNRECOGNIZED",
        }
    }

    /// For whoever asks from anywhere: says nothing about this computer's files.
    fn sentence(&self) -> Cow<'static, str> {
        match self {
            Self::Push(error) => error.to_string().into(),
            Self::BodyTooLarge { limit } => format!("the body is larger than {limit} bytes").into(),
            Self::BodyBroken => "the body ended early, or its framing is damaged".into(),
            Self::NoMemory => "too many pushes at once".into(),
            Self::AccountsUnreadable => {
                "the accounts cannot be read: `pushbell status` on the computer itself says why".into()
            }
            Self::Inbox(InboxError::Unusable { path, reason }) => {
                format!("the inbox cannot be used: {}", reason.replace(path.as_str(), "the database")).into()
            }
            Self::Inbox(InboxError::Damaged { .. }) => "the inbox is damaged; a new one is begun".into(),
            Self::Inbox(InboxError::TooNew { .. }) => "the inbox was written by a newer Pushbell".into(),
            Self::Inbox(error @ InboxError::Closed) => error.to_string().into(),
            Self::InboxTooSlow => "the disk takes too long".into(),
            Self::WrongMethod { allow } => format!("this path is for {allow} alone").into(),
            Self::WrongPath => "there is nothing at this path".into(),
            Self::NotHttp(status) if *status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                "the headers are too long or too many".into()
            }
            Self::NotHttp(_) => "this is not a request in HTTP/1.1".into(),
            Self::NotTls => "this address is encrypted (server.tls): the URL begins with https://".into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())
    }
}

#[derive(Serialize)]
struct Pushed<'a> {
    rejected: &'a Rejected,
}

#[derive(Serialize)]
struct Health<'a> {
    status: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct MatrixError<'a> {
    errcode: &'static str,
    error: &'a str,
}

impl Answer {
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let status = match &self {
            Self::Pushed(_) | Self::Healthy => StatusCode::OK,
            Self::Unhealthy(failure) | Self::Failed(failure) => failure.status(),
        };
        let mut response = Response::new(Full::new(self.body()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        match self {
            Self::Failed(Failure::BodyTooLarge { .. } | Failure::BodyBroken) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Failed(Failure::WrongMethod { allow }) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Pushed(_) | Self::Healthy | Self::Unhealthy(_) | Self::Failed(_) => {}
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }

    fn body(&self) -> Bytes {
        let json = match self {
            Self::Pushed(rejected) if rejected.is_empty() => return Bytes::from_static(br#"{"rejected":[]}"#),
            Self::Pushed(rejected) => serde_json::to_vec(&Pushed { rejected }),
            Self::Healthy => return Bytes::from_static(br#"{"status":"ok"}"#),
            Self::Unhealthy(failure) => {
                serde_json::to_vec(&Health { status: "unavailable", reason: &failure.sentence() })
            }
            Self::Failed(failure) => {
                serde_json::to_vec(&MatrixError { errcode: failure.errcode(), error: &failure.sentence() })
            }
        };
        // Strings serialize into memory without fail; an answer must be JSON in any case.
        json.map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from)
    }
}

/// The whole answer to what is no request that hyper could read, as it goes over the wire.
pub(super) fn last(failure: Failure) -> Vec<u8> {
    let status = failure.status();
    let body = Answer::Failed(failure).body();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut wire = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_str(),
        body.len(),
    )
    .into_bytes();
    wire.extend_from_slice(&body);
    wire
}
