//! Calls and missed calls: one test for each sentence of the contract.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    app::{App, DUNST},
    listener::{SoundListener, WITH_SOUND, device_is_closed},
};
use crate::rig::{DesktopOptions, FakeLogind, Notify, SOON, never_within, pushbell::message, wait_until};

/// Bob calls: `call_id` "call-EVENT", with the tweak "ring".
fn call(event: &str, lifetime: impl Into<Value>) -> Value {
    let mut call = message(event, "room", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": format!("call-{event}"), "version": "1", "lifetime": lifetime.into()});
    call["devices"] = json!([{"tweaks": {"sound": "ring"}}]);
    call
}

/// An event that refers to the call of another event.
fn about(event: &str, kind: &str, sender: &str, of: &str) -> Value {
    let mut push = message(event, "room", "");
    push["type"] = kind.into();
    push["sender"] = sender.into();
    push["content"] = json!({"call_id": format!("call-{of}"), "version": "1"});
    push
}

/// The popup of a ringing call.
fn rings(app: &App, mark: usize) -> Notify {
    let popup = app.titled(mark, "Bob is calling");
    assert_eq!((&popup.hints["category"], &popup.hints["urgency"]), (&json!("call.incoming"), &json!(2)));
    popup
}

/// The popup of a missed call.
fn is_missed(app: &App, mark: usize) -> Notify {
    let popup = app.titled(mark, "Missed call from Bob");
    assert_eq!((&popup.hints["category"], &popup.hints["urgency"]), (&json!("call.unanswered"), &json!(1)));
    popup
}

/// The number of missed calls after the app has processed all earlier pushes.
fn missed_calls(app: &App) -> Value {
    app.pushbell.status()["missed_calls"].clone()
}

#[test]
fn a_call_rings_beside_the_room_and_is_missed_at_its_end() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    app.message("1", "room", "text");
    let room = app.shows(0, "text");
    let heard = listener.mark();
    app.push(call("2", 5000));
    let ringing = rings(&app, 0);
    assert_ne!(ringing.id(), room.id());
    assert_eq!(ringing.timeout, 0, "it stays while it rings");
    assert_eq!(missed_calls(&app), 0);
    listener.hears_ring_begin(heard);
    let missed = is_missed(&app, 0);
    let rang = missed.at - ringing.at;
    assert!(rang > Duration::from_secs(4) && rang < Duration::from_secs(8), "it rang for {rang:?}");
    assert_eq!((missed.replaces_id, missed.id()), (ringing.id(), ringing.id()));
    app.missed_calls(1);
    app.counts(1);
    listener.wait_for_silence();
    let bursts = listener.recording.bursts_since(heard);
    assert!(bursts.len() > listener.ring.len(), "more than one round: {bursts:#?}");
    let (first, last) = (bursts[0], bursts[bursts.len() - 1]);
    let sounded = (last.start + last.length).saturating_sub(first.start);
    assert!(sounded > Duration::from_secs(3) && sounded < Duration::from_millis(6500), "it sounded for {sounded:?}");
    let open = app.notifications().open();
    assert_eq!(open.values().map(|popup| &*popup.summary).collect::<Vec<_>>(), ["Bob in room", "Missed call from Bob"]);
}

#[test]
fn every_kind_of_call_that_rings_has_a_popup_of_its_own() {
    let app = App::start(DUNST, "");
    let kinds = [
        ("m.call.invite", "version"),
        ("m.rtc.notification", "notification_type"),
        ("org.matrix.msc4075.rtc.notification", "notification_type"),
        ("m.call.notify", "notify_type"),
    ];
    for (kind, key) in kinds {
        let mark = app.mark();
        let mut push = call(kind, 60_000);
        push["type"] = kind.into();
        push["content"][key] = "ring".into();
        app.push(push);
        let popup = rings(&app, mark);
        app.pushbell.ok(&["clear"]);
        app.withdraws(mark, popup.id());
        if key != "version" {
            let mark = app.mark();
            let mut quiet = call(&format!("quiet {kind}"), 60_000);
            quiet["type"] = kind.into();
            quiet["content"][key] = "notification".into();
            app.push(quiet);
            app.shows(mark, "Bob started a call");
            app.pushbell.ok(&["clear"]);
        }
    }
    assert_eq!(missed_calls(&app), 0);
}

