//! Which addresses homeservers do not push to unless they are told to.

use std::net::IpAddr;

use crate::address::Scope;

/// Whether homeservers block it by default.
pub(super) fn is_blocked(address: IpAddr) -> bool {
    match Scope::of(address) {
        Scope::Unspecified | Scope::Loopback | Scope::Local => true,
        Scope::Public => false,
    }
}

/// The range that holds this address alone: `192.168.1.20/32`.
pub(super) fn cidr(address: IpAddr) -> String {
    let address = address.to_canonical();
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// Whether a range such as `192.168.0.0/16` holds the address.
pub(super) fn is_within(address: IpAddr, range: &str) -> bool {
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
