//! The tray icon on a real session bus of its own: what a tray host reads there, and what a missing, hanging or
//! restarted bus does. The icon runs in a child process, since the bus is found through the environment.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fmt::Debug,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use jiff::{Timestamp, tz::TimeZone};
use pushbell::{
    config::TrayStyle,
    desktop::tray_view::{Badge, MenuNotice, TrayState, TrayView},
    identity,
    notice::NoticeId,
    platform::main_loop,
};
use zbus::zvariant::{OwnedValue, Structure, Value};

const PATIENCE: Duration = Duration::from_secs(20);

/// In the environment of the child.
const CHILD: &str = "PUSHBELL_TRAY_CHILD";

/// Not a test: the program that the tests start, commanded by the lines of its input.
#[test]
#[ignore = "the other tests start it"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::DEBUG).init();
    let (remote, commands) = main_loop::channel();
    let (events, mut received) = tokio::sync::mpsc::unbounded_channel();
    thread::spawn(move || {
        while let Some(event) = received.blocking_recv() {
            println!("{event:?}");
        }
    });
    thread::spawn(move || {
        for line in std::io::stdin().lines() {
            match line.unwrap().as_str() {
                "recreate" => remote.recreate(),
                "quit" => break,
                unread => remote.set(view(unread.parse().unwrap())),
            }
        }
    });
    main_loop::run(commands, events);
    println!("ended");
}

fn view(unread: u64) -> TrayView {
    TrayView::new(&TrayState {
        badge: Badge { unread, missed_calls: 1 },
        paused_until: None,
        muted: false,
        newest: vec![MenuNotice { id: NoticeId(7), is_unread: false, line: "Salt & _Pepper_".to_owned() }],
        connected: true,
        style: TrayStyle::Color,
        dark_panel: None,
        autostart: None,
        now: Timestamp::UNIX_EPOCH,
        time_zone: TimeZone::UTC,
    })
}

struct Tray {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Tray {
    fn start(bus: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child", "--nocapture"])
            .env(CHILD, "")
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, output) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
        Self { input: child.stdin.take().unwrap(), child, output }
    }

    fn say(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    /// Waits until it has printed a line with this.
    fn prints(&self, expected: &str) {
        let end = Instant::now() + PATIENCE;
        while let Ok(line) = self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(expected) {
                return;
            }
        }
        panic!("it never printed {expected:?}");
    }

    /// The name of its `number`th item on the bus.
    fn item(&self, number: u32) -> String {
        format!("org.kde.StatusNotifierItem-{}-{number}", self.child.id())
    }
}

