//! The listening addresses, which can change at run time.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    controller::ProblemKind,
    http::{Limits, Server, Serving, tls::Tls},
    intake::Intake,
    platform::{host, interruptions::AddressWatch, sockets},
    resume::ResumeWindow,
};

/// Initial and maximum retry delay for an address that this computer does not have, where the system does not tell of
/// new addresses; doubles after each failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The listening sockets. Each is served by its own task, so one can be closed while others stay.
pub(super) struct Listening {
    server: Server,
    /// By the address as configured.
    open: BTreeMap<SocketAddr, Open>,
    /// Closed sockets that are finishing their requests.
    ending: Vec<JoinHandle<()>>,
    is_serving: bool,
    wanted: Vec<SocketAddr>,
    config: PathBuf,
    missing: Missing,
}

/// How to wait for addresses that this computer does not have yet, for example those of a network that comes up after
/// login.
enum Missing {
    /// There is none.
    None,
    /// The system reports new addresses.
    Watched(AddressWatch),
    /// The system does not report them: the next attempt, and the delay before it.
    Retried(Instant, Duration),
}

struct Open {
    /// The address as bound: the configured port may be 0.
    local: SocketAddr,
    state: State,
}

impl Open {
    fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::from_std(sockets::listen(address)?)?;
        Ok(Self { local: listener.local_addr()?, state: State::Bound(listener) })
    }
}

enum State {
    /// Connections wait in the kernel's backlog.
    Bound(TcpListener),
    Serving(Serving),
}

impl Listening {
    pub(super) fn new(intake: Intake, resume_window: ResumeWindow) -> Self {
        let mut limits = Limits::default();
        // Half of the allowed open files are left for the rest of the program.
        limits.connections = limits.connections.min(host::allow_open_files(2 * limits.connections) / 2);
        Self {
            server: Server::new(intake, resume_window, limits),
            open: BTreeMap::new(),
            ending: Vec::new(),
            is_serving: false,
            wanted: Vec::new(),
            config: PathBuf::new(),
            missing: Missing::None,
        }
    }

    /// Listens on these addresses and no others. An address that cannot be bound is a problem; one that is already open
    /// and still wanted is not touched.
    ///
    /// # Errors
    /// When no address can be bound, now or once this computer has it; nothing has changed then.
    pub(super) async fn open(
        &mut self,
        wanted: &[SocketAddr],
        config: &Path,
    ) -> Result<Option<(ProblemKind, String)>, String> {
        let wanted = distinct(wanted);
        let (mut bound, mut failures, mut may_come) = (Vec::new(), Vec::new(), false);
        for address in wanted.iter().copied() {
            if self.open.contains_key(&address) {
                continue;
            }
            match self.bind(address, &wanted).await {
                Ok(open) => bound.push((address, open)),
                Err(error) => {
                    may_come |= error.kind() == io::ErrorKind::AddrNotAvailable;
                    failures.push(explain(address, &error, config));
                }
            }
        }
        let is_kept = wanted.iter().any(|address| self.open.contains_key(address));
        let failures = (!failures.is_empty()).then(|| failures.join("; "));
        if bound.is_empty() && !is_kept && !may_come {
            return Err(failures.unwrap_or_else(|| "server.listen names no address".to_owned()));
        }
        self.close_those(|address| !wanted.contains(address)).await;
        self.open.extend(bound);
        if self.is_serving {
            self.serve();
        }
        self.wanted = wanted;
        config.clone_into(&mut self.config);
        if !may_come {
            self.missing = Missing::None;
        }
        Ok(failures.map(|failures| (ProblemKind::Listen, failures)))
    }

