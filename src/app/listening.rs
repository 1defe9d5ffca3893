//! The addresses that are listened on, and changing them while running.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
};

use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    controller::ProblemKind,
    http::{Endpoint, Limits, Server, tls::Tls},
    inbox::Inbox,
    platform::{addresses::AddressWatch, open_files, sockets},
};

/// How soon an address that this computer does not have is tried again where the system does not tell of new addresses;
/// twice as long after each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The sockets that a service manager has handed over. They stand in for `server.listen`, whole: who writes a socket
/// unit says there where to listen.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    listeners: BTreeMap<SocketAddr, std::net::TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Inherited {
    /// Takes them over. To be called once, before the first thread starts.
    ///
    /// # Errors
    /// Says what was handed over that cannot be listened on.
    pub(super) fn take() -> io::Result<Self> {
        let mut inherited = Self::default();
        for listener in sockets::inherited()? {
            let address = listener.local_addr()?;
            inherited.addresses.push(address);
            if inherited.listeners.insert(address, listener).is_some() {
                return Err(io::Error::other(format!("the service manager hands over {address} twice")));
            }
        }
        Ok(inherited)
    }

    /// The addresses, in the order of the socket unit; none if nothing was handed over.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// What is listened on. Each address is served on its own, so that one can go while others stay.
pub(super) struct Listening {
    server: Server<Inbox>,
    /// By the address as configured.
    open: BTreeMap<SocketAddr, Open>,
    /// Addresses that were given up, while they finish their requests.
    ending: Vec<JoinHandle<()>>,
    /// What was handed over at the start and is not opened yet.
    inherited: BTreeMap<SocketAddr, std::net::TcpListener>,
    serving: bool,
    wanted: Vec<SocketAddr>,
    config: PathBuf,
    missing: Missing,
}

/// Waiting for addresses that this computer does not have, such as those of a network that comes up after the person has
/// logged in.
enum Missing {
    /// There is none.
    None,
    /// The system tells when there are other addresses.
    Told(AddressWatch),
    /// It does not: when to try again, and how long was waited before.
    Untold(Instant, Duration),
}

struct Open {
    /// The address as bound: the configured port may be 0.
    local: SocketAddr,
    state: State,
}

enum State {
    /// Connections wait in the system's queue.
    Bound(TcpListener),
    Serving {
        stop: oneshot::Sender<()>,
        /// Ends when the address is free again.
        closed: oneshot::Receiver<Infallible>,
        task: JoinHandle<()>,
    },
}

impl Listening {
    pub(super) fn new(endpoint: Endpoint<Inbox>, inherited: Inherited) -> Self {
        let mut limits = Limits::default();
        // Half of the open files that are allowed remain for the rest of the program.
        limits.connections = limits.connections.min(open_files::allow(2 * limits.connections) / 2);
        Self {
            server: Server::new(endpoint, limits),
            open: BTreeMap::new(),
            ending: Vec::new(),
            inherited: inherited.listeners,
            serving: false,
            wanted: Vec::new(),
            config: PathBuf::new(),
            missing: Missing::None,
        }
    }

