use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::{Pushed, diagnosis::diagnose, observations::Observations, probe::Outcome, pusher_url};
use crate::{
    doctor::{
        Finding,
        Verdict::{self, Fault, Good, Warning},
    },
    homeserver::HomeserverKind,
    http_client::{CertificateFault as Distrust, TransportError, TransportFault},
    reachability::{Location, Observation},
};

const PATH: &str = "/_matrix/push/v1/notify";

/// Observations without a fault: this URL's host is this computer's, which listens on all addresses, and the homeserver
/// is in the same network. Each row changes what is wrong in it.
fn way(base: &str) -> Observations {
    let text = format!("{base}{PATH}");
    let url = pusher_url::parse(&text);
    let address = url.as_ref().and_then(pusher_url::address).unwrap_or_else(|| ip("203.0.113.7"));
    Observations {
        text,
        url,
        listen: vec!["0.0.0.0:7874".parse().unwrap()],
        tls: false,
        listening: true,
        resolved: Ok(vec![address]),
        own: vec![address],
        pushes: vec![(address, Outcome::Ours)],
        healthy: true,
        homeserver: Observation {
            location: Location::SameNetwork(Ipv4Addr::new(192, 168, 1, 20)),
            source: Some(Ipv4Addr::new(192, 168, 1, 20)),
        },
        bridge: None,
        recipes: "/usr/share/doc/pushbell/docs/connect.md".to_owned(),
    }
}

fn failed(fault: TransportFault, reason: &str) -> Outcome {
    Outcome::Failed(TransportError { host: String::new(), fault, reason: reason.to_owned() })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "rows are made for it")]
fn told(facts: Observations, outcome: Outcome) -> Observations {
    let pushes = facts.pushes.iter().map(|(address, _)| (*address, outcome.clone())).collect();
    Observations { pushes, healthy: false, ..facts }
}

fn not_ours(facts: Observations) -> Observations {
    Observations { own: Vec::new(), ..facts }
}

fn listening_on(facts: Observations, listen: &[&str]) -> Observations {
    Observations { listen: listen.iter().map(|address| address.parse().unwrap()).collect(), ..facts }
}

/// The findings have these verdicts and parts in this order, and the first says and advises something with this text.
#[expect(clippy::needless_pass_by_value, reason = "rows are made for it")]
#[track_caller]
fn check(facts: Observations, server: &str, pushed: Pushed, expected: &[(Verdict, &str)], words: &[&str]) {
    let found = diagnose(&facts, &HomeserverKind::named(server), pushed);
    let parts: Vec<_> = found.iter().map(|finding| (finding.verdict, finding.part)).collect();
    assert_eq!(parts, expected, "{facts:#?}\n{found:#?}");
    let first = found.first().map(whole).unwrap_or_default();
    for word in words {
        assert!(first.contains(word), "{word:?} is not in {first:?}");
    }
}

fn whole(finding: &Finding) -> String {
    let Finding { says, advice, paste, .. } = finding;
    [says, advice.as_deref().unwrap_or_default(), paste.as_deref().unwrap_or_default()].join("\n")
}

const PUSHED: Pushed = Pushed::At(jiff::Timestamp::UNIX_EPOCH);

