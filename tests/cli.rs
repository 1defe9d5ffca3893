//! The commands of the real binary, each test with a home directory of its own.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use pushbell::{
    app_info,
    control::{self, AccountStatus, InboxStatus, Reply, Request, Section, Status, serve},
    desktop::ServiceState,
    platform::control_socket::ControlListener,
    push::notify::SAMPLE,
};
use serde_json::json;
use tempfile::TempDir;

/// An empty home directory with a runtime directory.
struct Home(TempDir);

/// The result of a command.
#[derive(Debug)]
struct CommandOutput {
    code: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("run")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.path(".local/share").join(app_info::DIRECTORY_NAME).join(name)
    }

    fn config(&self) -> PathBuf {
        self.path(".config").join(app_info::DIRECTORY_NAME).join("pushbell.toml")
    }

    fn control(&self) -> PathBuf {
        self.path("run").join(app_info::DIRECTORY_NAME).join("control.sock")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbell"));
        command.args(arguments).env_clear().env("HOME", self.0.path()).env("XDG_RUNTIME_DIR", self.path("run"));
        command.env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> CommandOutput {
        CommandOutput::of(self.command(arguments).output().unwrap(), self)
    }
}

impl CommandOutput {
    /// The output, with the home directory replaced by "~" and the program's path by "pushbell".
    fn of(output: Output, home: &Home) -> Self {
        let home = home.0.path().to_str().unwrap();
        let program = env!("CARGO_BIN_EXE_pushbell");
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(home, "~").replace(program, "pushbell");
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn help_names_every_command_and_the_version_is_said() {
    let home = Home::new();
    let help = home.run(&["--help"]).ended(0).out;
    for command in [
        "run",
        "login",
        "logout",
        "account",
        "open",
        "test",
        "status",
        "doctor",
        "history",
        "clear",
        "pause",
        "resume",
        "check-config",
        "autostart",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        home.run(&[command, "--help"]).ended(0);
    }
    assert!(help.contains("\nExamples:\n  pushbell login @alice:example.org "), "{help}");
    for option in ["--config", "--log-level", "--version", "--help", "PUSHBELL_CONFIG"] {
        assert!(help.contains(option), "{option}: {help}");
    }
    let account = home.run(&["account", "--help"]).ended(0).out;
    for command in ["add", "list", "show", "remove"] {
        assert!(account.contains(&format!("\n  {command} ")), "{command}: {account}");
    }
    assert!(home.run(&["run", "--help"]).ended(0).out.contains("--no-tray"));
    assert_eq!(home.run(&["--version"]).ended(0).out, format!("pushbell {}\n", app_info::VERSION));
}

#[test]
fn wrong_usage_ends_with_2() {
    let home = Home::new();
    for arguments in [
        &["explode"][..],
        &["--log-level", "loud", "status"],
        &["account", "add"],
        &["account", "add", "home", "--counts", "some"],
        &["test", "--kind", "poem"],
        &["history", "--limit", "-1"],
        &["pause", "soon"],
        &["pause", "until", "25:00"],
        &["pause", "until", "08:00", "sharp"],
    ] {
        let ran = home.run(arguments).ended(2);
        assert!(!ran.err.is_empty() && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn what_is_wrong_is_said_in_one_way_whoever_finds_it() {
    let home = Home::new();
    for arguments in [
        &["explode"][..],
        &["pause", "soon"],
        &["login", "alice"],
        &["account", "add", "bad name"],
        &["account", "add"],
    ] {
        let ran = home.run(arguments).ended(2);
        assert!(ran.err.starts_with("pushbell: ") && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    }
    home.run(&["account", "add", "home"]).ended(0);
    assert!(home.run(&["account", "add", "home"]).ended(1).err.starts_with("pushbell: "));
}

#[test]
fn a_named_configuration_has_to_be_there() {
    let home = Home::new();
    for arguments in [&["status"][..], &["history"], &["account", "list"], &["clear"]] {
        let ran = home.run(&[&["--config", "/nonexistent"], arguments].concat()).ended(78);
        assert!(ran.err.starts_with("pushbell: /nonexistent: there is no such file"), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn commands_to_a_program_that_is_not_running_end_with_69() {
    let home = Home::new();
    let sentence = "Pushbell is not running. Start it with `pushbell`.\n";
    assert_eq!(home.run(&["status"]).ended(69).out, sentence);
    assert_eq!(home.run(&["status", "--json"]).ended(69).out, "{\"running\":false}\n");
    for arguments in
        [&["clear"][..], &["pause"], &["pause", "30m"], &["resume"], &["test"], &["test", "--kind", "call"], &["open"]]
    {
        assert_eq!(home.run(arguments).ended(69).err, format!("pushbell: {sentence}"));
    }
}

#[test]
fn check_config_says_where_the_fault_is() {
    let home = Home::new();
    let path = home.path("x.toml");
    let check = |text: &str, code, expected: &str| {
        fs::write(&path, text).unwrap();
        let ran = home.run(&["check-config", path.to_str().unwrap()]).ended(code);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), (expected, ""), "of {text:?}");
    };
    check("", 0, "~/x.toml is good\n");
    check(&pushbell::config::default_text(), 0, "~/x.toml is good\n");
    check(
        "[popup]\n\npreview = \"sometimes\"\n",
        78,
        "~/x.toml:3: popup.preview = \"sometimes\": expected \"always\", \"unlocked\" or \"never\"\n",
    );
    check(
        "[sound]\nvolumes = 1\nvolume = 2\n",
        78,
        "~/x.toml:2: sound.volumes: unknown key, the nearest known one is sound.volume\n\
         ~/x.toml:3: sound.volume = 2: expected a number from 0 to 1\n",
    );
    check("[popup\n", 78, "~/x.toml:1: unclosed table, expected `]`\n");
    fs::write(home.path("talk.m4a"), b"\0\0\0\x20ftypM4A ").unwrap();
    check(
        &format!("[sound.tweaks]\nbing = \"{}\"\n", home.path("talk.m4a").display()),
        78,
        "~/x.toml: sound.tweaks.\"bing\": ~/talk.m4a: it is no WAV, Ogg Vorbis, Ogg Opus, FLAC or MP3 file\n",
    );

    fs::remove_file(&path).unwrap();
    let missing = home.run(&["--config", path.to_str().unwrap(), "check-config"]).ended(78);
    assert_eq!(missing.out, "~/x.toml: there is no such file; `pushbell` writes one when it first starts\n");
}

#[test]
fn check_config_finds_the_file_by_option_environment_or_home() {
    let home = Home::new();
    assert!(home.run(&["check-config"]).ended(0).out.contains("is not there yet"));
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), "a = 1").unwrap();
    assert!(home.run(&["check-config"]).ended(78).out.contains("/.config/"));
    fs::write(home.path("good.toml"), "").unwrap();
    let named = home.command(&["check-config"]).env("PUSHBELL_CONFIG", home.path("good.toml")).output().unwrap();
    assert_eq!(CommandOutput::of(named, &home).ended(0).out, "~/good.toml is good\n");
}

#[test]
fn accounts_missing_beside_an_inbox_are_reported_as_lost() {
    let home = Home::new();
    fs::create_dir_all(home.data("")).unwrap();
    fs::write(home.data("pushbell.db"), "").unwrap();
    let lost = home.run(&["account", "list"]).ended(1);
    assert!(lost.out.is_empty() && lost.err.contains("bring it back from a backup"), "{lost:?}");
}

#[test]
fn an_account_is_made_listed_shown_and_removed_on_a_bare_home() {
    let home = Home::new();
    assert_eq!(
        home.run(&["account", "list"]).ended(0).out,
        "There are no accounts yet: `pushbell login @you:example.org` connects your homeserver.\n"
    );
    let made = home.run(&["account", "add", "home", "--pushkey", "it's", "--counts", "room"]).ended(0).out;
    let shown = home.run(&["account", "show", "home"]).ended(0).out;
    assert_eq!(made, format!("Made the account \"home\".\n\n{shown}"));
    let (app_id, port) = (app_info::APP_ID, app_info::DEFAULT_PORT);
    assert!(
        shown.starts_with(&format!(
            "URL      http://127.0.0.1:{port}/_matrix/push/v1/notify\napp_id   {app_id}\npushkey  it's\n"
        )),
        "{shown}"
    );
    assert!(shown.contains("\"pushkey\":\"it'\\''s\""), "{shown}");

    let list = home.run(&["account", "list"]).ended(0).out;
    let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["home", app_id, "room"]);

    let twice = home.run(&["account", "add", "home"]).ended(1);
    assert!(twice.out.is_empty() && twice.err.contains("\"home\""), "{twice:?}");
    assert!(home.run(&["account", "remove", "home"]).ended(0).out.contains("deletes the pusher"));
    for gone in ["show", "remove"] {
        assert!(home.run(&["account", gone, "home"]).ended(1).err.contains("\"home\""));
    }
}

#[test]
fn a_generated_pushkey_is_random_and_public_url_is_shown() {
    let home = Home::new();
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), "[server]\npublic_url = \"https://push.example.org/\"\n").unwrap();
    let pushkey = |name: &str| {
        let text = home.run(&["account", "add", name]).ended(0).out;
        assert!(text.contains("URL      https://push.example.org/_matrix/push/v1/notify\n"), "{text}");
        text.lines().find_map(|line| line.strip_prefix("pushkey  ")).unwrap().to_owned()
    };
    let (one, two) = (pushkey("one"), pushkey("two"));
    assert!(one.len() >= 43 && one != two, "{one} {two}");

    fs::write(home.config(), "[server]\npublic_url = 1\n").unwrap();
    home.run(&["account", "add", "three"]).ended(78);
    home.run(&["account", "show", "three"]).ended(1);
}

#[test]
fn an_app_id_has_64_characters_at_most_and_a_pushkey_512_bytes() {
    let home = Home::new();
    let add = |name: &str, option: &str, length: usize, code: i32| {
        let value = "x".repeat(length);
        home.run(&["account", "add", name, option, &value]).ended(code)
    };
    for (option, most) in [("--app-id", 64), ("--pushkey", 512)] {
        assert!(add("too-long", option, most + 1, 2).err.contains(&most.to_string()));
        assert!(add(&format!("as-long-as-may-be{option}"), option, most, 0).out.contains(&"x".repeat(most)));
    }
}

#[test]
fn what_is_made_is_private_whatever_the_umask() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_pushbell");
    let add = format!("umask 0; exec '{program}' account add home");
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &add]).env_clear().env("HOME", home.0.path()).env("XDG_RUNTIME_DIR", home.path("run"));
    CommandOutput::of(shell.output().unwrap(), &home).ended(0);
    assert_eq!(mode(&home.data("accounts.toml")), 0o600);
    assert_eq!(mode(&home.data("")), 0o700);
}

