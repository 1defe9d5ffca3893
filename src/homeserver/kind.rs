//! Which software a homeserver is, and what follows from that.

use std::net::IpAddr;

use serde::Deserialize;

use super::{
    HomeserverClient,
    client::Lenient,
    discovery::{Homeserver, ServerField, Versions},
};
use crate::{address, push::text};

/// Longest name that is kept, in characters.
const MAX_NAME_CHARS: usize = 40;

/// A homeserver's software, for the differences that concern pushes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HomeserverKind {
    /// Synapse
    Synapse,
    /// Dendrite
    Dendrite,
    /// tuwunel, of conduwuit.
    Tuwunel,
    /// continuwuity, of conduwuit.
    Continuwuity,
    /// conduwuit, of Conduit.
    Conduwuit,
    /// Conduit, or its fork grapevine.
    Conduit,
    /// Palpo
    Palpo,
    /// Another, by its own name; empty if unknown.
    Unknown(String),
}

/// Address ranges that conduwuit and its kin block by default.
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

/// Configuration that makes a homeserver push to an address that it blocks by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Where to add the line, and how to recognise that it is needed.
    pub advice: String,
    /// The line.
    pub paste: String,
}

impl HomeserverKind {
    /// The kind of a homeserver with this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "synapse" => Self::Synapse,
            "dendrite" => Self::Dendrite,
            "tuwunel" => Self::Tuwunel,
            "continuwuity" => Self::Continuwuity,
            "conduwuit" => Self::Conduwuit,
            "conduit" | "grapevine" => Self::Conduit,
            "palpo" => Self::Palpo,
            _ => Self::Unknown(name.to_owned()),
        }
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Synapse => "Synapse",
            Self::Dendrite => "Dendrite",
            Self::Tuwunel => "tuwunel",
            Self::Continuwuity => "continuwuity",
            Self::Conduwuit => "conduwuit",
            Self::Conduit => "Conduit",
            Self::Palpo => "palpo",
            Self::Unknown(name) if !name.is_empty() => name,
            Self::Unknown(_) => "the homeserver",
        }
    }

    /// Whether `counts` of a push are those of its room, not of the account.
    #[must_use]
    pub fn counts_per_room(&self) -> bool {
        matches!(self, Self::Continuwuity | Self::Conduwuit | Self::Conduit | Self::Palpo)
    }

    /// Whether `counts.unread` is a number of rooms, not of messages.
    #[must_use]
    pub fn counts_unread_rooms(&self) -> bool {
        *self == Self::Synapse
    }

    /// Whether `GET /notifications` leaves out read events.
    #[must_use]
    pub fn unlists_read(&self) -> bool {
        *self == Self::Synapse
    }

    /// Whether `GET /notifications` has every event that was pushed.
    #[must_use]
    pub fn lists_new(&self) -> bool {
        matches!(self, Self::Synapse | Self::Dendrite)
    }

    /// Whether it pushes new counts when a room is read, so that a read receipt can prove that pushes arrive.
    #[must_use]
    pub fn pushes_when_read(&self) -> bool {
        matches!(self, Self::Synapse | Self::Tuwunel)
    }

    /// Whether it accepts pusher URLs on loopback.
    #[must_use]
    pub fn accepts_loopback(&self) -> bool {
        *self != Self::Tuwunel
    }

    /// Whether it pushes to https only.
    #[must_use]
    pub fn is_https_only(&self) -> bool {
        *self == Self::Dendrite
    }

    /// Whether it accepts a URL with an IPv6 address and then never delivers to it.
    #[must_use]
    pub fn ignores_ipv6_addresses(&self) -> bool {
        *self == Self::Synapse
    }

    /// Whether it rewrites the path of a pusher URL, which breaks URLs with a query.
    #[must_use]
    pub fn breaks_queries(&self) -> bool {
        matches!(self, Self::Tuwunel | Self::Continuwuity | Self::Conduwuit | Self::Conduit)
    }

    /// Whether it backs off after failed pushes, as is assumed of unknown ones.
    #[must_use]
    pub fn backs_off(&self) -> bool {
        matches!(self, Self::Synapse | Self::Dendrite | Self::Unknown(_))
    }

    /// The configuration that makes it push to these addresses; `None` if it blocks none by default.
    #[must_use]
    pub fn allowance(&self, addresses: &[IpAddr]) -> Option<Allowance> {
        let whitelist = || {
            let ranges: Vec<_> = addresses.iter().map(|address| format!("'{}'", address::cidr(*address))).collect();
            format!("ip_range_whitelist: [{}]", ranges.join(", "))
        };
        let (advice, paste) = match self {
            Self::Synapse => {
                let advice = "Its log then says \"403: IP address blocked\". Its administrator adds this to \
                              homeserver.yaml and restarts Synapse";
                (advice.to_owned(), whitelist())
            }
            Self::Unknown(_) => {
                let advice = "If it is Synapse, its log then says \"403: IP address blocked\", and its administrator \
                              adds this to homeserver.yaml and restarts it. Any other has a setting of its own";
                (advice.to_owned(), whitelist())
            }
            Self::Tuwunel | Self::Continuwuity | Self::Conduwuit | Self::Palpo => {
                let kept = DENIED.iter().filter(|range| !addresses.iter().any(|ip| address::is_within(*ip, range)));
                let kept: Vec<_> = kept.map(|range| format!("{range:?}")).collect();
                let section = if *self == Self::Palpo { "" } else { "[global] of " };
                let advice = format!(
                    "Its administrator sets this in {section}{}'s configuration (the default list without the range of \
                     this address) and restarts it",
                    self.name()
                );
                (advice, format!("ip_range_denylist = [{}]", kept.join(", ")))
            }
            Self::Dendrite | Self::Conduit => return None,
        };
        Some(Allowance { advice, paste })
    }
}

