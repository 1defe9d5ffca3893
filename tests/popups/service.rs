//! Popups and a notification service that does as it is told.

use notify_rust::{Timeout, Urgency};
use pushbell::{
    desktop::DesktopEvent,
    identity,
    present::popup::{Popup, PopupSerial},
};
use zbus::zvariant::Value;

use super::{
    fake::{Fake, signal},
    harness::{Desktop, TestBus, key, popup},
};

const PLAIN: &[&str] = &["body", "actions"];
const MARKUP: &[&str] = &["body", "body-markup", "actions"];
const HARD: &str = r#"<b>&amp; "quotes"</b>"#;

#[tokio::test]
async fn a_popup_reaches_the_service_with_all_that_belongs_to_it() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    assert_eq!(desktop.service(true).await, "fake 1");
    let urgent = Popup {
        urgency: Urgency::Critical,
        category: "call.incoming",
        timeout: Timeout::Never,
        actions: vec![("default", "Open"), ("dismiss", "Dismiss")],
        ..popup("room", HARD)
    };
    desktop.show(1, urgent);
    let sent = service.notify().await;
    desktop.shown(1).await;
    assert_eq!((sent.app_name.as_str(), sent.icon.as_str()), (identity::APP_NAME, "test-icon"));
    assert_eq!((sent.title.as_str(), sent.text.as_str()), ("Major Tom in <Mission> & Control", HARD));
    assert_eq!(sent.actions, ["default", "Open", "dismiss", "Dismiss"]);
    assert_eq!((sent.replaces, sent.timeout), (0, 0));
    assert_eq!(*sent.hints["urgency"], Value::U8(2));
    assert_eq!(*sent.hints["category"], Value::from("call.incoming"));
    assert_eq!(*sent.hints["desktop-entry"], Value::from(identity::APP_ID));
}

#[tokio::test]
async fn text_is_escaped_for_a_service_that_reads_markup() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, MARKUP).await;
    let desktop = bus.desktop();
    desktop.show(1, popup("room", HARD));
    let sent = service.notify().await;
    assert_eq!(sent.title, "Major Tom in <Mission> & Control");
    let text = sent.text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(!sent.text.contains('<') && text == HARD, "{}", sent.text);
}

#[tokio::test]
async fn a_room_has_one_popup_that_is_replaced_and_withdrawn() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    for (serial, room, replaces) in [(1, "one", 0), (2, "two", 0), (3, "one", 1)] {
        desktop.show(serial, popup(room, "text"));
        desktop.shown(serial).await;
        assert_eq!(service.notify().await.replaces, replaces);
    }
    desktop.session.withdraw(&key("one"));
    desktop.session.withdraw(&key("unknown"));
    assert_eq!(service.close().await, 1);
    desktop.session.withdraw_all();
    assert_eq!(service.close().await, 2);
}

#[tokio::test]
async fn a_flood_for_one_room_is_sent_as_its_newest() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    for serial in 1..=1000 {
        desktop.show(serial, popup("room", &serial.to_string()));
    }
    assert_eq!(service.notify().await.text, "1000");
    desktop.show(1001, popup("room", "1001"));
    desktop.show(1002, popup("room", "1002"));
    service.answering.send_replace(true);
    desktop.shown(1000).await;
    assert_eq!(service.notify().await.text, "1002");
    desktop.shown(1002).await;
}

#[tokio::test]
async fn clicks_dismissals_and_expiries_are_told_apart() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    for (serial, room) in [(1, "clicked"), (2, "expired"), (3, "dismissed")] {
        desktop.show(serial, popup(room, "text"));
        desktop.shown(serial).await;
    }
    service.action(1, "token").await;
    service.closed(1, 2).await;
    service.closed(2, 1).await;
    service.closed(3, 2).await;
    let token = Some("token".to_owned());
    let activated = DesktopEvent::Activated { key: key("clicked"), action: "default".into(), token };
    assert_eq!(desktop.next().await, activated);
    assert_eq!(desktop.next().await, DesktopEvent::Dismissed(key("dismissed")));
    for _ in 0..3 {
        service.notify().await;
    }
    desktop.session.withdraw(&key("expired"));
    assert_eq!(service.close().await, 2, "an expired popup can be withdrawn from the service's list");
}

