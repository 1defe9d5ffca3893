//! Tray host, screen lock, sleep, appearance and docks, with scripted services.

use std::collections::HashMap;

use futures_util::StreamExt;
use pushbell::{
    app_info,
    desktop::{DesktopEvent, LauncherCount},
    platform::BusAddress,
};
use zbus::{
    Connection, MatchRule, MessageStream, interface,
    message::Type,
    object_server::Interface,
    zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value},
};

use super::harness::{Desktop, TestBus};

/// A connection that owns a name and serves one object.
async fn serve(bus: &TestBus, name: &str, path: &str, object: impl Interface) -> Connection {
    let connection = bus.connect_serving(path, object).await;
    connection.request_name(name).await.expect("the name");
    connection
}

async fn emit(connection: &Connection, path: &str, interface: &str, signal: &str, body: bool) {
    connection.emit_signal(None::<&str>, path, interface, signal, &body).await.expect("sent");
}

struct Watcher(bool);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl Watcher {
    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        self.0
    }
}

#[tokio::test]
async fn a_tray_host_is_reported_as_it_comes_and_goes() {
    const NAME: &str = "org.kde.StatusNotifierWatcher";
    const PATH: &str = "/StatusNotifierWatcher";
    let bus = TestBus::start();
    let mut desktop = bus.desktop();
    let tray = async |desktop: &mut Desktop| {
        let pick = |event| if let DesktopEvent::TrayHost(state) = event { Some(state) } else { None };
        desktop.find(pick).await
    };
    assert!(!tray(&mut desktop).await.available);
    let watcher = serve(&bus, NAME, PATH, Watcher(false)).await;
    let state = tray(&mut desktop).await;
    assert!(!state.available && state.reason.is_some_and(|reason| reason.contains("no panel")));
    watcher.object_server().interface::<_, Watcher>(PATH).await.expect("the object").get_mut().await.0 = true;
    watcher.emit_signal(None::<&str>, PATH, NAME, "StatusNotifierHostRegistered", &()).await.expect("sent");
    assert!(tray(&mut desktop).await.available);
    watcher.close().await.expect("closed");
    assert!(!tray(&mut desktop).await.available);
}

struct ScreenSaver(bool);

#[interface(name = "org.gnome.ScreenSaver")]
impl ScreenSaver {
    fn get_active(&self) -> bool {
        self.0
    }
}

struct Mate;

#[interface(name = "org.mate.ScreenSaver")]
impl Mate {
    fn get_active(&self) -> bool {
        true
    }
}

struct Manager;

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn get_session(&self, id: &str) -> OwnedObjectPath {
        assert!(!id.is_empty());
        ObjectPath::from_static_str_unchecked(SESSION).into()
    }

    #[zbus(name = "GetSessionByPID")]
    fn get_session_by_pid(&self, pid: u32) -> OwnedObjectPath {
        assert_eq!(pid, std::process::id());
        ObjectPath::from_static_str_unchecked(SESSION).into()
    }
}

struct LoginSession(bool);

#[interface(name = "org.freedesktop.login1.Session")]
impl LoginSession {
    #[zbus(property)]
    fn locked_hint(&self) -> bool {
        self.0
    }
}

const LOGIND: &str = "org.freedesktop.login1";
const LOGIND_PATH: &str = "/org/freedesktop/login1";
const SESSION: &str = "/org/freedesktop/login1/session/_31";

async fn logind(bus: &TestBus, locked: bool) -> Connection {
    let connection = serve(bus, LOGIND, LOGIND_PATH, Manager).await;
    connection.object_server().at(SESSION, LoginSession(locked)).await.expect("served");
    connection
}

async fn lock(desktop: &mut Desktop) -> Option<bool> {
    desktop.find(|event| if let DesktopEvent::ScreenLock(locked) = event { Some(locked) } else { None }).await
}

#[tokio::test]
async fn the_screen_is_locked_when_logind_or_a_screen_saver_says_so() {
    const NAME: &str = "org.gnome.ScreenSaver";
    const PATH: &str = "/org/gnome/ScreenSaver";
    let (bus, system) = (TestBus::start(), TestBus::start());
    let login = logind(&system, false).await;
    let saver = serve(&bus, NAME, PATH, ScreenSaver(true)).await;
    let mut desktop = bus.desktop_with_system(BusAddress::parse(&system.address()));
    desktop.session.watch_screen_lock(true);
    while lock(&mut desktop).await != Some(true) {}
    saver.object_server().interface::<_, ScreenSaver>(PATH).await.expect("the object").get_mut().await.0 = false;
    emit(&saver, PATH, NAME, "ActiveChanged", false).await;
    assert_eq!(lock(&mut desktop).await, Some(false));

    let session = login.object_server().interface::<_, LoginSession>(SESSION).await.expect("the object");
    session.get_mut().await.0 = true;
    session.get().await.locked_hint_changed(session.signal_emitter()).await.expect("sent");
    assert_eq!(lock(&mut desktop).await, Some(true));

    login.close().await.expect("closed");
    assert_eq!(lock(&mut desktop).await, Some(false));
    saver.close().await.expect("closed");
    assert_eq!(lock(&mut desktop).await, None);
}

