//! The servers that are measured, each a process of its own.

use std::{fs, net::TcpStream, path::Path, process::Command, thread, time::Duration};

use hyper::Method;

use crate::rig::{
    Desktop, Pushbell, SOON, http,
    process::{Part, TempDir},
    wait_until,
};

/// No bus is there.
const NO_BUS: &str = "unix:path=/nonexistent";

/// A server that takes pushes.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) pid: u32,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
    running: Running,
}

enum Running {
    Pushbell(Box<Pushbell>),
    Other { _process: Part, _directory: TempDir },
}

impl Server {
    /// Pushbell on this desktop, with popups, tray and sound.
    pub(crate) fn on_desktop(desktop: &Desktop) -> Self {
        Self::run(prepare(desktop), &["run"])
    }

    /// Pushbell without a bus: what the endpoint alone costs.
    pub(crate) fn alone(desktop: &Desktop) -> Self {
        let mut pushbell = prepare(desktop);
        pushbell.set_env("DBUS_SESSION_BUS_ADDRESS", NO_BUS);
        pushbell.set_env("DBUS_SYSTEM_BUS_ADDRESS", NO_BUS);
        Self::run(pushbell, &["run", "--no-tray"])
    }

    fn run(mut pushbell: Pushbell, arguments: &[&str]) -> Self {
        pushbell.launch(arguments);
        wait_until("Pushbell answers", SOON, || is_healthy(pushbell.port));
        let account = pushbell.account();
        Self {
            port: pushbell.port,
            pid: pushbell.app().pid(),
            app_id: account.app_id,
            pushkey: account.pushkey,
            running: Running::Pushbell(Box::new(pushbell)),
        }
    }

    /// The bare server that stores pushes.
    pub(crate) fn limit() -> Self {
        let directory = TempDir::new();
        let database = directory.path().join("limit.db").display().to_string();
        Self::other("limit", &database, directory)
    }

    /// The bare server that turns pushes into popups.
    pub(crate) fn floor(desktop: &Desktop) -> Self {
        Self::other("floor", &desktop.bus_address(), TempDir::new())
    }

    fn other(name: &str, argument: &str, directory: TempDir) -> Self {
        let port = http::free_port();
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args([name, &port.to_string(), argument]);
        let process = Part::start(name, command, &[], directory.path());
        wait_until("the server listens", SOON, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            port,
            pid: process.pid(),
            app_id: "org.pushbell.Pushbell".to_owned(),
            pushkey: "a-pushkey-as-long-as-ours-0123456789-0123456".to_owned(),
            running: Running::Other { _process: process, _directory: directory },
        }
    }

    /// Pushbell itself, if that is what it is.
    pub(crate) fn pushbell(&mut self) -> &mut Pushbell {
        match &mut self.running {
            Running::Pushbell(pushbell) => pushbell,
            Running::Other { .. } => panic!("this is not Pushbell"),
        }
    }
}

/// A home for Pushbell, and a runtime directory too: so that two can run on one desktop.
pub(crate) fn prepare(desktop: &Desktop) -> Pushbell {
    let mut pushbell = Pushbell::prepare(desktop, "");
    let run = pushbell.home().join("run");
    make_private(&run);
    pushbell.set_env("XDG_RUNTIME_DIR", &run.display().to_string());
    pushbell
}

fn make_private(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(directory).expect("the home is writable");
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

pub(crate) fn is_healthy(port: u16) -> bool {
    http::request(port, &Method::GET, "/health", None, "").is_ok_and(|answer| answer.status == 200)
}

/// Waits until the process has used next to no CPU for a second.
pub(crate) fn settle(pid: u32) {
    wait_until("it has nothing more to do", Duration::from_secs(120), || {
        let before = crate::process::cpu(pid);
        thread::sleep(Duration::from_secs(1));
        crate::process::cpu(pid).saturating_sub(before) < Duration::from_millis(1)
    });
}
