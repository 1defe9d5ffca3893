//! A desktop with wine, and the program in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hyper::Method;
use pushbell::app_info;
use serde_json::{Value, json};

use crate::rig::{
    Desktop, DesktopOptions, SOON, Sound, http,
    process::{Part, TempDir},
    pushbell::{Account, Output, PATH, address},
    wait_for, wait_until,
};

pub(crate) const WM_COMMAND: u32 = 0x111;
pub(crate) const WM_POWERBROADCAST: u32 = 0x218;
pub(crate) const PBT_APMRESUMEAUTOMATIC: u32 = 18;

/// There is one wine prefix, so one test at a time.
static HOME: Mutex<()> = Mutex::new(());

/// An invisible window, by its class.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HiddenWindow {
    Tray,
    SystemEvents,
}

pub(crate) struct Wine {
    app: Option<Part>,
    port: u16,
    env: Vec<(String, String)>,
    program: PathBuf,
    message: PathBuf,
    home: PathBuf,
    starts: u32,
    pub(crate) desktop: Desktop,
    directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Wine {
    /// A desktop on which the program has never run, with this configuration (`server.listen` is a free port).
    pub(crate) fn start(config: &str) -> Self {
        let turn = HOME.lock().unwrap_or_else(PoisonError::into_inner);
        let path = |name: &str| {
            let path = env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run `make windows`"));
            PathBuf::from(path)
        };
        let home = path("WINEPREFIX");
        let desktop = Desktop::start(DesktopOptions { sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let directory = TempDir::new();
        let port = http::free_port();
        let config_file = directory.path().join("pushbell.toml");
        fs::write(&config_file, format!("server.listen = [\"127.0.0.1:{port}\"]\n{config}"))
            .expect("the temporary directory is writable");
        let mut env = desktop.env().to_vec();
        for (key, value) in [
            ("WINEPREFIX", home.display().to_string()),
            ("WINEARCH", "win64".to_owned()),
            ("WINEDEBUG", "err+all,fixme-all".to_owned()),
            ("WINEDLLOVERRIDES", "mscoree=;mshtml=".to_owned()),
            ("PUSHBELL_CONFIG", format!("Z:{}", config_file.display()).replace('/', "\\")),
            ("RUST_BACKTRACE", "1".to_owned()),
        ] {
            env.push((key.to_owned(), value));
        }
        let wine = Self {
            app: None,
            port,
            env,
            program: path("PUSHBELL_WINDOWS_EXE"),
            message: path("PUSHBELL_MESSAGE_EXE"),
            home,
            starts: 0,
            desktop,
            directory,
            _turn: turn,
        };
        // A running wineserver uses another screen.
        wine.end_wine();
        for place in [wine.roaming(), wine.local()] {
            let _ = fs::remove_dir_all(place.join(app_info::DIRECTORY_NAME));
            let _ = fs::remove_file(place.join("Microsoft/Windows/Start Menu/Programs/Pushbell (development).lnk"));
        }
        wine
    }

    fn end_wine(&self) {
        for argument in ["--kill", "--wait"] {
            let mut command = Command::new("wineserver");
            command.arg(argument).env_clear().envs(self.env.iter().map(|(key, value)| (key, value)));
            // There may be none running.
            let _ = command.stderr(Stdio::null()).status();
        }
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The program's path in Windows notation.
    pub(crate) fn windows_program_path(&self) -> String {
        format!("Z:{}", self.program.display()).replace('/', "\\")
    }

    /// The path for a file that a test leaves behind for inspection.
    pub(crate) fn artifact_path(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }

    /// `C:`
    pub(crate) fn drive_c(&self) -> PathBuf {
        self.home.join("drive_c")
    }

    fn user_directory(&self) -> PathBuf {
        let people = fs::read_dir(self.drive_c().join("users")).expect("wine has made its home");
        let own = |path: &PathBuf| !path.ends_with("Public");
        people.flatten().map(|user_directory| user_directory.path()).find(own).expect("somebody uses it")
    }

    /// The roaming application data directory.
    fn roaming(&self) -> PathBuf {
        self.user_directory().join("AppData/Roaming")
    }

    fn local(&self) -> PathBuf {
        self.user_directory().join("AppData/Local")
    }

    // Life cycle

    /// Runs the program and waits until it answers.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        self.starts += 1;
        let mut command = Command::new("wine");
        command.arg(&self.program).args(["run", "--log-level", "debug"]);
        self.app = Some(Part::start(&format!("run-{}", self.starts), command, &self.env, self.directory.path()));
        wait_until("the program answers that it can take pushes", SOON * 2, || {
            let app = self.app.as_mut().expect("it was started");
            if let Some(status) = app.try_wait() {
                panic!("the program has ended: {status}\n{}", app.output());
            }
            http::request(self.port, &Method::GET, "/health", None, "").is_ok_and(|answer| answer.status == 200)
        });
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.app.as_mut().is_none_or(|app| app.try_wait().is_some())
    }

    /// Waits for its end, which must be successful.
    #[track_caller]
    pub(crate) fn ends_successfully(&mut self) {
        let mut app = self.app.take().expect("it was started");
        let status = app.wait(SOON);
        let log = app.output();
        assert!(status.success() && log.contains("ended"), "{status}\n{log}");
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    }

    /// Asks its windows to close.
    #[track_caller]
    pub(crate) fn quit(&mut self) {
        self.wine(&["taskkill", "/IM", "pushbell.exe"]);
        self.ends_successfully();
    }

    /// Posts a message to a window of the program.
    #[track_caller]
    pub(crate) fn post(&self, window: HiddenWindow, message: u32, detail: u32) {
        let class = match window {
            HiddenWindow::Tray => "tray_icon_app".to_owned(),
            HiddenWindow::SystemEvents => format!("{}.SystemEvents", app_info::APP_ID),
        };
        let program = self.message.display().to_string();
        self.wine(&[&program, &class, &message.to_string(), &detail.to_string(), "0"]);
    }

    // Other programs

    /// Runs a Windows program to its end; returns its output.
    #[track_caller]
    pub(crate) fn wine(&self, arguments: &[&str]) -> String {
        self.output(arguments).stdout
    }

    /// Runs a command of ours.
    #[track_caller]
    pub(crate) fn command(&self, arguments: &[&str]) -> CommandOutput {
        let program = self.program.display().to_string();
        CommandOutput(self.output(&[&[program.as_str()], arguments].concat()))
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.args(["120", "wine"]).args(arguments);
        command.env_clear().envs(self.env.iter().map(|(key, value)| (key, value)));
        let output = command.stdin(Stdio::null()).output().expect("timeout starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\r', "");
        Output { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a command on a terminal, which wine presents as a console; returns its final output.
    #[track_caller]
    pub(crate) fn on_a_terminal(&self, command: &str) -> String {
        let mut script = Command::new("timeout");
        script.args(["120", "script", "--quiet", "--return", "--command", command, "/dev/null"]);
        script.env_clear().envs(self.env.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
        let output = script.output().expect("timeout starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    pub(crate) fn status(&self) -> Value {
        let text = self.command(&["status", "--json"]).ended(0).stdout;
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
        let text = self.command(&["history", "--json"]).ended(0).stdout;
        text.lines().map(|line| serde_json::from_str(line).expect("each line of history is JSON")).collect()
    }

    /// The account that the first start created.
    #[track_caller]
    pub(crate) fn account(&self) -> Account {
        let name = self.status()["accounts"][0]["name"].as_str().expect("there is an account").to_owned();
        let text = self.command(&["account", "show", &name]).ended(0).stdout;
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("\"{key}\"")).unwrap_or_else(|| panic!("no {key:?} in: {text}"));
            rest.split('"').nth(1).unwrap_or_else(|| panic!("no {key:?} in: {text}")).to_owned()
        };
        Account { name, app_id: value("app_id"), pushkey: value("pushkey") }
    }

    /// Posts a body verbatim.
    #[track_caller]
    pub(crate) fn push(&self, body: &Value) -> (u16, Value) {
        let answer = http::request(self.port, &Method::POST, PATH, None, body.to_string());
        let answer = answer.unwrap_or_else(|error| panic!("push: {error}"));
        (answer.status, answer.json())
    }

    /// Posts a notification to this account, which must be accepted.
    #[track_caller]
    pub(crate) fn notify(&self, account: &Account, notification: Value) {
        assert_eq!(self.push(&address(account, notification)), (200, json!({"rejected": []})));
    }
}

impl Drop for Wine {
    fn drop(&mut self) {
        self.app = None;
        self.end_wine();
    }
}

/// A finished command.
pub(crate) struct CommandOutput(Output);

impl CommandOutput {
    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Output {
        assert_eq!(self.0.code, code, "{:#?}", self.0);
        self.0
    }
}
