//! This computer's addresses.

use std::net::{IpAddr, Ipv4Addr};

/// The bridges on which Docker and Podman put containers by default.
const BRIDGES: [&str; 3] = ["docker0", "podman0", "cni-podman0"];

/// The address of each interface, with the length of its network's prefix. None where nobody can tell.
#[must_use]
pub fn addresses() -> Vec<(IpAddr, u8)> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let address = |interface: &if_addrs::Interface| match &interface.addr {
        if_addrs::IfAddr::V4(v4) => (v4.ip.into(), v4.prefixlen),
        if_addrs::IfAddr::V6(v6) => (v6.ip.into(), v6.prefixlen),
    };
    interfaces.iter().map(address).collect()
}

/// The address by which containers on this computer reach it, where there is a bridge for them.
#[must_use]
pub fn container_bridge() -> Option<Ipv4Addr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let address = |name: &str| {
        interfaces.iter().filter(|interface| interface.name == name).find_map(|interface| match interface.ip() {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        })
    };
    BRIDGES.into_iter().find_map(address)
}