#[tokio::test]
async fn a_click_forged_by_another_program_counts() {
    let bus = TestBus::start();
    let _service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show(1, popup("room", "text"));
    desktop.shown(1).await;
    signal(&bus.connect().await, "ActionInvoked", &(1_u32, "default")).await;
    let activated = DesktopEvent::Activated { key: key("room"), action: "default".into(), token: None };
    assert_eq!(desktop.next().await, activated);
}

#[tokio::test]
async fn a_click_before_the_answer_is_not_lost() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show(1, popup("shown", "text"));
    desktop.shown(1).await;
    service.notify().await;
    service.answering.send_replace(false);
    desktop.show(2, popup("slow", "text"));
    service.notify().await;
    service.action(2, "token").await;
    // What is said of this click shows that the other has been received.
    service.action(1, "token").await;
    let clicked = async |desktop: &mut Desktop, room| {
        let event = desktop.next().await;
        assert!(matches!(&event, DesktopEvent::Activated { key: popup, .. } if *popup == key(room)), "{event:?}");
    };
    clicked(&mut desktop, "shown").await;
    service.answering.send_replace(true);
    desktop.shown(2).await;
    clicked(&mut desktop, "slow").await;
}

#[tokio::test]
async fn a_service_that_starts_late_and_crashes_is_noticed() {
    let bus = TestBus::start();
    let mut desktop = bus.desktop();
    assert!(desktop.service(false).await.contains("install"));
    desktop.show(1, popup("room", "text"));
    desktop.not_shown(1).await;

    let service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    desktop.show(2, popup("room", "text"));
    desktop.shown(2).await;
    service.crash().await;
    desktop.service(false).await;

    let mut service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    // Ids start again at 1: a signal about the new 1 is none about the old.
    service.closed(1, 2).await;
    desktop.show(3, popup("room", "text"));
    assert_eq!(service.notify().await.replaces, 0);
    desktop.shown(3).await;
}

#[tokio::test]
async fn a_service_that_crashes_over_a_popup_has_not_shown_it() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    desktop.show(1, popup("room", "text"));
    service.notify().await;
    service.crash().await;
    desktop.not_shown(1).await;
    desktop.service(false).await;
    let _service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    desktop.show(2, popup("room", "text"));
    desktop.shown(2).await;
}

#[tokio::test]
async fn a_late_answer_is_still_an_answer() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    desktop.show(1, popup("room", "text"));
    service.notify().await;
    assert!(desktop.service(false).await.contains("does not answer"));
    desktop.show(2, popup("other", "text"));
    desktop.not_shown(2).await;
    service.answering.send_replace(true);
    desktop.shown(1).await;
    assert_eq!(desktop.service(true).await, "fake 1");
}

#[tokio::test]
async fn a_bus_that_comes_late_and_goes_and_comes_back_is_used() {
    let mut bus = TestBus::absent();
    let mut desktop = bus.desktop();
    assert!(desktop.service(false).await.contains("no session bus"));
    for serial in [1, 2] {
        bus.come();
        let mut service = Fake::start(&bus, PLAIN).await;
        desktop.service(true).await;
        desktop.show(serial, popup("room", "text"));
        assert_eq!(service.notify().await.replaces, 0);
        desktop.shown(serial).await;
        bus.go();
        desktop.service(false).await;
    }
}

#[tokio::test]
async fn what_was_asked_for_is_finished_at_the_end() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show(1, popup("room", "text"));
    desktop.shown(1).await;
    service.notify().await;
    desktop.session.withdraw_all();
    desktop.session.close().await;
    assert_eq!(service.close().await, 1);
}

#[tokio::test]
async fn no_thread_is_started_for_the_bus() {
    let bus = TestBus::start();
    let _service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.show(1, popup("room", "text"));
    let shown = |event| (event == DesktopEvent::Shown(PopupSerial(1))).then_some(());
    desktop.find(shown).await;
    let names = std::fs::read_dir("/proc/self/task").expect("threads").filter_map(|thread| {
        let name = thread.expect("a thread").path().join("comm");
        std::fs::read_to_string(name).ok()
    });
    let foreign: Vec<_> = names.filter(|name| name.contains("async-io") || name.contains("zbus")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