#[tokio::test]
async fn the_lock_is_unknown_and_nothing_is_started_to_ask() {
    let mut bus = TestBus::absent();
    let marker = bus.path().join("started");
    for name in ["org.gnome.ScreenSaver", "org.freedesktop.ScreenSaver"] {
        let service = format!("[D-BUS Service]\nName={name}\nExec=/usr/bin/touch {}\n", marker.display());
        std::fs::write(bus.path().join(format!("services/{name}.service")), service).expect("written");
    }
    bus.come();
    let mut desktop = bus.desktop();
    desktop.session.watch_screen_lock(true);
    assert_eq!(lock(&mut desktop).await, None);
    // A screen saver that appears is queried after the others were.
    let _mate = serve(&bus, "org.mate.ScreenSaver", "/org/mate/ScreenSaver", Mate).await;
    assert_eq!(lock(&mut desktop).await, Some(true));
    assert!(!marker.exists());
}

#[tokio::test]
async fn waking_up_is_reported_and_falling_asleep_is_not() {
    let (bus, system) = (TestBus::start(), TestBus::start());
    let login = logind(&system, false).await;
    let mut desktop = bus.desktop_with_system(BusAddress::parse(&system.address()));
    // A lock state shows that the system bus is connected; its match rules were added in order.
    desktop.session.watch_screen_lock(true);
    while lock(&mut desktop).await.is_none() {}
    for asleep in [true, false, true] {
        emit(&login, LOGIND_PATH, "org.freedesktop.login1.Manager", "PrepareForSleep", asleep).await;
    }
    let session = login.object_server().interface::<_, LoginSession>(SESSION).await.expect("the object");
    session.get_mut().await.0 = true;
    session.get().await.locked_hint_changed(session.signal_emitter()).await.expect("sent");
    let mut resumed = 0;
    desktop
        .find(|event| {
            resumed += u32::from(event == DesktopEvent::Resumed);
            (event == DesktopEvent::ScreenLock(Some(true))).then_some(())
        })
        .await;
    assert_eq!(resumed, 1);
}

struct Portal(u32);

#[interface(name = "org.freedesktop.portal.Settings")]
impl Portal {
    fn read(&self, namespace: &str, key: &str) -> OwnedValue {
        assert_eq!((namespace, key), ("org.freedesktop.appearance", "color-scheme"));
        let wrapped = Value::Value(Box::new(Value::U32(self.0)));
        wrapped.try_into().expect("a value")
    }
}

#[tokio::test]
async fn the_color_scheme_is_read_and_followed() {
    let bus = TestBus::start();
    let path = "/org/freedesktop/portal/desktop";
    let portal = serve(&bus, "org.freedesktop.portal.Desktop", path, Portal(1)).await;
    let mut desktop = bus.desktop();
    desktop.session.watch_color_scheme(true);
    let scheme = |event| if let DesktopEvent::ColorScheme(dark) = event { Some(dark) } else { None };
    assert_eq!(desktop.find(scheme).await, Some(true));
    for (interesting, number) in [("contrast", 1_u32), ("color-scheme", 2)] {
        let body = ("org.freedesktop.appearance", interesting, Value::U32(number));
        let signal = portal.emit_signal(None::<&str>, path, "org.freedesktop.portal.Settings", "SettingChanged", &body);
        signal.await.expect("sent");
    }
    assert_eq!(desktop.find(scheme).await, Some(false));
}

#[tokio::test]
async fn docks_are_told_each_new_count_and_none_at_the_end() {
    let bus = TestBus::start();
    let dock = bus.connect().await;
    let interface = "com.canonical.Unity.LauncherEntry";
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(interface).expect("a name").build();
    let mut updates = MessageStream::for_match_rule(rule, &dock, None).await.expect("a stream");
    let desktop = bus.desktop();
    let mut next = async || {
        let message = updates.next().await.expect("a signal").expect("a signal");
        let (application, properties): (String, HashMap<String, OwnedValue>) =
            message.body().deserialize().expect("an update");
        assert_eq!(application, format!("application://{}.desktop", app_info::APP_ID));
        let urgent = bool::try_from(&properties["urgent"]).expect("a bool");
        (i64::try_from(&properties["count"]).expect("a number"), urgent)
    };
    desktop.session.set_count(LauncherCount { count: 3, urgent: false });
    assert_eq!(next().await, (3, false));
    desktop.session.set_count(LauncherCount { count: 3, urgent: false });
    desktop.session.set_count(LauncherCount { count: 4, urgent: true });
    assert_eq!(next().await, (4, true));
    // A dock that starts late gets the current state, too.
    dock.request_name("com.canonical.Unity").await.expect("the name");
    assert_eq!(next().await, (4, true));
    desktop.session.close().await;
    assert_eq!(next().await, (0, false));
}