/// `GET /_matrix/federation/v1/version`
#[derive(Default, Deserialize)]
#[serde(default)]
struct FederationVersion {
    server: Lenient<FederationServer>,
}

#[derive(Deserialize)]
struct FederationServer {
    name: String,
}

/// The homeserver's name, such as "Synapse" or "tuwunel"; empty if unknown. From the federation API if the same address
/// serves it, else from `/versions`.
pub(crate) async fn software(homeserver: &Homeserver) -> String {
    let Homeserver { client, versions } = homeserver;
    federation_name(client).await.unwrap_or_else(|| name_in_versions(versions))
}

async fn federation_name(client: &HomeserverClient) -> Option<String> {
    let answer: FederationVersion = client.get("/_matrix/federation/v1/version").await.ok()?;
    printable(&answer.server.0?.name)
}

/// The name in `/versions`, if there is one; else Synapse is recognised by a feature flag of its own.
fn name_in_versions(versions: &Versions) -> String {
    let said = match &versions.server.0 {
        Some(ServerField::Name(name) | ServerField::Object { name }) => printable(name),
        None => None,
    };
    let mut features = versions.unstable_features.0.iter().flat_map(|features| features.keys());
    let mut is_synapse = || features.any(|key| key.starts_with("io.element.e2ee_forced."));
    said.unwrap_or_else(|| if is_synapse() { "Synapse".to_owned() } else { String::new() })
}

fn printable(name: &str) -> Option<String> {
    let name = text::line(name, MAX_NAME_CHARS);
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn an_unnamed_server_is_recognised_by_its_features() {
        let check = |versions: Value, expected: &str| {
            let read: Versions = serde_json::from_value(versions.clone()).unwrap();
            assert_eq!(name_in_versions(&read), expected, "{versions}");
        };
        check(json!({"versions": ["v1.11"]}), "");
        check(json!({"server": {"name": "tuwunel", "version": "1"}}), "tuwunel");
        check(json!({"server": "Palpo\u{1b}[2J"}), "Palpo");
        check(json!({"server": 7}), "");
        check(json!({"unstable_features": {"io.element.e2ee_forced.public": false}}), "Synapse");
        check(json!({"unstable_features": {"org.matrix.msc3881": true}}), "");
    }

    #[test]
    fn the_meaning_of_counts_depends_on_the_software() {
        let check = |name: &str, expected: (bool, bool, bool)| {
            let kind = HomeserverKind::named(name);
            let found = (kind.counts_per_room(), kind.counts_unread_rooms(), kind.pushes_when_read());
            assert_eq!(found, expected, "{name}");
        };
        check("Synapse", (false, true, true));
        check("tuwunel", (false, false, true));
        check("Dendrite", (false, false, false));
        check("Conduit", (true, false, false));
        check("conduwuit", (true, false, false));
        check("Continuwuity", (true, false, false));
        check("Palpo", (true, false, false));
        check("", (false, false, false));
    }

    proptest! {
        #[test]
        fn an_allowance_leaves_the_other_ranges_denied(octets in any::<[u8; 4]>()) {
            let wanted = IpAddr::from(octets);
            let paste = HomeserverKind::Tuwunel.allowance(&[wanted]).unwrap().paste;
            let ranges: Vec<_> = paste.split('"').skip(1).step_by(2).collect();
            prop_assert!(!ranges.iter().any(|range| address::is_within(wanted, range)));
            prop_assert!(ranges.len() >= 18);
        }
    }
}
