//! One connection: TLS, then hyper.

use std::{future::poll_fn, pin::Pin, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time,
};
use tracing::debug;

use super::{
    Limits,
    connection_table::{ConnectionId, OutOfMemory},
    requests,
    server::ServerState,
    stream::Stream,
    tls::{Handshake, Tls},
};

/// Bytes read and dropped after the last answer before the connection is closed.
const LINGER_BYTES: u64 = 8 * 1024 * 1024;

/// A connection's entry in the table, until dropped.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: Arc<ServerState>,
    id: ConnectionId,
}

impl Connection {
    pub(super) fn new(server: Arc<ServerState>, id: ConnectionId) -> Self {
        Self { server, id }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.server.limits
    }

    /// Marks the beginning of a request.
    pub(super) fn note_request(&self) {
        self.server.table().note_request(self.id);
    }

    /// Marks the connection as one that has delivered a valid push.
    pub(super) fn note_push(&self) {
        self.server.table().note_push(self.id);
    }

    /// Counts bytes of a body until [`Self::release_body`], closing other connections that hold one if need be.
    pub(super) fn hold_body(&self, bytes: usize) -> Result<(), OutOfMemory> {
        let closed = self.server.table().hold_body(self.id, bytes, self.limits().all_body_bytes)?;
        closed.iter().for_each(tokio::task::AbortHandle::abort);
        Ok(())
    }

    pub(super) fn release_body(&self) {
        self.server.table().release_body(self.id);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.server.table().remove(self.id);
    }
}

/// Serves one connection until it ends, takes too long, or `keep_alive` ends: then it finishes the request in progress.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<Tls>,
    connection: Connection,
    mut keep_alive: watch::Receiver<()>,
) {
    let Some(tls) = tls else { return serve_http(stream, &connection, false, keep_alive).await };
    let handshake = tokio::select! {
        biased;
        _ = keep_alive.changed() => return,
        handshake = time::timeout(connection.limits().handshake_time, tls.handshake(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(Handshake::Done(stream))) => serve_http(*stream, &connection, false, keep_alive).await,
        Ok(Ok(Handshake::NotTls(stream))) => serve_http(stream, &connection, true, keep_alive).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Serves requests; with `refuse_plain` every request is refused, since this is a TLS port.
async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: &Connection,
    refuse_plain: bool,
    mut keep_alive: watch::Receiver<()>,
) {
    let limits = connection.limits();
    let service = service_fn(|request| Box::pin(requests::respond(connection, request, refuse_plain)));
    let mut http = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs while the connection is idle, too.
        .header_read_timeout(limits.idle_time)
        // Half-closed clients still get their responses.
        .half_close(true)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Stream::new(stream, limits.answer_time)), service);
    let mut ended = tokio::select! {
        ended = poll_fn(|cx| http.poll_without_shutdown(cx)) => Some(ended),
        _ = keep_alive.changed() => None,
    };
    let is_stopping = ended.is_none();
    if is_stopping {
        Pin::new(&mut http).graceful_shutdown();
        ended = Some(poll_fn(|cx| http.poll_without_shutdown(cx)).await);
    }
    if let Some(Err(error)) = ended {
        debug!(%error, "a connection ended");
    }
    let mut stream = http.into_parts().io.into_inner().into_inner();
    let close = async {
        stream.shutdown().await?;
        // A connection that is closed with unread bytes is reset, and the last answer may be lost with it.
        if !is_stopping {
            io::copy(&mut stream.take(LINGER_BYTES), &mut io::sink()).await?;
        }
        io::Result::Ok(())
    };
    // The connection is closed in any case.
    time::timeout(limits.linger_time, close).await.ok();
}
