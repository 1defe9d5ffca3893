//! Polling the room of a ringing call, on a homeserver that gives invalid answers.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    mock_homeserver::{MockHomeserver, ReceivedRequest},
    rig::{Notify, SOON, never_within, pushbell::message, wait_until},
    stage::{Session, Stage},
};

const POLL: &str = "GET /rooms/%21room/messages";

/// Longer than the interval between two polls.
const SEVERAL_POLLS: Duration = Duration::from_secs(3);

fn call() -> Value {
    let mut call = message("call", "room", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "c", "lifetime": 60_000});
    call
}

/// Answers with the newest events of the room: these, and before them the call.
fn events(after: &[Value]) -> (u16, Value) {
    let invite = json!({"event_id": "$call", "sender": "@bob:hs.test", "type": "m.call.invite", "content": {}});
    let chunk = [after, &[invite]].concat();
    (200, json!({"start": "t2", "end": "t1", "chunk": chunk}))
}

fn is_poll(asked: &ReceivedRequest) -> bool {
    asked.what == POLL
}

fn start(mock_homeserver: &MockHomeserver) -> Stage {
    Stage::start(&Session::new("@alice:hs.test", mock_homeserver.port, "token"))
}

fn rings(stage: &Stage) -> Notify {
    stage.desktop.notifications().wait_for_notify("it rings", |popup| popup.summary == "Bob is calling")
}

#[test]
fn a_room_is_looked_at_while_its_call_rings_and_no_longer() {
    let mock_homeserver = MockHomeserver::start();
    mock_homeserver.answer(|answers| {
        answers.instead = Box::new(|asked| is_poll(asked).then(|| events(&[])));
        answers.held = Box::new(is_poll);
    });
    let stage = start(&mock_homeserver);
    stage.pushbell.notify(&stage.account, message("1", "room", "no call"));
    stage.pushbell.notify(&stage.account, call());
    rings(&stage);
    wait_until("it is looked at", SOON, || mock_homeserver.count(POLL) == 1);
    never_within(SEVERAL_POLLS, "there are two requests at a time", || mock_homeserver.count(POLL) > 1);
    mock_homeserver.answer(|answers| answers.held = Box::new(|_| false));
    wait_until("it is looked at again and again", SOON, || mock_homeserver.count(POLL) > 3);
    let look = mock_homeserver.asked().into_iter().find(is_poll).unwrap();
    assert_eq!((look.query.as_str(), look.token.as_deref()), ("dir=b&limit=30", Some("token")));

    stage.pushbell.ok(&["clear"]);
    // One request may be in flight.
    never_within(Duration::from_millis(300), "", || false);
    let looks = mock_homeserver.count(POLL);
    never_within(SEVERAL_POLLS, "it is looked at though nothing rings", || mock_homeserver.count(POLL) > looks);
}

#[test]
fn a_room_that_is_no_use_ends_nothing_until_it_says_so() {
    let mock_homeserver = MockHomeserver::start();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let huge = format!(r#"{{"chunk":["{}"]}}"#, "x".repeat(2 << 20));
    let answer = json!({"event_id": "$a", "sender": "@alice:hs.test", "type": "m.call.answer", "content": {}});
    let number = AtomicUsize::new(0);
    mock_homeserver.answer(|answers| {
        answers.instead = Box::new(move |asked| {
            is_poll(asked).then(|| match number.fetch_add(1, Ordering::Relaxed) {
                0 => (200, json!({"chunk": [answer.clone(), {"event_id": "$older"}]})),
                1 => (200, Value::String(huge.clone())),
                2 => (200, Value::String(deep.clone())),
                _ => events(std::slice::from_ref(&answer)),
            })
        });
    });
    let stage = start(&mock_homeserver);
    stage.pushbell.notify(&stage.account, call());
    let popup = rings(&stage);
    wait_until("the popup is withdrawn", SOON, || !stage.desktop.notifications().open().contains_key(&popup.id()));
    let limits: Vec<_> = mock_homeserver.asked().into_iter().filter(is_poll).map(|asked| asked.query).collect();
    assert_eq!(limits, ["dir=b&limit=30", "dir=b&limit=30", "dir=b&limit=7", "dir=b&limit=7"]);
    assert_eq!(stage.pushbell.status()["missed_calls"], 0);
    assert_eq!(stage.titles(), ["Bob is calling"]);
}

#[test]
fn what_is_no_room_id_is_never_asked_for() {
    let mock_homeserver = MockHomeserver::start();
    let stage = start(&mock_homeserver);
    let mut call = call();
    call["room_id"] = Value::Null;
    call["room_name"] = "!room:hs.test".into();
    stage.pushbell.notify(&stage.account, call);
    rings(&stage);
    never_within(SEVERAL_POLLS, "a room is asked for", || {
        mock_homeserver.asked().iter().any(|asked| asked.what.contains("/rooms/"))
    });
}
