//! A connection's bytes, under deadlines that hyper does not know: for a head that has begun and for an answer to be
//! taken. It also gives hyper's own refusals a body, and closes so that the last answer is not lost.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use hyper::StatusCode;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

use super::{answer, connection::Connection};

/// Bytes that a client may send on after it was refused, before the connection is closed on it.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// What a stream is made of.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin {
    /// Something has come out of it: the other side may send as much as before again.
    fn renew_allowance(&mut self) {}
}

impl Transport for TcpStream {}

/// A time limit; its timer exists only while something is waited for.
struct Deadline {
    at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    fn after(time: Duration) -> Self {
        Self { at: Instant::now() + time, timer: None }
    }

    /// Ready with an error once the time is over.
    fn poll<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.timer.get_or_insert_with(|| Box::pin(sleep_until(self.at))).as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

pub(super) struct Stream<S> {
    inner: S,
    connection: Arc<Connection>,
    /// For the head that has begun, and the step in which it did.
    head: Option<(u64, Deadline)>,
    /// For the answer that is not taken yet.
    answer: Option<Deadline>,
    /// What is left to write of an answer that replaces hyper's.
    refusal: Vec<u8>,
    is_refused: bool,
    /// For closing, and how many bytes may still come.
    linger: Option<(Deadline, usize)>,
}

impl<S: Transport> Stream<S> {
    pub(super) fn new(inner: S, connection: Arc<Connection>) -> Self {
        let head = Some((connection.step(), Deadline::after(connection.limits().head_time)));
        Self { inner, connection, head, answer: None, refusal: Vec::new(), is_refused: false, linger: None }
    }

    fn awaited<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        let time = self.connection.limits().answer_time;
        self.answer.get_or_insert_with(|| Deadline::after(time)).poll(cx)
    }

    fn poll_write_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.refusal.is_empty() {
            let written = Pin::new(&mut self.inner).poll_write(cx, &self.refusal);
            let written = ready!(self.awaited(written, cx))?;
            self.refusal.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

/// The status with which hyper itself refuses what it cannot read as HTTP; no answer of ours is without a body.
fn own_refusal(written: &[u8]) -> Option<StatusCode> {
    const NO_BODY: &[u8] = b"\r\ncontent-length: 0\r\n";
    let status = written.strip_prefix(b"HTTP/1.1 ").or_else(|| written.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(status.get(..3)?).ok().filter(StatusCode::is_client_error)?;
    written.windows(NO_BODY.len()).any(|window| window == NO_BODY).then_some(status)
}

impl<S: Transport> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let step = this.connection.step();
        this.head = this.head.take().filter(|(begun_in, _)| *begun_in == step);
        let before = buf.filled().len();
        match (Pin::new(&mut this.inner).poll_read(cx, buf), &mut this.head) {
            (Poll::Pending, Some((_, deadline))) => deadline.poll(cx),
            (Poll::Ready(Ok(())), head) if buf.filled().len() > before => {
                this.inner.renew_allowance();
                if head.is_none() && !this.connection.is_in_request() {
                    *head = Some((step, Deadline::after(this.connection.limits().head_time)));
                }
                Poll::Ready(Ok(()))
            }
            (poll, _) => poll,
        }
    }
}

impl<S: Transport> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(status) = own_refusal(buf) {
            self.refusal = answer::not_http(status);
            self.is_refused = true;
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.awaited(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_refusal(cx))?;
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        ready!(self.awaited(flushed, cx))?;
        self.answer = None;
        if !self.connection.is_in_request() {
            self.connection.release_body();
        }
        Poll::Ready(Ok(()))
    }

    /// A connection that is closed with unread bytes is reset, and the last answer may be lost with it. So the rest of
    /// a request that was refused is read first.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_write_refusal(cx))?;
        if this.linger.is_none() {
            let closed = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.awaited(closed, cx))?;
        }
        if !this.is_refused && !this.connection.was_left_unread() {
            return Poll::Ready(Ok(()));
        }
        let time = this.connection.limits().linger_time;
        let (deadline, left) = this.linger.get_or_insert_with(|| (Deadline::after(time), LINGER_BYTES));
        let mut discarded = [0; 8 * 1024];
        loop {
            let mut buf = ReadBuf::new(&mut discarded);
            match Pin::new(&mut this.inner).poll_read(cx, &mut buf) {
                Poll::Pending => return deadline.poll(cx),
                Poll::Ready(outcome) => {
                    outcome?;
                    this.inner.renew_allowance();
                    *left = left.saturating_sub(buf.filled().len());
                    if buf.filled().is_empty() || *left == 0 {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}