#[test]
fn a_home_that_is_missing_is_said() {
    let home = Home::new();
    let output = home.command(&["status"]).env("HOME", "/nonexistent/home").output().unwrap();
    CommandOutput::of(output, &home).ended(69);
    let add = home.command(&["account", "add", "a"]).env("HOME", "/dev/null").output().unwrap();
    assert!(CommandOutput::of(add, &home).ended(1).err.contains("/dev/null/.local"));
}

#[test]
fn history_of_a_bare_home_is_empty() {
    let home = Home::new();
    assert_eq!(home.run(&["history"]).ended(0).out, "Nothing has come yet.\n");
    assert_eq!(home.run(&["history", "--json", "--limit", "3"]).ended(0).out, "");
    assert_eq!(home.run(&["history", "--limit", "0"]).ended(0).out, "");
    assert!(!home.data("pushbell.db").exists());
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let home = Home::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = home.command(&["account", "list"]).stdout(writer).output().unwrap();
    assert_eq!(CommandOutput::of(output, &home).ended(0).err, "");
}

/// A mock of the running app: answers on the control socket and records the requests.
struct Running {
    asked: mpsc::Receiver<Request>,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn start(home: &Home, endpoint: SocketAddr) -> Self {
        let (note, asked) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let path = home.control();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = ControlListener::bind(&path).unwrap();
                ready.send(()).unwrap();
                let (commands, mut received) = tokio::sync::mpsc::channel::<control::Command>(1);
                let answering = async {
                    while let Some((request, answer)) = received.recv().await {
                        let reply = match request {
                            Request::Status => Reply::Status(Box::new(status(endpoint))),
                            Request::BeginSample => Reply::Sample { number: "17".to_owned() },
                            Request::Resume => Reply::Failed { reason: "not \u{1b}[1mnow".to_owned() },
                            Request::OpenPage { .. } => {
                                Reply::Page { address: "http://a.localhost:1/enter".to_owned() }
                            }
                            Request::Clear
                            | Request::ClearAccount { .. }
                            | Request::Pause { .. }
                            | Request::ReloadAccounts
                            | Request::ReloadAutostart
                            | Request::Reconnect
                            | Request::ReloadConfiguration
                            | Request::Unmute
                            | Request::OpenNotice { .. }
                            | Request::ReadNotice { .. }
                            | Request::ReplyToNotice { .. }
                            | Request::Play { .. }
                            | Request::EditConfiguration
                            | Request::WaitForPush { .. } => Reply::Done,
                        };
                        note.send(request).unwrap();
                        answer.send(reply).unwrap();
                    }
                };
                tokio::join!(serve(listener, commands, async { ended.await.unwrap() }), answering);
            });
        });
        is_ready.recv().unwrap();
        Self { asked, end: Some(end), thread: Some(thread) }
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.try_iter().collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn status(endpoint: SocketAddr) -> Status {
    let works = ServiceState { available: true, reason: None };
    Status {
        running: true,
        version: app_info::VERSION.to_owned(),
        pid: 1,
        since: "2026-11-22T10:00:00Z".parse().unwrap(),
        listen: vec![endpoint.to_string()],
        public_url: "https://push.example.org".to_owned(),
        tls: None,
        unread: 7,
        missed_calls: 0,
        paused_until: None,
        muted: false,
        muted_rooms: Vec::new(),
        inbox: InboxStatus { notices: 1, unshown: 0 },
        accounts: vec![AccountStatus {
            name: "home".to_owned(),
            app_id: app_info::APP_ID.to_owned(),
            unread: 4,
            missed_calls: 0,
            way: pushbell::accounts::Way::Push,
            last_push: None,
            encryption: control::EncryptionStatus::default(),
            sign_in: control::SignInStatus::default(),
        }],
        popup: works.clone(),
        tray: works.clone(),
        sound: works,
        no_tray: false,
        is_starting: false,
        problems: Vec::new(),
        warnings: Vec::new(),
    }
}

