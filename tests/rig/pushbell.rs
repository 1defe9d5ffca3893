//! The app itself, run as a user runs it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use hyper::Method;
use pushbell::app_info;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::{
    Desktop, SOON, http,
    process::{Part, TempDir},
    wait_for, wait_until,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushbell");
/// The standard path of push gateways.
pub(crate) const PATH: &str = "/_matrix/push/v1/notify";

/// A home directory with a configuration for the app, and the app while it runs.
pub(crate) struct Pushbell {
    app: Option<Part>,
    pub(crate) port: u16,
    env: Vec<(String, String)>,
    directory: TempDir,
    starts: u32,
}

/// An account's `app_id` and `pushkey`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
}

/// A command's output and exit code.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Pushbell {
    /// Starts the app on this desktop in a new home directory, with this configuration (TOML; `server.listen` is set to
    /// a free port unless it is given), and waits until it answers.
    #[track_caller]
    pub(crate) fn start(desktop: &Desktop, config: &str) -> Self {
        let mut pushbell = Self::prepare(desktop, config);
        pushbell.run();
        pushbell
    }

    /// Creates the home directory, without starting the app.
    #[track_caller]
    pub(crate) fn prepare(desktop: &Desktop, config: &str) -> Self {
        let directory = TempDir::new();
        let path = |name: &str| directory.path().join(name).display().to_string();
        for name in ["home/.config", "home/.local/share", "home/.cache", "bin", "logs"] {
            fs::create_dir_all(path(name)).expect("the temporary directory is writable");
        }
        // Everyone who has used PulseAudio has a cookie; without one the server rejects the app's own client.
        fs::create_dir_all(path("home/.config/pulse")).expect("the temporary directory is writable");
        fs::write(path("home/.config/pulse/cookie"), [7; 256]).expect("the temporary directory is writable");
        let mut env = desktop.env().to_vec();
        // The cookie has to be found in the home directory.
        env.retain(|(key, _)| key != "PULSE_COOKIE");
        let mut set = |key: &str, value: String| {
            env.retain(|(other, _)| other != key);
            env.push((key.to_owned(), value));
        };
        set("HOME", path("home"));
        set("XDG_CONFIG_HOME", path("home/.config"));
        set("XDG_DATA_HOME", path("home/.local/share"));
        set("XDG_CACHE_HOME", path("home/.cache"));
        set("PATH", format!("{}:{}", path("bin"), super::process::PATH));
        set("RUST_BACKTRACE", "1".to_owned());
        // Opened URLs are recorded instead.
        let open = format!("printf '%s\\t%s\\n' \"$*\" \"$XDG_ACTIVATION_TOKEN\" >>'{}'", path("opened"));
        let handler = format!("case $* in *x-scheme-handler/matrix) cat '{}' 2>/dev/null;; esac", path("handler"));
        for (name, script) in [("xdg-open", open), ("xdg-mime", handler)] {
            let program = directory.path().join("bin").join(name);
            fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("the temporary directory is writable");
            executable(&program);
        }
        let pushbell = Self { app: None, port: http::free_port(), env, directory, starts: 0 };
        pushbell.configure(config);
        pushbell
    }

    /// Runs the app and waits until it answers.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        self.launch(&["run"]);
        self.wait_until_ready();
    }

    /// Waits until the app reports that it can accept pushes.
    #[track_caller]
    pub(crate) fn wait_until_ready(&mut self) {
        wait_until("the app answers that it can take pushes", SOON, || {
            if let Some(status) = self.app().try_wait() {
                panic!("the app has ended: {status}\n{}", self.log());
            }
            self.is_healthy()
        });
    }

    /// Whether the app reports that it can accept pushes now.
    pub(crate) fn is_healthy(&self) -> bool {
        self.health().is_ok_and(|answer| answer.status == 200)
    }

    /// Its health report, if it answers.
    pub(crate) fn health(&self) -> Result<http::Answer, String> {
        http::request(self.port, &Method::GET, "/health", None, "")
    }

    /// Runs the app, without waiting for anything.
    pub(crate) fn launch(&mut self, arguments: &[&str]) {
        self.launch_under(&[], arguments);
    }

    /// Runs the app through another program, such as a tracer; waiting for the app then waits for that program.
    pub(crate) fn launch_under(&mut self, wrapper: &[&str], arguments: &[&str]) {
        self.starts += 1;
        let command = wrapped(wrapper, arguments);
        self.app = Some(Part::start("pushbell", command, &self.env, &self.directory.path().join("logs")));
    }

    /// The same with this umask.
    pub(crate) fn launch_under_umask(&mut self, umask: &str, arguments: &[&str]) {
        self.starts += 1;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\""), PROGRAM]).args(arguments);
        self.app = Some(Part::start("pushbell", command, &self.env, &self.directory.path().join("logs")));
    }

    /// Writes the complete configuration file, which a running app reloads.
    pub(crate) fn configure(&self, config: &str) {
        let mut table: toml::Table = config.parse().expect("the test's configuration is TOML");
        let server = table.entry("server").or_insert_with(|| toml::Table::new().into());
        let server = server.as_table_mut().expect("[server] is a table");
        server.entry("listen").or_insert_with(|| vec![format!("127.0.0.1:{}", self.port)].into());
        self.write_config(&table.to_string());
    }

    /// Writes the configuration file verbatim, replacing it by a new file as editors do.
    pub(crate) fn write_config(&self, text: &str) {
        let path = self.config_file();
        let new = path.with_extension("toml.new");
        fs::create_dir_all(path.parent().expect("a directory")).expect("the home is writable");
        fs::write(&new, text).expect("the home is writable");
        fs::rename(&new, &path).expect("the home is writable");
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.home().join(".config").join(app_info::DIRECTORY_NAME).join("pushbell.toml")
    }

    pub(crate) fn data_directory(&self) -> PathBuf {
        self.home().join(".local/share").join(app_info::DIRECTORY_NAME)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.data_directory().join("pushbell.db")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Sets an environment variable for later starts.
    pub(crate) fn set_env(&mut self, key: &str, value: &str) {
        self.env.retain(|(other, _)| other != key);
        self.env.push((key.to_owned(), value.to_owned()));
    }

    /// Removes an environment variable for later starts.
    pub(crate) fn unset_env(&mut self, key: &str) {
        self.env.retain(|(other, _)| other != key);
    }

    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// The URLs opened with `xdg-open`, each with its activation token (empty if none).
    pub(crate) fn opened(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.directory.path().join("opened")).unwrap_or_default();
        text.lines().filter_map(|line| line.split_once('\t')).map(|(what, token)| (what.into(), token.into())).collect()
    }

    /// From now on some program handles `matrix:` links; by default none does.
    pub(crate) fn handle_matrix_links(&self) {
        fs::write(self.directory.path().join("handler"), "client.desktop\n")
            .expect("the temporary directory is writable");
    }

    // Life cycle

    /// The app's process.
    #[track_caller]
    pub(crate) fn app(&mut self) -> &mut Part {
        self.app.as_mut().expect("the app was started")
    }

    /// The number of its established TCP connections to this port on any host.
    #[track_caller]
    pub(crate) fn connections_to(&mut self, port: u16) -> usize {
        const ESTABLISHED: &str = "01";
        let process = format!("/proc/{}", self.app().pid());
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("the app runs").flatten();
        let own: Vec<_> = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        let table = fs::read_to_string(format!("{process}/net/tcp")).expect("the app runs");
        let is_such = |line: &&str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, _, there, ESTABLISHED, _, _, _, _, _, inode, ..] = fields[..] else { return false };
            there.ends_with(&format!(":{port:04X}")) && own.contains(&PathBuf::from(format!("socket:[{inode}]")))
        };
        table.lines().filter(is_such).count()
    }

    /// Kills it with SIGKILL, as by a crash or a power cut.
    pub(crate) fn kill9(&mut self) {
        self.app().kill();
        self.app = None;
    }

    /// Returns a function that kills it with SIGKILL, for use on another thread.
    #[track_caller]
    pub(crate) fn killer(&mut self) -> impl FnOnce() + Send + 'static {
        let group = Pid::from_raw(self.app().pid().cast_signed()).expect("it is no group of all");
        // It may have ended.
        move || kill_process_group(group, Signal::KILL).unwrap_or_default()
    }

    /// Ends it with SIGTERM, as at the end of a session; returns the exit code.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.app().signal(Signal::TERM);
        let status = self.app().wait(SOON);
        self.app = None;
        status.code()
    }

    /// Ends it with SIGTERM and runs it again.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.terminate();
        self.run();
    }

    /// The app's output since the home directory was created.
    pub(crate) fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.directory.path().join("logs").join(name)).unwrap_or_default();
        read("pushbell.out") + read("pushbell.err").as_str()
    }

    // Commands

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.command_under(&[], arguments)
    }

    /// Runs a command to its end through another program.
    #[track_caller]
    pub(crate) fn command_under(&self, wrapper: &[&str], arguments: &[&str]) -> Output {
        let mut command = wrapped(wrapper, arguments);
        command.env_clear().envs(self.env.iter().map(|(key, value)| (key, value)));
        let output = command.stdin(std::process::Stdio::null()).output().expect("the program was built");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a command that must succeed; returns its output.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert!(output.code == 0, "pushbell {arguments:?}: {output:#?}");
        output.stdout
    }

    /// `pushbell status --json`
    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let text = self.ok(&["status", "--json"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("status is no JSON: {error}: {text}"))
    }

    /// Waits until the status satisfies the condition.
    #[track_caller]
    pub(crate) fn wait_for_status(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SOON, || Some(self.status()).filter(&fits))
    }

    /// `pushbell history --json`, newest first.
    #[track_caller]
    pub(crate) fn history(&self) -> Vec<Value> {
        self.read_history(&["history", "--json"])
    }

    /// The same, limited to this number of entries.
    #[track_caller]
    pub(crate) fn history_of(&self, limit: usize) -> Vec<Value> {
        self.read_history(&["history", "--json", "--limit", &limit.to_string()])
    }

    #[track_caller]
    fn read_history(&self, arguments: &[&str]) -> Vec<Value> {
        let text = self.ok(arguments);
        text.lines().map(|line| serde_json::from_str(line).expect("each line of history is JSON")).collect()
    }

    /// The first account, as `pushbell account show` prints it.
    #[track_caller]
    pub(crate) fn account(&self) -> Account {
        let name = self.status()["accounts"][0]["name"].as_str().expect("there is an account").to_owned();
        self.account_named(&name)
    }

    /// An account, as `pushbell account show NAME` prints it: taken from the ready-to-paste request in its output.
    #[track_caller]
    pub(crate) fn account_named(&self, name: &str) -> Account {
        let text = self.ok(&["account", "show", name]);
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("\"{key}\"")).unwrap_or_else(|| panic!("no {key:?} in: {text}"));
            rest.split('"').nth(1).unwrap_or_else(|| panic!("no {key:?} in: {text}")).to_owned()
        };
        Account { name: name.to_owned(), app_id: value("app_id"), pushkey: value("pushkey") }
    }

    // Pushes

    /// The pusher URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{PATH}", self.port)
    }

    /// Posts a body verbatim.
    #[track_caller]
    pub(crate) fn push(&self, body: &Value) -> (u16, Value) {
        let answer = self.post(body.to_string());
        (answer.status, answer.json())
    }

    /// Posts any text.
    #[track_caller]
    pub(crate) fn post(&self, body: impl Into<hyper::body::Bytes>) -> http::Answer {
        http::request(self.port, &Method::POST, PATH, None, body).unwrap_or_else(|error| panic!("push: {error}"))
    }

    /// Posts a notification to this account and checks that it was accepted. Its `devices` get the account's pushkey;
    /// one is added if there is none.
    #[track_caller]
    pub(crate) fn notify(&self, account: &Account, notification: Value) {
        let answer = self.push(&address(account, notification));
        assert_eq!(answer, (200, json!({"rejected": []})));
    }
}

