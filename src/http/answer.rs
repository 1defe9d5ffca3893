//! The endpoint's answers: complete JSON with a `Content-Length`; never a redirect, never 204.

use std::borrow::Cow;

use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};
use serde_json::{Value, json};

use crate::{accounts::Rejected, inbox::InboxError, intake::Refusal, push::notify::PushError};

/// `Retry-After`, in seconds. Synapse ignores it and uses its own backoff.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer.
pub(super) enum EndpointAnswer {
    /// To a push: everything addressed to a known account is on disk.
    Pushed(Rejected),
    /// To `GET /health`: a push could be accepted now.
    Healthy,
    /// To `GET /health`: it could not.
    Unhealthy(RequestError),
    /// To any request: it failed.
    Failed(RequestError),
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum RequestError {
    /// The push is not accepted.
    Refused(Refusal),
    /// The inbox did not answer in time.
    InboxTooSlow,
    /// The body is larger than this many bytes.
    BodyTooLarge { limit: usize },
    /// The body ended early, or its framing is invalid.
    BodyBroken,
    /// Too many bodies at once.
    OutOfMemory,
    /// The path does not support this method.
    WrongMethod { allow: &'static str },
    /// There is no such path.
    WrongPath,
    /// The request's head is not HTTP, or too long: hyper says which.
    NotHttp(StatusCode),
    /// Plain HTTP on a TLS port.
    NotTls,
}

impl RequestError {
    /// The status, the `errcode` and a sentence. The sentence is public: it says nothing about
    /// this computer's files.
    fn explain(&self) -> (StatusCode, &'static str, Cow<'static, str>) {
        const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
        match self {
            Self::Refused(Refusal::Invalid(error)) => {
                let errcode = match error {
                    PushError::NotJson(_) => "M_NOT_JSON",
                    PushError::BadJson(_) => "M_BAD_JSON",
                    PushError::MissingParam(_) => "M_MISSING_PARAM",
                };
                (StatusCode::BAD_REQUEST, errcode, error.to_string().into())
            }
            Self::Refused(Refusal::AccountsUnreadable(_)) => {
                let sentence = "the accounts cannot be read: `pushbell status` on the computer itself says why";
                (UNAVAILABLE, "M_UNKNOWN", sentence.into())
            }
            Self::Refused(Refusal::NotRecorded(error)) => (UNAVAILABLE, "M_UNKNOWN", inbox_sentence(error)),
            Self::InboxTooSlow => (UNAVAILABLE, "M_UNKNOWN", "the disk takes too long".into()),
            Self::OutOfMemory => (UNAVAILABLE, "M_UNKNOWN", "too many pushes at once".into()),
            Self::BodyTooLarge { limit } => {
                let sentence = format!("the body is larger than {limit} bytes");
                (StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", sentence.into())
            }
            Self::BodyBroken => {
                let sentence = "the body ended early, or its framing is damaged";
                (StatusCode::BAD_REQUEST, "M_NOT_JSON", sentence.into())
            }
            Self::WrongMethod { allow } => {
                let sentence = format!("this path is for {allow} alone");
                (StatusCode::METHOD_NOT_ALLOWED, "M_UNRECOGNIZED", sentence.into())
            }
            Self::WrongPath => (StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "there is nothing at this path".into()),
            Self::NotHttp(status) => {
                let is_long = *status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                let sentence =
                    if is_long { "the headers are too long or too many" } else { "this is not a request in HTTP/1.1" };
                (*status, "M_UNRECOGNIZED", sentence.into())
            }
            Self::NotTls => {
                let sentence = "this address is encrypted (server.tls): the URL begins with https://";
                (StatusCode::BAD_REQUEST, "M_UNRECOGNIZED", sentence.into())
            }
        }
    }
}

fn inbox_sentence(error: &InboxError) -> Cow<'static, str> {
    match error {
        InboxError::Unusable { path, reason } => {
            format!("the inbox cannot be used: {}", reason.replace(path.as_str(), "the database")).into()
        }
        InboxError::Damaged { .. } => "the inbox is damaged; a new one is begun".into(),
        InboxError::TooNew { .. } => "the inbox was written by a newer Pushbell".into(),
        InboxError::Closed => error.to_string().into(),
    }
}

fn matrix_error(errcode: &str, error: &str) -> Value {
    json!({"errcode": errcode, "error": error})
}

impl EndpointAnswer {
    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let (status, body) = match &self {
            Self::Pushed(rejected) => (StatusCode::OK, json!({"rejected": rejected})),
            Self::Healthy => (StatusCode::OK, json!({"status": "ok"})),
            Self::Unhealthy(failure) => {
                let (status, _, reason) = failure.explain();
                (status, json!({"status": "unavailable", "reason": reason}))
            }
            Self::Failed(failure) => {
                let (status, errcode, error) = failure.explain();
                (status, matrix_error(errcode, &error))
            }
        };
        let mut response = Response::new(Full::new(body.to_string().into()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        match self {
            Self::Failed(RequestError::BodyTooLarge { .. } | RequestError::BodyBroken | RequestError::NotTls) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Failed(RequestError::WrongMethod { allow }) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            Self::Pushed(_) | Self::Healthy | Self::Unhealthy(_) | Self::Failed(_) => {}
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// The answer to input that hyper cannot parse as a request, as bytes on the wire.
pub(super) fn not_http(status: StatusCode) -> String {
    let (_, errcode, error) = RequestError::NotHttp(status).explain();
    let body = matrix_error(errcode, &error).to_string();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len(),
    )
}