#[test]
fn what_is_proven_comes_first_and_alone() {
    let lan = || way("http://192.168.1.20:7874");
    let public = || not_ours(way("https://push.example.org"));
    let fault = |part| [(Fault, part)];
    let check = |facts, part, words: &[&str]| check(facts, "Synapse", PUSHED, &fault(part), words);

    check(
        told(listening_on(lan(), &["127.0.0.1:7874"]), failed(TransportFault::Refused, "")),
        "endpoint",
        &[
            "nothing listens at 192.168.1.20:7874; Pushbell listens at 127.0.0.1:7874",
            "listen = [\"127.0.0.1:7874\", \"192.168.1.20:7874\"]",
        ],
    );
    check(
        told(listening_on(lan(), &["192.168.1.20:80"]), failed(TransportFault::Refused, "")),
        "endpoint",
        &["public_url = \"http://192.168.1.20:80\""],
    );
    check(
        told(way("http://127.0.0.1:1"), failed(TransportFault::Refused, "")),
        "endpoint",
        &["public_url = \"http://127.0.0.1:7874\""],
    );
    let v6 = listening_on(way("http://127.0.0.1:1"), &["[::]:7874", "[::1]:7"]);
    check(told(v6, failed(TransportFault::Refused, "")), "endpoint", &["public_url = \"http://[::1]:7\""]);
    check(
        told(not_ours(lan()), failed(TransportFault::Refused, "")),
        "pusher URL",
        &["nothing listens at 192.168.1.20:7874"],
    );
    check(
        told(not_ours(lan()), failed(TransportFault::TimedOut, "")),
        "pusher URL",
        &["192.168.1.20:7874 does not answer", "firewall"],
    );
    check(
        told(lan(), failed(TransportFault::Unreachable, "no route")),
        "pusher URL",
        &["no way to", "no route", "VPN"],
    );
    check(told(lan(), failed(TransportFault::Broken, "reset")), "pusher URL", &["breaks off: reset", "https://"]);
    check(
        Observations { listening: false, ..told(lan(), failed(TransportFault::Refused, "")) },
        "endpoint",
        &["0.0.0.0:7874", "`pushbell`"],
    );
    check(
        Observations { listening: false, ..told(public(), Outcome::Status(502)) },
        "endpoint",
        &["nothing answers at"],
    );
    check(Observations { listening: false, ..told(lan(), Outcome::Foreign) }, "endpoint", &["nothing answers at"]);
    check(
        Observations { resolved: Err("no such host".into()), pushes: Vec::new(), ..public() },
        "name",
        &["no such host"],
    );
    check(Observations { resolved: Ok(Vec::new()), pushes: Vec::new(), ..public() }, "name", &["push.example.org"]);
    check(
        Observations { pushes: Vec::new(), ..way("http://0.0.0.0:7874") },
        "pusher URL",
        &["0.0.0.0 stands for all", "public_url = \"http://192.168.1.20:7874\""],
    );
    check(
        listening_on(Observations { pushes: Vec::new(), ..way("http://0.0.0.0:7874") }, &["[::]:7874"]),
        "pusher URL",
        &["listen = [\"[::]:7874\", \"192.168.1.20:7874\"]\npublic_url = \"http://192.168.1.20:7874\""],
    );

    let certificate = |distrust, words: &[&str]| {
        check(told(public(), failed(TransportFault::Certificate(distrust), "")), "certificate", words);
    };
    certificate(Distrust::Expired, &["push.example.org is expired", "Renew"]);
    certificate(Distrust::NotYetValid, &["not valid yet", "date and time"]);
    certificate(Distrust::WrongName(vec!["a.example".into()]), &["for a.example, not for push.example.org"]);
    certificate(Distrust::WrongName(Vec::new()), &["for another name"]);
    certificate(Distrust::UnknownIssuer, &["nobody whom this computer trusts", "fullchain.pem", "SSL_CERT_FILE"]);
    certificate(Distrust::Other("weak".into()), &["weak"]);
    check(told(public(), failed(TransportFault::NotTls, "")), "certificate", &["does not speak https"]);

    let proxy = |outcome, words: &[&str]| check(told(public(), outcome), "proxy", words);
    proxy(Outcome::Altered, &["changes answers"]);
    proxy(Outcome::Foreign, &["something else than Pushbell", "http://0.0.0.0:7874"]);
    proxy(Outcome::Redirect(301, "https://www.example.org/".into()), &["redirects (301)", "do not follow", PATH]);
    proxy(Outcome::Redirect(303, "/x".into()), &["pushes are lost"]);
    proxy(
        Outcome::Redirect(308, format!("https://push.example.org:8443{PATH}")),
        &["public_url = \"https://push.example.org:8443\""],
    );
    proxy(Outcome::Status(404), &["something else than Pushbell", "(404)"]);
    proxy(Outcome::Status(401), &["sign-in"]);
    proxy(Outcome::Status(403), &["forbids"]);
    proxy(Outcome::Status(502), &["does not reach Pushbell", "http://0.0.0.0:7874"]);
    proxy(Outcome::Status(500), &["something else"]);
    check(
        Observations { healthy: true, ..told(public(), Outcome::Status(404)) },
        "proxy",
        &["leads to Pushbell, but", PATH],
    );
    check(Observations { healthy: true, ..told(public(), Outcome::Status(503)) }, "endpoint", &["accounts"]);
}