#[test]
fn a_call_without_a_tweak_does_not_ring() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    let mut quiet = call("1", 1500);
    quiet["devices"] = json!([{}]);
    app.push(quiet);
    rings(&app, 0);
    is_missed(&app, 0);
    listener.hears_nothing(heard);
}

#[test]
fn an_answer_a_rejection_or_a_selected_answer_ends_the_ringing() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    for (number, kind) in ["m.call.answer", "m.call.reject", "m.call.select_answer"].iter().enumerate() {
        let (mark, heard) = (app.mark(), listener.mark());
        let event = number.to_string();
        app.push(call(&event, 60_000));
        let popup = rings(&app, mark);
        listener.hears_ring_begin(heard);
        // An event of another call does not.
        app.push(about(&format!("other {event}"), kind, "@alice:hs.test", "nobody's"));
        app.push(about(&format!("end {event}"), kind, "@alice:hs.test", &event));
        app.withdraws(mark, popup.id());
        listener.wait_for_silence();
        assert_eq!(missed_calls(&app), 0, "{kind}");
    }
    assert!(!app.notifications().all().iter().any(|popup| popup.summary.starts_with("Missed")));
}

#[test]
fn only_the_calls_own_hangup_makes_it_missed() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.push(call("1", 60_000));
    let popup = rings(&app, 0);
    listener.hears_ring_begin(heard);
    app.push(about("2", "m.call.hangup", "@bob:hs.test", "nobody's"));
    never_within(super::app::MOMENT, "it is missed", || {
        app.notifications().all().iter().any(|popup| popup.summary.starts_with("Missed"))
    });
    app.push(about("3", "m.call.hangup", "@bob:hs.test", "1"));
    assert_eq!(is_missed(&app, 0).replaces_id, popup.id());
    app.missed_calls(1);
    listener.wait_for_silence();
}

#[test]
fn a_missed_call_goes_when_opened_dismissed_cleared_or_read() {
    let app = App::start(DUNST, "");
    app.pushbell.handle_matrix_links();
    let miss = |event: &str| {
        let mark = app.mark();
        app.push(call(event, 200));
        let popup = is_missed(&app, mark);
        app.missed_calls(1);
        (mark, popup.id())
    };
    miss("1");
    app.desktop.dunst("NotificationAction", Some(0));
    app.missed_calls(0);
    wait_until("the room is opened", SOON, || app.pushbell.opened().len() == 1);
    assert_eq!(app.pushbell.opened()[0].0, "matrix:roomid/room/e/1?via=hs.test");

    let (_, id) = miss("2");
    app.desktop.click(app.desktop.options.size.0 - 60, 40, 3);
    assert_eq!(app.notifications().wait_for_closed(id), 2);
    app.missed_calls(0);

    let (mark, id) = miss("3");
    app.pushbell.ok(&["clear"]);
    app.missed_calls(0);
    app.withdraws(mark, id);

    let (mark, id) = miss("4");
    app.unread(0);
    app.missed_calls(0);
    app.withdraws(mark, id);
    assert_eq!(app.pushbell.opened().len(), 1);
}

#[test]
fn a_popup_that_expired_was_not_dismissed() {
    let app = App::start(DUNST, "[popup]\ntimeout = 1\n");
    app.push(call("1", 200));
    let popup = is_missed(&app, 0);
    assert_eq!(app.notifications().wait_for_closed(popup.id()), 1);
    assert_eq!(missed_calls(&app), 1);
}