    /// Binds one address. If this computer does not have it, it is watched for. If it is in use, our own sockets on
    /// this port may be in the way (127.0.0.1 blocks 0.0.0.0): those no longer wanted are closed.
    async fn bind(&mut self, address: SocketAddr, wanted: &[SocketAddr]) -> io::Result<Open> {
        let mut opened = Open::listen(address);
        if has_failed(&opened, io::ErrorKind::AddrNotAvailable) && matches!(self.missing, Missing::None) {
            self.missing = AddressWatch::new()
                .map_or_else(|_| Missing::Retried(Instant::now() + RETRY.0, RETRY.0), Missing::Watched);
            // It may have appeared before the watch began.
            opened = Open::listen(address);
        }
        if has_failed(&opened, io::ErrorKind::AddrInUse) {
            let closed = self.close_those(|other| other.port() == address.port() && !wanted.contains(other)).await;
            opened = Open::listen(address);
            if opened.is_err() {
                for old in closed {
                    if let Ok(open) = Open::listen(old) {
                        self.open.insert(old, open);
                    }
                }
                if self.is_serving {
                    self.serve();
                }
            }
        }
        opened
    }

    /// Stops listening on matching addresses and returns them. Requests in progress are finished.
    async fn close_those(&mut self, which: impl Fn(&SocketAddr) -> bool) -> Vec<SocketAddr> {
        self.ending.retain(|earlier| !earlier.is_finished());
        let closed: Vec<_> = self.open.keys().copied().filter(which).collect();
        for address in &closed {
            if let Some(Open { state: State::Serving(serving), .. }) = self.open.remove(address) {
                self.ending.push(serving.stop().await);
            }
        }
        closed
    }

    /// Serves all addresses with TLS from now on, or with plain HTTP (`None`).
    pub(super) fn set_tls(&self, tls: Option<Tls>) {
        self.server.set_tls(tls);
    }

    /// Accepts pushes at these paths besides the standard one.
    pub(super) fn set_extra_paths(&self, paths: &[String]) {
        self.server.set_extra_paths(paths);
    }

    /// Waits until a missing address is to be tried again; never returns if there is none.
    pub(super) async fn retry_is_due(&mut self) {
        match &mut self.missing {
            Missing::None => std::future::pending().await,
            Missing::Watched(watch) => {
                if let Err(error) = watch.changed().await {
                    tracing::warn!("new addresses are looked for now and then: {error}");
                    self.missing = Missing::Retried(Instant::now(), RETRY.0);
                }
            }
            Missing::Retried(at, _) => tokio::time::sleep_until(*at).await,
        }
    }

    /// Retries them again. Returns the remaining problem.
    pub(super) async fn try_again(&mut self) -> Option<String> {
        if let Missing::Retried(at, delay) = &mut self.missing {
            *delay = (2 * *delay).min(RETRY.1);
            *at = Instant::now() + *delay;
        }
        let (wanted, config) = (self.wanted.clone(), self.config.clone());
        match self.open(&wanted, &config).await {
            Ok(problem) => problem.map(|(_, reason)| reason),
            Err(reason) => Some(reason),
        }
    }

    /// Starts to serve all addresses.
    pub(super) fn serve(&mut self) {
        self.is_serving = true;
        for (address, Open { local, state }) in std::mem::take(&mut self.open) {
            let serving = match state {
                State::Bound(listener) => self.server.serve(listener),
                State::Serving(serving) => serving,
            };
            self.open.insert(address, Open { local, state: State::Serving(serving) });
        }
    }

    /// The addresses as bound.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.open.values().map(|open| open.local).collect()
    }

    /// Finishes the requests in progress, within the server's deadline, and stops.
    pub(super) async fn close(mut self) {
        self.close_those(|_| true).await;
        for task in self.ending {
            if let Err(error) = task.await {
                tracing::error!("an address was not closed well: {error}");
            }
        }
    }
}

/// The addresses without those covered by another: `0.0.0.0` includes `127.0.0.1`.
fn distinct(wanted: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_within = |address: &SocketAddr, all: &SocketAddr| {
        all.ip().is_unspecified()
            && all.is_ipv4() == address.is_ipv4()
            && all.port() == address.port()
            && all.port() != 0
            && all != address
    };
    wanted.iter().filter(|address| !wanted.iter().any(|all| is_within(address, all))).copied().collect()
}

fn has_failed(opened: &io::Result<Open>, kind: io::ErrorKind) -> bool {
    opened.as_ref().is_err_and(|error| error.kind() == kind)
}

/// The error as a sentence, with what to do about it.
pub(crate) fn explain(address: SocketAddr, error: &io::Error, config: &Path) -> String {
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
