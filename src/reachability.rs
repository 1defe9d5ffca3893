//! How a homeserver reaches us: where it is, which URL it is told, and what is needed if it cannot reach us. All of it
//! is pure except [`observe`] and [`resolve`].

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};

use crate::{
    address::{Scope, is_shared, takes},
    config,
    homeserver::{BaseUrl, HomeserverKind},
    platform::host,
};

/// Time limit of name resolution.
const RESOLVE: Duration = Duration::from_secs(2);

/// A homeserver's place, as seen from this computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Observation {
    /// Where it is.
    pub location: Location,
    /// This computer's source address towards it, if both have IPv4.
    pub source: Option<Ipv4Addr>,
}

impl Observation {
    /// For an unknown homeserver.
    pub(crate) const NONE: Self = Self { location: Location::Unknown, source: None };
}

/// Where a homeserver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    /// Its name cannot be resolved, or is unknown.
    Unknown,
    /// On this computer.
    Here,
    /// In a network or VPN of this computer, which has this address there.
    SameNetwork(Ipv4Addr),
    /// Somewhere else.
    Elsewhere,
}

/// How the homeserver can reach us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// At this base URL.
    Open(String),
    /// If we also listen on this address.
    Listen(SocketAddr),
    /// Only through a tunnel, a VPN or a proxy.
    Closed,
}

/// Finds out where the homeserver is. Sends nothing but name resolution.
pub(crate) async fn observe(homeserver: &BaseUrl) -> Observation {
    let (host, port) = homeserver.host_and_port();
    let theirs = resolve(&host, port).await.unwrap_or_default();
    let source = theirs.iter().filter(|ip| ip.is_ipv4()).find_map(|ip| source_to(SocketAddr::new(*ip, port)));
    Observation { location: location(&theirs, &host::addresses(), source), source }
}

