//! This computer's addresses.

use std::net::IpAddr;

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
