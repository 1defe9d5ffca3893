//! One connection: hyper, under deadlines.

use std::{
    convert::Infallible,
    future::{Future as _, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::{
    Request, StatusCode,
    body::{Body as _, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{self, Instant},
};
use tracing::debug;

use super::{
    answer::{self, Failure},
    link::Stage,
    registry::Membership,
    routes::{Endpoint, Recorder},
    tls::{Handshake, Tls},
};

/// Bytes that a client may send on after it was refused, before the connection is closed on it.
const LINGER_BYTES: usize = 8 * 1024 * 1024;

/// Serves one connection until it ends, takes too long, or is told to close.
pub(super) async fn serve<R: Recorder>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    endpoint: Endpoint<R>,
    member: Membership,
) {
    let member = Arc::new(member);
    member
        .link
        .until_closed(async {
            if let Some(stream) = serve_http(stream, endpoint, &member).await {
                let refusal = member.link.refusal().map(Failure::NotHttp);
                finish(stream, refusal, &member).await;
            }
        })
        .await;
}

/// The same over TLS. The handshake is under a deadline of its own.
pub(super) async fn serve_tls<R: Recorder>(stream: TcpStream, tls: Tls, endpoint: Endpoint<R>, member: Membership) {
    let member = Arc::new(member);
    let handshake = async {
        let handshake = time::timeout(member.limits().handshake_time, tls.handshake(stream));
        match member.link.unless_draining(handshake).await {
            Some(Ok(Ok(handshake))) => Some(handshake),
            Some(Ok(Err(_)) | Err(_)) | None => None,
        }
    };
    member
        .link
        .until_closed(async {
            match handshake.await {
                Some(Handshake::Done(stream)) => {
                    if let Some(stream) = serve_http(stream, endpoint, &member).await {
                        let refusal = member.link.refusal().map(Failure::NotHttp);
                        finish(stream, refusal, &member).await;
                    }
                }
                Some(Handshake::NotTls(stream)) => finish(stream, Some(Failure::NotTls), &member).await,
                None => {}
            }
        })
        .await;
}

/// Serves requests. Returns the stream when HTTP is over, unless the time was.
async fn serve_http<S, R>(stream: S, endpoint: Endpoint<R>, member: &Arc<Membership>) -> Option<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
    R: Recorder,
{
    let limits = *member.limits();
    let link = &member.link;
    let service = service_fn(|request: Request<Incoming>| {
        member.link.begin_request(!request.body().is_end_stream());
        let endpoint = endpoint.clone();
        async move {
            let answer = endpoint.answer(request, member).await;
            member.link.enter(Stage::Answering);
            Ok::<_, Infallible>(answer.into_response())
        }
    });
    // hyper's own deadline for heads also runs while a connection is idle: ours tells the two apart.
    let mut http = http1::Builder::new()
        .header_read_timeout(None)
        // Who has said all that it will say, as `nc -N` does, still waits for the answers.
        .half_close(true)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Watched { stream, member: Arc::clone(member) }), service);
    // The timer rings at the deadline or before: one that is later than it was is looked at when the timer rings.
    let mut deadline = Instant::now() + limits.time_for(link.stage());
    let mut timer = pin!(time::sleep_until(deadline));
    let mut stage_changes = link.stage_changes();
    let mut draining = false;

    let in_time = poll_fn(|cx| {
        loop {
            if link.is_draining() && !draining {
                draining = true;
                Pin::new(&mut http).graceful_shutdown();
            }
            if let Poll::Ready(ended) = Pin::new(&mut http).poll(cx) {
                if let Err(error) = ended {
                    debug!(%error, "a connection ended");
                }
                return Poll::Ready(true);
            }
            if link.stage_changes() != stage_changes {
                stage_changes = link.stage_changes();
                deadline = Instant::now() + limits.time_for(link.stage());
                if deadline < timer.deadline() {
                    timer.as_mut().reset(deadline);
                }
            }
            ready!(timer.as_mut().poll(cx));
            if deadline > timer.deadline() {
                timer.as_mut().reset(deadline);
                continue;
            }
            match link.stage() {
                // The request is told, and answers so when hyper polls it.
                Stage::Recording if link.give_up_recording() => {}
                stage @ (Stage::Idle | Stage::Head | Stage::Body | Stage::Recording | Stage::Answering) => {
                    debug!(?stage, "a connection took too long");
                    return Poll::Ready(false);
                }
            }
        }
    })
    .await;
    in_time.then(|| http.into_parts().io.into_inner().stream)
}

/// Closes a connection so that its client gets to read the last answer: one that is closed with unread bytes is reset,
/// and the answer may be lost with it.
async fn finish(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: Option<Failure>, member: &Membership) {
    let lingers = refusal.is_some() || member.link.was_left_unread();
    let finishing = async {
        if let Some(refusal) = refusal {
            stream.write_all(&answer::last(refusal)).await?;
            stream.flush().await?;
        }
        stream.shutdown().await?;
        if lingers {
            let mut discarded = vec![0; 8 * 1024];
            let mut left = LINGER_BYTES;
            while left > 0 {
                match stream.read(&mut discarded).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
        }
        Ok::<_, io::Error>(())
    };
    if let Err(error) = time::timeout(member.limits().linger_time, finishing).await.unwrap_or(Ok(())) {
        debug!(%error, "a connection could not be closed properly");
    }
}

/// A stream that notices when a request begins and when an answer is sent.
struct Watched<S> {
    stream: S,
    member: Arc<Membership>,
}

impl<S> Watched<S> {
    /// hyper refuses what it cannot read as HTTP with an answer that has no body. It is held back: ours has one.
    fn refusal_in(&self, bytes: &[u8]) -> Option<StatusCode> {
        match self.member.link.stage() {
            Stage::Idle | Stage::Head => {
                let status = bytes.strip_prefix(b"HTTP/1.1 ").or_else(|| bytes.strip_prefix(b"HTTP/1.0 "))?;
                StatusCode::from_bytes(status.get(..3)?).ok()
            }
            Stage::Body | Stage::Recording | Stage::Answering => None,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let link = &self.member.link;
        if buf.filled().len() > before && link.stage() == Stage::Idle {
            link.enter(Stage::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(status) = self.refusal_in(buf) {
            self.member.link.refuse(status);
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(status) = bufs.first().and_then(|first| self.refusal_in(first)) {
            self.member.link.refuse(status);
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        if self.member.link.stage() == Stage::Answering {
            self.member.release_body();
            self.member.link.enter(Stage::Idle);
        }
        Poll::Ready(Ok(()))
    }

    /// Left to [`finish`].
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
