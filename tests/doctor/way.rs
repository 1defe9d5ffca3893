//! Reachability: every wrong `public_url`, set up for real on loopback.

use crate::{
    report::Report,
    rig::{Desktop, DesktopOptions, Notifier, Pushbell, SOON, http, pushbell::PATH, wait_until},
    servers::{Authority, Behavior, Certificate, Server},
};

const DUNST: DesktopOptions = DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE };

/// The doctor's report once the running app uses this address.
#[track_caller]
fn report(pushbell: &Pushbell, public_url: &str) -> Report {
    pushbell.configure(&format!("[server]\npublic_url = \"{public_url}\""));
    pushbell.wait_for_status("it has taken up the address", |status| status["public_url"] == public_url);
    Report::of(pushbell)
}

#[test]
fn whatever_stands_before_pushbell_is_told_apart() {
    let desktop = Desktop::start(DUNST);
    let pushbell = Pushbell::start(&desktop, "");
    let ours = format!("127.0.0.1:{}", pushbell.port);
    let check = |server: &Server, part: &str, words: &[&str]| {
        let report = report(&pushbell, &format!("http://127.0.0.1:{}", server.port));
        report.faults(&[part]);
        report.has("fault", part, words);
    };

    let good = Server::start(Behavior::Forwards(pushbell.port));
    let good = report(&pushbell, &format!("http://localhost:{}", good.port));
    good.faults(&[]);
    good.has("good", "pusher URL", &["comes back as it should"]);

    check(&Server::start(Behavior::AppendsToBody(pushbell.port)), "proxy", &["changes answers"]);
    check(
        &Server::start(Behavior::ForwardsHealthOnly(pushbell.port)),
        "proxy",
        &["leads to Pushbell, but", PATH, "404"],
    );
    check(&Server::start(Behavior::Forwards(http::free_port())), "proxy", &["502", "does not reach Pushbell", &ours]);
    check(&Server::start(Behavior::AnswersStatus(404)), "proxy", &["something else than Pushbell", "404"]);
    check(&Server::start(Behavior::AnswersStatus(401)), "proxy", &["sign-in"]);
    check(&Server::start(Behavior::AnswersPage), "proxy", &["something else than Pushbell", &ours]);
    check(&Server::start(Behavior::Redirects), "proxy", &["308", "public_url = \"https://push.example.org\""]);
    check(&Server::start(Behavior::Hangs), "pusher URL", &["does not answer"]);

    let port = http::free_port();
    let refused = report(&pushbell, &format!("http://127.0.0.1:{port}"));
    refused.faults(&["endpoint"]);
    refused.has("fault", "endpoint", &["nothing listens at", &format!("public_url = \"http://{ours}\"")]);

    let unresolved = report(&pushbell, "https://nowhere.invalid");
    unresolved.faults(&["name"]);
    unresolved.has("fault", "name", &["nowhere.invalid does not resolve"]);
}

#[test]
fn a_certificate_that_homeservers_would_not_trust_is_told() {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::start(&desktop, "");
    let authority = Authority::new();
    let file = pushbell.home().join("authority.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    pushbell.set_env("SSL_CERT_FILE", &file.display().to_string());
    let (names, valid) = (["localhost", "127.0.0.1"], (2020, 2090));
    let check = |certificate: &Certificate, words: Option<&[&str]>| {
        let server = Server::start_tls(Behavior::Forwards(pushbell.port), certificate);
        let report = report(&pushbell, &format!("https://localhost:{}", server.port));
        if let Some(words) = words {
            report.faults(&["certificate"]);
            report.has("fault", "certificate", words);
        } else {
            report.faults(&[]);
            report.has("good", "pusher URL", &["https://localhost", "comes back"]);
        }
    };

    check(&Certificate::new(&names, valid, Some(&authority)), None);
    check(&Certificate::new(&names, valid, None), Some(&["nobody whom this computer trusts", "fullchain.pem"]));
    check(&Certificate::new(&names, valid, Some(&Authority::new())), Some(&["nobody whom this computer trusts"]));
    check(&Certificate::new(&names, (2020, 2021), Some(&authority)), Some(&["localhost is expired", "Renew"]));
    check(&Certificate::new(&names, (2089, 2090), Some(&authority)), Some(&["not valid yet", "date"]));
    let other = Certificate::new(&["push.example.org"], valid, Some(&authority));
    check(&other, Some(&["it is for push.example.org, not for localhost"]));

    let plain = report(&pushbell, &format!("https://localhost:{}", pushbell.port));
    plain.faults(&["certificate"]);
    plain.has("fault", "certificate", &["does not speak https", "server.tls"]);
    let tls = Server::start_tls(Behavior::Forwards(pushbell.port), &other);
    let tls = report(&pushbell, &format!("http://localhost:{}", tls.port));
    tls.faults(&["pusher URL"]);
    tls.has("fault", "pusher URL", &["breaks off", "https://"]);
}

#[test]
fn the_certificate_of_pushbell_itself_is_looked_at() {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let (authority, home) = (Authority::new(), pushbell.home());
    std::fs::write(home.join("authority.pem"), authority.pem()).unwrap();
    pushbell.set_env("SSL_CERT_FILE", &home.join("authority.pem").display().to_string());
    let write = |names: &[&str], years| Certificate::new(names, years, Some(&authority)).write(&home);
    let [certificate, key] = ["fullchain.pem", "privkey.pem"].map(|name| home.join(name).display().to_string());
    pushbell.configure(&format!("[server]\ntls = {{ certificate = '{certificate}', key = '{key}' }}"));

    let faulty = Report::of(&pushbell);
    faulty.faults(&["certificate"]);
    faulty.has("fault", "certificate", &["fullchain.pem: there is no such file", "server.tls"]);
    write(&["127.0.0.1"], (2020, 2021));
    Report::of(&pushbell).has("fault", "certificate", &["fullchain.pem is expired", "Renew"]);
    write(&["push.example.org"], (2020, 2090));
    Report::of(&pushbell).has("warning", "certificate", &["is not for 127.0.0.1", "public_url"]);
    write(&["127.0.0.1"], (2020, 2090));
    Report::of(&pushbell).has("good", "certificate", &["fullchain.pem is good"]);

    pushbell.launch(&["run"]);
    wait_until("it runs", SOON, || pushbell.command(&["status"]).code == 0);
    pushbell.wait_for_status("it speaks TLS", |status| status["tls"]["names"] == serde_json::json!(["127.0.0.1"]));
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.has("good", "pusher URL", &["https://127.0.0.1", "comes back as it should"]);
}