    /// Listens on these addresses and on no others. What cannot be listened on is a problem; an address that was and
    /// still is wanted is not touched.
    ///
    /// # Errors
    /// When there is none that can be listened on now or, when this computer has its address, later; then nothing has
    /// changed.
    pub(super) async fn open(
        &mut self,
        wanted: &[SocketAddr],
        config: &Path,
    ) -> Result<Option<(ProblemKind, String)>, String> {
        let wanted = &self.distinct(wanted);
        let mut failures = Vec::new();
        let mut bound = Vec::new();
        let mut may_come = false;
        for address in wanted {
            if self.open.contains_key(address) {
                continue;
            }
            let mut opened = self.listen(*address);
            if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
                && matches!(self.missing, Missing::None)
            {
                self.missing = AddressWatch::new()
                    .map_or_else(|_| Missing::Untold(Instant::now() + RETRY.0, RETRY.0), Missing::Told);
                // It may have come before it was watched for.
                opened = self.listen(*address);
            }
            if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
                let closed = self.make_way(address.port(), wanted).await;
                if !closed.is_empty() {
                    opened = self.listen(*address);
                }
                if opened.is_err() {
                    for old in closed {
                        if let Ok(open) = self.listen(old) {
                            self.open.insert(old, open);
                        }
                    }
                }
            }
            match opened {
                Ok(open) => bound.push((*address, open)),
                Err(error) => {
                    may_come |= error.kind() == io::ErrorKind::AddrNotAvailable;
                    failures.push(explain(*address, &error, config));
                }
            }
        }
        let kept = wanted.iter().any(|address| self.open.contains_key(address));
        let failures = (!failures.is_empty()).then(|| failures.join("; "));
        if bound.is_empty() && !kept && !may_come {
            self.serve_if_serving();
            return Err(failures.unwrap_or_else(|| "server.listen names no address".to_owned()));
        }
        let unwanted: Vec<_> = self.open.keys().filter(|address| !wanted.contains(address)).copied().collect();
        for address in unwanted {
            if let Some(Open { state: State::Serving { stop, task, .. }, .. }) = self.open.remove(&address) {
                drop(stop);
                self.give_up(task);
            }
        }
        self.open.extend(bound);
        wanted.clone_into(&mut self.wanted);
        config.clone_into(&mut self.config);
        if !may_come {
            self.missing = Missing::None;
        }
        self.serve_if_serving();
        Ok(failures.map(|failures| (ProblemKind::Listen, failures)))
    }

    /// Those without the ones that another stands for: `0.0.0.0` listens on `127.0.0.1` as well.
    fn distinct(&self, wanted: &[SocketAddr]) -> Vec<SocketAddr> {
        let is_within = |address: &SocketAddr, all: &SocketAddr| {
            all.ip().is_unspecified()
                && all.is_ipv4() == address.is_ipv4()
                && all.port() == address.port()
                && all.port() != 0
                && all != address
        };
        let needed = |address: &&SocketAddr| {
            self.inherited.contains_key(address) || !wanted.iter().any(|all| is_within(address, all))
        };
        wanted.iter().filter(needed).copied().collect()
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<Open> {
        let listener = self.inherited.remove(&address).map_or_else(|| sockets::listen(address), Ok)?;
        let listener = TcpListener::from_std(listener)?;
        Ok(Open { local: listener.local_addr()?, state: State::Bound(listener) })
    }

    /// Closes our own addresses with this port that are no longer wanted, and says which: 127.0.0.1 is in the way of
    /// 0.0.0.0. Their requests in progress are finished.
    async fn make_way(&mut self, port: u16, wanted: &[SocketAddr]) -> Vec<SocketAddr> {
        let in_the_way = |address: &&SocketAddr| address.port() == port && !wanted.contains(address);
        let in_the_way: Vec<_> = self.open.keys().filter(in_the_way).copied().collect();
        for address in &in_the_way {
            if let Some(Open { state: State::Serving { stop, closed, task }, .. }) = self.open.remove(address) {
                drop(stop);
                self.give_up(task);
                // It ends by being dropped.
                drop(closed.await);
            }
        }
        in_the_way
    }

    /// It finishes its requests by itself. The program does not end before.
    fn give_up(&mut self, task: JoinHandle<()>) {
        self.ending.retain(|earlier| !earlier.is_finished());
        self.ending.push(task);
    }

    fn serve_if_serving(&mut self) {
        if self.serving {
            self.serve();
        }
    }

    /// From now on all addresses speak TLS, or with `None` plain HTTP.
    pub(super) fn set_tls(&self, tls: Option<Tls>) {
        self.server.set_tls(tls);
    }

    /// Waits until an address that this computer did not have is to be tried again; for ever if there is none.
    pub(super) async fn retry_is_due(&mut self) {
        match &mut self.missing {
            Missing::None => std::future::pending().await,
            Missing::Told(watch) => {
                if let Err(error) = watch.changed().await {
                    tracing::warn!("new addresses are looked for now and then: {error}");
                    self.missing = Missing::Untold(Instant::now(), RETRY.0);
                }
            }
            Missing::Untold(at, _) => tokio::time::sleep_until(*at).await,
        }
    }

    /// Tries them again. What is still a problem.
    pub(super) async fn try_again(&mut self) -> Option<String> {
        if let Missing::Untold(at, wait) = &mut self.missing {
            *wait = (2 * *wait).min(RETRY.1);
            *at = Instant::now() + *wait;
        }
        let (wanted, config) = (self.wanted.clone(), self.config.clone());
        match self.open(&wanted, &config).await {
            Ok(problem) => problem.map(|(_, reason)| reason),
            Err(reason) => Some(reason),
        }
    }

    /// Begins to answer on all addresses.
    pub(super) fn serve(&mut self) {
        self.serving = true;
        for (address, Open { local, state }) in std::mem::take(&mut self.open) {
            let state = match state {
                State::Bound(listener) => {
                    let (stop, stopped) = oneshot::channel();
                    let (open, closed) = oneshot::channel();
                    let stopped = until_stopped(stopped, open);
                    let task = tokio::spawn(self.server.clone().serve(vec![listener], stopped));
                    State::Serving { stop, closed, task }
                }
                serving @ State::Serving { .. } => serving,
            };
            self.open.insert(address, Open { local, state });
        }
    }

    /// The addresses as bound.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().map(|open| open.local).collect()
    }

    /// Finishes the requests in progress, under the server's deadline, and stops.
    pub(super) async fn close(self) {
        let mut tasks = self.ending;
        for open in self.open.into_values() {
            if let State::Serving { stop, task, .. } = open.state {
                drop(stop);
                tasks.push(task);
            }
        }
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!("an address was not closed well: {error}");
            }
        }
    }
}

/// Waits until the other end of `stopped` is dropped. `open` is dropped with this future, not before.
fn until_stopped(mut stopped: oneshot::Receiver<()>, open: oneshot::Sender<Infallible>) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        let _ = &open;
        Pin::new(&mut stopped).poll(cx).map(drop)
    })
}

/// What happened and what to do about it.
pub(super) fn explain(address: SocketAddr, error: &io::Error, config: &Path) -> String {
    let config = config.display();
    let kind = error.kind();
    if kind == io::ErrorKind::AddrInUse {
        format!("{address} is in use by another program: end that, or set another server.listen in {config}")
    } else if kind == io::ErrorKind::AddrNotAvailable {
        format!(
            "this computer does not have the address of {address} now, and listens there as soon as it does; \
             server.listen in {config} names it"
        )
    } else if kind == io::ErrorKind::PermissionDenied {
        format!("this user may not listen on {address}: set a port above 1023 as server.listen in {config}")
    } else {
        format!("{address} cannot be listened on: {error}; server.listen in {config} names it")
    }
}
