//! Pushes that contain only IDs (`event_id_only`), with Synapse and with a mock homeserver.

use std::time::Instant;

use serde_json::json;

use crate::{
    mock_homeserver::{MockHomeserver, ReceivedRequest},
    rig::{SOON, wait_until},
    stage::{Session, Stage, synapse},
};

#[test]
fn a_push_of_ids_becomes_a_popup_with_names_and_text() {
    let synapse = synapse();
    let (alice, bob) = (synapse.register("alice-ids", "Alice"), synapse.register("bob-ids", "Bob"));
    let room = bob.create_room(&json!({"name": "Mission Control", "invite": [alice.id]}));
    alice.join(&room);
    let session = Session { event_id_only: true, ..Session::new(&alice.id, synapse.port, alice.token()) };
    let mut stage = Stage::start(&session);
    assert_eq!(alice.pushers()[0]["data"]["format"], "event_id_only");

    let event = bob.send(&room, "I'm floating in a most peculiar way.");
    let popup = stage.desktop.notifications().wait_for_notify("the popup", |popup| popup.body.contains("peculiar"));
    assert_eq!(popup.summary, "Bob in Mission Control");
    assert_eq!(stage.titles(), ["Bob in Mission Control"], "it has waited for the names");
    let notice = &stage.pushbell.history()[0];
    assert_eq!(notice["event_id"], *event);
    assert_eq!(notice["sender"], *bob.id);
    assert_eq!(notice["type"], "m.room.message");

    let content = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"});
    let mark = stage.desktop.notifications().len();
    bob.send_event(&room, "m.room.encrypted", &content);
    let popup = stage.desktop.notifications().wait_for_notify_since(mark, "the encrypted one", |_| true);
    assert!(popup.body.contains("Encrypted message"), "{popup:?}");
    assert_eq!(popup.summary, "Bob in Mission Control");

    // The homeserver sends no details of a room that she has not joined.
    bob.create_room(&json!({"name": "Secret Plans", "invite": [alice.id]}));
    let popup = stage.desktop.notifications().wait_for_notify_since(mark, "the invite", |popup| {
        popup.summary.contains("invites you") || popup.body.contains("invites you")
    });
    assert!(popup.summary.contains(&*bob.id) || popup.summary.contains("Bob"), "{popup:?}");

    // What could not be fetched before a restart is fetched after it.
    stage.pushbell.terminate();
    stage.pushbell.run();
    stage.wait_until_caught_up();
    let late = bob.send(&room, "after the restart");
    wait_until("it has its text", SOON, || {
        stage
            .pushbell
            .history()
            .iter()
            .any(|notice| notice["event_id"] == *late && notice["body"] == "after the restart")
    });
}

#[test]
fn a_slow_homeserver_delays_no_popup_and_updates_it_later() {
    let homeserver = MockHomeserver::start();
    let details = |asked: &ReceivedRequest| asked.what.starts_with("GET /rooms/");
    homeserver.answer(move |answers| {
        answers.held = Box::new(details);
        answers.instead = Box::new(|asked| {
            let event = json!({"event_id": "$1", "room_id": "!r:hs.test", "type": "m.room.message",
                "sender": "@bob:hs.test", "content": {"msgtype": "m.text", "body": "what it was"}});
            if asked.what.contains("/event/") {
                Some((200, event))
            } else if asked.what.contains("/state/m.room.name") {
                Some((200, json!({"name": "Kitchen"})))
            } else if asked.what.contains("/state/m.room.member/") {
                Some((200, json!({"membership": "join", "displayname": "Bob"})))
            } else {
                None
            }
        });
    });
    let session = Session { event_id_only: true, ..Session::new("@alice:hs.test", homeserver.port, "token") };
    let mut stage = Stage::start(&session);
    let push = json!({"event_id": "$1", "room_id": "!r:hs.test", "prio": "high", "counts": {"unread": 1}});
    let sent = Instant::now();
    stage.pushbell.notify(&stage.account, push);
    let popup = stage.desktop.notifications().wait_for_notify("a popup in any case", |_| true);
    assert!((1500..4000).contains(&sent.elapsed().as_millis()), "{:?}", sent.elapsed());
    assert_eq!(popup.summary, "New message");
    assert_eq!(homeserver.asked().iter().filter(|asked| details(asked)).count(), 1);

    // It survives a restart.
    stage.pushbell.kill9();
    stage.pushbell.run();
    wait_until("it is asked again", SOON, || homeserver.asked().iter().filter(|asked| details(asked)).count() >= 2);
    homeserver.answer(|answers| answers.held = Box::new(|_| false));
    wait_until("it is known", SOON, || {
        let notice = &stage.pushbell.history()[0];
        notice["body"] == "what it was" && notice["room_name"] == "Kitchen" && notice["sender_display_name"] == "Bob"
    });
    let mark = stage.desktop.notifications().len();
    stage.pushbell.notify(
        &stage.account,
        json!({"event_id": "$2", "room_id": "!r:hs.test", "prio": "high", "counts": {"unread": 1}}),
    );
    // The mock answers this for every event; the names are cached.
    let popup = stage.desktop.notifications().wait_for_notify_since(mark, "the next", |_| true);
    assert_eq!(popup.summary, "Bob in Kitchen");
    assert_eq!(homeserver.asked().iter().filter(|asked| asked.what.contains("/state/m.room.name")).count(), 1);
}

#[test]
fn a_push_does_not_override_the_homeservers_retry_after() {
    let homeserver = MockHomeserver::start();
    let details = |asked: &ReceivedRequest| asked.what.starts_with("GET /rooms/");
    homeserver.answer(move |answers| {
        answers.instead = Box::new(move |asked| {
            details(asked).then(|| (429, json!({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 600_000})))
        });
    });
    let session = Session { event_id_only: true, ..Session::new("@alice:hs.test", homeserver.port, "token") };
    let stage = Stage::start(&session);
    for number in 0..12 {
        let push = json!({"event_id": format!("${number}"), "room_id": "!r:hs.test", "counts": {"unread": 1}});
        stage.pushbell.notify(&stage.account, push);
        wait_until("it is asked once", SOON, || homeserver.asked().iter().any(details));
    }
    stage.pushbell.wait_for_status("all were shown", |status| status["inbox"]["unshown"] == 0);
    assert_eq!(homeserver.asked().iter().filter(|asked| details(asked)).count(), 1);
}
