//! A real homeserver: Synapse from the Python package index, on the loopback interface, with SQLite.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::Method;
use serde_json::{Value, json};

use super::{
    http,
    process::{self, Part, TempDir},
    wait_until,
};

/// Everybody's.
pub(crate) const PASSWORD: &str = "secret";
/// The version that the tests were written against.
const VERSION: &str = "1.163.2";

/// A running homeserver named `hs.test`.
pub(crate) struct Synapse {
    server: Part,
    pub(crate) port: u16,
    directory: TempDir,
}

/// A user who is signed in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    port: u16,
    /// `@alice:hs.test`
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Synapse {
    /// Installs Synapse, the first time, and starts one.
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with(|configuration, _port| configuration)
    }

    /// The same with a configuration (YAML) of the test's own, made from the usual one and the port; of a key that is
    /// there twice, the later counts.
    #[track_caller]
    pub(crate) fn start_with(configure: impl FnOnce(String, u16) -> String) -> Self {
        Self::launch(&[], configure)
    }

    /// The same with more in its environment.
    #[track_caller]
    pub(crate) fn start_with_env(env: &[(&str, &str)]) -> Self {
        Self::launch(env, |configuration, _port| configuration)
    }

    #[track_caller]
    fn launch(env: &[(&str, &str)], configure: impl FnOnce(String, u16) -> String) -> Self {
        let python = install(&format!("synapse-{VERSION}"), &format!("matrix-synapse=={VERSION}"));
        let (directory, port) = (TempDir::new(), http::free_port());
        let env: Vec<_> = [("PATH", process::PATH), ("LANG", "C.UTF-8"), ("TZ", "UTC")]
            .iter()
            .chain(env)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        fs::write(directory.path().join("homeserver.yaml"), configure(configuration(directory.path(), port), port))
            .expect("the temporary directory is writable");
        fs::write(directory.path().join("log.yaml"), LOG).expect("the temporary directory is writable");
        fs::write(directory.path().join("signing.key"), SIGNING_KEY).expect("the temporary directory is writable");
        let server = serve(&python, &env, directory.path(), port);
        Self { server, port, directory }
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts it again after that.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let python = install(&format!("synapse-{VERSION}"), &format!("matrix-synapse=={VERSION}"));
        let env = [("PATH", process::PATH), ("LANG", "C.UTF-8"), ("TZ", "UTC")];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.server = serve(&python, &env, self.directory.path(), self.port);
    }

    /// Ends it, and starts it again with more in its configuration (YAML).
    #[track_caller]
    pub(crate) fn restart_with(&mut self, more: &str) {
        self.kill();
        let path = self.directory.path().join("homeserver.yaml");
        let before = fs::read_to_string(&path).expect("the configuration is there");
        fs::write(&path, format!("{before}\n{more}\n")).expect("the temporary directory is writable");
        self.start_again();
    }

    /// Registers a user and sets the display name.
    #[track_caller]
    pub(crate) fn register(&self, name: &str, display_name: &str) -> User {
        let body = json!({"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}});
        let nobody = User { port: self.port, id: String::new(), token: String::new() };
        let account = nobody.request(&Method::POST, "register", &body);
        let text = |key: &str| account[key].as_str().expect("the answer to register has it").to_owned();
        let user = User { port: self.port, id: text("user_id"), token: text("access_token") };
        let path = format!("profile/{}/displayname", encode(&user.id));
        user.request(&Method::PUT, &path, &json!({"displayname": display_name}));
        user
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.server.output()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl User {
    /// The session's access token.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The same user on another device.
    #[track_caller]
    pub(crate) fn sign_in_again(&self) -> Self {
        self.sign_in(&json!({}))
    }

    /// The same on a device of this name.
    #[track_caller]
    pub(crate) fn sign_in_as(&self, name: &str) -> Self {
        self.sign_in(&json!({"initial_device_display_name": name}))
    }

    fn sign_in(&self, options: &Value) -> Self {
        let identifier = json!({"type": "m.id.user", "user": self.id});
        let mut body = json!({"type": "m.login.password", "identifier": identifier, "password": PASSWORD});
        for (key, value) in options.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let session = self.request(&Method::POST, "login", &body);
        Self { token: session["access_token"].as_str().expect("the answer has it").to_owned(), ..self.clone() }
    }

    /// A request to the client-server API, below `/_matrix/client/v3/`, that has to succeed.
    #[track_caller]
    pub(crate) fn request(&self, method: &Method, path: &str, body: &Value) -> Value {
        let path = format!("/_matrix/client/v3/{path}");
        let token = (!self.token.is_empty()).then_some(&*self.token);
        let body = if method == Method::GET { String::new() } else { body.to_string() };
        let answer = http::request(self.port, method, &path, token, body);
        let answer = answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        assert!(answer.status == 200, "{method} {path}: {answer:?}");
        answer.json()
    }

    /// Makes a room; its id. `options` is the body of `createRoom`: `name`, `invite`, `is_direct`, `preset` and so on.
    #[track_caller]
    pub(crate) fn create_room(&self, options: &Value) -> String {
        let room = self.request(&Method::POST, "createRoom", options);
        room["room_id"].as_str().expect("the answer has the room").to_owned()
    }

    #[track_caller]
    pub(crate) fn invite(&self, room: &str, user: &User) {
        self.request(&Method::POST, &format!("rooms/{}/invite", encode(room)), &json!({"user_id": user.id}));
    }

    #[track_caller]
    pub(crate) fn join(&self, room: &str) {
        self.request(&Method::POST, &format!("rooms/{}/join", encode(room)), &json!({}));
    }

    /// Sends a text message; its event id.
    #[track_caller]
    pub(crate) fn send(&self, room: &str, body: &str) -> String {
        self.send_event(room, "m.room.message", &json!({"msgtype": "m.text", "body": body}))
    }

    /// Sends an event; its id.
    #[track_caller]
    pub(crate) fn send_event(&self, room: &str, event_type: &str, content: &Value) -> String {
        static TRANSACTION: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let transaction = TRANSACTION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = format!("rooms/{}/send/{event_type}/t{transaction}", encode(room));
        let event = self.request(&Method::PUT, &path, content);
        event["event_id"].as_str().expect("the answer has the event").to_owned()
    }

    /// Reads the room up to this event, as on another device.
    #[track_caller]
    pub(crate) fn read(&self, room: &str, event: &str) {
        let path = format!("rooms/{}/receipt/m.read/{}", encode(room), encode(event));
        self.request(&Method::POST, &path, &json!({}));
    }

    /// Marks the room as a direct chat with the other user.
    #[track_caller]
    pub(crate) fn mark_direct(&self, room: &str, other: &User) {
        let path = format!("user/{}/account_data/m.direct", encode(&self.id));
        self.request(&Method::PUT, &path, &json!({ &other.id: [room] }));
    }

    /// Sets an http pusher. `data` is added to its data: `{"format": "event_id_only"}`.
    #[track_caller]
    pub(crate) fn set_pusher(&self, url: &str, app_id: &str, pushkey: &str, data: &Value) {
        let mut pusher = json!({
            "kind": "http", "app_id": app_id, "pushkey": pushkey, "app_display_name": "Pushbell",
            "device_display_name": "desktop", "lang": "en", "data": {"url": url},
        });
        for (key, value) in data.as_object().into_iter().flatten() {
            pusher["data"][key] = value.clone();
        }
        self.request(&Method::POST, "pushers/set", &pusher);
    }

    /// Sets an http pusher beside others, of an app and on a device of these names.
    #[track_caller]
    pub(crate) fn set_pusher_of(&self, pushkey: &str, app_id: &str, device: &str) {
        let pusher = json!({
            "kind": "http", "app_id": app_id, "pushkey": pushkey, "app_display_name": "app", "lang": "en",
            "device_display_name": device, "data": {"url": "http://127.0.0.1:9/_matrix/push/v1/notify"},
            "append": true,
        });
        self.request(&Method::POST, "pushers/set", &pusher);
    }

    /// The user's pushers.
    #[track_caller]
    pub(crate) fn pushers(&self) -> Vec<Value> {
        let pushers = self.request(&Method::GET, "pushers", &Value::Null);
        pushers["pushers"].as_array().cloned().expect("pushers is an array")
    }

    /// Sets a push rule: `kind` is `content`, `override`, `room`, `sender` or `underride`.
    #[track_caller]
    pub(crate) fn set_push_rule(&self, kind: &str, id: &str, rule: &Value) {
        self.request(&Method::PUT, &format!("pushrules/global/{kind}/{}", encode(id)), rule);
    }

    /// The unread number that the server would push: it is computed some time after an event was sent.
    #[track_caller]
    pub(crate) fn notifications(&self) -> Vec<Value> {
        let notifications = self.request(&Method::GET, "notifications?limit=100", &Value::Null);
        notifications["notifications"].as_array().cloned().expect("notifications is an array")
    }
}

/// Runs what its directory is configured for.
#[track_caller]
fn serve(python: &Path, env: &[(String, String)], directory: &Path, port: u16) -> Part {
    let mut command = Command::new(python);
    command.args(["-m", "synapse.app.homeserver", "-c", "homeserver.yaml"]).current_dir(directory);
    let mut server = Part::start("synapse", command, env, directory);
    wait_until("Synapse answers", Duration::from_secs(120), || {
        assert!(server.try_wait().is_none(), "Synapse has ended: {}", server.output());
        http::request(port, &Method::GET, "/health", None, "").is_ok_and(|answer| answer.status == 200)
    });
    server
}

fn encode(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Installs what a requirement of pip's names into a directory in `target/`, unless it is there already; the Python that
/// has it.
pub(crate) fn install(directory: &str, requirement: &str) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target directory");
    let venv = target.join(directory);
    let (python, complete) = (venv.join("bin/python"), venv.join("complete"));
    if complete.exists() {
        return python;
    }
    let _ = fs::remove_dir_all(&venv);
    let system = if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
    let venv_text = venv.display().to_string();
    // The caller's environment is kept here: it may say where packages come from.
    let run = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {arguments:?} failed. `make test` installs what it needs (python3-venv).\n{printed}",
            program.display()
        );
    };
    run(Path::new(system), &["-m", "venv", &venv_text]);
    // There are wheels for all of it: no compiler is needed.
    run(&python, &["-m", "pip", "install", "--quiet", requirement]);
    fs::write(&complete, "").expect("the target directory is writable");
    python
}

/// Any key will do: there is no federation.
const SIGNING_KEY: &str = "ed25519 a_test AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n";

const LOG: &str = "version: 1
formatters: {f: {format: '%(asctime)s %(levelname)s %(name)s %(message)s'}}
handlers: {out: {class: logging.StreamHandler, formatter: f, stream: ext://sys.stdout}}
root: {level: INFO, handlers: [out]}
loggers: {synapse.storage.SQL: {level: WARNING}}
disable_existing_loggers: false
";

fn configuration(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    let often = "{per_second: 10000, burst_count: 10000}";
    format!(
        "server_name: hs.test
public_baseurl: http://127.0.0.1:{port}/
listeners:
  - {{port: {port}, type: http, bind_addresses: [127.0.0.1], tls: false, resources: [{{names: [client], compress: false}}]}}
database: {{name: sqlite3, args: {{database: {directory}/homeserver.db}}}}
log_config: {directory}/log.yaml
media_store_path: {directory}/media
signing_key_path: {directory}/signing.key
trusted_key_servers: []
suppress_key_server_warning: true
report_stats: false
macaroon_secret_key: for-tests-only
form_secret: for-tests-only
# The lowest cost that bcrypt has. The usual one takes a quarter of a second of each login.
bcrypt_rounds: 4
enable_registration: true
enable_registration_without_verification: true
federation_domain_whitelist: []
presence: {{enabled: false}}
# Without this line a pusher on loopback gets \"403: IP address blocked\".
ip_range_whitelist: ['127.0.0.0/8', '::1/128']
rc_message: {often}
rc_registration: {often}
rc_login: {{address: {often}, account: {often}, failed_attempts: {often}}}
rc_joins: {{local: {often}, remote: {often}}}
rc_invites: {{per_room: {often}, per_user: {often}, per_issuer: {often}}}
rc_room_creation: {often}
rc_joins_per_room: {often}
"
    )
}
