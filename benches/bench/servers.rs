//! The servers that are measured, each a process of its own, and what `/proc` says of them.

use std::{
    fs,
    net::TcpStream,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::rig::{
    Desktop, Pushbell, SOON, http,
    process::{Part, TempDir},
    pushbell::Account,
    wait_until,
};
#[cfg(feature = "encryption")]
use crate::rig::{Synapse, synapse::User};

/// The limit's account. A pushkey as long as ours.
pub(crate) const APP_ID: &str = "org.pushbell.Pushbell";
pub(crate) const PUSHKEY: &str = "0123456789012345678901234567890123456789012";

const NO_BUS: &str = "unix:path=/nonexistent";

/// A server that takes pushes.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
    pid: u32,
    running: Running,
}

enum Running {
    Pushbell(Box<Pushbell>),
    Limit { _process: Part, _directory: TempDir },
}

impl Server {
    /// Pushbell on this desktop, with popups, tray and sound.
    pub(crate) fn on_desktop(desktop: &Desktop) -> Self {
        Self::pushbell(prepare(desktop), &["run"])
    }

    /// Pushbell without a bus: the endpoint alone.
    pub(crate) fn alone(desktop: &Desktop) -> Self {
        let mut pushbell = prepare(desktop);
        pushbell.set_env("DBUS_SESSION_BUS_ADDRESS", NO_BUS);
        pushbell.set_env("DBUS_SYSTEM_BUS_ADDRESS", NO_BUS);
        Self::pushbell(pushbell, &["run", "--no-tray"])
    }

    /// Pushbell on this desktop, signed in as this user.
    #[cfg(feature = "encryption")]
    pub(crate) fn signed_in(desktop: &Desktop, synapse: &Synapse, user: &User) -> Self {
        Self::signed_in_at(desktop, synapse.port, user, (&["--push"], 3))
    }

    /// The same at this port, by this way, with which the login ends so.
    pub(crate) fn signed_in_at(desktop: &Desktop, port: u16, user: &User, (way, code): (&[&str], i32)) -> Self {
        let mut pushbell = prepare(desktop);
        start(&mut pushbell, &["run"]);
        let file = pushbell.home().join("password");
        fs::write(&file, "secret").expect("the home is writable");
        let (homeserver, file) = (format!("http://127.0.0.1:{port}"), file.display().to_string());
        let arguments = ["login", &user.id, "--homeserver", &homeserver, "--password-file", &file];
        // Whether a push arrives is looked at where it makes a difference.
        let wait: &[&str] = if code == 3 { &["--wait", "0"] } else { &[] };
        let login = pushbell.command(&[&arguments, way, wait].concat());
        assert!(login.code == code, "{login:#?}");
        let account = pushbell.account_named(&user.id);
        Self::of(pushbell, account)
    }

    fn pushbell(mut pushbell: Pushbell, arguments: &[&str]) -> Self {
        start(&mut pushbell, arguments);
        let account = pushbell.account();
        Self::of(pushbell, account)
    }

    fn of(mut pushbell: Pushbell, account: Account) -> Self {
        Self {
            port: pushbell.port,
            app_id: account.app_id,
            pushkey: account.pushkey,
            pid: pushbell.app().pid(),
            running: Running::Pushbell(Box::new(pushbell)),
        }
    }

    /// The bare server that stores pushes.
    pub(crate) fn limit() -> Self {
        let directory = TempDir::new();
        let port = http::free_port();
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(["limit", &port.to_string()]).arg(directory.path().join("limit.db"));
        let process = Part::start("limit", command, &[], directory.path());
        wait_until("the server listens", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            port,
            app_id: APP_ID.to_owned(),
            pushkey: PUSHKEY.to_owned(),
            pid: process.pid(),
            running: Running::Limit { _process: process, _directory: directory },
        }
    }

    /// Marks everything as read, and waits until the process has used next to no CPU for a second.
    pub(crate) fn rest(&self) {
        if let Running::Pushbell(pushbell) = &self.running {
            // A command gives up sooner than very much is read.
            wait_until("all is read", Duration::from_secs(120), || pushbell.command(&["clear"]).code == 0);
        }
        wait_until("it has nothing more to do", Duration::from_secs(120), || {
            let before = self.cpu();
            thread::sleep(Duration::from_secs(1));
            self.cpu().saturating_sub(before) < Duration::from_millis(1)
        });
    }

    fn tasks(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the process runs");
        tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// CPU time, user and system, of all threads that it has now.
    pub(crate) fn cpu(&self) -> Duration {
        let nanoseconds = self.tasks().into_iter().filter_map(|task| {
            let text = fs::read_to_string(format!("/proc/{}/task/{task}/schedstat", self.pid)).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// How often each of its threads has waited for something, and so was woken.
    pub(crate) fn waits(&self) -> Vec<(u32, String, u64)> {
        let waits = self.tasks().into_iter().filter_map(|task| {
            let text = fs::read_to_string(format!("/proc/{}/task/{task}/status", self.pid)).ok()?;
            let name = text.strip_prefix("Name:")?.lines().next()?.trim().to_owned();
            Some((task, name, field(&text, "voluntary_ctxt_switches:")))
        });
        waits.collect()
    }

    /// Memory that no other process has, in bytes: what it has changed, and unchanged pages of files.
    pub(crate) fn private_memory(&self) -> (u64, u64) {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid)).expect("the process runs");
        (field(&text, "Private_Dirty:") * 1024, field(&text, "Private_Clean:") * 1024)
    }
}

/// The number after this name, in a file of lines of names and numbers.
fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
        .unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// A home with a run-time directory of its own: so that several can run on one desktop.
pub(crate) fn prepare(desktop: &Desktop) -> Pushbell {
    use std::os::unix::fs::PermissionsExt;
    let mut pushbell = Pushbell::prepare(desktop, "");
    let run = pushbell.home().join("run");
    fs::create_dir_all(&run).expect("the home is writable");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("it is ours");
    pushbell.set_env("XDG_RUNTIME_DIR", &run.display().to_string());
    pushbell
}

/// Starts it; the time to the first 200 of `GET /health`.
pub(crate) fn start(pushbell: &mut Pushbell, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    pushbell.launch(arguments);
    while !pushbell.is_healthy() {
        assert!(begun.elapsed() < SOON, "it does not answer: {}", pushbell.log());
        thread::sleep(Duration::from_micros(250));
    }
    begun.elapsed()
}
