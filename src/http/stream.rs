//! The byte stream under hyper: adds a write deadline, which hyper lacks, and a body
//! in JSON to the refusals that hyper writes itself.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::answer;

pub(super) struct Stream<S> {
    inner: S,
    answer_time: Duration,
    /// Deadline of the answer that the client has not read yet.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: S, answer_time: Duration) -> Self {
        Self { inner, answer_time, deadline: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.inner
    }

    fn in_time<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        let time = self.answer_time;
        ready!(self.deadline.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

/// Status of a refusal that hyper itself writes: only those have no body.
fn own_refusal(written: &[u8]) -> Option<StatusCode> {
    const NO_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";
    let status = written.strip_prefix(b"HTTP/1.1 ").or_else(|| written.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(status.get(..3)?).ok().filter(StatusCode::is_client_error)?;
    written.windows(NO_BODY.len()).any(|window| window == NO_BODY).then_some(status)
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = match own_refusal(buf).map(answer::not_http) {
            // It is short and the last write: what the socket buffer does not take at once is dropped.
            Some(refusal) => Pin::new(&mut self.inner).poll_write(cx, refusal.as_bytes()).map_ok(|_| buf.len()),
            None => Pin::new(&mut self.inner).poll_write(cx, buf),
        };
        self.in_time(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        ready!(self.in_time(flushed, cx))?;
        self.deadline = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
