//! What nobody can prove from here, the likeliest first: a homeserver says 200 to a pusher that it will never deliver to.

use std::net::IpAddr;

use super::{
    Pushed, address,
    facts::{Facts, Whereabouts},
    probe::Outcome,
    server::Server,
    url::PusherUrl,
};
use crate::{address::Scope, doctor::Finding};

pub(super) fn causes(facts: &Facts, url: &PusherUrl, server: Server, pushed: Pushed) -> Vec<Finding> {
    match pushed {
        Pushed::At(_) => Vec::new(),
        Pushed::Never => [elsewhere(facts, url), blocked(facts, url, server), firewall(facts, url), backoff(server)]
            .into_iter()
            .flatten()
            .collect(),
        Pushed::Unasked => blocked(facts, url, server).into_iter().collect(),
    }
}

fn addresses(facts: &Facts) -> impl Iterator<Item = IpAddr> {
    facts.resolved.iter().flatten().copied()
}

/// The URL is for this computer alone, and the homeserver is on another.
fn elsewhere(facts: &Facts, url: &PusherUrl) -> Option<Finding> {
    let Whereabouts::Elsewhere { from } = facts.homeserver else { return None };
    let is_loopback = addresses(facts).all(|address| Scope::of(address) == Scope::Loopback);
    if !is_loopback {
        return None;
    }
    let says = format!("only this computer reaches {}, and the homeserver is elsewhere", url.base());
    let finding = Finding::warning("pusher URL", says);
    let Some(from) = from.filter(|from| Scope::of(*from) == Scope::Local) else {
        return Some(finding.advise(
            "It needs a tunnel, VPN or proxy (an SSH tunnel that ends at this address on the homeserver's computer is \
             one): docs/connect.md has the recipes",
        ));
    };
    let mut listen: Vec<_> = facts.listen.iter().map(|listen| format!("\"{listen}\"")).collect();
    let port = facts.listen.first().map_or(url.port, std::net::SocketAddr::port);
    listen.push(format!("\"{}\"", std::net::SocketAddr::new(from, port)));
    let base = std::net::SocketAddr::new(from, port);
    Some(
        finding
            .advise(
                "If it is in the same network or VPN, set this in [server] of pushbell.toml; else it needs a tunnel or \
                 proxy (docs/connect.md)",
            )
            .paste(format!("listen = [{}]\npublic_url = \"http://{base}\"", listen.join(", "))),
    )
}

/// The homeserver blocks the address.
fn blocked(facts: &Facts, url: &PusherUrl, server: Server) -> Option<Finding> {
    let blocked: Vec<_> = addresses(facts).filter(|address| address::is_blocked(*address)).collect();
    let allowance = server.allowance(&blocked).filter(|_| !blocked.is_empty())?;
    let says = format!("{} is a private address, which {} blocks unless told otherwise", url.host, server.name());
    Some(Finding::warning("block list", says).advise(allowance.advice).paste(allowance.paste))
}

/// Something keeps others out but not us.
fn firewall(facts: &Facts, url: &PusherUrl) -> Option<Finding> {
    let at_our_own = |(address, outcome): &(IpAddr, Outcome)| {
        *outcome == Outcome::Ours && facts.own.contains(address) && Scope::of(*address) != Scope::Loopback
    };
    let elsewhere = match facts.homeserver {
        Whereabouts::Here => false,
        Whereabouts::Unknown | Whereabouts::Elsewhere { .. } => true,
    };
    (elsewhere && facts.pushes.iter().any(at_our_own)).then(|| {
        let port = url.port;
        Finding::warning(
            "firewall",
            format!("one on this computer may keep others from port {port}; from here it is open"),
        )
        .advise(format!(
            "Let TCP port {port} in (`ufw allow {port}/tcp`, or `firewall-cmd --add-port={port}/tcp`). To tell, run \
                 `curl {}/health` on the homeserver's computer",
            url.base()
        ))
    })
}

/// The homeserver waits after failures.
fn backoff(server: Server) -> Option<Finding> {
    match server {
        Server::Synapse | Server::Dendrite | Server::Other => Some(
            Finding::warning("waiting", "after failures, a homeserver waits up to an hour before it tries again")
                .advise("Signing in again (`pushbell login`) ends the wait"),
        ),
        Server::Tuwunel | Server::Conduwuit | Server::Conduit => None,
    }
}
