//! A private bus, an X server and programs on them, which end with the test.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use pushbell::{
    controller::screen::{About, Screen, ScreenEvent},
    desktop::{DesktopEvent, OpenTarget, PopupEvent, ServiceState},
    notice::{NoticeId, RoomKey},
    platform::{BusAddress, Buses, session::Session},
    present::popup::{Action, Popup, PopupKey},
};
use tempfile::TempDir;
use tokio::{
    sync::mpsc::{self, UnboundedReceiver},
    time::timeout,
};
use zbus::{connection, object_server::Interface};

const PATIENCE: Duration = Duration::from_secs(20);

/// A program, killed when dropped.
pub(crate) struct Program(Child);

impl Program {
    /// Starts a program and reads the first line of its output.
    pub(crate) fn that_prints(mut command: Command) -> (Self, String) {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("started");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("a line");
        (Self(child), line.trim().to_owned())
    }

    pub(crate) fn quiet(mut command: Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"))
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.0.id().to_string()]).status().expect("kill");
        assert!(status.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
    }
}

/// A bus in a directory of its own.
pub(crate) struct TestBus {
    directory: TempDir,
    daemon: Option<Program>,
    display: Option<(Program, String)>,
}

impl TestBus {
    pub(crate) fn start() -> Self {
        let mut bus = Self::absent();
        bus.come();
        bus
    }

    /// The directory of a bus that is not running yet.
    pub(crate) fn absent() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir(directory.path().join("services")).expect("a directory");
        Self { directory, daemon: None, display: None }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn socket(&self) -> PathBuf {
        self.path().join("run/bus")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.socket().display())
    }

    pub(crate) fn come(&mut self) {
        fs::create_dir_all(self.path().join("run")).expect("a directory");
        let configuration = self.path().join("bus.conf");
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
            "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig><type>session</type><keep_umask/><listen>{}</listen><auth>EXTERNAL</auth>
            <servicedir>{}/services</servicedir>
            <policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
            <allow own="*"/></policy></busconfig>"#,
            self.address(),
            self.path().display()
        );
        fs::write(&configuration, text).expect("written");
        let mut command = self.command("dbus-daemon");
        command.arg("--config-file").arg(configuration).args([
            "--nofork",
            "--nopidfile",
            "--nosyslog",
            "--print-address",
        ]);
        let (daemon, address) = Program::that_prints(command);
        assert!(!address.is_empty(), "the bus started");
        self.daemon = Some(daemon);
    }

    pub(crate) fn go(&mut self) {
        self.daemon = None;
    }

    /// Adds an X server for the programs started from now on.
    pub(crate) fn with_display(mut self) -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]);
        let (server, number) = Program::that_prints(command);
        assert!(!number.is_empty(), "the X server started");
        self.display = Some((server, format!(":{number}")));
        self
    }

    /// A program with an environment of its own.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("HOME", self.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", self.address()).env("XDG_RUNTIME_DIR", self.path().join("run"));
        command.env("GSETTINGS_BACKEND", "memory").env("NO_AT_BRIDGE", "1").env("XDG_CONFIG_HOME", self.path());
        if let Some((_, display)) = &self.display {
            command.env("DISPLAY", display);
        }
        command
    }

    pub(crate) async fn connect(&self) -> zbus::Connection {
        connection::Builder::address(&*self.address()).expect("an address").build().await.expect("a connection")
    }

    /// A connection that serves an object from the start: calls that arrive before an object is added later may be
    /// lost.
    pub(crate) async fn connect_serving(&self, path: &str, object: impl Interface) -> zbus::Connection {
        let address = self.address();
        let builder = connection::Builder::address(&*address).expect("an address");
        builder.serve_at(path, object).expect("a path").build().await.expect("a connection")
    }

    /// A desktop session on this bus, without a system bus.
    pub(crate) fn desktop(&self) -> Desktop {
        self.desktop_with_system(Err("none".into()))
    }

    pub(crate) fn desktop_with_system(&self, system: Result<BusAddress, String>) -> Desktop {
        let (sender, events) = mpsc::unbounded_channel();
        let buses = Buses { session: BusAddress::parse(&self.address()), system };
        let session = Session::on(buses, "test-icon".into(), true, &sender);
        Desktop { session, screen: Screen::default(), events, said: VecDeque::new() }
    }
}

