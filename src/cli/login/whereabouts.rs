//! Where the homeserver is, seen from here, and so how it reaches us (pure).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::address::{Scope, is_shared};

/// An address of this computer, and how many bits of it are its network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnAddress {
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
}

/// Where a homeserver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// On this computer.
    Here,
    /// In a network or VPN of ours, in which we have this address.
    SameNetwork(Ipv4Addr),
    /// Somewhere else.
    Elsewhere,
}

/// What has to happen so that the homeserver reaches us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing: it reaches us at this base address.
    Open(String),
    /// Listening on this address too would do.
    Listen(SocketAddr),
    /// Something has to stand before us: a tunnel, a VPN or a proxy.
    Closed,
}

/// Compares the homeserver's addresses with ours. `source` is the address that this computer speaks to it from.
pub(super) fn whereabouts(theirs: &[IpAddr], ours: &[OwnAddress], source: Option<IpAddr>) -> Whereabouts {
    let is_here = |ip: &IpAddr| ip.is_loopback() || ours.iter().any(|own| own.ip == *ip);
    if theirs.iter().any(is_here) {
        return Whereabouts::Here;
    }
    // An IPv6 address in a pusher URL is accepted and then never delivered to by Synapse: those do not help.
    let Some(IpAddr::V4(source)) = source else { return Whereabouts::Elsewhere };
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

/// How a homeserver there reaches us. `accepts_loopback` is false for one that refuses pushers on loopback.
pub(super) fn way(
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
