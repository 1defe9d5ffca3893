//! Checks the form of a pusher URL: homeservers accept some forms that they never deliver to.

use std::net::IpAddr;

use url::{Host, Url};

use crate::{doctor::Finding, homeserver::HomeserverKind, push::notify};

const PART: &str = "pusher URL";

/// Parses a pusher URL; `None` if it is not an http or https URL.
pub(super) fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

/// `https://push.example.org`, with the port unless it is the scheme's default.
pub(super) fn base(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Host, and port unless it is the scheme's default.
pub(super) fn authority(url: &Url) -> String {
    url.authority().rsplit('@').next().unwrap_or_default().to_owned()
}

pub(super) fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(443)
}

pub(super) fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// Whether the host is a name by which container engines let containers reach the host computer.
pub(super) fn is_for_containers(url: &Url) -> bool {
    matches!(host(url), "host.docker.internal" | "host.containers.internal")
}

/// The host, if it is an IP address.
pub(super) fn address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Faults of its form, for this kind of homeserver.
pub(super) fn faults(url: &Url, kind: &HomeserverKind) -> Vec<Finding> {
    let mut found = Vec::new();
    let set_base = |finding: Finding, without: &str| {
        finding
            .advise(format!("In [server] of pushbell.toml, set public_url {without}"))
            .paste(format!("public_url = \"{}\"", base(url)))
    };
    if url.path() != notify::PATH {
        let says = format!("its path is {}, and homeservers take only {}", url.path(), notify::PATH);
        found.push(set_base(Finding::fault(PART, says), "to the address without any path"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        let says = "it has a user name, and homeservers accept that but never deliver to it";
        found.push(set_base(Finding::fault(PART, says), "without the part before \"@\""));
    }
    if url.query().is_some() {
        let finding = if kind.breaks_queries() {
            Finding::fault(PART, format!("it has a query (\"?\"), which {} breaks", kind.name()))
        } else {
            Finding::warning(PART, "it has a query (\"?\"), which some homeservers break")
        };
        found.push(set_base(finding, "without the part from \"?\" on"));
    }
    if matches!(url.host(), Some(Host::Ipv6(_))) {
        let says = "it has a bare IPv6 address, which Synapse accepts but never delivers to";
        let finding =
            if kind.ignores_ipv6_addresses() { Finding::fault(PART, says) } else { Finding::warning(PART, says) };
        found.push(finding.advise("In [server] of pushbell.toml, set public_url to a name that has this address"));
    }
    if kind.is_https_only() && url.scheme() != "https" {
        let says = format!("it is not https, and {} pushes to nothing else", kind.name());
        found.push(Finding::fault(PART, says).advise(
            "Put a proxy with a certificate in front of Pushbell, or give it one (server.tls), and set \
             server.public_url to its https address",
        ));
    }
    found
}

/// The finding for a text that is not a URL to push to.
pub(super) fn unreadable(text: &str) -> Finding {
    Finding::fault(PART, format!("{text:?} is no address: it needs http:// or https:// and a host"))
        .advise("Set server.public_url in pushbell.toml to an address such as https://push.example.org")
}