/// The distinct addresses of a host.
///
/// # Errors
/// Says why there are none.
pub(crate) async fn resolve(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    match timeout(RESOLVE, lookup_host((host, port))).await {
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

/// Those of the addresses that belong to this computer.
pub(crate) fn ours_among(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let ours = host::addresses();
    addresses.iter().copied().filter(|address| is_own(*address, &ours)).collect()
}

fn is_own(address: IpAddr, ours: &[(IpAddr, u8)]) -> bool {
    address.is_loopback() || ours.iter().any(|(own, _)| *own == address)
}

/// The source address for connections to this address. Sends nothing.
fn source_to(address: SocketAddr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(address).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// Compares the homeserver's addresses with ours, given with the length of their network prefix. `source` is this computer's
/// source address towards it.
fn location(theirs: &[IpAddr], ours: &[(IpAddr, u8)], source: Option<Ipv4Addr>) -> Location {
    if theirs.is_empty() {
        return Location::Unknown;
    }
    if theirs.iter().any(|ip| is_own(*ip, ours)) {
        return Location::Here;
    }
    // Only IPv4: Synapse accepts pusher URLs with IPv6 addresses and never delivers to them.
    let Some(source) = source else { return Location::Elsewhere };
    let prefix = ours.iter().find(|(own, _)| *own == source).map(|(_, prefix)| *prefix);
    let near = theirs.iter().any(|ip| match ip {
        IpAddr::V4(ip) => {
            let same_subnet = prefix.is_some_and(|prefix| same_network(*ip, source, prefix));
            // In VPNs such as Tailscale and WireGuard, a computer's network has a single address.
            let through_vpn =
                is_shared(*ip) && is_shared(source) || prefix == Some(32) && is_private(*ip) && is_private(source);
            (is_private(*ip) || is_shared(*ip)) && (same_subnet || through_vpn)
        }
        IpAddr::V6(_) => false,
    });
    if near { Location::SameNetwork(source) } else { Location::Elsewhere }
}

fn same_network(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    a.to_bits() & mask == b.to_bits() & mask
}

fn is_private(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_link_local()
}

/// How a homeserver of this kind and location reaches us.
#[must_use]
pub(crate) fn route(server: &config::Server, location: Location, kind: &HomeserverKind) -> Route {
    if let Some(url) = &server.public_url {
        return Route::Open(url.clone());
    }
    let listen = server.listen.as_slice();
    let Some(port) = listen.first().map(SocketAddr::port) else { return Route::Closed };
    let open = |ip: Ipv4Addr, port: u16| Route::Open(format!("{}://{ip}:{port}", server.scheme()));
    // `[::]` is IPv6 alone.
    let everywhere = listen.iter().find(|address| address.ip() == Ipv4Addr::UNSPECIFIED).map(SocketAddr::port);
    let heard = |wanted: &dyn Fn(Ipv4Addr) -> bool| {
        listen.iter().find_map(|address| match address.ip() {
            IpAddr::V4(ip) if wanted(ip) && !ip.is_unspecified() => Some((ip, address.port())),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    };
    match location {
        Location::Here => {
            let accepts_loopback = kind.accepts_loopback();
            let loopback = heard(&|ip| ip.is_loopback()).filter(|_| accepts_loopback);
            let any = || heard(&|ip| !ip.is_loopback());
            match (loopback.or_else(any), everywhere) {
                (Some((ip, port)), _) => open(ip, port),
                (None, Some(port)) if accepts_loopback => open(Ipv4Addr::LOCALHOST, port),
                (None, None) if accepts_loopback => Route::Listen((Ipv4Addr::LOCALHOST, port).into()),
                (None, Some(_) | None) => Route::Closed,
            }
        }
        Location::SameNetwork(own) => match (heard(&|ip| ip == own), everywhere) {
            (Some((ip, port)), _) => open(ip, port),
            (None, Some(port)) => open(own, port),
            (None, None) => Route::Listen((own, port).into()),
        },
        // A public listening address is meant to be reached.
        Location::Elsewhere | Location::Unknown => match heard(&|ip| Scope::of(ip.into()) == Scope::Public) {
            Some((ip, port)) => open(ip, port),
            None => Route::Closed,
        },
    }
}

/// Where a homeserver in a container on this computer reaches us, given the address of the bridge; `None` if we do not
/// listen.
#[must_use]
pub(crate) fn at_bridge(server: &config::Server, bridge: Ipv4Addr) -> Option<SocketAddr> {
    let heard = server.listen.iter().find(|address| takes(**address, (bridge, address.port()).into()));
    Some((bridge, heard.or(server.listen.first())?.port()).into())
}

/// The base URL for a homeserver that is not known to reach us: a listening address, to which a tunnel or a router may
/// lead. `0.0.0.0` is replaced by `source`, our address towards the homeserver. `None` if there is no usable address, so
/// that `server.public_url` is needed.
#[must_use]
pub(crate) fn unproven_base_url(server: &config::Server, source: Option<Ipv4Addr>) -> Option<String> {
    let told = server.listen.iter().find_map(|address| match address.ip() {
        ip if !ip.is_unspecified() => Some(*address),
        IpAddr::V4(_) => source.map(|own| (own, address.port()).into()),
        IpAddr::V6(_) => None,
    })?;
    Some(format!("{}://{told}", server.scheme()))
}

/// The base URL that a homeserver is told: one that it reaches, else the likeliest.
#[must_use]
pub(crate) fn base_url(server: &config::Server, seen: Observation, kind: &HomeserverKind) -> Option<String> {
    match route(server, seen.location, kind) {
        Route::Open(url) => Some(url),
        Route::Listen(_) | Route::Closed => unproven_base_url(server, seen.source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, u8); 5] =
        [("127.0.0.1", 8), ("192.168.1.20", 24), ("100.101.2.3", 32), ("10.9.0.2", 32), ("203.0.113.7", 24)];

    fn listening(addresses: &[SocketAddr]) -> config::Server {
        config::Server { listen: addresses.to_vec(), ..config::Config::default().server }
    }

    #[test]
    fn the_location_follows_from_the_addresses() {
        fn check(theirs: &str, source: &str, expected: Location) {
            let ours = OURS.map(|(ip, prefix)| (ip.parse().unwrap(), prefix));
            let theirs: Vec<IpAddr> = theirs.split_whitespace().map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(location(&theirs, &ours, source.parse().ok()), expected, "{theirs:?} from {source}");
        }
        let near = |ip: &str| Location::SameNetwork(ip.parse().unwrap());
        check("127.0.0.1", "127.0.0.1", Location::Here);
        check("::1", "::1", Location::Here);
        check("192.168.1.20", "192.168.1.20", Location::Here);
        check("203.0.113.7", "203.0.113.7", Location::Here);
        check("192.168.1.5", "192.168.1.20", near("192.168.1.20"));
        check("2001:db8::5 192.168.1.5", "192.168.1.20", near("192.168.1.20"));
        check("100.64.0.9", "100.101.2.3", near("100.101.2.3"));
        check("10.9.0.1", "10.9.0.2", near("10.9.0.2"));
        // Private, but beyond a router: it need not find the way back.
        check("192.168.7.5", "192.168.1.20", Location::Elsewhere);
        check("10.1.2.3", "192.168.1.20", Location::Elsewhere);
        check("100.64.0.9", "192.168.1.20", Location::Elsewhere);
        // A public neighbour may be one, but addresses in public networks are not for the same person.
        check("203.0.113.9", "203.0.113.7", Location::Elsewhere);
        check("198.51.100.1", "192.168.1.20", Location::Elsewhere);
        check("2001:db8::5", "2001:db8::6", Location::Elsewhere);
        check("198.51.100.1", "", Location::Elsewhere);
        check("", "", Location::Unknown);
    }

    #[test]
    fn no_homeserver_is_told_an_unspecified_address() {
        fn check(listen: &str, source: Option<&str>, expected: Option<&str>) {
            let addresses: Vec<SocketAddr> = listen.split(' ').map(|address| address.parse().unwrap()).collect();
            let source = source.map(|source| source.parse().unwrap());
            let files = config::TlsFiles { certificate: "c".into(), key: "k".into() };
            let server = config::Server { tls: Some(files), ..listening(&addresses) };
            assert_eq!(unproven_base_url(&server, source).as_deref(), expected, "{listen} {source:?}");
        }
        let own = Some("192.168.1.20");
        check("127.0.0.1:7", own, Some("https://127.0.0.1:7"));
        check("[::1]:7", own, Some("https://[::1]:7"));
        check("0.0.0.0:7", own, Some("https://192.168.1.20:7"));
        check("[::]:7 0.0.0.0:8", own, Some("https://192.168.1.20:8"));
        check("[::]:7 10.0.0.1:8", None, Some("https://10.0.0.1:8"));
        check("0.0.0.0:7 10.0.0.1:8", own, Some("https://192.168.1.20:7"));
        check("0.0.0.0:7", None, None);
        check("[::]:7", own, None);
    }

    #[test]
    fn a_container_reaches_us_at_its_bridge() {
        fn check(listen: &str, expected: Option<&str>) {
            let addresses: Vec<SocketAddr> =
                listen.split_whitespace().map(|address| address.parse().unwrap()).collect();
            let found = at_bridge(&listening(&addresses), Ipv4Addr::new(172, 17, 0, 1));
            assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{listen}");
        }
        check("127.0.0.1:7", Some("172.17.0.1:7"));
        check("127.0.0.1:7 172.17.0.1:8", Some("172.17.0.1:8"));
        check("127.0.0.1:7 0.0.0.0:8", Some("172.17.0.1:8"));
        check("127.0.0.1:7 [::]:8", Some("172.17.0.1:7"));
        check("", None);
    }

    #[test]
    fn the_route_follows_from_location_and_listening_addresses() {
        fn check(listen: &str, location: Location, loopback: bool, expected: &Route) {
            let addresses: Vec<SocketAddr> = listen.split(' ').map(|address| address.parse().unwrap()).collect();
            let kind = if loopback { HomeserverKind::Synapse } else { HomeserverKind::Tuwunel };
            assert_eq!(&route(&listening(&addresses), location, &kind), expected, "{listen} {location:?}");
        }
        let open = |url: &str| Route::Open(url.to_owned());
        let listen = |address: &str| Route::Listen(address.parse().unwrap());
        let near = Location::SameNetwork(Ipv4Addr::new(192, 168, 1, 20));
        check("127.0.0.1:7", Location::Here, true, &open("http://127.0.0.1:7"));
        check("192.168.1.20:8 127.0.0.1:7", Location::Here, true, &open("http://127.0.0.1:7"));
        check("192.168.1.20:8", Location::Here, true, &open("http://192.168.1.20:8"));
        check("0.0.0.0:7", Location::Here, true, &open("http://127.0.0.1:7"));
        check("[::]:7", Location::Here, true, &listen("127.0.0.1:7"));
        check("[::]:7 0.0.0.0:7", Location::Here, true, &open("http://127.0.0.1:7"));
        check("[::1]:7", Location::Here, true, &listen("127.0.0.1:7"));
        check("127.0.0.1:7", Location::Here, false, &Route::Closed);
        check("127.0.0.1:7 192.168.1.20:8", Location::Here, false, &open("http://192.168.1.20:8"));
        check("127.0.0.1:7", near, true, &listen("192.168.1.20:7"));
        check("127.0.0.1:7 192.168.1.20:8", near, true, &open("http://192.168.1.20:8"));
        check("0.0.0.0:7", near, true, &open("http://192.168.1.20:7"));
        check("[::]:7", near, true, &listen("192.168.1.20:7"));
        check("10.0.0.1:7", near, true, &listen("192.168.1.20:7"));
        check("0.0.0.0:7", Location::Elsewhere, true, &Route::Closed);
        check("192.168.1.20:7 100.101.2.3:7 127.0.0.1:7", Location::Elsewhere, true, &Route::Closed);
        check("127.0.0.1:7 203.0.113.7:8", Location::Elsewhere, true, &open("http://203.0.113.7:8"));
        let public = config::Server { public_url: Some("https://push.example.org".to_owned()), ..listening(&[]) };
        let public = route(&public, Location::Elsewhere, &HomeserverKind::Synapse);
        assert_eq!(public, open("https://push.example.org"));
    }
}
