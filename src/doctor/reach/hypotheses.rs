//! What nobody can prove from here, the likeliest first: a homeserver says 200 to a pusher that it will never deliver to.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::{Pushed, diagnosis::toml_list, observations::Observations, probe::Outcome, pusher_url};
use crate::{
    address::{Scope, is_blocked},
    doctor::Finding,
    homeserver::HomeserverKind,
    reachability::Location,
};

pub(super) fn causes(seen: &Observations, url: &Url, kind: &HomeserverKind, pushed: Pushed) -> Vec<Finding> {
    match pushed {
        Pushed::At(_) => Vec::new(),
        Pushed::Never => [elsewhere(seen, url), blocked(seen, url, kind), firewall(seen, url), backoff(kind)]
            .into_iter()
            .flatten()
            .collect(),
        Pushed::Unasked => blocked(seen, url, kind).into_iter().collect(),
    }
}

fn addresses(seen: &Observations) -> impl Iterator<Item = IpAddr> {
    seen.resolved.iter().flatten().copied()
}

/// The URL is for this computer alone, and the homeserver is on another.
fn elsewhere(seen: &Observations, url: &Url) -> Option<Finding> {
    if matches!(seen.homeserver.location, Location::Here | Location::Unknown) {
        return None;
    }
    let is_loopback = addresses(seen).all(|address| Scope::of(address) == Scope::Loopback);
    if !is_loopback {
        return None;
    }
    let says = format!("only this computer reaches {}, and the homeserver is elsewhere", pusher_url::base(url));
    let finding = Finding::warning("pusher URL", says);
    let Some(source) = seen.homeserver.source.filter(|source| Scope::of((*source).into()) == Scope::Local) else {
        return Some(finding.advise(
            "It needs a tunnel, VPN or proxy (an SSH tunnel that ends at this address on the homeserver's computer is \
             one): docs/connect.md has the recipes",
        ));
    };
    let at = SocketAddr::from((source, seen.listen.first().map_or(pusher_url::port(url), SocketAddr::port)));
    let listen = toml_list(&[&seen.listen[..], &[at]].concat());
    Some(
        finding
            .advise(
                "If it is in the same network or VPN, set this in [server] of pushbell.toml; else it needs a tunnel or \
                 proxy (docs/connect.md)",
            )
            .paste(format!("listen = {listen}\npublic_url = \"http://{at}\"")),
    )
}

/// The homeserver blocks the address.
fn blocked(seen: &Observations, url: &Url, kind: &HomeserverKind) -> Option<Finding> {
    let blocked: Vec<_> = addresses(seen).filter(|address| is_blocked(*address)).collect();
    let allowance = kind.allowance(&blocked).filter(|_| !blocked.is_empty())?;
    let says =
        format!("{} is a private address, which {} blocks unless told otherwise", pusher_url::host(url), kind.name());
    Some(Finding::warning("block list", says).advise(allowance.advice).paste(allowance.paste))
}

/// Something keeps others out but not us.
fn firewall(seen: &Observations, url: &Url) -> Option<Finding> {
    let at_our_own = |(address, outcome): &(IpAddr, Outcome)| {
        *outcome == Outcome::Ours && seen.own.contains(address) && Scope::of(*address) != Scope::Loopback
    };
    (seen.homeserver.location != Location::Here && seen.pushes.iter().any(at_our_own)).then(|| {
        let port = pusher_url::port(url);
        Finding::warning(
            "firewall",
            format!("one on this computer may keep others from port {port}; from here it is open"),
        )
        .advise(format!(
            "Let TCP port {port} in (`ufw allow {port}/tcp`, or `firewall-cmd --add-port={port}/tcp`). To tell, run \
                 `curl {}/health` on the homeserver's computer",
            pusher_url::base(url)
        ))
    })
}

/// The homeserver waits after failures.
fn backoff(kind: &HomeserverKind) -> Option<Finding> {
    kind.backs_off().then(|| {
        Finding::warning("waiting", "after failures, a homeserver waits up to an hour before it tries again")
            .advise("Signing in again (`pushbell login`) ends the wait")
    })
}
