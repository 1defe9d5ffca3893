//! Where a homeserver is, seen from here, and so which address it reaches us at: [`look`] looks, the rest is pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::{
    address::{Scope, is_shared},
    homeserver::BaseUrl,
    platform::network,
};

/// An address of this computer, and how many bits of it are its network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnAddress {
    ip: IpAddr,
    prefix: u8,
}

/// What is seen of a homeserver from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Where it is.
    pub homeserver: Whereabouts,
    /// The address that this computer speaks to it from, where both have IPv4.
    pub source: Option<Ipv4Addr>,
}

/// Where a homeserver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// On this computer.
    Here,
    /// In a network or VPN of ours, in which we have this address.
    SameNetwork(Ipv4Addr),
    /// Somewhere else.
    Elsewhere,
}

/// What has to happen so that the homeserver reaches us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Nothing: it reaches us at this base address.
    Open(String),
    /// Listening on this address too would do.
    Listen(SocketAddr),
    /// Something has to stand before us: a tunnel, a VPN or a proxy.
    Closed,
}

/// Looks where the homeserver is. Asks the name server; nothing else is sent.
pub async fn look(base: &BaseUrl) -> Seen {
    let (host, port) = base.host_and_port();
    let Ok(found) = tokio::net::lookup_host((host.as_str(), port)).await else {
        return Seen { homeserver: Whereabouts::Elsewhere, source: None };
    };
    let theirs: Vec<SocketAddr> = found.collect();
    let ours: Vec<_> = network::addresses().into_iter().map(|(ip, prefix)| OwnAddress { ip, prefix }).collect();
    let source = theirs.iter().filter(|address| address.is_ipv4()).find_map(|address| source_to(*address));
    let theirs: Vec<IpAddr> = theirs.iter().map(SocketAddr::ip).collect();
    Seen { homeserver: whereabouts(&theirs, &ours, source), source }
}

/// The address that this computer would speak from. Nothing is sent.
fn source_to(address: SocketAddr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(address).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    }
}

/// Compares the homeserver's addresses with ours. `source` is the address that this computer speaks to it from.
fn whereabouts(theirs: &[IpAddr], ours: &[OwnAddress], source: Option<Ipv4Addr>) -> Whereabouts {
    let is_here = |ip: &IpAddr| ip.is_loopback() || ours.iter().any(|own| own.ip == *ip);
    if theirs.iter().any(is_here) {
        return Whereabouts::Here;
    }
    // An IPv6 address in a pusher URL is accepted and then never delivered to by Synapse: those do not help.
    let Some(source) = source else { return Whereabouts::Elsewhere };
    let own = ours.iter().find(|own| own.ip == source);
    let near = theirs.iter().any(|ip| match ip {
        IpAddr::V4(ip) => {
            let same_subnet = own.is_some_and(|own| same_network(*ip, source, own.prefix));
            // VPNs like Tailscale and WireGuard give a computer an address in a network of its own alone.
            let through_vpn = is_shared(*ip) && is_shared(source)
                || own.is_some_and(|own| own.prefix == 32) && is_private(*ip) && is_private(source);
            (is_private(*ip) || is_shared(*ip)) && (same_subnet || through_vpn)
        }
        IpAddr::V6(_) => false,
    });
    if near { Whereabouts::SameNetwork(source) } else { Whereabouts::Elsewhere }
}

fn same_network(a: Ipv4Addr, b: Ipv4Addr, prefix: u8) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    a.to_bits() & mask == b.to_bits() & mask
}

fn is_private(ip: Ipv4Addr) -> bool {
    ip.is_private() || ip.is_link_local()
}

/// Whether homeservers of this software take pushers on loopback: tuwunel refuses them.
#[must_use]
pub fn accepts_loopback(software: &str) -> bool {
    !software.eq_ignore_ascii_case("tuwunel")
}