#[test]
fn the_form_of_the_url_is_judged_for_its_homeserver() {
    let odd = |text: &str| Observations {
        text: text.into(),
        url: pusher_url::parse(text),
        ..way("https://push.example.org")
    };
    let ours = (Good, "pusher URL");
    let fault = (Fault, "pusher URL");
    let warning = (Warning, "pusher URL");
    let check = |text: &str, server, expected: &[_], words: &[&str]| check(odd(text), server, PUSHED, expected, words);

    check(&format!("https://push.example.org{PATH}"), "Synapse", &[ours], &[]);
    check(
        "https://push.example.org/push",
        "Synapse",
        &[fault, ours],
        &["its path is /push", PATH, "public_url = \"https://push.example.org\""],
    );
    check(&format!("https://example.org/bell{PATH}"), "", &[fault, ours], &["public_url = \"https://example.org\""]);
    check(&format!("https://push.example.org{PATH}/"), "", &[fault, ours], &[PATH]);
    check(&format!("https://me:word@push.example.org{PATH}"), "", &[fault, ours], &["user name"]);
    check(&format!("https://push.example.org{PATH}?a=b"), "Synapse", &[warning, ours], &["query"]);
    check(&format!("https://push.example.org{PATH}?a=b"), "tuwunel", &[fault, ours], &["which tuwunel breaks"]);
    check(&format!("https://push.example.org{PATH}?a=b"), "Continuwuity", &[fault, ours], &["breaks"]);
    check(&format!("https://[2001:db8::7]{PATH}"), "Synapse", &[fault, ours], &["bare IPv6 address"]);
    check(&format!("https://[2001:db8::7]{PATH}"), "Dendrite", &[warning, ours], &["bare IPv6 address"]);
    check(&format!("http://push.example.org{PATH}"), "Dendrite", &[fault, ours], &["not https", "server.tls"]);
    check(&format!("http://push.example.org{PATH}"), "Synapse", &[ours], &[]);
    check("push.example.org", "Synapse", &[fault], &["no address"]);
    check("ftp://push.example.org", "Synapse", &[fault], &["no address"]);
    check("", "Synapse", &[fault], &["no address"]);
}

