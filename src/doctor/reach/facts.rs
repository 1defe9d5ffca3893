//! What can be seen from here: where names lead, which addresses are ours, what answers at the pusher URL.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{
    Way,
    probe::{Outcome, Prober},
    url::{Host, PusherUrl},
};
use crate::{address::Scope, homeserver::BaseUrl};

/// How long a name server may take.
const RESOLVE: Duration = Duration::from_secs(2);
/// How long a connection to our own listener may take.
const CONNECT: Duration = Duration::from_secs(1);

/// What is known of the way from the homeserver to us.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The pusher URL, as it was told.
    pub(super) text: String,
    /// Taken apart; `None`: it is no URL.
    pub(super) url: Option<PusherUrl>,
    /// What we listen on.
    pub(super) listen: Vec<SocketAddr>,
    /// We speak TLS there.
    pub(super) tls: bool,
    /// Whether we run, and anything takes connections at one of those.
    pub(super) listening: bool,
    /// Where the URL's host leads; else why nowhere.
    pub(super) resolved: Result<Vec<IpAddr>, String>,
    /// Those of them that are this computer's own.
    pub(super) own: Vec<IpAddr>,
    /// What became of a push to each of them.
    pub(super) pushes: Vec<(IpAddr, Outcome)>,
    /// `GET /health` was answered by us, whatever became of the push.
    pub(super) healthy: bool,
    /// Where the homeserver is.
    pub(super) homeserver: Whereabouts,
}

/// Where the homeserver is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// Nobody knows.
    Unknown,
    /// On this computer.
    Here,
    /// Elsewhere; packets to it leave from this address of ours.
    Elsewhere {
        /// The address.
        from: Option<IpAddr>,
    },
}

/// Looks. Bounded in time by the deadlines of its steps: about six seconds when nothing answers.
pub(super) async fn gather(way: &Way, homeserver: Option<&BaseUrl>) -> Facts {
    let url = PusherUrl::parse(&way.url);
    let (seen, listening, homeserver) = tokio::join!(seen_at(url.as_ref()), is_listening(way), whereabouts(homeserver));
    let Seen { resolved, pushes, healthy } = seen;
    let own = resolved.iter().flatten().copied().filter(|address| is_own(*address)).collect();
    Facts {
        text: way.url.clone(),
        url,
        listen: way.listen.clone(),
        tls: way.tls,
        listening,
        resolved,
        own,
        pushes,
        healthy,
        homeserver,
    }
}

struct Seen {
    resolved: Result<Vec<IpAddr>, String>,
    pushes: Vec<(IpAddr, Outcome)>,
    healthy: bool,
}

async fn seen_at(url: Option<&PusherUrl>) -> Seen {
    let Some(url) = url else { return Seen { resolved: Ok(Vec::new()), pushes: Vec::new(), healthy: false } };
    let resolved = match &url.host {
        Host::Address(address) => Ok(vec![*address]),
        Host::Name(name) => resolve(name, url.port).await,
    };
    // One address of each family: others of a name lead to the same place, or the name is no desktop's.
    let first = |wanted: fn(&IpAddr) -> bool| resolved.iter().flatten().copied().find(wanted);
    let prober = Prober::new(url);
    let (v4, v6) = tokio::join!(look(&prober, first(IpAddr::is_ipv4)), look(&prober, first(IpAddr::is_ipv6)));
    let healthy = [&v4, &v6].iter().any(|seen| matches!(seen, Some((.., true))));
    let pushes = [v4, v6].into_iter().flatten().map(|(address, outcome, _)| (address, outcome)).collect();
    Seen { resolved, pushes, healthy }
}

/// What a push comes to there, and whether we answer there at all. An address that stands for all is not asked.
async fn look(prober: &Prober<'_>, address: Option<IpAddr>) -> Option<(IpAddr, Outcome, bool)> {
    let address = address.filter(|address| Scope::of(*address) != Scope::Unspecified)?;
    let (outcome, healthy) = tokio::join!(prober.push(address), prober.is_healthy(address));
    Some((address, outcome, healthy))
}

async fn resolve(name: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    match timeout(RESOLVE, lookup_host((name, port))).await {
        Err(_) => Err("no name server answers".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Ok(addresses)
        }
    }
}

/// Whether this computer has the address: nobody can bind to that of another.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

async fn is_listening(way: &Way) -> bool {
    for address in way.listen.iter().filter(|_| way.runs) {
        let mut address = *address;
        if address.ip().is_unspecified() {
            address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        if let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(address)).await {
            return true;
        }
    }
    false
}

async fn whereabouts(homeserver: Option<&BaseUrl>) -> Whereabouts {
    let Some(homeserver) = homeserver else { return Whereabouts::Unknown };
    let (host, port) = homeserver.host_and_port();
    let addresses = resolve(&host, port).await.unwrap_or_default();
    match addresses.first() {
        None => Whereabouts::Unknown,
        Some(_) if addresses.iter().all(|address| is_own(*address)) => Whereabouts::Here,
        Some(first) => Whereabouts::Elsewhere { from: from(SocketAddr::new(*first, port)) },
    }
}

/// Our address on the way there. Nothing is sent: connecting a datagram socket only chooses it.
fn from(there: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if there.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(there).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