/// How a homeserver there reaches us. `accepts_loopback` is false for one that refuses pushers on loopback.
#[must_use]
pub fn way(
    public_url: Option<&str>,
    scheme: &str,
    listen: &[SocketAddr],
    homeserver: Whereabouts,
    accepts_loopback: bool,
) -> Way {
    if let Some(url) = public_url {
        return Way::Open(url.to_owned());
    }
    let Some(port) = listen.first().map(SocketAddr::port) else { return Way::Closed };
    let open = |ip: Ipv4Addr, port: u16| Way::Open(format!("{scheme}://{ip}:{port}"));
    // `[::]` is IPv6 alone.
    let everywhere = listen.iter().find(|address| address.ip() == Ipv4Addr::UNSPECIFIED).map(SocketAddr::port);
    let heard = |wanted: &dyn Fn(Ipv4Addr) -> bool| {
        listen.iter().find_map(|address| match address.ip() {
            IpAddr::V4(ip) if wanted(ip) && !ip.is_unspecified() => Some((ip, address.port())),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    };
    match homeserver {
        Whereabouts::Here => {
            let loopback = heard(&|ip| ip.is_loopback()).filter(|_| accepts_loopback);
            let any = || heard(&|ip| !ip.is_loopback());
            match (loopback.or_else(any), everywhere) {
                (Some((ip, port)), _) => open(ip, port),
                (None, Some(port)) if accepts_loopback => open(Ipv4Addr::LOCALHOST, port),
                (None, None) if accepts_loopback => Way::Listen((Ipv4Addr::LOCALHOST, port).into()),
                (None, Some(_) | None) => Way::Closed,
            }
        }
        Whereabouts::SameNetwork(own) => match (heard(&|ip| ip == own), everywhere) {
            (Some((ip, port)), _) => open(ip, port),
            (None, Some(port)) => open(own, port),
            (None, None) => Way::Listen((own, port).into()),
        },
        // Who listens on a public address means to be reached there.
        Whereabouts::Elsewhere => match heard(&|ip| Scope::of(ip.into()) == Scope::Public) {
            Some((ip, port)) => open(ip, port),
            None => Way::Closed,
        },
    }
}

/// The base address to tell a homeserver that is not known to reach us: where we listen, which a tunnel or a router may
/// lead to. In place of `0.0.0.0` that is `source`, our address towards the homeserver. `None`: nobody pushes there, and
/// only `server.public_url` can say where.
#[must_use]
pub fn unproven(scheme: &str, listen: &[SocketAddr], source: Option<Ipv4Addr>) -> Option<String> {
    let told = listen.iter().find_map(|address| match address.ip() {
        ip if !ip.is_unspecified() => Some(*address),
        IpAddr::V4(_) => source.map(|own| (own, address.port()).into()),
        IpAddr::V6(_) => None,
    })?;
    Some(format!("{scheme}://{told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [(&str, u8); 5] =
        [("127.0.0.1", 8), ("192.168.1.20", 24), ("100.101.2.3", 32), ("10.9.0.2", 32), ("203.0.113.7", 24)];

    #[test]
    fn the_homeserver_is_found_here_near_or_far() {
        fn check(theirs: &str, source: &str, expected: Whereabouts) {
            let ours = OURS.map(|(ip, prefix)| OwnAddress { ip: ip.parse().unwrap(), prefix });
            let theirs: Vec<IpAddr> = theirs.split(' ').map(|ip| ip.parse().unwrap()).collect();
            assert_eq!(whereabouts(&theirs, &ours, source.parse().ok()), expected, "{theirs:?} from {source}");
        }
        let near = |ip: &str| Whereabouts::SameNetwork(ip.parse().unwrap());
        check("127.0.0.1", "127.0.0.1", Whereabouts::Here);
        check("::1", "::1", Whereabouts::Here);
        check("192.168.1.20", "192.168.1.20", Whereabouts::Here);
        check("203.0.113.7", "203.0.113.7", Whereabouts::Here);
        check("192.168.1.5", "192.168.1.20", near("192.168.1.20"));
        check("2001:db8::5 192.168.1.5", "192.168.1.20", near("192.168.1.20"));
        check("100.64.0.9", "100.101.2.3", near("100.101.2.3"));
        check("10.9.0.1", "10.9.0.2", near("10.9.0.2"));
        // Private, but beyond a router: it need not find the way back.
        check("192.168.7.5", "192.168.1.20", Whereabouts::Elsewhere);
        check("10.1.2.3", "192.168.1.20", Whereabouts::Elsewhere);
        check("100.64.0.9", "192.168.1.20", Whereabouts::Elsewhere);
        // A public neighbour may be one, but addresses in public networks are not for the same person.
        check("203.0.113.9", "203.0.113.7", Whereabouts::Elsewhere);
        check("198.51.100.1", "192.168.1.20", Whereabouts::Elsewhere);
        check("2001:db8::5", "2001:db8::6", Whereabouts::Elsewhere);
        check("198.51.100.1", "", Whereabouts::Elsewhere);
    }

    #[test]
    fn no_homeserver_is_told_an_address_that_stands_for_all() {
        fn check(listen: &str, source: Option<&str>, expected: Option<&str>) {
            let addresses: Vec<SocketAddr> = listen.split(' ').map(|address| address.parse().unwrap()).collect();
            let source = source.map(|source| source.parse().unwrap());
            assert_eq!(unproven("https", &addresses, source).as_deref(), expected, "{listen} {source:?}");
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
    fn the_way_to_us_is_open_or_what_opens_it_is_told() {
        fn check(listen: &str, whereabouts: Whereabouts, loopback: bool, expected: &Way) {
            let addresses: Vec<SocketAddr> = listen.split(' ').map(|address| address.parse().unwrap()).collect();
            assert_eq!(&way(None, "http", &addresses, whereabouts, loopback), expected, "{listen} {whereabouts:?}");
        }
        let open = |url: &str| Way::Open(url.to_owned());
        let listen = |address: &str| Way::Listen(address.parse().unwrap());
        let near = Whereabouts::SameNetwork(Ipv4Addr::new(192, 168, 1, 20));
        check("127.0.0.1:7", Whereabouts::Here, true, &open("http://127.0.0.1:7"));
        check("192.168.1.20:8 127.0.0.1:7", Whereabouts::Here, true, &open("http://127.0.0.1:7"));
        check("192.168.1.20:8", Whereabouts::Here, true, &open("http://192.168.1.20:8"));
        check("0.0.0.0:7", Whereabouts::Here, true, &open("http://127.0.0.1:7"));
        check("[::]:7", Whereabouts::Here, true, &listen("127.0.0.1:7"));
        check("[::]:7 0.0.0.0:7", Whereabouts::Here, true, &open("http://127.0.0.1:7"));
        check("[::1]:7", Whereabouts::Here, true, &listen("127.0.0.1:7"));
        check("127.0.0.1:7", Whereabouts::Here, false, &Way::Closed);
        check("127.0.0.1:7 192.168.1.20:8", Whereabouts::Here, false, &open("http://192.168.1.20:8"));
        check("127.0.0.1:7", near, true, &listen("192.168.1.20:7"));
        check("127.0.0.1:7 192.168.1.20:8", near, true, &open("http://192.168.1.20:8"));
        check("0.0.0.0:7", near, true, &open("http://192.168.1.20:7"));
        check("[::]:7", near, true, &listen("192.168.1.20:7"));
        check("10.0.0.1:7", near, true, &listen("192.168.1.20:7"));
        check("0.0.0.0:7", Whereabouts::Elsewhere, true, &Way::Closed);
        check("192.168.1.20:7 100.101.2.3:7 127.0.0.1:7", Whereabouts::Elsewhere, true, &Way::Closed);
        check("127.0.0.1:7 203.0.113.7:8", Whereabouts::Elsewhere, true, &open("http://203.0.113.7:8"));
        let public = way(Some("https://push.example.org"), "http", &[], Whereabouts::Elsewhere, true);
        assert_eq!(public, open("https://push.example.org"));
    }
}