/// An event about popups.
#[derive(Debug, PartialEq)]
pub(crate) enum PopupReport {
    Service(ServiceState),
    Screen(ScreenEvent),
}

/// The session under test, the owner of its popups, and their events.
pub(crate) struct Desktop {
    pub(crate) session: Session,
    pub(crate) screen: Screen,
    events: UnboundedReceiver<DesktopEvent>,
    said: VecDeque<PopupReport>,
}

impl Desktop {
    /// The first event that `pick` accepts. Events about popups are recorded on the way.
    pub(crate) async fn find<T>(&mut self, mut pick: impl FnMut(DesktopEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.expect("an event");
                if let DesktopEvent::Popup(event) = event {
                    self.take_in(event);
                } else if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("an event in time")
    }

    /// The next event about popups.
    pub(crate) async fn next(&mut self) -> PopupReport {
        let said = async {
            loop {
                self.make_calls();
                if let Some(said) = self.said.pop_front() {
                    return said;
                }
                if let DesktopEvent::Popup(event) = self.events.recv().await.expect("an event") {
                    self.take_in(event);
                }
            }
        };
        timeout(PATIENCE, said).await.expect("an event in time")
    }

    fn take_in(&mut self, event: PopupEvent) {
        if let PopupEvent::Service { state, .. } = &event {
            self.said.push_back(PopupReport::Service(state.clone()));
        }
        self.said.extend(self.screen.handle(event).into_iter().map(PopupReport::Screen));
        self.make_calls();
    }

    fn make_calls(&mut self) {
        if let Some(call) = self.screen.next_call() {
            self.session.popup(call);
        }
    }

    /// The reason in the next event about the service.
    pub(crate) async fn service(&mut self, available: bool) -> String {
        loop {
            if let PopupReport::Service(state) = self.next().await
                && state.available == available
            {
                return state.reason.unwrap_or_default();
            }
        }
    }

    /// Shows a popup of this room.
    pub(crate) fn show(&mut self, room: &str, text: &str) {
        self.show_popup(room, popup(room, text));
    }

    pub(crate) fn show_popup(&mut self, room: &str, popup: Popup) {
        self.screen.show(popup, about(room));
        self.make_calls();
    }

    pub(crate) fn withdraw(&mut self, room: &str) {
        self.screen.withdraw(&key(room));
        self.make_calls();
    }

    /// Expects that the next event reports the popup of this room as shown.
    pub(crate) async fn shown(&mut self, room: &str) {
        let said = self.next().await;
        assert!(
            matches!(&said, PopupReport::Screen(ScreenEvent::Shown(told)) if told.about == about(room)),
            "{said:?}"
        );
    }

    /// Expects that the next event reports the popup of this room as not shown.
    pub(crate) async fn not_shown(&mut self, room: &str) {
        let said = self.next().await;
        assert!(matches!(&said, PopupReport::Screen(ScreenEvent::NotShown(of, _)) if *of == about(room)), "{said:?}");
    }

    /// Waits until nothing is in flight or queued.
    pub(crate) async fn settle(&mut self) {
        while self.screen.is_busy() {
            if let DesktopEvent::Popup(event) = self.events.recv().await.expect("an event") {
                self.take_in(event);
            }
        }
    }
}

/// The content of a test's popup for this room.
pub(crate) fn about(room: &str) -> About {
    let target = OpenTarget::Room { room_id: room.into(), event_id: None, user: None };
    let room = RoomKey::with_id("a", room);
    About::Room { room, up_to: NoticeId(1), target, show_text: true }
}

pub(crate) fn activated(room: &str, token: Option<&str>) -> PopupReport {
    let (about, token) = (about(room), token.map(str::to_owned));
    PopupReport::Screen(ScreenEvent::Activated { about, action: Action::Open, text: None, token })
}

pub(crate) fn dismissed(room: &str) -> PopupReport {
    PopupReport::Screen(ScreenEvent::Dismissed(about(room)))
}

pub(crate) fn key(room: &str) -> PopupKey {
    PopupKey::Room(RoomKey::with_id("a", room))
}

pub(crate) fn popup(room: &str, text: &str) -> Popup {
    Popup::new(key(room), "Major Tom in <Mission> & Control", text)
}

/// Polls until the condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let met = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, met).await.expect("in time");
}
