//! Popups and real notification services.

use futures_util::StreamExt;
use pushbell::platform::CALL_DEADLINE;
use zbus::{Connection, MatchRule, MessageStream, fdo::MonitoringProxy, message::Type};

use super::harness::{Program, TestBus, activated, dismissed, until};

const DUNST: &str = "/usr/bin/dunst";
const XFCE: &str = "/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd";

fn start(bus: &TestBus, program: &str) -> Program {
    Program::quiet(bus.command(program))
}

/// Monitors calls of `Notify`.
struct Monitor(MessageStream);

impl Monitor {
    async fn start(bus: &TestBus) -> Self {
        let connection = bus.connect().await;
        let rule = MatchRule::builder().msg_type(Type::MethodCall).member("Notify").expect("a member").build();
        let monitoring = MonitoringProxy::new(&connection).await.expect("a proxy");
        monitoring.become_monitor(&[rule], 0).await.expect("a monitor");
        Self(MessageStream::from(connection))
    }

    /// `replaces_id`, summary and body.
    async fn next(&mut self) -> (u32, String, String) {
        type Notify = (
            String,
            u32,
            String,
            String,
            String,
            Vec<String>,
            std::collections::HashMap<String, zbus::zvariant::OwnedValue>,
            i32,
        );
        loop {
            let message = self.0.next().await.expect("a message").expect("a message");
            if message.header().member().is_some_and(|member| member.as_str() == "Notify") {
                let (_, replaces, _, title, text, ..) = message.body().deserialize::<Notify>().expect("Notify");
                return (replaces, title, text);
            }
        }
    }
}

/// The number of popups that dunst shows.
async fn displayed(connection: &Connection) -> u32 {
    let proxy = zbus::Proxy::new(
        connection,
        "org.freedesktop.Notifications",
        "/org/freedesktop/Notifications",
        "org.dunstproject.cmd0",
    );
    proxy.await.expect("a proxy").get_property("displayedLength").await.expect("dunst's count")
}

#[tokio::test]
async fn two_services_show_replace_and_withdraw_popups() {
    for (program, name) in [(DUNST, "dunst 1."), (XFCE, "Xfce Notify Daemon")] {
        let bus = TestBus::start().with_display();
        let mut monitor = Monitor::start(&bus).await;
        let _service = start(&bus, program);
        let mut desktop = bus.desktop();
        let reason = desktop.service(true).await;
        assert!(reason.starts_with(name), "{reason}");
        let mut ids = Vec::new();
        for text in ["<b>bold</b> & so on", "second"] {
            desktop.show("room", text);
            desktop.shown("room").await;
            ids.push(monitor.next().await);
        }
        assert_eq!(ids[0].0, 0);
        assert_ne!(ids[1].0, 0, "the second replaces the first");
        assert_eq!(ids[0].2, "&lt;b&gt;bold&lt;/b&gt; &amp; so on");
        desktop.withdraw("room");
        // The withdrawn popup is forgotten: the next one is new.
        desktop.show("room", "third");
        desktop.shown("room").await;
        assert_eq!(monitor.next().await.0, 0);
    }
}

#[tokio::test]
async fn dunst_says_when_a_popup_is_clicked_and_when_it_is_dismissed() {
    let bus = TestBus::start().with_display();
    let _dunst = start(&bus, DUNST);
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    let connection = bus.connect().await;
    let tell = async |method: &str, argument: u32| {
        let (name, path) = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications");
        connection.call_method(Some(name), path, Some("org.dunstproject.cmd0"), method, &argument).await.expect(method);
    };
    desktop.show("room", "text");
    desktop.shown("room").await;
    until(async || displayed(&connection).await == 1).await;
    tell("NotificationAction", 0).await;
    assert_eq!(desktop.next().await, activated("room", None));
    desktop.settle().await;
    until(async || displayed(&connection).await == 0).await;
    desktop.show("other", "text");
    desktop.shown("other").await;
    until(async || displayed(&connection).await == 1).await;
    let (name, path) = ("org.freedesktop.Notifications", "/org/freedesktop/Notifications");
    let close = connection.call_method(Some(name), path, Some("org.dunstproject.cmd0"), "NotificationCloseLast", &());
    close.await.expect("closed");
    assert_eq!(desktop.next().await, dismissed("other"));
}

#[tokio::test]
async fn a_stopped_service_shows_its_popup_once_when_it_goes_on() {
    let bus = TestBus::start().with_display();
    let dunst = start(&bus, DUNST);
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    dunst.signal("-STOP");
    let before = tokio::time::Instant::now();
    desktop.show("room", "text");
    assert!(desktop.service(false).await.contains("does not answer"));
    assert!(before.elapsed() < CALL_DEADLINE * 2);
    dunst.signal("-CONT");
    desktop.shown("room").await;
    desktop.service(true).await;
    let connection = bus.connect().await;
    until(async || displayed(&connection).await == 1).await;
}

#[tokio::test]
async fn a_killed_service_is_used_again_when_it_restarts() {
    let bus = TestBus::start().with_display();
    let dunst = start(&bus, DUNST);
    let mut monitor = Monitor::start(&bus).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
    drop(dunst);
    desktop.service(false).await;
    let _dunst = start(&bus, DUNST);
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
    assert_eq!([monitor.next().await.0, monitor.next().await.0], [0, 0], "ids of the killed one are forgotten");
}

#[tokio::test]
async fn the_first_popup_starts_a_service_that_the_bus_can_start() {
    let mut bus = TestBus::absent().with_display();
    let service = format!("[D-BUS Service]\nName=org.freedesktop.Notifications\nExec={DUNST}\n");
    std::fs::write(bus.path().join("services/dunst.service"), service).expect("written");
    bus.come();
    let mut desktop = bus.desktop();
    assert!(desktop.service(true).await.contains("first popup"));
    desktop.show("room", "text");
    assert!(desktop.service(true).await.starts_with("dunst 1."));
    desktop.shown("room").await;
}
