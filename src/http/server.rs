//! Listening, accepting connections, and closing them.

use std::{
    convert::Infallible,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::{AbortHandle, JoinError, JoinHandle, JoinSet},
    time,
};
use tracing::{debug, error, warn};

use super::{
    Limits,
    connection::{self, Connection},
    connection_table::ConnectionTable,
    tls::Tls,
};
use crate::{intake::Intake, resume::ResumeWindow};

/// Pause after a connection could not be accepted, mostly because no file descriptor was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The endpoint. A handle: clones are the same server, and its limits hold for all of its addresses together.
#[derive(Debug, Clone)]
pub struct Server {
    state: Arc<ServerState>,
}

/// What all connections share.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) intake: Intake,
    pub(super) resume_window: ResumeWindow,
    pub(super) limits: Limits,
    extra_paths: RwLock<Arc<[String]>>,
    table: Mutex<ConnectionTable<AbortHandle>>,
    tls: watch::Sender<Option<Tls>>,
}

/// One address that is listened on.
#[derive(Debug)]
pub struct Serving {
    stop: oneshot::Sender<Infallible>,
    closed: oneshot::Receiver<Infallible>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Stops listening: when this returns the address is free. The task ends when the requests in progress are
    /// finished, within [`Limits::drain_time`].
    pub async fn stop(self) -> JoinHandle<()> {
        let Self { stop, closed, task } = self;
        drop(stop);
        // Nothing is ever sent: the channel closes with the listener.
        drop(closed.await);
        task
    }
}

impl Server {
    /// A server that listens nowhere yet, in plain HTTP. While `resume_window` is open, pushes count as held back.
    #[must_use]
    pub fn new(intake: Intake, resume_window: ResumeWindow, limits: Limits) -> Self {
        let table = Mutex::new(ConnectionTable::new());
        let state = ServerState {
            intake,
            resume_window,
            limits,
            extra_paths: RwLock::default(),
            table,
            tls: watch::Sender::new(None),
        };
        Self { state: Arc::new(state) }
    }

    /// Sets the additional paths for pushes (`server.extra_paths`), from the next request on.
    pub fn set_extra_paths(&self, paths: &[String]) {
        *self.state.extra_paths.write().unwrap_or_else(PoisonError::into_inner) = paths.into();
    }

    /// From now on all addresses speak TLS and nothing else, or with `None` plain HTTP. Connections of the other kind
    /// finish their request and close.
    pub fn set_tls(&self, tls: Option<Tls>) {
        self.state.tls.send_if_modified(|current| {
            let is_other = *current != tls;
            *current = tls;
            is_other
        });
    }

    /// Serves this listener, on tasks of its own, until [`Serving::stop`]. Needs a tokio runtime with I/O and time.
    #[must_use]
    pub fn serve(&self, listener: TcpListener) -> Serving {
        let (stop, stopped) = oneshot::channel();
        let (open, closed) = oneshot::channel();
        let state = Arc::clone(&self.state);
        let task = tokio::spawn(async move {
            let mut connections = state.accept_until(stopped, listener).await;
            drop(open);
            let all_ended = async {
                while let Some(ended) = connections.join_next().await {
                    report(ended);
                }
            };
            if time::timeout(state.limits.drain_time, all_ended).await.is_err() {
                let connections = connections.len();
                warn!(connections, "requests were still in progress when the time to finish them was over");
            }
            connections.shutdown().await;
        });
        Serving { stop, closed, task }
    }
}

impl ServerState {
    pub(super) fn table(&self) -> MutexGuard<'_, ConnectionTable<AbortHandle>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extra_paths(&self) -> Arc<[String]> {
        Arc::clone(&self.extra_paths.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the connections that are then still open, told to finish their requests.
    async fn accept_until(
        self: &Arc<Self>,
        mut stopped: oneshot::Receiver<Infallible>,
        listener: TcpListener,
    ) -> JoinSet<()> {
        let mut tls = self.tls.subscribe();
        let mut connections = JoinSet::new();
        // Dropped to make the connections finish their requests and close.
        let mut keep_alive = watch::Sender::new(());
        let mut is_failing = false;
        loop {
            let accepted = tokio::select! {
                biased;
                _ = &mut stopped => return connections,
                _ = tls.changed() => {
                    keep_alive = watch::Sender::new(());
                    continue;
                }
                Some(ended) = connections.join_next() => {
                    report(ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    is_failing = false;
                    let tls = tls.borrow().clone();
                    if self.open(stream, peer, tls, &mut connections, keep_alive.subscribe()) {
                        // The evicted connection closes before more are accepted: this bounds open files too.
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if concerns_one_connection(&error) => {
                    debug!(%error, "a connection has ended before it was served");
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        warn!(%error, "connections cannot be accepted; trying again");
                    }
                    self.evict();
                    time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Spawns the task of a connection. Returns whether another connection was evicted for it.
    fn open(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<Tls>,
        connections: &mut JoinSet<()>,
        keep_alive: watch::Receiver<()>,
    ) -> bool {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection has ended before it was served");
        }
        let made_room = self.table().len() >= self.limits.connections && self.evict();
        self.table().insert(peer.ip(), |id| {
            let connection = Connection::new(Arc::clone(self), id);
            connections.spawn(connection::serve(stream, tls, connection, keep_alive))
        });
        made_room
    }

    fn evict(&self) -> bool {
        let evicted = self.table().evict();
        evicted.inspect(AbortHandle::abort).is_some()
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("serving a connection panicked; its client will try again");
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}
