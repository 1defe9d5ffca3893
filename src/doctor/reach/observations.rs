//! What can be observed from here: name resolution, our own addresses, what answers at the pusher URL.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::{
    LocalEnd,
    probe::{Outcome, Prober},
    pusher_url,
};
use crate::{
    address::Scope,
    homeserver::BaseUrl,
    http_client, invocation,
    platform::host,
    reachability::{self, Observation},
};

/// Timeout for a connection to our own listener.
const CONNECT: Duration = Duration::from_secs(1);

/// What is known of the path from the homeserver to us.
#[derive(Debug, Clone)]
pub(super) struct Observations {
    /// The pusher URL as the homeserver has it.
    pub(super) text: String,
    /// The parsed URL; `None` if no push can be sent to it.
    pub(super) url: Option<Url>,
    /// What we listen on.
    pub(super) listen: Vec<SocketAddr>,
    /// We speak TLS there.
    pub(super) tls: bool,
    /// Whether Pushbell is running and one of those addresses accepts connections.
    pub(super) listening: bool,
    /// The addresses of the URL's host, or why there are none.
    pub(super) resolved: Result<Vec<IpAddr>, String>,
    /// Those that belong to this computer.
    pub(super) own: Vec<IpAddr>,
    /// The result of a push to each of them.
    pub(super) pushes: Vec<(IpAddr, Outcome)>,
    /// Whether `GET /health` was answered by us, whatever the result of the push.
    pub(super) healthy: bool,
    /// Where the homeserver is.
    pub(super) homeserver: Observation,
    /// The address by which containers on this computer reach it, if there is a container bridge.
    pub(super) bridge: Option<Ipv4Addr>,
    /// Where to find the instructions.
    pub(super) recipes: String,
}

/// Collects the observations. Takes about six seconds when nothing answers.
pub(super) async fn gather(end: &LocalEnd, homeserver: Option<&BaseUrl>) -> Observations {
    let url = pusher_url::parse(&end.url);
    let resolved = match &url {
        None => Ok(Vec::new()),
        Some(url) => match pusher_url::address(url) {
            Some(address) => Ok(vec![address]),
            None => reachability::resolve(pusher_url::host(url), pusher_url::port(url)).await,
        },
    };
    let homeserver = async {
        match homeserver {
            Some(homeserver) => reachability::observe(homeserver).await,
            None => Observation::NONE,
        }
    };
    let prober = url.as_ref().map(Prober::new);
    // One address of each family: a desktop's host name has no more than that.
    let first = |wanted: fn(&IpAddr) -> bool| resolved.iter().flatten().copied().find(wanted);
    let (v4, v6, listening, homeserver) = tokio::join!(
        try_address(prober.as_ref(), first(IpAddr::is_ipv4)),
        try_address(prober.as_ref(), first(IpAddr::is_ipv6)),
        is_listening(end),
        homeserver
    );
    let answers: Vec<_> = [v4, v6].into_iter().flatten().collect();
    drop(prober);
    Observations {
        text: end.url.clone(),
        url,
        listen: end.listen.clone(),
        tls: end.tls,
        listening,
        own: reachability::ours_among(resolved.as_deref().unwrap_or_default()),
        resolved,
        healthy: answers.iter().any(|(.., healthy)| *healthy),
        pushes: answers.into_iter().map(|(address, outcome, _)| (address, outcome)).collect(),
        homeserver,
        bridge: host::container_bridge(),
        recipes: invocation::documentation("connect.md"),
    }
}

/// Sends a push and `GET /health` to the address, unless it is unspecified.
async fn try_address(prober: Option<&Prober<'_>>, address: Option<IpAddr>) -> Option<(IpAddr, Outcome, bool)> {
    let prober = prober?;
    let address = address.filter(|address| Scope::of(*address) != Scope::Unspecified)?;
    let (outcome, healthy) = tokio::join!(prober.push(address), prober.is_healthy(address));
    Some((address, outcome, healthy))
}

async fn is_listening(end: &LocalEnd) -> bool {
    for address in end.listen.iter().filter(|_| end.runs) {
        if let Ok(Ok(_)) = timeout(CONNECT, TcpStream::connect(http_client::reachable(*address))).await {
            return true;
        }
    }
    false
}
