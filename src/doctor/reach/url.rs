//! The pusher URL's form: what homeservers accept, and then do not deliver to.

use std::{fmt, net::IpAddr};

use hyper::Uri;

use super::server::Server;
use crate::{doctor::Finding, push::notify};

/// A pusher URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PusherUrl {
    pub(super) https: bool,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) path: String,
    query: bool,
    user: bool,
}

/// Whom it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

const PART: &str = "pusher URL";

impl PusherUrl {
    /// `None`: it has no scheme or no host.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']);
        if host.is_empty() {
            return None;
        }
        let host = host.parse().map_or_else(|_| Host::Name(host.to_owned()), Host::Address);
        Some(Self {
            https,
            host,
            port: uri.port_u16().unwrap_or(if https { 443 } else { 80 }),
            path: uri.path().to_owned(),
            query: uri.query().is_some(),
            user: uri.authority().is_some_and(|authority| authority.as_str().contains('@')),
        })
    }

    /// `https://push.example.org`, the port only where it is not the scheme's own.
    pub(super) fn base(&self) -> String {
        let (scheme, own) = if self.https { ("https", 443) } else { ("http", 80) };
        let port = if self.port == own { String::new() } else { format!(":{}", self.port) };
        format!("{scheme}://{}{port}", self.host)
    }

    /// What is wrong with its form, for this homeserver.
    pub(super) fn faults(&self, server: Server) -> Vec<Finding> {
        let mut found = Vec::new();
        if self.path != notify::PATH {
            let says = format!("its path is {}, and homeservers take only {}", self.path, notify::PATH);
            found.push(
                Finding::fault(PART, says)
                    .advise("In [server] of pushbell.toml, set public_url to the address without any path")
                    .paste(format!("public_url = \"{}\"", self.base())),
            );
        }
        if self.user {
            let says = "it has a user name, and homeservers accept that but never deliver to it";
            found.push(
                Finding::fault(PART, says)
                    .advise("In [server] of pushbell.toml, set public_url without the part before \"@\"")
                    .paste(format!("public_url = \"{}\"", self.base())),
            );
        }
        if self.query {
            let finding = if server.breaks_queries() {
                Finding::fault(PART, format!("it has a query (\"?\"), which {} breaks", server.name()))
            } else {
                Finding::warning(PART, "it has a query (\"?\"), which some homeservers break")
            };
            found.push(
                finding
                    .advise("In [server] of pushbell.toml, set public_url without the part from \"?\" on")
                    .paste(format!("public_url = \"{}\"", self.base())),
            );
        }
        if let Host::Address(IpAddr::V6(_)) = self.host {
            let says = "it has a bare IPv6 address, which Synapse accepts but never delivers to";
            let finding = match server {
                Server::Synapse => Finding::fault(PART, says),
                Server::Dendrite | Server::Tuwunel | Server::Conduwuit | Server::Conduit | Server::Other => {
                    Finding::warning(PART, says)
                }
            };
            found.push(finding.advise("In [server] of pushbell.toml, set public_url to a name that has this address"));
        }
        if server == Server::Dendrite && !self.https {
            let says = "it is not https, and Dendrite pushes to nothing else";
            found.push(Finding::fault(PART, says).advise(
                "Put a proxy with a certificate in front of Pushbell, or give it one (server.tls), and set \
                 server.public_url to its https address",
            ));
        }
        found
    }

    /// A text that is no URL to push to.
    pub(super) fn unreadable(text: &str) -> Finding {
        Finding::fault(PART, format!("{text:?} is no address: it needs http:// or https:// and a host"))
            .advise("Set server.public_url in pushbell.toml to an address such as https://push.example.org")
    }
}
