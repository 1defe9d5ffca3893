//! Causes that cannot be proven from here, the likeliest first: a homeserver accepts a pusher that it will never
//! deliver to.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::{Pushed, diagnosis::scheme, observations::Observations, probe::Outcome, pusher_url};
use crate::{
    address::{Scope, cidr, is_blocked},
    config::ServerLines,
    doctor::Finding,
    homeserver::HomeserverKind,
    reachability::Location,
};

pub(super) fn causes(seen: &Observations, url: &Url, kind: &HomeserverKind, pushed: Pushed) -> Vec<Finding> {
    match pushed {
        Pushed::At(_) => Vec::new(),
        Pushed::Never | Pushed::Awaited => {
            let container = container(seen, url, kind);
            // Without signs of containers, they are less likely than a block list.
            let (sooner, later) = if seen.bridge.is_some() { (container, None) } else { (None, container) };
            let all = [
                elsewhere(seen, url),
                sooner,
                blocked(seen, url, kind),
                later,
                firewall(seen, url),
                backoff(kind, pushed),
            ];
            all.into_iter().flatten().collect()
        }
        Pushed::Unasked => blocked(seen, url, kind).into_iter().collect(),
    }
}

fn addresses(seen: &Observations) -> impl Iterator<Item = IpAddr> {
    seen.resolved.iter().flatten().copied()
}

/// The URL is valid on this computer only, and the homeserver is on another one.
fn elsewhere(seen: &Observations, url: &Url) -> Option<Finding> {
    let location = seen.homeserver.location;
    if matches!(location, Location::Here | Location::Unknown) || pusher_url::is_for_containers(url) {
        return None;
    }
    let is_loopback = addresses(seen).all(|address| Scope::of(address) == Scope::Loopback);
    if !is_loopback {
        return None;
    }
    let says = format!("only this computer reaches {}, and the homeserver is elsewhere", pusher_url::base(url));
    let finding = Finding::warning("pusher URL", says);
    let Some(source) = seen.homeserver.source.filter(|source| Scope::of((*source).into()) == Scope::Local) else {
        return Some(finding.advise(format!(
            "It needs a tunnel, VPN or proxy (an SSH tunnel that ends at this address on the homeserver's computer is \
             one). The recipes are in {}",
            seen.recipes
        )));
    };
    let at = SocketAddr::from((source, seen.listen.first().map_or(pusher_url::port(url), SocketAddr::port)));
    Some(
        finding
            .advise(format!(
                "If it is in the same network or VPN, set this in [server] of pushbell.toml; else it needs a tunnel or \
                 proxy ({})",
                seen.recipes
            ))
            .paste(ServerLines::adding(&seen.listen, scheme(seen), at).to_string()),
    )
}

/// The homeserver is on this computer, but in a container with a loopback address of its own.
fn container(seen: &Observations, url: &Url, kind: &HomeserverKind) -> Option<Finding> {
    const PART: &str = "container";
    if pusher_url::is_for_containers(url) {
        let says = format!("{} leads to this computer only from within a container", pusher_url::host(url));
        return Some(Finding::warning(PART, says).advise(format!(
            "With Docker on Linux, start the homeserver's container with \
             --add-host=host.docker.internal:host-gateway, and have Pushbell listen at {}, its address there: {}",
            seen.bridge.map_or_else(|| "the bridge's address".to_owned(), |bridge| bridge.to_string()),
            seen.recipes
        )));
    }
    let is_loopback = addresses(seen).all(|address| Scope::of(address) == Scope::Loopback);
    if seen.homeserver.location != Location::Here || !is_loopback {
        return None;
    }
    let says = format!("if the homeserver runs in one, {} is not this computer in there", pusher_url::host(url));
    let finding = Finding::warning(PART, says);
    let Some(bridge) = seen.bridge else {
        return Some(finding.advise(format!("{} has a recipe, \"Container\"", seen.recipes)));
    };
    let at = SocketAddr::from((bridge, seen.listen.first().map_or(pusher_url::port(url), SocketAddr::port)));
    let allowed = if *kind == HomeserverKind::Synapse {
        format!(", and ip_range_whitelist: ['{}'] in homeserver.yaml", cidr(bridge.into()))
    } else {
        String::new()
    };
    Some(
        finding
            .advise(format!("Then set this in [server] of pushbell.toml{allowed} ({})", seen.recipes))
            .paste(ServerLines::adding(&seen.listen, scheme(seen), at).to_string()),
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

/// A firewall blocks other computers but not this one.
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

/// The homeserver is backing off after failures.
fn backoff(kind: &HomeserverKind, pushed: Pushed) -> Option<Finding> {
    (pushed == Pushed::Never && kind.backs_off()).then(|| {
        Finding::warning("waiting", "after failures, a homeserver waits up to an hour before it tries again")
            .advise("Signing in again (`pushbell login`) ends the wait")
    })
}
