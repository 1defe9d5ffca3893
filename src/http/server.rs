//! Accepting connections, and letting go of them.

use std::{
    fmt,
    future::{Future, poll_fn},
    io::{self, ErrorKind},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinError, JoinSet},
    time,
};
use tracing::{debug, error, warn};

use super::{
    connection,
    limits::Limits,
    registry::Registry,
    routes::{Endpoint, Recorder},
    tls::Tls,
};

/// The first and the longest pause after a connection could not be accepted.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The endpoint as a server. A handle: clones are the same server, and its limits hold for all of its addresses together.
pub struct Server<R> {
    endpoint: Endpoint<R>,
    registry: Arc<Registry>,
    tls: watch::Sender<Option<Tls>>,
}

impl<R> Clone for Server<R> {
    fn clone(&self) -> Self {
        Self { endpoint: self.endpoint.clone(), registry: Arc::clone(&self.registry), tls: self.tls.clone() }
    }
}

impl<R> fmt::Debug for Server<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", self.registry.limits()).finish_non_exhaustive()
    }
}

impl<R: Recorder> Server<R> {
    /// A server that listens nowhere yet, in plain HTTP.
    #[must_use]
    pub fn new(endpoint: Endpoint<R>, limits: Limits) -> Self {
        Self { endpoint, registry: Registry::new(limits), tls: watch::Sender::new(None) }
    }

    /// From now on all addresses speak TLS and nothing else, or with `None` plain HTTP. Connections of the other kind
    /// finish their request and close.
    pub fn set_tls(&self, tls: Option<Tls>) {
        self.tls.send_if_modified(|current| {
            let differs = *current != tls;
            *current = tls;
            differs
        });
    }

    /// Serves these listeners until `shutdown`, then finishes the requests in progress within `limits.drain_time`.
    /// The future `shutdown` is dropped when the listeners are closed, and their addresses free again.
    ///
    /// Runs on a tokio runtime with I/O and time. Its connections are tasks beside it, which end with it.
    pub async fn serve(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) {
        let number = self.registry.listen();
        let mut connections = JoinSet::new();
        let mut shutdown = Box::pin(shutdown);
        self.accept_all(number, &listeners, &mut connections, shutdown.as_mut()).await;
        drop(listeners);
        drop(shutdown);

        self.registry.drain(number);
        let drained = time::timeout(self.registry.limits().drain_time, async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            let connections = connections.len();
            warn!(connections, "requests were still in progress when the time to finish them was over");
        }
        connections.shutdown().await;
        self.endpoint.settle_log();
    }

    async fn accept_all(
        &self,
        number: u64,
        listeners: &[TcpListener],
        connections: &mut JoinSet<()>,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) {
        let mut tls = self.tls.subscribe();
        let mut next_listener = 0;
        let mut pause = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
                Ok(()) = tls.changed() => {
                    self.registry.drain(number);
                    continue;
                }
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = accept(listeners, &mut next_listener) => accepted,
            };
            match accepted {
                Ok(stream) => {
                    pause = None;
                    if let Err(error) = stream.set_nodelay(true) {
                        debug!(%error, "a connection has gone before it was served");
                        continue;
                    }
                    let (member, made_room) = self.registry.join(number);
                    let (endpoint, tls) = (self.endpoint.clone(), tls.borrow().clone());
                    match tls {
                        Some(tls) => connections.spawn(connection::serve_tls(stream, tls, endpoint, member)),
                        None => connections.spawn(connection::serve(stream, endpoint, member)),
                    };
                    if made_room {
                        // Whoever was told to close does so before more are accepted: sockets stay bounded too.
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if concerns_one_connection(&error) => {
                    debug!(%error, "a connection has gone before it was served");
                }
                Err(error) => {
                    // Mostly file descriptors have run out: one more may come free now, or when somebody else is done.
                    let length = pause.map_or(PAUSES.0, |before: Duration| (before * 2).min(PAUSES.1));
                    if pause.replace(length).is_none() {
                        warn!(%error, "connections cannot be accepted; trying again");
                    }
                    self.registry.close_stalest();
                    tokio::select! {
                        biased;
                        () = &mut shutdown => return,
                        () = time::sleep(length) => {}
                    }
                }
            }
        }
    }
}

/// The next connection of any listener; none of them waits for another's to end.
async fn accept(listeners: &[TcpListener], next: &mut usize) -> io::Result<TcpStream> {
    poll_fn(|cx| {
        for _ in listeners {
            *next = (*next + 1) % listeners.len();
            if let Poll::Ready(accepted) = listeners[*next].poll_accept(cx) {
                return Poll::Ready(accepted.map(|(stream, _)| stream));
            }
        }
        Poll::Pending
    })
    .await
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

fn report(ended: Result<(), JoinError>) {
    match ended {
        Ok(()) => {}
        Err(error) if error.is_panic() => error!("a connection was dropped after a panic; its client will try again"),
        Err(error) => debug!(%error, "a connection was dropped"),
    }
}
