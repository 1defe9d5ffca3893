//! Killing the app at every step of catching up.

use jiff::Timestamp;
use serde_json::json;

use crate::{
    mock_homeserver::{MockHomeserver, entry},
    rig::{SOON, wait_until},
    stage::{Session, Stage},
};

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Pushes an event as the homeserver does while the app runs.
fn push(stage: &Stage, event: &str) {
    let room = "!kitchen:hs.test";
    stage.pushbell.notify(
        &stage.account,
        json!({"event_id": event, "room_id": room, "type": "m.room.message", "sender": "@bob:hs.test",
               "content": {"body": event}, "counts": {"unread": 1}}),
    );
}

#[test]
fn a_kill_at_any_step_neither_loses_nor_repeats_an_event() {
    let homeserver = MockHomeserver::start();
    let room = "!kitchen:hs.test";
    let session = Session { server: "", ..Session::new("@alice:hs.test", homeserver.port, "token") };
    let mut stage = Stage::start(&session);
    stage.pushbell.kill9();

    let mut events = Vec::new();
    let mut send = |homeserver: &MockHomeserver| {
        let event = format!("$event-{}", events.len());
        homeserver.answer(|answers| answers.listed.insert(0, entry(&event, room, now())));
        events.push(event.clone());
        event
    };
    let steps = ["GET /pushers", "POST /pushers/set", "GET /notifications", "GET /rooms", "second page"];
    for step in steps {
        // Missed earlier; one event per page, so that there is a second page.
        send(&homeserver);
        send(&homeserver);
        let begun = homeserver.asked().len();
        homeserver.answer(|answers| {
            answers.page = 1;
            answers.held = Box::new(move |asked| match step {
                "second page" => asked.query.contains("from="),
                _ => asked.what.starts_with(step),
            });
        });
        stage.pushbell.run();
        wait_until("it is at the step", SOON, || {
            homeserver.asked()[begun..].iter().any(|asked| match step {
                "second page" => asked.query.contains("from="),
                _ => asked.what.starts_with(step),
            })
        });
        // This one is pushed while the app waits there, and the app is killed right after.
        let pushed = send(&homeserver);
        push(&stage, &pushed);
        assert!(stage.account_status()["caught_up_at"].is_null());
        stage.pushbell.kill9();
        // This one is not pushed.
        send(&homeserver);
        homeserver.answer(|answers| answers.held = Box::new(|_| false));
    }
    stage.pushbell.run();
    stage.wait_until_caught_up();
    stage.knows_once(&events);
    assert_eq!(stage.known().len(), events.len());
    // Once more: nothing is new, and the app does not read back beyond its saved position.
    stage.pushbell.restart();
    stage.wait_until_caught_up();
    assert_eq!(stage.catching_up(), "nothing was missed");
    stage.knows_once(&events);
}