#[test]
fn a_number_of_the_server_alone_counts_once_it_has_come() {
    let app = App::start(DUNST, "");
    app.push(call("1", 200));
    app.missed_calls(1);
    app.push(json!({"counts": {"unread": 2, "missed_calls": 5}}));
    app.missed_calls(5);
    // A call that stops ringing here is already in the server's count or will be.
    let mark = app.mark();
    app.push(call("2", 200));
    is_missed(&app, mark);
    assert_eq!(missed_calls(&app), 0, "left out is zero");
    app.push(json!({"counts": {"unread": 3, "missed_calls": 2}}));
    app.missed_calls(2);
    app.unread(3);
    app.missed_calls(0);
}

#[test]
fn with_missed_calls_left_to_the_server_none_is_derived() {
    let app = App::start(DUNST, "[calls]\nmissed = \"server\"\n");
    app.push(call("1", 1000));
    let popup = rings(&app, 0);
    app.withdraws(0, popup.id());
    assert_eq!(missed_calls(&app), 0);
    assert!(!app.notifications().all().iter().any(|popup| popup.summary.starts_with("Missed")));
    app.push(json!({"counts": {"unread": 1, "missed_calls": 2}}));
    app.missed_calls(2);
}

#[test]
fn a_call_rings_a_minute_by_default_and_two_at_most() {
    let app = App::start(DUNST, "");
    let check = |event: &str, lifetime: Value, expected: i64| {
        // In another room: the same caller who redials counts as the same call.
        let mut push = call(event, lifetime);
        push["room_id"] = format!("!{event}:hs.test").into();
        app.push(push);
        // The ring time is not shown anywhere, but the deadline is stored.
        let database =
            rusqlite::Connection::open_with_flags(app.pushbell.database(), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
        let stored: i64 = database
            .expect("the database is there")
            .query_row(
                "SELECT call_deadline - received_at FROM notice WHERE call_id IS NOT NULL ORDER BY id DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .expect("the call is stored");
        assert_eq!(stored, expected, "{event}");
    };
    check("null", Value::Null, 60_000);
    check("zero", 0.into(), 60_000);
    check("negative", (-5).into(), 60_000);
    check("text", "1000".into(), 60_000);
    check("list", json!([1000]), 60_000);
    check("short", 1500.into(), 1500);
    check("fraction", json!(1500.5), 1500);
    check("long", 119_999.into(), 119_999);
    check("longer", 120_001.into(), 120_000);
    check("endless", json!(1e300), 120_000);
}

#[test]
fn a_restart_keeps_the_calls_deadline_and_does_not_ring_again() {
    let mut app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.push(call("1", 6000));
    let ringing = rings(&app, 0);
    listener.hears_ring_begin(heard);
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    app.pushbell.kill9();
    device_is_closed(&app);
    listener.recording.listen(Duration::from_millis(300));
    let (mark, heard) = (app.mark(), listener.mark());
    app.pushbell.run();
    let missed = is_missed(&app, 0);
    let rang = missed.at - ringing.at;
    assert!(rang > Duration::from_secs(5) && rang < Duration::from_secs(10), "it ended after {rang:?}");
    app.missed_calls(1);
    listener.hears_nothing(heard);
    // Another start shows nothing either.
    app.pushbell.restart();
    assert_eq!(missed_calls(&app), 1);
    assert!(app.notifications().all_since(mark).len() <= 1);
    listener.hears_nothing(heard);
}

#[test]
fn a_call_that_rang_out_while_the_app_was_dead_is_a_missed_call() {
    let mut app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    app.push(call("1", 1000));
    let ringing = rings(&app, 0);
    app.pushbell.kill9();
    wait_until("its lifetime is over", SOON, || ringing.at.elapsed() > Duration::from_millis(1100));
    listener.wait_for_silence();
    let (mark, heard) = (app.mark(), listener.mark());
    app.pushbell.run();
    is_missed(&app, mark);
    app.missed_calls(1);
    listener.hears_nothing(heard);
    assert_eq!(app.notifications().all_since(mark).len(), 1);
}

#[test]
fn a_call_that_is_caught_up_with_does_not_ring_and_is_missed() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    let mut late = call("1", 30_000);
    late["type"] = "m.rtc.notification".into();
    late["content"]["notification_type"] = "ring".into();
    let sent = jiff::Timestamp::now().as_millisecond() - 120_000;
    late["content"]["sender_ts"] = sent.into();
    app.push(late);
    is_missed(&app, 0);
    app.missed_calls(1);
    listener.hears_nothing(heard);
}

#[test]
fn a_call_delivered_after_a_sleep_is_missed_without_a_ring() {
    let desktop = crate::rig::Desktop::start(WITH_SOUND);
    let logind = FakeLogind::start(&desktop, false);
    let app = App::on(desktop, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    wait_until("the app listens to logind", SOON, || {
        logind.sleep_and_wake();
        app.pushbell.log().contains("woke")
    });
    app.push(call("1", 60_000));
    is_missed(&app, 0);
    app.missed_calls(1);
    assert!(!app.notifications().all().iter().any(|popup| popup.hints["category"] == "call.incoming"));
    listener.hears_nothing(heard);
}

#[test]
fn a_call_opened_or_closed_here_stops_and_is_not_missed() {
    let mut app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let ring = |app: &App, event: &str| {
        let (mark, heard) = (app.mark(), listener.mark());
        app.push(call(event, 60_000));
        let popup = rings(app, mark);
        listener.hears_ring_begin(heard);
        popup.id()
    };
    ring(&app, "1");
    app.desktop.dunst("NotificationAction", Some(0));
    listener.wait_for_silence();
    wait_until("the room is opened", SOON, || app.pushbell.opened().len() == 1);

    let id = ring(&app, "2");
    app.desktop.click(app.desktop.options.size.0 - 60, 40, 3);
    assert_eq!(app.notifications().wait_for_closed(id), 2);
    listener.wait_for_silence();

    app.desktop.kill_notifier();
    let fake = app.desktop.fake_notifier(&["actions", "body"]);
    app.pushbell.wait_for_status("the other service is known", |status| {
        status["popup"]["reason"].as_str().is_some_and(|reason| reason.starts_with("fake"))
    });
    let mark = app.mark();
    let id = ring(&app, "3");
    fake.invoke_action(id, "ignore");
    app.withdraws(mark, id);
    listener.wait_for_silence();

    ring(&app, "4");
    app.pushbell.ok(&["clear"]);
    listener.wait_for_silence();
    assert_eq!(missed_calls(&app), 0);
    assert_eq!(app.pushbell.opened().len(), 1);
    assert!(!app.notifications().all().iter().any(|popup| popup.summary.starts_with("Missed")));
}

#[test]
fn a_call_rings_though_nobody_shows_popups() {
    let app = App::start(crate::rig::DesktopOptions { notifier: None, ..WITH_SOUND }, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.push(call("1", 1500));
    listener.hears_ring_begin(heard);
    app.missed_calls(1);
    listener.wait_for_silence();
}

#[test]
fn a_call_during_a_pause_is_silent_and_then_missed() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.pushbell.ok(&["pause"]);
    app.push(call("1", 500));
    app.missed_calls(1);
    listener.hears_nothing(heard);
    app.shows_nothing(0);
    app.pushbell.ok(&["resume"]);
    is_missed(&app, 0);
    listener.hears_nothing(heard);
    assert_eq!(app.notifications().all().len(), 1);
}

#[test]
fn a_call_that_was_taken_before_a_service_started_is_not_shown() {
    let mut app = App::start(crate::rig::DesktopOptions::BARE, "");
    app.push(call("1", 60_000));
    app.push(about("2", "m.call.answer", "@alice:hs.test", "1"));
    app.desktop.start_notifier(crate::rig::Notifier::Dunst);
    app.message("3", "room", "text");
    app.shows(0, "text");
    assert_eq!(app.notifications().all().len(), 1);
    assert_eq!(missed_calls(&app), 0);
}

#[test]
fn two_calls_ring_one_after_the_other_and_each_has_its_popup() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    let mut second = call("2", 60_000);
    second["sender_display_name"] = "Carol".into();
    second["sender"] = "@carol:hs.test".into();
    app.push(call("1", 60_000));
    app.push(second);
    let first = rings(&app, 0);
    assert_ne!(app.titled(0, "Carol is calling").id(), first.id());
    listener.hears_ring_begin(heard);
    app.push(about("3", "m.call.answer", "@alice:hs.test", "1"));
    app.withdraws(0, first.id());
    let heard = listener.mark();
    listener.hears_ring_begin(heard);
    app.push(about("4", "m.call.hangup", "@carol:hs.test", "2"));
    app.titled(0, "Missed call from Carol");
    listener.wait_for_silence();
    app.missed_calls(1);
}

#[test]
fn a_redialled_call_is_one_popup_one_ring_and_one_missed_call() {
    let case: Value = serde_json::from_str(include_str!("call-redialled.json")).expect("it is JSON");
    let ring = |number: usize| {
        let mut push = message("", "room", "");
        for key in ["event_id", "type", "content"] {
            push[key] = case["pushes"][number][key].clone();
        }
        push["devices"] = json!([{"tweaks": case["pushes"][number]["tweaks"]}]);
        push
    };
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.push(ring(0));
    let ringing = rings(&app, 0);
    listener.hears_ring_begin(heard);
    let redialled = Instant::now();
    app.push(ring(1));
    let missed = is_missed(&app, 0);
    assert_eq!((missed.replaces_id, missed.id()), (ringing.id(), ringing.id()));
    assert!(missed.at - redialled > Duration::from_millis(2800), "it rings on for the lifetime of the second");
    app.missed_calls(1);
    listener.wait_for_silence();
    let titles: Vec<_> = app.notifications().all().into_iter().map(|popup| popup.summary).collect();
    assert_eq!(titles, ["Bob is calling", "Missed call from Bob"]);

    // After its end it counts as a new call.
    let (mark, heard) = (app.mark(), listener.mark());
    app.push(call("3", 60_000));
    assert_ne!(rings(&app, mark).id(), ringing.id());
    listener.hears_ring_begin(heard);
}

#[test]
fn a_falling_number_silences_a_call_and_only_zero_takes_it_away() {
    let app = App::start(DesktopOptions::default(), "");
    let (listener, item) = (SoundListener::on(&app), app.desktop.tray_item());
    let has_line = |line: &str| item.menu_labels().iter().any(|label| label == line);
    app.unread(2);
    let heard = listener.mark();
    let mut push = call("1", 9000);
    push["counts"] = json!({"unread": 3});
    app.push(push);
    let popup = rings(&app, 0);
    listener.hears_ring_begin(heard);
    app.unread(2);
    listener.wait_for_silence();
    assert!(app.notifications().open().contains_key(&popup.id()), "the popup stays");
    wait_until("the menu says that it still is a call", SOON, || has_line("• Bob is calling"));
    app.withdraws(0, popup.id());
    assert!(popup.at.elapsed() > Duration::from_millis(8800), "until its deadline");
    wait_until("it stays in the menu", SOON, || has_line("• Call from Bob, perhaps taken elsewhere"));
    assert_eq!(missed_calls(&app), 0);
    app.unread(1);
    app.counts(1);
    assert!(has_line("• Call from Bob, perhaps taken elsewhere"));
    app.unread(0);
    wait_until("it is read", SOON, || !has_line("• Call from Bob, perhaps taken elsewhere"));
    assert!(!app.notifications().all().iter().any(|popup| popup.summary.starts_with("Missed")));
}
