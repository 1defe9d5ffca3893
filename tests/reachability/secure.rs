//! The app with `server.tls`.

use std::{
    fs::{self, Permissions},
    io::Write,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    app::{App, DUNST},
    authority::{Authority, CertificateFiles},
    line::KeepAliveConnection,
    rig::{
        Desktop, Pushbell, SOON,
        pushbell::{PATH, address, message},
        wait_until,
    },
};

/// The host name of the certificates.
pub(crate) const HOST: &str = "push.example.org";

/// The app with a certificate of a private authority.
pub(crate) struct TlsApp {
    pub(crate) app: App,
    pub(crate) authority: Authority,
    pub(crate) place: CertificateFiles,
}

impl TlsApp {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let authority = Authority::new();
        let place = CertificateFiles::with(&authority.certify(HOST));
        let app = start(&place.config());
        Self { app, authority, place }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.app.pushbell.port).into()
    }

    pub(crate) fn connect(&self) -> std::io::Result<KeepAliveConnection> {
        KeepAliveConnection::tls(self.address(), HOST, &self.authority.pem())
    }

    /// A push to the account.
    pub(crate) fn body(&self, event: &str) -> Value {
        address(&self.app.account, message(event, "room", "text"))
    }

    /// The problems that the app reports.
    pub(crate) fn problems(&self) -> String {
        self.app.pushbell.status()["problems"].to_string()
    }
}

/// The number of recorded pushes.
pub(crate) fn recorded(app: &App) -> usize {
    app.pushbell.ok(&["history", "--json", "--limit", "100000"]).lines().count()
}

/// Starts the app with this configuration, and waits until its status can be queried, whether or not it can be reached.
#[track_caller]
pub(crate) fn start(config: &str) -> App {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::prepare(&desktop, config);
    pushbell.ok(&["account", "add", "home"]);
    pushbell.launch(&["run"]);
    wait_until("it runs", SOON, || pushbell.command(&["status"]).code == 0);
    let account = pushbell.account_named("home");
    App { pushbell, account, desktop }
}

#[test]
fn pushes_come_over_tls_and_nothing_is_served_in_the_clear() {
    let secure = TlsApp::start();
    let mut line = secure.connect().expect("there is a certificate");
    line.push(&secure.body("1"));
    secure.app.shows(0, "text");
    line.push(&secure.body("2"));
    assert!(
        KeepAliveConnection::tls(secure.address(), "other.example.org", &secure.authority.pem()).is_err(),
        "of another name"
    );
    assert!(KeepAliveConnection::tls(secure.address(), HOST, &Authority::new().pem()).is_err(), "of another authority");

    let mut plain = KeepAliveConnection::plain(secure.address()).expect("it listens");
    let answer = plain.post(secure.body("3").to_string().as_bytes()).expect("it answers");
    assert!(answer.status == 400 && answer.body.contains("https://"), "{answer:?}");
    assert_eq!(secure.app.pushbell.history().len(), 2);

    let pushbell = &secure.app.pushbell;
    let status = pushbell.status();
    assert_eq!(status["tls"]["names"], json!([HOST]));
    assert!(status["tls"]["not_after"].is_string());
    assert_eq!((&status["problems"], &status["warnings"]), (&json!([]), &json!([])));
    let url = format!("https://127.0.0.1:{}", pushbell.port);
    assert_eq!(status["public_url"], url);
    assert!(pushbell.ok(&["account", "show", "home"]).contains(&format!("{url}{PATH}")));
    assert!(pushbell.ok(&["status"]).contains(&format!("Certificate for {HOST}, until ")));

    let mark = secure.app.mark();
    assert!(pushbell.ok(&["test"]).contains(&format!("at {url}.")));
    secure.app.notifications().wait_for_notify_since(mark, "the test's popup", |_| true);
}

