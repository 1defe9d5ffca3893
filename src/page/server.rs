//! The page's own port on the loopback interface. It is open while somebody looks, and costs nothing else.

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

use super::{Page, entrance::Entrance, routes};
use crate::{
    app::PageRequest,
    control::Reply,
    platform::{open::KNOWS_LOCALHOST_NAMES, peer, sockets},
};

/// The port is closed when nobody has been connected for so long.
const UNUSED: Duration = Duration::from_secs(10 * 60);
/// Connections at a time; those beyond are closed. A browser opens six for a tab, and one for events.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// How long a connection may say nothing.
const HEAD_TIME: Duration = Duration::from_secs(60);
/// Before the next try when a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Ports that are tried, since one must be free in both families.
const TRIES: usize = 16;

/// An open port.
pub(super) struct Door {
    listeners: Vec<TcpListener>,
    entrance: Arc<Mutex<Entrance>>,
}

impl Door {
    /// Opens a port that is free. In both families: else another user could take it in the one that a browser tries first.
    pub(super) fn open() -> io::Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let v4 = sockets::listen((Ipv4Addr::LOCALHOST, 0).into())?;
            let port = v4.local_addr()?.port();
            let v6 = match sockets::listen((Ipv6Addr::LOCALHOST, port).into()) {
                Ok(v6) => Some(v6),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => continue,
                // There is no IPv6 here.
                Err(error) if sockets::lacks_family(&error) => None,
                Err(error) => return Err(error),
            };
            let listeners =
                [Some(v4), v6].into_iter().flatten().map(TcpListener::from_std).collect::<Result<_, _>>()?;
            let entrance = Entrance::new(port, KNOWS_LOCALHOST_NAMES).map_err(io::Error::other)?;
            return Ok(Self { listeners, entrance: Arc::new(Mutex::new(entrance)) });
        }
    }

    /// Answers who wants to see the page.
    pub(super) fn invite(&self, (section, reply): PageRequest) {
        let invited = locked(&self.entrance).invite(section, Instant::now());
        let answer = match invited {
            Ok(address) => Reply::Page { address },
            Err(error) => Reply::Failed { reason: error.to_string() },
        };
        // Who has gone does not want to know.
        drop(reply.send(answer));
    }

    /// Serves until nobody has been connected for a while, or nobody can ask any more. Whether somebody still can.
    pub(super) async fn serve(self, page: &Arc<Page>, asked: &mut mpsc::Receiver<PageRequest>) -> bool {
        let mut connections = JoinSet::new();
        let mut unused_since = tokio::time::Instant::now();
        loop {
            tokio::select! {
                request = asked.recv() => match request {
                    Some(request) => {
                        self.invite(request);
                        unused_since = tokio::time::Instant::now();
                    }
                    None => return false,
                },
                accepted = self.accept() => match accepted {
                    Ok((stream, peer)) if connections.len() < MAX_CONNECTIONS => {
                        connections.spawn(serve(stream, peer, Arc::clone(page), Arc::clone(&self.entrance)));
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
                        // What others try does not keep it open.
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

/// Serves a connection of this user; any other is closed without a byte. Whether it was this user's.
async fn serve(stream: TcpStream, peer: SocketAddr, page: Arc<Page>, entrance: Arc<Mutex<Entrance>>) -> bool {
    let Ok(local) = stream.local_addr() else { return false };
    let is_own = spawn_blocking(move || peer::is_own(peer, local)).await;
    match &is_own {
        Ok(Ok(true)) => {}
        Ok(Ok(false)) => tracing::debug!("another user of this computer asks for the page"),
        Ok(Err(error)) => tracing::warn!("the page is not shown: nobody can tell who asks for it: {error}"),
        Err(error) => tracing::warn!("the page is not shown: {error}"),
    }
    if !matches!(is_own, Ok(Ok(true))) {
        return false;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let (page, entrance) = (Arc::clone(&page), Arc::clone(&entrance));
        async move { Ok::<_, std::convert::Infallible>(routes::respond(&page, &entrance, request).await.into_response()) }
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
        config::Config,
        control::Section,
        inbox::Inbox,
        page::setup::{Sessions, Setup},
        paths::Paths,
    };

    /// A page with nothing in it, of a program that does nothing.
    fn page(home: &std::path::Path) -> Arc<Page> {
        let paths = Paths::within(home);
        let (changes, _) = broadcast::channel(1);
        Arc::new(Page {
            inbox: Inbox::open(&home.join("pushbell.db"), (&Config::default()).into()).unwrap(),
            commands: mpsc::channel(1).0,
            setup: Setup::new(
                Sessions { sign_in: |_, _, _| Ok(()), sign_out: |_, _, _| Ok(()), verify: |_, _, _, _| Ok(()) },
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
        let door = Door::open().unwrap();
        let (reply, invited) = oneshot::channel();
        door.invite((Section::Inbox, reply));
        let Ok(Reply::Page { address }) = invited.await else { panic!("it is open") };
        let port: u16 = address.split([':', '/']).nth(4).unwrap().parse().unwrap();
        let connect = || BlockingStream::connect((Ipv4Addr::LOCALHOST, port));
        let idle = connect().unwrap();
        let started = tokio::time::Instant::now();
        // The connection that says nothing ends first.
        assert!(door.serve(&page, &mut asked).await, "somebody can still ask");
        assert!(started.elapsed() >= UNUSED && started.elapsed() < UNUSED + 2 * HEAD_TIME, "{:?}", started.elapsed());
        drop(idle);
        connect().unwrap_err();
    }
}
