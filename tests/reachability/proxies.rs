//! nginx and Caddy before the app, configured as in `docs/connect.md`.

use std::{fs, net::SocketAddr, process::Command, thread};

use serde_json::json;

use crate::{
    app::{App, DUNST},
    authority::{Authority, CertificateFiles},
    line::KeepAliveConnection,
    recipes::{ENDPOINT, adapt, blocks},
    rig::{
        SOON, http,
        process::{PATH, Part},
        pushbell::{Account, PATH as NOTIFY, address, message},
        wait_until,
    },
    secure::{HOST, recorded},
};

/// The app with a reverse proxy before it.
struct BehindProxy {
    app: App,
    authority: Authority,
    place: CertificateFiles,
    port: u16,
}

impl BehindProxy {
    /// The app with the recipe's configuration, and a certificate for the proxy.
    fn prepare(heading: &str) -> Self {
        let app = App::start(DUNST, blocks(heading, "toml")[0]);
        let authority = Authority::new();
        let place = CertificateFiles::with(&authority.certify(HOST));
        assert_eq!(app.pushbell.status()["public_url"], format!("https://{HOST}"));
        Self { app, authority, place, port: http::free_port() }
    }

    fn at(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    fn connect(&self) -> std::io::Result<KeepAliveConnection> {
        KeepAliveConnection::tls(self.at(), HOST, &self.authority.pem())
    }

    fn start(&self, program: &str, arguments: &[&str]) -> Part {
        let mut command = Command::new(program);
        command.args(arguments);
        let home = self.place.path().display().to_string();
        let env = [("PATH", PATH), ("HOME", &home), ("XDG_DATA_HOME", &home), ("XDG_CONFIG_HOME", &home)];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut part = Part::start("proxy", command, &env, self.place.path());
        wait_until(&format!("{program} answers"), SOON, || {
            assert!(part.try_wait().is_none(), "{program} has ended: {}", part.output());
            self.connect().is_ok()
        });
        part
    }

    fn body(&self, event: &str, size: usize) -> Vec<u8> {
        let mut body = address(&self.app.account, message(event, "room", "text")).to_string().into_bytes();
        body.resize(body.len().max(size), b' ');
        body
    }

    /// Checks what must hold behind every proxy. `own_limit` is the size of a body that the proxy itself rejects, if it
    /// does.
    fn serves(&mut self, own_limit: Option<usize>) {
        let accepted = json!({"rejected": []}).to_string();
        let mut kept = self.connect().expect("the proxy listens");
        for number in 0..20 {
            let answer = kept.post(&self.body(&format!("kept{number}"), 0)).expect("the connection is kept");
            assert_eq!((answer.status, &answer.body), (200, &accepted));
        }
        // `rejected` passes through unchanged.
        let stranger = Account { pushkey: "nobody's".to_owned(), ..self.app.account.clone() };
        let push = address(&stranger, message("stranger", "room", "text")).to_string();
        let answer = kept.post(push.as_bytes()).expect("it is kept");
        assert_eq!((answer.status, &*answer.body), (200, r#"{"rejected":["nobody's"]}"#));
        // So does every other answer.
        for (method, path, expected) in [
            ("GET", "/health", (200, r#"{"status":"ok"}"#)),
            ("GET", NOTIFY, (405, "M_UNRECOGNIZED")),
            ("POST", "/elsewhere", (404, "M_UNRECOGNIZED")),
            ("POST", NOTIFY, (400, "M_NOT_JSON")),
        ] {
            let answer = self.connect().and_then(|mut line| line.ask(method, path, b"no")).expect("it answers");
            assert!(answer.status == expected.0 && answer.body.contains(expected.1), "{method} {path}: {answer:?}");
        }
        // Bodies up to our limit, above it, and above the proxy's own.
        let large = kept.post(&self.body("large", 500 * 1024)).expect("it is kept");
        assert_eq!((large.status, &large.body), (200, &accepted));
        let too_large = self.connect().and_then(|mut line| line.post(&self.body("too large", 800 * 1024)));
        let too_large = too_large.expect("it is answered");
        assert!(too_large.status == 413 && too_large.body.contains("M_TOO_LARGE"), "{too_large:?}");
        if let Some(size) = own_limit {
            let refused = self.connect().and_then(|mut line| line.post(&self.body("huge", size)));
            assert_eq!(refused.expect("it is answered").status, 413);
        }
        self.serves_many();

        // The app is down for a while: the homeserver is told to retry.
        self.app.pushbell.terminate();
        let away = self.connect().and_then(|mut line| line.post(&self.body("away", 0))).expect("the proxy answers");
        assert!((500..600).contains(&away.status), "{away:?}");
        self.app.pushbell.run();
        wait_until("it comes through again", SOON, || {
            let answer = self.connect().and_then(|mut line| line.post(&self.body("away", 0)));
            answer.expect("the proxy answers").status == 200
        });
        assert_eq!(recorded(&self.app), 20 + 1 + 100 + 1);
    }

    /// All connections come from the proxy's single address.
    fn serves_many(&self) {
        thread::scope(|scope| {
            let pushes: Vec<_> = (0..100)
                .map(|number| {
                    let body = self.body(&format!("many{number}"), 0);
                    scope
                        .spawn(move || self.connect().and_then(|mut line| line.post(&body)).map(|answer| answer.status))
                })
                .collect();
            for push in pushes {
                assert_eq!(push.join().expect("it ends").expect("it is answered"), 200);
            }
        });
    }
}

#[test]
fn pushes_come_through_nginx() {
    let mut proxied = BehindProxy::prepare("nginx");
    let (certificate, key) = (proxied.place.certificate(), proxied.place.key());
    let path = |name: &str| proxied.place.path().join(name).display().to_string();
    let recipe = adapt(
        blocks("nginx", "nginx")[0],
        &[
            (ENDPOINT, &format!("127.0.0.1:{}", proxied.app.pushbell.port)),
            ("listen 443", &format!("listen 127.0.0.1:{}", proxied.port)),
            ("[::]:443", &format!("[::1]:{}", proxied.port)),
            (&format!("/etc/letsencrypt/live/{HOST}/fullchain.pem"), &certificate.display().to_string()),
            (&format!("/etc/letsencrypt/live/{HOST}/privkey.pem"), &key.display().to_string()),
        ],
    );
    // Where nginx stores temporary files; the test needs none of them.
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {};\n", path(kind)))
        .concat();
    let user = if rustix::process::getuid().is_root() { "user root;" } else { "" };
    let text = format!(
        "{user}\npid {};\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{recipe}}}\n",
        path("nginx.pid")
    );
    fs::write(path("nginx.conf"), text).expect("it is writable");
    let _nginx = proxied.start("nginx", &["-c", &path("nginx.conf"), "-p", &path(""), "-g", "daemon off;"]);
    proxied.serves(Some(1200 * 1024));
}

#[test]
fn pushes_come_through_caddy() {
    let mut proxied = BehindProxy::prepare("Caddy");
    let (certificate, key) = (proxied.place.certificate(), proxied.place.key());
    let site =
        format!("{HOST}:{} {{\n\tbind 127.0.0.1\n\ttls {} {}\n", proxied.port, certificate.display(), key.display());
    let recipe = adapt(
        blocks("Caddy", "caddyfile")[0],
        &[
            (ENDPOINT, &format!("127.0.0.1:{}", proxied.app.pushbell.port)),
            // No public authority certifies a test.
            (&format!("{HOST} {{\n"), &site),
        ],
    );
    let file = proxied.place.path().join("Caddyfile");
    fs::write(&file, format!("{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{recipe}")).expect("it is writable");
    let file = file.display().to_string();
    let _caddy = proxied.start("caddy", &["run", "--adapter", "caddyfile", "--config", &file]);
    proxied.serves(None);
}
