//! Popups and a scripted notification service.

use notify_rust::{Timeout, Urgency};
use pushbell::{
    app_info,
    present::popup::{Action, Popup},
};
use zbus::zvariant::Value;

use super::{
    fake::{Fake, signal},
    harness::{TestBus, activated, dismissed, popup},
};

const PLAIN: &[&str] = &["body", "actions"];
const MARKUP: &[&str] = &["body", "body-markup", "actions"];
const SPECIAL_CHARACTERS: &str = r#"<b>&amp; "quotes"</b>"#;

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
        buttons: vec![Action::Ignore],
        ..popup("room", SPECIAL_CHARACTERS)
    };
    desktop.show_popup("room", urgent);
    let sent = service.notify().await;
    desktop.shown("room").await;
    assert_eq!((sent.app_name.as_str(), sent.icon.as_str()), (app_info::APP_NAME, "test-icon"));
    assert_eq!((sent.title.as_str(), sent.text.as_str()), ("Major Tom in <Mission> & Control", SPECIAL_CHARACTERS));
    assert_eq!(sent.actions, ["default", "Open", "ignore", "Dismiss"]);
    assert_eq!((sent.replaces, sent.timeout), (0, 0));
    assert_eq!(*sent.hints["urgency"], Value::U8(2));
    assert_eq!(*sent.hints["category"], Value::from("call.incoming"));
    assert_eq!(*sent.hints["desktop-entry"], Value::from(app_info::APP_ID));
}

#[tokio::test]
async fn text_is_escaped_for_a_service_that_reads_markup() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, MARKUP).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show("room", SPECIAL_CHARACTERS);
    let sent = service.notify().await;
    assert_eq!(sent.title, "Major Tom in <Mission> & Control");
    let text = sent.text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(!sent.text.contains('<') && text == SPECIAL_CHARACTERS, "{}", sent.text);
}

#[tokio::test]
async fn a_room_has_one_popup_that_is_replaced_and_withdrawn() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    for (room, replaces) in [("one", 0), ("two", 0), ("one", 1)] {
        desktop.show(room, "text");
        desktop.shown(room).await;
        assert_eq!(service.notify().await.replaces, replaces);
    }
    desktop.withdraw("one");
    desktop.withdraw("unknown");
    desktop.settle().await;
    assert_eq!(service.close().await, 1);
}

#[tokio::test]
async fn a_flood_for_one_room_is_sent_as_its_newest() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    for number in 1..=1000 {
        desktop.show("room", &number.to_string());
    }
    assert_eq!(service.notify().await.text, "1");
    service.answering.send_replace(true);
    desktop.shown("room").await;
    desktop.shown("room").await;
    assert_eq!(service.notify().await.text, "1000");
}

#[tokio::test]
async fn clicks_dismissals_and_expiries_are_told_apart() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    for room in ["clicked", "expired", "dismissed"] {
        desktop.show(room, "text");
        desktop.shown(room).await;
        service.notify().await;
    }
    service.click(1, "token").await;
    service.closed(1, 2).await;
    service.closed(2, 1).await;
    service.closed(3, 2).await;
    assert_eq!(desktop.next().await, activated("clicked", Some("token")));
    assert_eq!(service.close().await, 1, "some services keep a popup that was clicked");
    assert_eq!(desktop.next().await, dismissed("dismissed"));
    desktop.withdraw("expired");
    desktop.settle().await;
    assert_eq!(service.close().await, 2, "an expired popup can be withdrawn from the service's list");
}

#[tokio::test]
async fn only_the_service_itself_says_what_the_person_did() {
    let bus = TestBus::start();
    let service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    for room in ["one", "two"] {
        desktop.show(room, "text");
        desktop.shown(room).await;
    }
    let foreign = bus.connect().await;
    signal(&foreign, "ActionInvoked", &(1_u32, "default")).await;
    signal(&foreign, "NotificationClosed", &(1_u32, 2_u32)).await;
    // The bus preserves order: once this click is received, everything before was read.
    service.click(2, "token").await;
    assert_eq!(desktop.next().await, activated("two", Some("token")));
}