#[test]
fn openssl_pushes_over_tls_1_2_and_1_3_and_not_over_older_ones() {
    let secure = TlsApp::start();
    let authority = secure.place.path().join("ca.pem");
    fs::write(&authority, secure.authority.pem()).expect("it is writable");
    for (version, expected) in [("-tls1_2", true), ("-tls1_3", true), ("-tls1_1", false)] {
        let body = secure.body(version).to_string();
        let request = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut client = Command::new("openssl")
            .args([
                "s_client",
                "-quiet",
                version,
                "-verify_return_error",
                "-servername",
                HOST,
                "-verify_hostname",
                HOST,
            ])
            .args(["-connect", &secure.address().to_string(), "-CAfile"])
            .arg(&authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl is there: `make test` installs it");
        // A rejected client does not read its input.
        let _ = client.stdin.take().expect("a pipe").write_all(request.as_bytes());
        let output = client.wait_with_output().expect("it runs");
        let answer = String::from_utf8_lossy(&output.stdout);
        assert_eq!(answer.ends_with(r#"{"rejected":[]}"#), expected, "{version}: {answer} {output:?}");
    }
}

#[test]
fn tls_is_taken_up_and_left_when_the_configuration_changes() {
    let app = start("");
    let authority = Authority::new();
    let [place, other] = [HOST, "other.example.org"].map(|name| CertificateFiles::with(&authority.certify(name)));
    let at: SocketAddr = ([127, 0, 0, 1], app.pushbell.port).into();
    let body = |event: &str| address(&app.account, message(event, "room", "text"));
    let mut plain = KeepAliveConnection::plain(at).expect("it listens");
    plain.push(&body("1"));

    app.pushbell.configure(&place.config());
    app.pushbell.wait_for_status("TLS is on", |status| status["tls"]["names"] == json!([HOST]));
    assert!(plain.post(b"{}").is_err(), "what was begun in the clear is over");
    let mut line = KeepAliveConnection::tls(at, HOST, &authority.pem()).expect("there is a certificate");
    line.push(&body("2"));

    // Other files: the certificate changes, and connections stay open.
    app.pushbell.configure(&other.config());
    app.pushbell.wait_for_status("it is the other", |status| status["tls"]["names"] == json!(["other.example.org"]));
    line.push(&body("3"));
    other.write(&authority.certify("third.example.org"));
    app.pushbell
        .wait_for_status("its files are watched", |status| status["tls"]["names"] == json!(["third.example.org"]));
    place.write(&authority.certify("fourth.example.org"));

    // Missing files: the previous certificate stays.
    let nowhere = CertificateFiles::new();
    app.pushbell.configure(&nowhere.config());
    app.pushbell.wait_for_status("it is told", |status| status["problems"].to_string().contains("no such file"));
    line.push(&body("4"));
    KeepAliveConnection::tls(at, "third.example.org", &authority.pem()).expect("it is in force").push(&body("5"));

    app.pushbell.configure("");
    app.pushbell.wait_for_status("TLS is off", |status| status["tls"].is_null() && status["problems"] == json!([]));
    assert!(line.post(b"{}").is_err());
    KeepAliveConnection::plain(at).expect("it listens").push(&body("6"));
    assert_eq!(app.pushbell.history().len(), 6);
}

#[test]
fn without_a_certificate_nothing_is_served_until_there_is_one() {
    let (authority, place) = (Authority::new(), CertificateFiles::new());
    let app = start(&place.config());
    let at: SocketAddr = ([127, 0, 0, 1], app.pushbell.port).into();
    app.titled(0, "The certificate needs your attention");
    let problems = app.pushbell.status()["problems"].to_string();
    assert!(problems.contains("fullchain.pem") && problems.contains("no connection is served"), "{problems}");
    assert!(app.pushbell.ok(&["status"]).contains("Certificate none"));
    assert!(KeepAliveConnection::tls(at, HOST, &authority.pem()).is_err());
    let answer = KeepAliveConnection::plain(at).and_then(|mut line| line.post(b"{}")).expect("it answers");
    assert_eq!(answer.status, 400);
    let test = app.pushbell.command(&["test"]);
    assert!(test.code == 1 && test.stderr.contains("https://"), "{test:?}");

    place.write(&authority.certify(HOST));
    app.pushbell.wait_for_status("nothing is wrong", |status| status["problems"] == json!([]));
    let push = address(&app.account, message("1", "room", "text"));
    KeepAliveConnection::tls(at, HOST, &authority.pem()).expect("there is a certificate").push(&push);
}

#[test]
fn what_others_can_read_is_warned_of() {
    let secure = TlsApp::start();
    let pushbell = &secure.app.pushbell;
    let warns = |of: &str| {
        pushbell.wait_for_status(&format!("it warns of {of:?}"), |status| {
            let warnings = status["warnings"].as_array().expect("a list");
            if of.is_empty() {
                warnings.is_empty()
            } else {
                warnings.len() == 1 && warnings[0].to_string().contains(of)
            }
        });
    };
    let chmod = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
    warns("");
    chmod(secure.place.path(), 0o755);
    chmod(&secure.place.key(), 0o644);
    warns("privkey.pem");
    chmod(&secure.place.key(), 0o600);
    warns("");

    let port = pushbell.port;
    pushbell.configure(&format!("[server]\nlisten = [\"0.0.0.0:{port}\", \"[::1]:{port}\"]"));
    warns(&format!("0.0.0.0:{port} speaks plain http"));
    assert!(pushbell.ok(&["status"]).contains("Warning     0.0.0.0:"));
    assert!(pushbell.log().contains("speaks plain http"));
    let listen = format!("listen = [\"0.0.0.0:{port}\", \"[::1]:{port}\"]");
    pushbell.configure(&format!("{}{listen}", secure.place.config()));
    warns("");
}