fn wrapped(wrapper: &[&str], arguments: &[&str]) -> Command {
    let mut all = wrapper.iter().copied().chain([PROGRAM]).chain(arguments.iter().copied());
    let mut command = Command::new(all.next().unwrap_or(PROGRAM));
    command.args(all);
    command
}

/// The body of a push with this notification, whose devices get the account's pushkey.
pub(crate) fn address(account: &Account, mut notification: Value) -> Value {
    if notification["devices"].as_array().is_none_or(Vec::is_empty) {
        notification["devices"] = json!([{}]);
    }
    for device in notification["devices"].as_array_mut().expect("it is an array") {
        device["app_id"] = account.app_id.clone().into();
        device["pushkey"] = account.pushkey.clone().into();
    }
    json!({ "notification": notification })
}

/// A text message in a room, as Synapse would send it.
pub(crate) fn message(event: &str, room: &str, body: &str) -> Value {
    json!({
        "event_id": format!("${event}"), "id": format!("${event}"), "room_id": format!("!{room}"), "room_name": room,
        "type": "m.room.message", "sender": "@bob:hs.test", "sender_display_name": "Bob", "prio": "high",
        "content": {"msgtype": "m.text", "body": body}, "counts": {"unread": 1},
    })
}

pub(crate) fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}
