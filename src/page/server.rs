//! The page's own port on the loopback interface, open only while the page is in use.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{JoinSet, spawn_blocking},
    time::{sleep, sleep_until},
};

use super::{Page, access::Access, routes};
use crate::{
    app::PageRequest,
    control::Reply,
    platform::{open::KNOWS_LOCALHOST_NAMES, peer, sockets},
};

/// Idle time after which the port is closed.
const UNUSED: Duration = Duration::from_secs(10 * 60);
/// Maximum number of connections; more are closed. A browser opens six for a tab, and one for events.
const MAX_CONNECTIONS: usize = 64;
/// Maximum size of a request's head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Time limit for a request's head, and so for an idle connection.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// Pause after a failure to accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Maximum number of ports to try: one must be free for IPv4 and IPv6.
const TRIES: usize = 16;

/// An open port.
pub(super) struct PageServer {
    listeners: Vec<TcpListener>,
    access: Arc<Mutex<Access>>,
}

impl PageServer {
    /// Opens a port that is free for IPv4 and IPv6: else another user could take it in the family that a browser tries first.
    pub(super) fn open() -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let v4 = sockets::listen((Ipv4Addr::LOCALHOST, 0).into())?;
            let port = v4.local_addr()?.port();
            let v6 = match sockets::listen((Ipv6Addr::LOCALHOST, port).into()) {
                Ok(v6) => Some(v6),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => continue,
                // This computer has no IPv6.
                Err(error) if sockets::lacks_family(&error) => None,
                Err(error) => return Err(error),
            };
            let listeners =
                [Some(v4), v6].into_iter().flatten().map(TcpListener::from_std).collect::<Result<_, _>>()?;
            let access = Access::new(port, KNOWS_LOCALHOST_NAMES).map_err(io::Error::other)?;
            return Ok(Self { listeners, access: Arc::new(Mutex::new(access)) });
        }
    }

    /// Answers a request for an address of the page.
    pub(super) fn send_url(&self, (section, reply): PageRequest) {
        let url = locked(&self.access).one_time_url(section, Instant::now());
        let answer = match url {
            Ok(address) => Reply::Page { address },
            Err(error) => Reply::Failed { reason: error.to_string() },
        };
        // The command may have ended.
        drop(reply.send(answer));
    }

    /// Serves until the port is unused for [`UNUSED`], or the program ends. Returns whether the program goes on.
    pub(super) async fn serve(self, page: &Arc<Page>, asked: &mut mpsc::Receiver<PageRequest>) -> bool {
        let mut connections = JoinSet::new();
        let mut unused_since = tokio::time::Instant::now();
        loop {
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => {
                        self.send_url(request);
                        unused_since = tokio::time::Instant::now();
                    }
                    None => return false,
                },
                accepted = self.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < MAX_CONNECTIONS => {
                        connections.spawn(serve(stream, peer, Arc::clone(page), Arc::clone(&self.access)));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the page could not be taken");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(ended) = connections.join_next() => {
                    match ended {
                        Ok(true) => unused_since = tokio::time::Instant::now(),
                        // Connections of other users do not keep the port open.
                        Ok(false) => {}
                        Err(error) => tracing::error!("a connection to the page did not end well: {error}"),
                    }
                }
                () = sleep_until(unused_since + UNUSED), if connections.is_empty() => return true,
            }
        }
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.listeners.as_slice() {
            [one] => one.accept().await,
            [one, other, ..] => tokio::select! {
                accepted = one.accept() => accepted,
                accepted = other.accept() => accepted,
            },
            [] => std::future::pending().await,
        }
    }
}

/// Serves a connection of this user; any other is closed without a byte. Returns whether it was this user's.
async fn serve(stream: TcpStream, peer: SocketAddr, page: Arc<Page>, access: Arc<Mutex<Access>>) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    let is_own = spawn_blocking(move || peer::is_own(peer, local)).await;
    match &is_own {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!("another user of this computer has connected to the page"),
        Ok(Err(error)) => tracing::warn!("the page is not shown: whose connection it is cannot be told: {error}"),
        Err(error) => tracing::warn!("the page is not shown: {error}"),
    }
    if !matches!(is_own, Ok(Ok(true))) {
        return false;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let (page, access) = (Arc::clone(&page), Arc::clone(&access));
        async move { Ok::<_, std::convert::Infallible>(routes::respond(&page, &access, request).await.into_response()) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the page ended");
    }
    true
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as BlockingStream;

    use tokio::sync::{broadcast, oneshot};

    use super::*;
    use crate::{
        control::Section,
        inbox::Inbox,
        inbox::Retention,
        page::setup::{AccountCommands, Setup},
        paths::Paths,
    };

    /// An empty page of a program that answers no requests.
    fn page(home: &std::path::Path) -> Arc<Page> {
        let paths = Paths::within(home);
        let retention = Retention { keep_days: 30, keep_bodies: true };
        let (changes, _) = broadcast::channel(1);
        Arc::new(Page {
            inbox: Inbox::open(&home.join("pushbell.db"), retention, Arc::default()).unwrap(),
            commands: mpsc::channel(1).0,
            setup: Setup::new(
                AccountCommands { sign_in: |_, _, _| Ok(()), sign_out: |_, _, _| Ok(()), verify: |_, _, _, _| Ok(()) },
                changes.clone(),
            ),
            health: super::super::health::Health::default(),
            notes: Mutex::default(),
            changes,
            paths,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_that_nobody_uses_is_closed_after_ten_minutes() {
        let home = tempfile::tempdir().unwrap();
        let (page, (_asks, mut asked)) = (page(home.path()), mpsc::channel(1));
        let server = PageServer::open().unwrap();
        let (reply, url) = oneshot::channel();
        server.send_url((Section::Inbox, reply));
        let Ok(Reply::Page { address }) = url.await else { panic!("it is open") };
        let port: u16 = address.split([':', '/']).nth(4).unwrap().parse().unwrap();
        let connect = || BlockingStream::connect((Ipv4Addr::LOCALHOST, port));
        let idle = connect().unwrap();
        let started = tokio::time::Instant::now();
        // The idle connection ends first.
        assert!(server.serve(&page, &mut asked).await, "somebody can still ask");
        assert!(started.elapsed() >= UNUSED && started.elapsed() < UNUSED + 2 * HEAD_TIME, "{:?}", started.elapsed());
        drop(idle);
        connect().unwrap_err();
    }
}
