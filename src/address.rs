//! The scope of an IP address: who can reach it (pure).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Who can reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nobody: the unspecified address, which stands for all addresses of a computer.
    Unspecified,
    /// This computer.
    Loopback,
    /// One network or VPN: private, link-local, shared (see [`is_shared`]), unique local.
    Local,
    /// Everybody.
    Public,
}

impl Scope {
    /// Of an address; an IPv4 address may be written as an IPv6 one.
    #[must_use]
    pub(crate) fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let is_local = match address {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || is_shared(v4),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        if address.is_unspecified() {
            Self::Unspecified
        } else if address.is_loopback() {
            Self::Loopback
        } else if is_local {
            Self::Local
        } else {
            Self::Public
        }
    }

    /// Of the host of a URL (RFC 3986); `None` for a name other than `localhost`, which may lead anywhere.
    #[must_use]
    pub(crate) fn of_host(host: &str) -> Option<Self> {
        if host == "localhost" {
            return Some(Self::Loopback);
        }
        host.trim_matches(['[', ']']).parse().ok().map(Self::of)
    }
}

/// Whether an address is in 100.64.0.0/10 (RFC 6598): carriers use these, and VPNs such as Tailscale.
#[must_use]
pub(crate) fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && second & 0xc0 == 64
}

/// Whether homeservers push to it only if they are told to.
#[must_use]
pub(crate) fn is_blocked(address: IpAddr) -> bool {
    Scope::of(address) != Scope::Public
}

/// Whether a listener there takes connections to this address: `[::]` is IPv6 alone.
pub(crate) fn takes(listen: SocketAddr, at: SocketAddr) -> bool {
    listen == at || listen.port() == at.port() && listen.ip().is_unspecified() && listen.is_ipv4() == at.is_ipv4()
}

/// The range that holds this address alone: `192.168.1.20/32`.
pub(crate) fn cidr(address: IpAddr) -> String {
    let address = address.to_canonical();
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// Whether a range such as `192.168.0.0/16` holds the address.
pub(crate) fn is_within(address: IpAddr, range: &str) -> bool {
    let parse = |(base, bits): (&str, &str)| Some((base.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?));
    let Some((base, bits)) = range.split_once('/').and_then(parse) else { return false };
    let (address, base, width) = match (address.to_canonical(), base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => (u128::from(address.to_bits()), u128::from(base.to_bits()), 32),
        (IpAddr::V6(address), IpAddr::V6(base)) => (address.to_bits(), base.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let kept = |value: u128| value.checked_shr(width - bits.min(width)).unwrap_or(0);
    kept(address) == kept(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_a_scope() {
        fn check(scope: Scope, addresses: &[&str]) {
            for address in addresses {
                assert_eq!(Scope::of(address.parse().unwrap()), scope, "{address}");
            }
        }
        check(Scope::Unspecified, &["0.0.0.0", "::", "::ffff:0.0.0.0"]);
        check(Scope::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]);
        check(Scope::Local, &["10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.20", "169.254.1.1"]);
        check(Scope::Local, &["100.64.0.0", "100.127.255.255", "fd00::1", "fe80::1", "::ffff:192.168.1.20"]);
        check(Scope::Public, &["100.63.255.255", "100.128.0.0", "172.32.0.1", "203.0.113.7", "2001:db8::1"]);
    }

    #[test]
    fn a_host_has_one_if_it_is_an_address_or_this_computers_name() {
        let check = |host, expected| assert_eq!(Scope::of_host(host), expected, "{host}");
        check("localhost", Some(Scope::Loopback));
        check("127.0.0.1", Some(Scope::Loopback));
        check("[::1]", Some(Scope::Loopback));
        check("::1", Some(Scope::Loopback));
        check("push.example.org", None);
        check("localhost.example.org", None);
        check("", None);
    }
}