impl Drop for Tray {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Bus {
    daemon: Child,
    socket: PathBuf,
}

impl Bus {
    fn start(directory: &Path) -> Self {
        let socket = directory.join("bus");
        let _ = fs::remove_file(&socket);
        let daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--nosyslog", "--address"])
            .arg(format!("unix:path={}", socket.display()))
            .spawn()
            .unwrap();
        eventually("the bus listens", || socket.exists().then_some(()).ok_or("no socket"));
        Self { daemon, socket }
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.daemon.id().to_string()]).status().unwrap().success());
    }

    /// Calls a method as a tray host does.
    fn call<B>(&self, item: &str, at: (&str, &str, &str), body: &B) -> zbus::Result<zbus::Message>
    where
        B: serde::Serialize + zbus::zvariant::DynamicType,
    {
        let (path, interface, method) = at;
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let address = format!("unix:path={}", self.socket.display());
            let connection = zbus::connection::Builder::address(address.as_str())?.build().await?;
            connection.call_method(Some(item), path, Some(interface), method, body).await
        })
    }

    fn property(&self, item: &str, name: &str) -> zbus::Result<OwnedValue> {
        let get = ("/StatusNotifierItem", "org.freedesktop.DBus.Properties", "Get");
        self.call(item, get, &("org.kde.StatusNotifierItem", name))?.body().deserialize()
    }

    fn text(&self, item: &str, name: &str) -> Result<String, String> {
        let value = self.property(item, name).map_err(|error| error.to_string())?;
        String::try_from(value).map_err(|error| error.to_string())
    }

    /// Waits until the item has this title.
    fn shows(&self, item: &str, words: &str) {
        let title = format!("{}: {words}", identity::APP_NAME);
        eventually(&title, || match self.text(item, "Title") {
            Ok(found) if found == title => Ok(()),
            other => Err(other),
        });
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn eventually<T, E: Debug>(what: &str, mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(error) if Instant::now() > end => panic!("{what}: {error:?}"),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[test]
fn a_tray_host_reads_the_icon_and_reaches_its_menu() {
    const MENU: &str = "com.canonical.dbusmenu";
    let directory = tempfile::tempdir().unwrap();
    let bus = Bus::start(directory.path());
    let mut tray = Tray::start(&bus.socket);
    let item = tray.item(1);
    tray.say("2");
    bus.shows(&item, "2 unread, 1 missed call");
    tray.say("3");
    bus.shows(&item, "3 unread, 1 missed call");
    assert_eq!(bus.text(&item, "Id").unwrap(), identity::APP_ID);
    let tooltip: Structure<'_> = bus.property(&item, "ToolTip").unwrap().try_into().unwrap();
    let title = format!("{}: 3 unread, 1 missed call", identity::APP_NAME);
    assert_eq!(tooltip.fields()[2..], [Value::from(title), Value::from("")]);

    bus.call(&item, ("/StatusNotifierItem", "org.kde.StatusNotifierItem", "Activate"), &(0, 0)).unwrap();
    tray.prints("Tray(OpenNewest)");

    let layout = bus.call(&item, ("/MenuBar", MENU, "GetLayout"), &(0, -1, ["label"].as_slice())).unwrap();
    let (_, (_, _, entries)): (u32, (i32, OwnedValueMap, Vec<OwnedValue>)) = layout.body().deserialize().unwrap();
    let notice = Structure::try_from(entries[1].clone()).unwrap();
    assert!(format!("{notice:?}").contains("Salt & __Pepper__"), "{notice:?}");
    let id = i32::try_from(notice.fields()[0].try_clone().unwrap()).unwrap();
    bus.call(&item, ("/MenuBar", MENU, "Event"), &(id, "clicked", Value::from(""), 0_u32)).unwrap();
    tray.prints("Tray(OpenNotice(NoticeId(7)))");

    tray.say("quit");
    tray.prints("ended");
}

type OwnedValueMap = std::collections::HashMap<String, OwnedValue>;

#[test]
fn without_a_session_bus_it_waits_for_one() {
    let directory = tempfile::tempdir().unwrap();
    let mut tray = Tray::start(&directory.path().join("bus"));
    tray.say("1");
    tray.prints("no tray icon");
    let bus = Bus::start(directory.path());
    tray.say("2");
    tray.say("recreate");
    bus.shows(&tray.item(1), "2 unread, 1 missed call");
    tray.say("quit");
    tray.prints("ended");
}

#[test]
fn a_restarted_session_bus_gets_the_icon_again() {
    let directory = tempfile::tempdir().unwrap();
    let bus = Bus::start(directory.path());
    let mut tray = Tray::start(&bus.socket);
    tray.say("1");
    bus.shows(&tray.item(1), "1 unread, 1 missed call");
    drop(bus);
    tray.say("2");
    let bus = Bus::start(directory.path());
    tray.say("recreate");
    bus.shows(&tray.item(2), "2 unread, 1 missed call");
    tray.say("quit");
    tray.prints("ended");
}

#[test]
fn a_hanging_session_bus_does_not_keep_it_from_ending() {
    let directory = tempfile::tempdir().unwrap();
    let bus = Bus::start(directory.path());
    bus.signal("-STOP");
    let mut tray = Tray::start(&bus.socket);
    for unread in 0..100 {
        tray.say(&unread.to_string());
    }
    let asked = Instant::now();
    tray.say("quit");
    tray.prints("ended");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    bus.signal("-CONT");
}
