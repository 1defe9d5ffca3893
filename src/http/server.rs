//! Accepting connections, and letting go of them.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, poll_fn},
    io::{self, ErrorKind},
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time,
};
use tracing::{debug, warn};

use super::{
    connection,
    limits::Limits,
    registry::{Membership, Registry},
    routes::{Endpoint, Recorder},
    tls::Tls,
};

/// The first and the longest pause after a connection could not be accepted.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// The endpoint as a server. A handle: clones are the same server, and its limits hold for all of its addresses together.
pub struct Server<R> {
    endpoint: Endpoint<R>,
    registry: Arc<Registry>,
    tls: Arc<RwLock<Option<Tls>>>,
}

impl<R> Clone for Server<R> {
    fn clone(&self) -> Self {
        Self { endpoint: self.endpoint.clone(), registry: Arc::clone(&self.registry), tls: Arc::clone(&self.tls) }
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
        Self { endpoint, registry: Registry::new(limits), tls: Arc::default() }
    }

    /// From now on all addresses speak TLS and nothing else, or with `None` plain HTTP. Connections of the other kind
    /// finish their request and close.
    pub fn set_tls(&self, tls: Option<Tls>) {
        let mut current = self.tls.write().unwrap_or_else(PoisonError::into_inner);
        if *current != tls {
            *current = tls;
            drop(current);
            self.registry.drain_all();
        }
    }

    fn tls(&self) -> Option<Tls> {
        self.tls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves these listeners until `shutdown`, then finishes the requests in progress within `limits.drain_time`.
    /// The future `shutdown` is dropped when the listeners are closed, and their addresses free again.
    ///
    /// Runs on a tokio runtime with I/O and time. Its connections are tasks beside it, which end with it.
    pub async fn serve(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) {
        let listening = Listening { registry: Arc::clone(&self.registry), number: self.registry.listen() };
        // Each connection holds a sender: when all are dropped, all have ended.
        let (connected, mut all_ended) = mpsc::channel(1);
        let mut shutdown = Box::pin(shutdown);
        self.accept_all(listening.number, &listeners, &connected, shutdown.as_mut()).await;
        drop((listeners, shutdown, connected));

        self.registry.drain(listening.number);
        if time::timeout(self.registry.limits().drain_time, all_ended.recv()).await.is_err() {
            let connections = self.registry.connections_of(listening.number);
            warn!(connections, "requests were still in progress when the time to finish them was over");
        }
        drop(listening);
        all_ended.recv().await;
        self.endpoint.settle_log();
    }

    async fn accept_all(
        &self,
        number: u64,
        listeners: &[TcpListener],
        connected: &mpsc::Sender<Infallible>,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) {
        let mut next_listener = 0;
        let mut pause = None;
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => return,
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
                    self.spawn(stream, member, connected.clone());
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

    /// Serves a connection beside all others. `connected` is dropped when it has ended.
    fn spawn(&self, stream: TcpStream, member: Membership, connected: mpsc::Sender<Infallible>) {
        let endpoint = self.endpoint.clone();
        match self.tls() {
            Some(tls) => tokio::spawn(async move {
                connection::serve_tls(stream, tls, endpoint, member).await;
                drop(connected);
            }),
            None => tokio::spawn(async move {
                connection::serve(stream, endpoint, member).await;
                drop(connected);
            }),
        };
    }
}

/// A listener's number, until dropped: then the connections that came by it are closed.
struct Listening {
    registry: Arc<Registry>,
    number: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.registry.close(self.number);
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
