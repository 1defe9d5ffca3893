//! What homeservers do with pusher URLs, by the name that they call themselves.

use std::net::IpAddr;

use super::address;

/// A homeserver's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Synapse,
    Dendrite,
    /// conduwuit and what came of it: they have an `ip_range_denylist`.
    Tuwunel,
    Conduwuit,
    Conduit,
    /// Another, or one that does not say.
    Other,
}

/// What conduwuit and its kin do not send requests to unless they are configured otherwise.
const DENIED: [&str; 19] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "192.0.0.0/24",
    "169.254.0.0/16",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "::1/128",
    "fe80::/10",
    "fc00::/7",
    "2001:db8::/32",
    "ff00::/8",
    "fec0::/10",
];

impl Server {
    pub(super) fn named(name: &str) -> Self {
        let is = |other: &str| name.to_ascii_lowercase().starts_with(other);
        if is("synapse") {
            Self::Synapse
        } else if is("dendrite") {
            Self::Dendrite
        } else if is("tuwunel") {
            Self::Tuwunel
        } else if is("conduwuit") || is("continuwuity") {
            Self::Conduwuit
        } else if is("conduit") {
            Self::Conduit
        } else {
            Self::Other
        }
    }

    /// As the person knows it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Synapse => "Synapse",
            Self::Dendrite => "Dendrite",
            Self::Tuwunel => "tuwunel",
            Self::Conduwuit => "conduwuit",
            Self::Conduit => "Conduit",
            Self::Other => "the homeserver",
        }
    }

    /// Whether it rewrites the URL's path, and so breaks one that has a query.
    pub(super) fn breaks_queries(self) -> bool {
        match self {
            Self::Tuwunel | Self::Conduwuit | Self::Conduit => true,
            Self::Synapse | Self::Dendrite | Self::Other => false,
        }
    }

    /// Where to allow these addresses, the lines to paste there, and how to tell that it blocks them; `None` where it
    /// blocks none.
    pub(super) fn allowance(self, addresses: &[IpAddr]) -> Option<Allowance> {
        let synapse = |advice: &str| {
            let ranges: Vec<_> = addresses.iter().map(|address| format!("'{}'", address::cidr(*address))).collect();
            let paste = format!("ip_range_whitelist: [{}]", ranges.join(", "));
            Some(Allowance { advice: advice.to_owned(), paste })
        };
        match self {
            Self::Synapse => synapse(
                "Its log then says \"403: IP address blocked\". Its administrator adds this to homeserver.yaml and \
                 restarts Synapse",
            ),
            Self::Other => synapse(
                "If it is Synapse, its log then says \"403: IP address blocked\", and its administrator adds this to \
                 homeserver.yaml and restarts it. Any other has a setting of its own",
            ),
            Self::Tuwunel | Self::Conduwuit => {
                let kept = DENIED.iter().filter(|range| !addresses.iter().any(|a| address::is_within(*a, range)));
                let kept: Vec<_> = kept.map(|range| format!("{range:?}")).collect();
                let advice = format!(
                    "Its administrator sets this in [global] of {}'s configuration (the default list without the range \
                     of this address) and restarts it",
                    self.name()
                );
                Some(Allowance { advice, paste: format!("ip_range_denylist = [{}]", kept.join(", ")) })
            }
            Self::Dendrite | Self::Conduit => None,
        }
    }
}

/// How to have a homeserver push to an address that it blocks by default.
pub(super) struct Allowance {
    pub(super) advice: String,
    pub(super) paste: String,
}