#[test]
fn where_nothing_is_proven_the_likeliest_cause_comes_first() {
    let lan = || way("http://192.168.1.20:7874");
    let ours = (Good, "pusher URL");
    let (block, firewall, waiting) = ((Warning, "block list"), (Warning, "firewall"), (Warning, "waiting"));
    let check = |facts, server, expected: &[_], words: &[&str]| check(facts, server, Pushed::Never, expected, words);

    check(
        lan(),
        "Synapse",
        &[block, firewall, waiting, ours],
        &[
            "192.168.1.20 is a private address",
            "403: IP address blocked",
            "homeserver.yaml",
            "ip_range_whitelist: ['192.168.1.20/32']",
        ],
    );
    check(lan(), "", &[block, firewall, waiting, ours], &["If it is Synapse", "ip_range_whitelist"]);
    check(lan(), "Dendrite", &[(Fault, "pusher URL"), ours], &["https"]);
    check(
        lan(),
        "tuwunel",
        &[block, firewall, ours],
        &["ip_range_denylist = [\"127.0.0.0/8\"", "\"172.16.0.0/12\", \"100."],
    );
    check(
        lan(),
        "Conduit",
        &[firewall, ours],
        &["port 7874", "ufw allow 7874/tcp", "curl http://192.168.1.20:7874/health"],
    );
    check(not_ours(lan()), "Synapse", &[block, waiting, ours], &["whitelist"]);
    let same = |base| Observations { homeserver: Observation { location: Location::Here, source: None }, ..way(base) };
    let container = (Warning, "container");
    let loopback = || same("http://127.0.0.1:7874");
    check(loopback(), "Synapse", &[block, container, waiting, ours], &["ip_range_whitelist: ['127.0.0.1/32']"]);
    let bridged = Observations { bridge: Some(Ipv4Addr::new(172, 17, 0, 1)), ..loopback() };
    check(
        listening_on(bridged.clone(), &["127.0.0.1:7874"]),
        "Synapse",
        &[container, block, waiting, ours],
        &[
            "127.0.0.1 is not this computer in there",
            "ip_range_whitelist: ['172.17.0.1/32']",
            "listen = [\"127.0.0.1:7874\", \"172.17.0.1:7874\"]\npublic_url = \"http://172.17.0.1:7874\"",
        ],
    );
    check(bridged, "Conduit", &[container, ours], &["listen = [\"0.0.0.0:7874\"]\npublic_url"]);
    let named = Observations {
        resolved: Err("no such name".to_owned()),
        own: Vec::new(),
        pushes: Vec::new(),
        ..same("http://host.docker.internal:7874")
    };
    check(named, "Synapse", &[container, waiting], &["--add-host=host.docker.internal:host-gateway"]);
    check(
        way("http://127.0.0.1:7874"),
        "Synapse",
        &[(Warning, "pusher URL"), block, waiting, ours],
        &[
            "only this computer reaches http://127.0.0.1:7874",
            "listen = [\"0.0.0.0:7874\"]\npublic_url = \"http://192.168.1.20:7874\"",
            "docs/connect.md",
        ],
    );
    let far = Observations {
        homeserver: Observation { location: Location::Elsewhere, source: None },
        ..way("http://127.0.0.1:7874")
    };
    check(far, "Synapse", &[(Warning, "pusher URL"), block, waiting, ours], &["tunnel"]);
    check(not_ours(way("https://push.example.org")), "Synapse", &[waiting, ours], &["an hour", "`pushbell login`"]);
    let set_just_now = diagnose(&lan(), &HomeserverKind::Synapse, Pushed::Awaited);
    assert_eq!(set_just_now.iter().map(|finding| finding.part).collect::<Vec<_>>(), [block.1, firewall.1, ours.1]);
    let seen_from_here = told(not_ours(way("https://push.example.org")), failed(TransportFault::TimedOut, ""));
    check(
        seen_from_here,
        "Synapse",
        &[(Warning, "pusher URL"), waiting],
        &["203.0.113.7:443 does not answer, seen from here"],
    );
    for private in ["127.0.0.1", "10.0.0.1", "172.16.3.4", "169.254.1.1", "100.64.0.1", "100.127.255.255"] {
        let facts = not_ours(way(&format!("http://{private}:7874")));
        let found = diagnose(&facts, &HomeserverKind::Synapse, Pushed::Unasked);
        let line = format!("ip_range_whitelist: ['{private}/32']");
        assert_eq!(found.first().and_then(|finding| finding.paste.as_deref()), Some(&*line));
    }
    for private in ["::1", "fd00::1", "fe80::1"] {
        let facts = not_ours(way(&format!("http://[{private}]:7874")));
        let found = diagnose(&facts, &HomeserverKind::named(""), Pushed::Unasked);
        let line = format!("ip_range_whitelist: ['{private}/128']");
        assert!(found.iter().any(|finding| finding.paste.as_deref() == Some(&*line)), "{found:#?}");
    }
    for public in ["100.63.255.255", "100.128.0.1", "172.32.0.1", "8.8.8.8"] {
        let facts = not_ours(way(&format!("http://{public}:7874")));
        assert_eq!(diagnose(&facts, &HomeserverKind::Synapse, Pushed::Unasked).len(), 1, "{public}");
    }
}

#[test]
fn once_a_push_has_come_nothing_is_guessed() {
    let expected = [(Good, "pusher URL")];
    check(way("http://192.168.1.20:7874"), "Synapse", PUSHED, &expected, &[]);
    check(way("http://127.0.0.1:7874"), "Synapse", PUSHED, &expected, &[]);
}

proptest! {
    #[test]
    fn no_text_harms_the_diagnosis(text in any::<String>()) {
        let facts = Observations { url: pusher_url::parse(&text), text, ..way("https://push.example.org") };
        prop_assert!(!diagnose(&facts, &HomeserverKind::named(""), Pushed::Never).is_empty());
    }
}
