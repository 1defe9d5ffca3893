//! Answers to requests, and their headers.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body_util::{Either, Full};
use hyper::{
    Response, StatusCode,
    body::{Body, Bytes, Frame},
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
        SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};
use maud::Markup;
use tokio::sync::mpsc;

/// Only what this page serves is loaded or run; nobody frames it or receives its forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// A page.
    Page(StatusCode, Markup),
    /// Content type and text of a static file.
    File(&'static str, &'static str),
    /// A line of text.
    Text(String),
    /// A redirect.
    SeeOther(String),
    /// A redirect that sets the session cookie.
    SignedIn(String, String),
    /// A stream of server-sent events.
    Events(mpsc::Receiver<Bytes>),
}

/// The body of an answer: whole, or sent piece by piece.
pub(super) type Content = Either<Full<Bytes>, Pieces>;

/// A body that goes on until the sender is dropped.
pub(super) struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Answer {
    pub(super) fn into_response(self) -> Response<Content> {
        let whole = |bytes: Bytes| Either::Left(Full::new(bytes));
        let empty = || whole(Bytes::new());
        let (status, content_type, body, more) = match self {
            Self::Page(status, markup) => {
                (status, "text/html; charset=utf-8", whole(markup.into_string().into()), Vec::new())
            }
            Self::File(content_type, file) => (StatusCode::OK, content_type, whole(file.into()), Vec::new()),
            Self::Text(text) => (StatusCode::OK, "text/plain; charset=utf-8", whole(text.into()), Vec::new()),
            Self::SeeOther(path) => (StatusCode::SEE_OTHER, "text/plain", empty(), vec![(LOCATION, path)]),
            Self::SignedIn(path, cookie) => {
                (StatusCode::SEE_OTHER, "text/plain", empty(), vec![(LOCATION, path), (SET_COOKIE, cookie)])
            }
            Self::Events(pieces) => (StatusCode::OK, "text/event-stream", Either::Right(Pieces(pieces)), Vec::new()),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let fixed: [(HeaderName, &'static str); 7] = [
            (CONTENT_TYPE, content_type),
            (CACHE_CONTROL, "no-store"),
            (CONTENT_SECURITY_POLICY, POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            // Not `no-referrer`: forms would then be sent without their origin.
            (REFERRER_POLICY, "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        response.headers_mut().extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
        for (name, value) in more {
            // Always valid: paths and cookies are ASCII.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
