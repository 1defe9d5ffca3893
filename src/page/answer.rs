//! What requests are answered with, and the headers that each answer has.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

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

/// Nothing runs or is loaded but what this page itself serves; nobody else frames it or gets its forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// An answer. Its headers are those of every answer and those of its kind.
#[derive(Debug)]
pub(super) enum Answer {
    /// A page.
    Page(StatusCode, Markup),
    /// A file of this program's own, and its type.
    File(&'static str, &'static str),
    /// A line of text.
    Text(String),
    /// Go there.
    SeeOther(String),
    /// The browser has entered: go there, with this cookie.
    Entered(String, String),
    /// What happens, as it happens.
    Events(mpsc::Receiver<Bytes>),
}

/// A body: all at once, or piece by piece.
pub(super) enum Content {
    /// What is left of it.
    Whole(Option<Bytes>),
    /// Until its other end closes.
    Pieces(mpsc::Receiver<Bytes>),
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(bytes) => hyper::body::SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Pieces(_) => hyper::body::SizeHint::default(),
        }
    }
}

impl Answer {
    pub(super) fn into_response(self) -> Response<Content> {
        let whole = |text: String| Content::Whole(Some(text.into()));
        let (status, content_type, body, more) = match self {
            Self::Page(status, markup) => (status, "text/html; charset=utf-8", whole(markup.into_string()), Vec::new()),
            Self::File(content_type, file) => {
                (StatusCode::OK, content_type, Content::Whole(Some(Bytes::from_static(file.as_bytes()))), Vec::new())
            }
            Self::Text(text) => (StatusCode::OK, "text/plain; charset=utf-8", whole(text), Vec::new()),
            Self::SeeOther(path) => (StatusCode::SEE_OTHER, "text/plain", whole(String::new()), vec![(LOCATION, path)]),
            Self::Entered(path, cookie) => {
                let headers = vec![(LOCATION, path), (SET_COOKIE, cookie)];
                (StatusCode::SEE_OTHER, "text/plain", whole(String::new()), headers)
            }
            Self::Events(pieces) => (StatusCode::OK, "text/event-stream", Content::Pieces(pieces), Vec::new()),
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
            // Paths and cookies are made of characters that headers have.
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
