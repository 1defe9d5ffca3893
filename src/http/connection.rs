//! One connection: TLS, then hyper.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpStream, sync::watch, time};
use tracing::debug;

use super::{
    connection_table::{Id, OutOfMemory},
    limits::Limits,
    requests,
    server::Shared,
    stream::{Stream, Transport},
    tls::{Handshake, Tls},
};

/// A connection's entry in the table, until dropped, and what its service and its stream know of one another.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) server: Arc<Shared>,
    id: Id,
    /// Requests begun and requests answered: odd while one is in progress.
    steps: AtomicU64,
    /// The last request's body was not read to its end.
    left_unread: AtomicBool,
}

impl Connection {
    pub(super) fn new(server: Arc<Shared>, id: Id) -> Self {
        Self { server, id, steps: AtomicU64::new(0), left_unread: AtomicBool::new(false) }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.server.limits
    }

    pub(super) fn begin_request(&self, has_body: bool) {
        self.steps.fetch_add(1, Relaxed);
        self.left_unread.store(has_body, Relaxed);
        self.server.table().note_request(self.id);
    }

    pub(super) fn note_body_read(&self) {
        self.left_unread.store(false, Relaxed);
    }

    pub(super) fn end_request(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Changes whenever a request begins or is answered.
    pub(super) fn step(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    pub(super) fn is_in_request(&self) -> bool {
        !self.step().is_multiple_of(2)
    }

    pub(super) fn was_left_unread(&self) -> bool {
        self.left_unread.load(Relaxed)
    }

    /// It carries a push for an account.
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
    connection: Arc<Connection>,
    mut keep_alive: watch::Receiver<()>,
) {
    let Some(tls) = tls else { return serve_http(stream, connection, false, keep_alive).await };
    let handshake = tokio::select! {
        biased;
        _ = keep_alive.changed() => return,
        handshake = time::timeout(connection.limits().handshake_time, tls.handshake(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(Handshake::Done(stream))) => serve_http(*stream, connection, false, keep_alive).await,
        Ok(Ok(Handshake::NotTls(stream))) => serve_http(stream, connection, true, keep_alive).await,
        Ok(Err(_)) | Err(_) => {}
    }
}

/// Serves requests; with `refuse_plain` only to say that TLS is spoken here.
async fn serve_http(
    stream: impl Transport,
    connection: Arc<Connection>,
    refuse_plain: bool,
    mut keep_alive: watch::Receiver<()>,
) {
    let service = service_fn(|request| requests::respond(&connection, request, refuse_plain));
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs while the connection is idle, too. The shorter time for a head that has begun is the stream's.
        .header_read_timeout(connection.limits().idle_time)
        // Half-closed clients still get their responses.
        .half_close(true)
        .max_buf_size(connection.limits().head_bytes)
        .serve_connection(TokioIo::new(Stream::new(stream, Arc::clone(&connection))), service);
    let mut http = pin!(http);
    let ended = tokio::select! {
        ended = http.as_mut() => ended,
        _ = keep_alive.changed() => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection ended");
    }
}
