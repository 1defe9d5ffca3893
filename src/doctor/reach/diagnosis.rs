//! From observations to findings (pure): what is proven first, then the likeliest cause.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::{Pushed, hypotheses, observations::Observations, probe::Outcome, pusher_url};
use crate::{
    address::{Scope, is_blocked},
    doctor::{Finding, Verdict},
    homeserver::HomeserverKind,
    http_client::CertificateFault,
    push::{notify, text},
    reachability::{Location, takes},
};

/// Longest piece of somebody else's words that is repeated, in characters.
const MAX_WORDS: usize = 120;

/// Faults first, then what may be wrong, then what is well.
pub(super) fn diagnose(seen: &Observations, kind: &HomeserverKind, pushed: Pushed) -> Vec<Finding> {
    let Some(url) = &seen.url else { return vec![pusher_url::unreadable(&seen.text)] };
    let mut found = pusher_url::faults(url, kind);
    found.extend(named(seen, url));
    found.extend(listening(seen));
    found.extend(seen.pushes.iter().filter_map(|(address, outcome)| answered(seen, url, *address, outcome)));
    if found.iter().all(|finding| finding.verdict != Verdict::Fault) {
        found.extend(hypotheses::causes(seen, url, kind, pushed));
    }
    if seen.pushes.iter().any(|(_, outcome)| *outcome == Outcome::Ours) {
        found.push(Finding::good("pusher URL", format!("a push to {} comes back as it should", pusher_url::base(url))));
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    found
}

/// Where the URL's host leads.
fn named(seen: &Observations, url: &Url) -> Option<Finding> {
    match &seen.resolved {
        Ok(addresses) if addresses.iter().any(|address| Scope::of(*address) == Scope::Unspecified) => {
            let says =
                format!("{} stands for all addresses of a computer: nobody can push to it", pusher_url::host(url));
            // An account that was registered by hand may have been given another.
            let finding = match seen.homeserver.location {
                Location::Unknown => Finding::warning("pusher URL", says),
                Location::Here | Location::SameNetwork(_) | Location::Elsewhere => Finding::fault("pusher URL", says),
            };
            Some(advise_address(finding, seen, pusher_url::port(url)))
        }
        Ok(addresses) if !addresses.is_empty() => None,
        // Only containers are told where it is.
        Ok(_) | Err(_) if pusher_url::is_for_containers(url) => None,
        Ok(_) => Some(unresolved(url, "it has no address")),
        Err(reason) => Some(unresolved(url, reason)),
    }
}

fn unresolved(url: &Url, reason: &str) -> Finding {
    Finding::fault("name", format!("{} does not resolve: {}", pusher_url::host(url), text::line(reason, MAX_WORDS)))
        .advise(
            "Give the name an address where it is registered (an A or AAAA record), or set server.public_url in \
         pushbell.toml to a name that has one",
        )
}

/// Whether we are there to be reached at all.
fn listening(seen: &Observations) -> Option<Finding> {
    (!seen.listening).then(|| {
        Finding::fault("endpoint", format!("nothing answers at {}", list(&seen.listen)))
            .advise("Start Pushbell with `pushbell`, then look again")
    })
}

/// What the push to one address of the URL says.
fn answered(seen: &Observations, url: &Url, address: IpAddr, outcome: &Outcome) -> Option<Finding> {
    let base = pusher_url::base(url);
    let at = SocketAddr::new(address, pusher_url::port(url));
    let finding = match outcome {
        Outcome::Ours => return None,
        // Nobody behind a proxy that works either.
        Outcome::Refused | Outcome::TimedOut | Outcome::Status(502..=504) if !seen.listening => return None,
        // Whoever has our port while we do not run.
        _ if !seen.listening && seen.own.contains(&address) && has_port(seen, at) => return None,
        Outcome::Refused => return Some(refused(seen, url, at)),
        Outcome::TimedOut => {
            let says = format!("{at} does not answer");
            far(seen, address, "pusher URL", says).advise(
                "A firewall that drops packets looks like this: let the port through on this computer, the proxy or \
                 the router",
            )
        }
        Outcome::Unreachable(reason) => {
            let reason = text::line(reason, MAX_WORDS);
            far(seen, address, "pusher URL", format!("there is no way to {at} from here: {reason}"))
                .advise("Check that the network, VPN or tunnel of this address is up")
        }
        Outcome::Certificate(fault) => return Some(certificate(url, fault)),
        Outcome::NoAuthorities(reason) => {
            let reason = text::line(reason, MAX_WORDS);
            Finding::warning("certificate", format!("cannot be judged: this computer trusts no authority ({reason})"))
                .advise("Install the package ca-certificates")
        }
        Outcome::NotTls => Finding::fault("certificate", format!("what answers at {at} does not speak https"))
            .advise("Set server.public_url in pushbell.toml to http://, or give Pushbell a certificate (server.tls)"),
        Outcome::Redirect(status, to) => return Some(redirected(url, *status, to)),
        Outcome::Altered => Finding::fault("proxy", format!("what stands before Pushbell at {base} changes answers"))
            .advise("Have the proxy hand requests and answers on as they are, without filters for their content"),
        Outcome::Foreign => {
            Finding::fault("proxy", format!("something else than Pushbell answers at {base}")).advise(handed_on(seen))
        }
        Outcome::Status(status) => return Some(status_of(seen, url, *status)),
        Outcome::Broken(reason) => {
            let reason = text::line(reason, MAX_WORDS);
            let tls =
                if url.scheme() == "https" { "" } else { " If it speaks https, set server.public_url to https://" };
            Finding::fault("pusher URL", format!("what answers at {at} breaks off: {reason}"))
                .advise(format!("Check what listens there.{tls}"))
        }
    };
    Some(finding)
}

/// Where a port is, a firewall or router in between may answer us otherwise than the homeserver; where an address is
/// this computer's or its network's, it does not.
fn far(seen: &Observations, address: IpAddr, part: &'static str, says: String) -> Finding {
    if seen.own.contains(&address) || is_blocked(address) {
        Finding::fault(part, says)
    } else {
        Finding::warning(part, format!("{says}, seen from here"))
    }
}

fn refused(seen: &Observations, url: &Url, at: SocketAddr) -> Finding {
    if !seen.own.contains(&at.ip()) {
        return far(seen, at.ip(), "pusher URL", format!("nothing listens at {at}"))
            .advise("Start the proxy or tunnel there, or set server.public_url in pushbell.toml to where it is");
    }
    let says = format!("nothing listens at {at}; Pushbell listens at {}", list(&seen.listen));
    if has_port(seen, at) && Scope::of(at.ip()) != Scope::Loopback {
        let mut listen = seen.listen.clone();
        listen.push(at);
        return Finding::fault("endpoint", says)
            .advise("In [server] of pushbell.toml, set this; it is taken up at once")
            .paste(format!("listen = {}", toml_list(&listen)));
    }
    let finding = Finding::fault("endpoint", says);
    let finding = finding.advise(
        "In [server] of pushbell.toml, set public_url to where Pushbell listens, or to a proxy or tunnel that leads there",
    );
    let heard = seen.listen.iter().find_map(|listen| match listen.ip() {
        ip if !ip.is_unspecified() => Some((host(ip), listen.port())),
        _ => takes(*listen, SocketAddr::new(at.ip(), listen.port()))
            .then(|| (pusher_url::host(url).to_owned(), listen.port())),
    });
    match heard {
        Some((host, port)) => finding.paste(format!("public_url = \"{}://{host}:{port}\"", scheme(seen))),
        None => finding,
    }
}

fn has_port(seen: &Observations, at: SocketAddr) -> bool {
    seen.listen.iter().any(|listen| listen.port() == at.port())
}

fn certificate(url: &Url, fault: &CertificateFault) -> Finding {
    let host = pusher_url::host(url);
    let finding = |says: String| Finding::fault("certificate", says);
    match fault {
        CertificateFault::Expired => {
            finding(format!("that of {host} is expired")).advise("Renew it, and see why it was not renewed")
        }
        CertificateFault::NotYetValid => finding(format!("that of {host} is not valid yet"))
            .advise("Check the date and time of this computer, and of the one that made the certificate"),
        CertificateFault::WrongName(names) => {
            let mut names: Vec<_> = names.iter().map(|name| text::line(name, MAX_WORDS)).collect();
            names.truncate(4);
            let names = if names.is_empty() { "another name".to_owned() } else { names.join(", ") };
            finding(format!("it is for {names}, not for {host}"))
                .advise("Set server.public_url in pushbell.toml to a name of the certificate, or get one for this name")
        }
        CertificateFault::UnknownIssuer => {
            finding(format!("that of {host} is from nobody whom this computer trusts; nor may the homeserver")).advise(
                "Use a certificate of a public authority (Let's Encrypt, `tailscale cert`) with its whole chain \
                 (fullchain.pem), or give the homeserver your own authority's: Synapse takes it from SSL_CERT_FILE",
            )
        }
        CertificateFault::Other(reason) => {
            finding(format!("that of {host} is not good: {}", text::line(reason, MAX_WORDS))).advise("Get a new one")
        }
    }
}

fn redirected(url: &Url, status: u16, to: &str) -> Finding {
    let to = text::line(to, MAX_WORDS);
    let lost = if status == 303 { "; with 303, pushes are lost" } else { "" };
    let says = format!("{} redirects ({status}) to {to}, and homeservers do not follow{lost}", pusher_url::base(url));
    let target = pusher_url::parse(&to).filter(|target| target.path() == notify::PATH);
    let finding = Finding::fault("proxy", says);
    match target {
        Some(target) => finding
            .advise("In [server] of pushbell.toml, set public_url to where the redirect leads")
            .paste(format!("public_url = \"{}\"", pusher_url::base(&target))),
        None => finding.advise(format!("Have the proxy hand {} on to Pushbell, without a redirect", notify::PATH)),
    }
}

fn status_of(seen: &Observations, url: &Url, status: u16) -> Finding {
    let base = pusher_url::base(url);
    let fault = |says: String| Finding::fault("proxy", says);
    match status {
        503 if seen.healthy => Finding::fault("endpoint", "Pushbell answers, but cannot decide about unknown pushkeys")
            .advise("See the line about the accounts in `pushbell doctor`"),
        502..=504 => {
            fault(format!("the proxy at {base} answers {status}: it does not reach Pushbell")).advise(handed_on(seen))
        }
        401 | 403 | 407 => fault(format!("what answers at {base} wants a sign-in, or forbids it ({status})"))
            .advise(format!("Let POST {} through without any sign-in: the pushkey is the secret", notify::PATH)),
        400..=499 if seen.healthy => {
            fault(format!("{base} leads to Pushbell, but {} does not ({status})", notify::PATH)).advise(handed_on(seen))
        }
        _ => fault(format!("something else than Pushbell answers at {base} ({status})")).advise(handed_on(seen)),
    }
}

fn handed_on(seen: &Observations) -> String {
    let listen = seen.listen.first().map_or_else(String::new, |listen| format!(" {}://{listen}", scheme(seen)));
    format!(
        "Have the proxy hand {} on to{listen}, unchanged, or set server.public_url in pushbell.toml to where Pushbell is",
        notify::PATH
    )
}

/// Says which address to use instead, if it is known.
fn advise_address(finding: Finding, seen: &Observations, port: u16) -> Finding {
    let Some(source) = seen.homeserver.source.filter(|_| seen.homeserver.location != Location::Here) else {
        return finding
            .advise("In [server] of pushbell.toml, set public_url to the address that the homeserver reaches");
    };
    let at = SocketAddr::from((source, port));
    let mut lines = format!("public_url = \"{}://{at}\"", scheme(seen));
    if !seen.listen.iter().any(|listen| takes(*listen, at)) {
        let listen = [&seen.listen[..], &[at]].concat();
        lines.insert_str(0, &format!("listen = {}\n", toml_list(&listen)));
    }
    finding
        .advise("In [server] of pushbell.toml, set this, the address of this computer on the way to the homeserver")
        .paste(lines)
}

fn scheme(seen: &Observations) -> &'static str {
    if seen.tls { "https" } else { "http" }
}

fn host(address: IpAddr) -> String {
    if address.is_ipv6() { format!("[{address}]") } else { address.to_string() }
}

fn list(addresses: &[SocketAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}

pub(super) fn toml_list(addresses: &[SocketAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    format!("[{}]", all.join(", "))
}