#[tokio::test]
async fn only_actions_that_were_offered_are_taken() {
    let bus = TestBus::start();
    let service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
    for action in ["ignore", "reply", "", "Open"] {
        service.action(1, action).await;
    }
    service.click(1, "token").await;
    assert_eq!(desktop.next().await, activated("room", Some("token")));
}

#[tokio::test]
async fn a_click_before_the_answer_is_not_lost() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show("shown", "text");
    desktop.shown("shown").await;
    service.notify().await;
    service.answering.send_replace(false);
    desktop.show("slow", "text");
    service.notify().await;
    service.click(2, "token").await;
    // Once this click is reported, the other has been received.
    service.click(1, "token").await;
    assert_eq!(desktop.next().await, activated("shown", Some("token")));
    service.answering.send_replace(true);
    desktop.shown("slow").await;
    assert_eq!(desktop.next().await, activated("slow", Some("token")));
}

#[tokio::test]
async fn a_service_that_starts_late_and_crashes_is_noticed() {
    let bus = TestBus::start();
    let mut desktop = bus.desktop();
    assert!(desktop.service(false).await.contains("install"));

    let service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
    service.crash().await;
    desktop.service(false).await;

    let mut service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    // IDs start again at 1: a signal about the new 1 does not concern the old one.
    service.closed(1, 2).await;
    desktop.show("room", "text");
    assert_eq!(service.notify().await.replaces, 0);
    desktop.shown("room").await;
}

#[tokio::test]
async fn a_service_that_crashes_over_a_popup_has_not_shown_it() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    desktop.show("room", "text");
    service.notify().await;
    service.crash().await;
    desktop.not_shown("room").await;
    desktop.service(false).await;
    let _service = Fake::start(&bus, PLAIN).await;
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
}

#[tokio::test]
async fn a_late_answer_is_still_an_answer() {
    let bus = TestBus::start();
    let mut service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    service.answering.send_replace(false);
    desktop.show("room", "text");
    service.notify().await;
    assert!(desktop.service(false).await.contains("does not answer"));
    service.answering.send_replace(true);
    desktop.shown("room").await;
    assert_eq!(desktop.service(true).await, "fake 1");
}

#[tokio::test]
async fn a_bus_that_comes_late_and_goes_and_comes_back_is_used() {
    let mut bus = TestBus::absent();
    let mut desktop = bus.desktop();
    assert!(desktop.service(false).await.contains("no session bus"));
    for _ in 0..2 {
        bus.come();
        let mut service = Fake::start(&bus, PLAIN).await;
        desktop.service(true).await;
        desktop.show("room", "text");
        assert_eq!(service.notify().await.replaces, 0);
        desktop.shown("room").await;
        bus.go();
        desktop.service(false).await;
    }
}

#[tokio::test]
async fn popups_of_an_earlier_run_are_adopted_if_they_are_kept() {
    for (description, is_kept) in
        [(("fake", "1"), true), (("gnome-shell", "43.9"), true), (("gnome-shell", "48.1"), false)]
    {
        let bus = TestBus::start();
        let mut service = Fake::described(&bus, PLAIN, description).await;
        let mut desktop = bus.desktop();
        desktop.service(true).await;
        desktop.show("room", "text");
        desktop.shown("room").await;
        service.notify().await;
        let left_over = desktop.screen.persisted().expect("a popup is up");
        drop(desktop);

        let mut desktop = bus.desktop();
        desktop.screen.adopt(left_over);
        desktop.service(true).await;
        desktop.show("room", "more");
        assert_eq!(service.notify().await.replaces, u32::from(is_kept), "{description:?}");
    }
}

#[tokio::test]
async fn no_thread_is_started_for_the_bus() {
    let bus = TestBus::start();
    let _service = Fake::start(&bus, PLAIN).await;
    let mut desktop = bus.desktop();
    desktop.service(true).await;
    desktop.show("room", "text");
    desktop.shown("room").await;
    let names = std::fs::read_dir("/proc/self/task").expect("threads").filter_map(|thread| {
        let name = thread.expect("a thread").path().join("comm");
        std::fs::read_to_string(name).ok()
    });
    let foreign: Vec<_> = names.filter(|name| name.contains("async-io") || name.contains("zbus")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}