/// An endpoint that gives this answer to one request and returns the request's body.
fn endpoint(answer: &'static str) -> (SocketAddr, thread::JoinHandle<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let served = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).unwrap(), 0);
        }
        assert!(head.starts_with("POST /_matrix/push/v1/notify HTTP/1.1\r\n"), "{head}");
        let length: Option<usize> =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap()];
        stream.read_exact(&mut body).unwrap();
        let length = answer.len();
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}").unwrap();
        serde_json::from_slice(&body).unwrap()
    });
    (address, served)
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

#[test]
fn the_running_program_is_told_what_commands_say() {
    let home = Home::new();
    let running = Running::start(&home, nowhere());
    assert_eq!(home.run(&["clear"]).ended(0).out, "Everything is read.\n");
    assert_eq!(home.run(&["pause"]).ended(0).out, "Paused until `pushbell resume`.\n");
    let until = home.run(&["pause", "until", "08:00"]).ended(0).out;
    assert!(until.starts_with("Paused until 20") && until.ends_with(" 08:00.\n"), "{until}");
    home.run(&["pause", "30m"]).ended(0);
    assert_eq!(home.run(&["resume"]).ended(1).err, "pushbell: not now\n");
    match running.asked().as_slice() {
        [
            Request::Clear,
            Request::Pause { until: None },
            Request::Pause { until: Some(_) },
            Request::Pause { until: Some(_) },
            Request::Resume,
        ] => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_running_program_is_told_of_accounts_and_says_its_address() {
    let home = Home::new();
    let running = Running::start(&home, nowhere());
    let made = home.run(&["account", "add", "home"]).ended(0).out;
    assert!(made.contains("URL      https://push.example.org/_matrix/push/v1/notify\n"), "{made}");
    home.run(&["account", "remove", "home"]).ended(0);
    assert_eq!(running.asked(), [Request::Status, Request::ReloadAccounts, Request::ReloadAccounts]);
}

#[test]
fn status_is_said_to_people_and_to_scripts() {
    let home = Home::new();
    let _running = Running::start(&home, nowhere());
    let text = home.run(&["status"]).ended(0).out;
    assert!(text.contains("has been running since 2026-11-22 10:00 (process 1)."), "{text}");
    let line = home.run(&["status", "--json"]).ended(0).out;
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["running"], &value["unread"]), (&true.into(), &7.into()));
}

