//! Accepting connections, and letting go of them.

use std::{
    future::{Future, poll_fn},
    io::{self, ErrorKind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time,
};
use tracing::{debug, error, warn};

use super::{
    connection,
    limits::Limits,
    registry::Registry,
    routes::{Endpoint, Recorder},
};

/// The first and the longest pause after a connection could not be accepted.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Serves the endpoint until `shutdown`, then finishes the requests in progress within `limits.drain_time`.
///
/// Runs on a tokio runtime with I/O and time. Its connections are tasks beside it, which end with it.
pub async fn serve<R: Recorder>(
    listeners: Vec<TcpListener>,
    endpoint: Endpoint<R>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let registry = Registry::new(limits);
    let mut connections = JoinSet::new();
    accept_all(&listeners, &endpoint, &registry, &mut connections, shutdown).await;
    drop(listeners);

    registry.drain();
    let drained = time::timeout(limits.drain_time, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        warn!(connections = connections.len(), "requests were still in progress when the time to finish them was over");
    }
    connections.shutdown().await;
    endpoint.settle_log();
}

async fn accept_all<R: Recorder>(
    listeners: &[TcpListener],
    endpoint: &Endpoint<R>,
    registry: &Arc<Registry>,
    connections: &mut JoinSet<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let mut next_listener = 0;
    let mut pause = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => return,
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
                let (member, made_room) = registry.join();
                connections.spawn(connection::serve(stream, endpoint.clone(), member));
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
                registry.close_stalest();
                tokio::select! {
                    biased;
                    () = &mut shutdown => return,
                    () = time::sleep(length) => {}
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
