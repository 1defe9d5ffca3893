//! From observations to findings (pure): proven faults first, then the likeliest cause.

use std::net::{IpAddr, SocketAddr};

use url::Url;

use super::{Pushed, hypotheses, observations::Observations, probe::Outcome, pusher_url};
use crate::{
    address::{Scope, is_blocked, takes},
    config::{ServerLines, toml_list},
    doctor::{Finding, Verdict},
    homeserver::HomeserverKind,
    http_client::{CertificateFault, TransportError, TransportFault},
    push::{notify, text},
    reachability::Location,
};

/// Longest untrusted text that is repeated, in characters.
const MAX_WORDS: usize = 120;

/// The findings: faults first, then possible causes, then what is in order.
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

/// Checks what the URL's host resolves to.
fn named(seen: &Observations, url: &Url) -> Option<Finding> {
    match &seen.resolved {
        Ok(addresses) if addresses.iter().any(|address| Scope::of(*address) == Scope::Unspecified) => {
            let says =
                format!("{} stands for all addresses of a computer: nobody can push to it", pusher_url::host(url));
            // An account registered by hand may use another URL.
            let finding = match seen.homeserver.location {
                Location::Unknown => Finding::warning("pusher URL", says),
                Location::Here | Location::SameNetwork(_) | Location::Elsewhere => Finding::fault("pusher URL", says),
            };
            Some(advise_address(finding, seen, pusher_url::port(url)))
        }
        Ok(addresses) if !addresses.is_empty() => None,
        // Only containers can resolve it.
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

/// Checks whether our own listener answers.
fn listening(seen: &Observations) -> Option<Finding> {
    (!seen.listening).then(|| {
        Finding::fault("endpoint", format!("nothing answers at {}", list(&seen.listen)))
            .advise("Start Pushbell with `pushbell`, then look again")
    })
}

/// Interprets the answer to the push to one address of the URL.
fn answered(seen: &Observations, url: &Url, address: IpAddr, outcome: &Outcome) -> Option<Finding> {
    let base = pusher_url::base(url);
    let at = SocketAddr::new(address, pusher_url::port(url));
    let no_proxy_works = match outcome {
        Outcome::Failed(error) => matches!(error.fault, TransportFault::Refused | TransportFault::TimedOut),
        Outcome::Status(status) => (502..=504).contains(status),
        Outcome::Ours | Outcome::Altered | Outcome::Foreign | Outcome::Redirect(..) => false,
    };
    // Another program uses our port while Pushbell is not running.
    let is_another = seen.own.contains(&address) && has_port(seen, at);
    if !seen.listening && (no_proxy_works || is_another) {
        return None;
    }
    Some(match outcome {
        Outcome::Ours => return None,
        Outcome::Failed(error) => failed(seen, url, at, error),
        Outcome::Redirect(status, to) => redirected(url, *status, to),
        Outcome::Altered => Finding::fault("proxy", format!("what stands before Pushbell at {base} changes answers"))
            .advise("Have the proxy hand requests and answers on as they are, without filters for their content"),
        Outcome::Foreign => {
            Finding::fault("proxy", format!("something else than Pushbell answers at {base}")).advise(handed_on(seen))
        }
        Outcome::Status(status) => status_of(seen, url, *status),
    })
}

/// Interprets a failed push.
fn failed(seen: &Observations, url: &Url, at: SocketAddr, error: &TransportError) -> Finding {
    let reason = text::line(&error.reason, MAX_WORDS);
    match &error.fault {
        TransportFault::Refused => refused(seen, url, at),
        TransportFault::TimedOut => far(seen, at, format!("{at} does not answer")).advise(
            "A firewall that drops packets looks like this: let the port through on this computer, the proxy or the \
             router",
        ),
        TransportFault::Unreachable | TransportFault::Unresolved => {
            far(seen, at, format!("there is no way to {at} from here: {reason}"))
                .advise("Check that the network, VPN or tunnel of this address is up")
        }
        TransportFault::Certificate(fault) => certificate(url, fault),
        TransportFault::NoCertificateStore => {
            Finding::warning("certificate", format!("cannot be judged: this computer trusts no authority ({reason})"))
                .advise("Install the package ca-certificates")
        }
        TransportFault::NotTls => Finding::fault("certificate", format!("what answers at {at} does not speak https"))
            .advise("Set server.public_url in pushbell.toml to http://, or give Pushbell a certificate (server.tls)"),
        TransportFault::Broken | TransportFault::Downgrade | TransportFault::TooLarge => {
            let tls =
                if url.scheme() == "https" { "" } else { " If it speaks https, set server.public_url to https://" };
            Finding::fault("pusher URL", format!("what answers at {at} breaks off: {reason}"))
                .advise(format!("Check what listens there.{tls}"))
        }
    }
}

/// A firewall or router may answer us differently than the homeserver, unless the address is on this computer or its
/// network.
fn far(seen: &Observations, at: SocketAddr, says: String) -> Finding {
    if seen.own.contains(&at.ip()) || is_blocked(at.ip()) {
        Finding::fault("pusher URL", says)
    } else {
        Finding::warning("pusher URL", format!("{says}, seen from here"))
    }
}

fn refused(seen: &Observations, url: &Url, at: SocketAddr) -> Finding {
    if !seen.own.contains(&at.ip()) {
        return far(seen, at, format!("nothing listens at {at}"))
            .advise("Start the proxy or tunnel there, or set server.public_url in pushbell.toml to where it is");
    }
    let says = format!("nothing listens at {at}; Pushbell listens at {}", list(&seen.listen));
    if has_port(seen, at) && Scope::of(at.ip()) != Scope::Loopback {
        return Finding::fault("endpoint", says)
            .advise("In [server] of pushbell.toml, set this; it is taken up at once")
            .paste(format!("listen = {}", toml_list(&[&seen.listen[..], &[at]].concat())));
    }
    let finding = Finding::fault("endpoint", says);
    let finding = finding.advise(
        "In [server] of pushbell.toml, set public_url to where Pushbell listens, or to a proxy or tunnel that leads there",
    );
    let heard = seen.listen.iter().find_map(|listen| match listen.ip() {
        ip if !ip.is_unspecified() => Some(listen.to_string()),
        _ => takes(*listen, SocketAddr::new(at.ip(), listen.port()))
            .then(|| format!("{}:{}", pusher_url::host(url), listen.port())),
    });
    match heard {
        Some(authority) => finding.paste(format!("public_url = \"{}://{authority}\"", scheme(seen))),
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

/// Adds which address to use instead, if it is known.
fn advise_address(finding: Finding, seen: &Observations, port: u16) -> Finding {
    let Some(source) = seen.homeserver.source.filter(|_| seen.homeserver.location != Location::Here) else {
        return finding
            .advise("In [server] of pushbell.toml, set public_url to the address that the homeserver reaches");
    };
    let at = SocketAddr::from((source, port));
    finding
        .advise("In [server] of pushbell.toml, set this, the address of this computer on the way to the homeserver")
        .paste(ServerLines::adding(&seen.listen, scheme(seen), at).to_string())
}

pub(super) fn scheme(seen: &Observations) -> &'static str {
    if seen.tls { "https" } else { "http" }
}

fn list(addresses: &[SocketAddr]) -> String {
    let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    all.join(", ")
}