#[test]
fn where_there_is_no_browser_the_pages_address_is_said() {
    let home = Home::new();
    let running = Running::start(&home, nowhere());
    for (arguments, section) in [(&["open"][..], Section::Inbox), (&["open", "health"], Section::Health)] {
        let said = home.run(arguments).ended(0).out;
        assert!(said.ends_with("\n    http://a.localhost:1/enter\n"), "{said}");
        assert_eq!(running.asked(), [Request::OpenPage { section }]);
    }
    home.run(&["open", "nothing"]).ended(2);
}

#[test]
fn a_test_goes_through_the_real_endpoint_with_a_one_time_number() {
    let home = Home::new();
    home.run(&["account", "add", "home", "--pushkey", "key"]).ended(0);
    for (kind, event_type) in [
        ("message", Some("m.room.message")),
        ("mention", Some("m.room.message")),
        ("call", Some("m.call.invite")),
        ("invite", Some("m.room.member")),
        ("encrypted", Some("m.room.encrypted")),
        ("badge", None),
    ] {
        let (address, served) = endpoint("{\"rejected\":[]}");
        let _running = Running::start(&home, address);
        let said = home.run(&["test", "--kind", kind, "--account", "home"]).ended(0).out;
        assert!(said.contains(&format!("to the account \"home\" at http://{address}.")), "{said}");
        let push = served.join().unwrap();
        let push = &push["notification"];
        assert_eq!((&push["type"], &push["devices"][0]["data"][SAMPLE]), (&json!(event_type), &"17".into()), "{push}");
        assert_eq!(
            (&push["devices"][0]["pushkey"], &push["devices"][0]["app_id"]),
            (&"key".into(), &app_info::APP_ID.into())
        );
    }
}

#[test]
fn a_test_that_is_not_taken_has_failed() {
    let home = Home::new();
    let running = Running::start(&home, nowhere());
    assert!(home.run(&["test"]).ended(1).err.contains("there are no accounts"));
    home.run(&["account", "add", "home", "--pushkey", "key"]).ended(0);
    assert!(home.run(&["test", "--account", "work"]).ended(1).err.contains("\"work\""));
    assert!(home.run(&["test"]).ended(1).err.contains("127.0.0.1:9"));
    drop(running);

    let (address, served) = endpoint("{\"rejected\":[\"key\"]}");
    let _running = Running::start(&home, address);
    assert!(home.run(&["test"]).ended(1).err.contains("does not know the account \"home\""));
    served.join().unwrap();
}

#[test]
fn a_name_that_piles_up_is_listed_harmlessly() {
    let home = Home::new();
    let tower = "\u{363}".repeat(40);
    home.run(&["account", "add", &format!("a{tower}")]).ended(0);
    let listed = home.run(&["account", "list"]).ended(0).out;
    assert!(listed.contains("a\u{363}") && !listed.contains(&"\u{363}".repeat(5)), "{listed}");
}
