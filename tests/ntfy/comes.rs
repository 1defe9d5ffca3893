//! What is accepted through a relay, and what is not.

use std::slice;

use serde_json::{Value, json};

use crate::{
    relay::Behavior,
    rig::{FakeLogind, SOON, wait_until},
    signed_in,
};

#[test]
fn nothing_that_is_shown_comes_from_the_relay() {
    let (scene, relay, proof) = signed_in();
    let pushers = scene.alice.pushers();
    let [pusher] = &pushers[..] else { panic!("{pushers:#?}") };
    let pushkey = pusher["pushkey"].as_str().unwrap();
    let topic = pushkey.strip_prefix(&format!("{}/", relay.url())).unwrap().strip_suffix("?up=1").unwrap();
    assert!(topic.len() == 14 && topic.starts_with("up"), "{topic}");
    assert_eq!(pusher["data"]["url"], format!("{}/_matrix/push/v1/notify", relay.url()));
    assert_eq!(pusher["data"]["format"], "event_id_only");

    let mark = scene.mark();
    let event = scene.bob.send(&scene.room, "Dinner is ready.");
    let popup = scene.popup(mark, "Dinner is ready.");
    assert!(relay.pushes().iter().all(|push| push["notification"]["content"].is_null()), "no text goes through it");
    scene.knows_once(&[proof, event.clone()]);
    scene.account("it was pushed", |account| !account["last_push"].is_null());
    scene.alice.read(&scene.room, &event);
    wait_until("what is read elsewhere goes", SOON, || !scene.desktop.notifications().open().contains_key(&popup.id()));

    let device = |pushkey: &str| json!([{"app_id": pusher["app_id"], "pushkey": pushkey}]);
    let publish = |push: Value| relay.publish(&json!({"notification": push}).to_string());
    let made_up = json!({"msgtype": "m.text", "body": "Made up."});
    publish(json!({"event_id": "$made-up", "room_id": scene.room, "type": "m.room.message", "sender": scene.bob.id,
        "content": made_up, "counts": {"unread": 77}, "devices": device(pushkey)}));
    publish(json!({"event_id": "$made-up", "room_id": "!nowhere:hs.test", "devices": device(pushkey)}));
    publish(json!({"event_id": "$another", "room_id": scene.room, "devices": device("another")}));
    for nonsense in ["", "{", "7", "{\"notification\": 7}", &"x".repeat(900_000)] {
        relay.publish(nonsense);
    }
    let last = scene.bob.send(&scene.room, "The last one.");
    scene.popup(mark, "The last one.");
    scene.knows_once(slice::from_ref(&last));
    let known = scene.known();
    assert!(!known.contains_key("$made-up") && !known.contains_key("$another"), "{known:#?}");
    let account = scene.account("the homeserver's number", |account| account["unread"] == 1);
    assert_eq!(account["way"], "ntfy");
    let all = scene.desktop.notifications().all_since(0);
    assert!(!all.iter().any(|popup| popup.body.contains("Made up.")), "{all:#?}");

    // At our own endpoint the pushkey is unknown.
    let forged = json!({"notification": {"event_id": "$forged", "room_id": scene.room, "type": "m.room.message",
        "content": made_up, "devices": device(pushkey)}});
    assert_eq!(scene.pushbell.push(&forged), (200, json!({"rejected": [pushkey]})));
    assert!(!scene.known().contains_key("$forged"));

    let doctor = scene.pushbell.command(&["doctor"]);
    let status = scene.pushbell.command(&["status"]);
    for said in [doctor.stdout, status.stdout, scene.pushbell.log()] {
        assert!(!said.contains(topic), "the topic is a secret: {said}");
    }
}

#[test]
fn every_event_is_known_once_despite_relay_ends_and_repeats() {
    let (mut scene, relay, proof) = signed_in();
    relay.set_behavior(Behavior { replays_all: true, ..Behavior::default() });
    let mut events = vec![proof];
    for _ in 0..6 {
        relay.cut();
        events.extend((0..10).map(|number| scene.bob.send(&scene.room, &format!("One of many, {number}."))));
        scene.knows_once(&events);
    }
    assert!(relay.counts().0 > 6, "{:?}", relay.counts());
    // Also what arrives while Pushbell is not running.
    scene.pushbell.kill9();
    events.extend((0..10).map(|number| scene.bob.send(&scene.room, &format!("Meanwhile, {number}."))));
    let connections = relay.counts().0;
    scene.pushbell.run();
    wait_until("it connects again", SOON, || relay.counts().0 > connections);
    events.push(scene.bob.send(&scene.room, "Afterwards."));
    scene.knows_once(&events);
}

#[test]
fn refusals_and_silence_lose_nothing() {
    let (scene, relay, proof) = signed_in();
    let logind = FakeLogind::start(&scene.desktop, false);
    let mut events = vec![proof];
    for refusal in [(413, 41_302), (429, 42_901), (507, 50_701)] {
        let (_, _, refused) = relay.counts();
        relay
            .set_behavior(Behavior { to_pushes: Some((refusal.0, json!({"code": refusal.1}))), ..Behavior::default() });
        events.push(scene.bob.send(&scene.room, &format!("Refused with {}.", refusal.0)));
        wait_until("it refuses", SOON, || relay.counts().2 > refused);
        relay.set_behavior(Behavior::default());
        scene.knows_once(&events);
    }
    // The homeserver deletes the pusher.
    relay.set_behavior(Behavior { to_pushes: Some((200, json!({"rejected": "it"}))), ..Behavior::default() });
    events.push(scene.bob.send(&scene.room, "Rejected."));
    wait_until("the pusher goes", SOON, || scene.alice.pushers().is_empty());
    relay.set_behavior(Behavior::default());
    logind.sleep_and_wake();
    scene.knows_once(&events);
    wait_until("the pusher is set again", SOON, || !scene.alice.pushers().is_empty());

    // As if the connection were lost without a FIN.
    relay.set_behavior(Behavior { is_mute: true, ..Behavior::default() });
    let connections = relay.counts().0;
    events.push(scene.bob.send(&scene.room, "Unheard."));
    wait_until("it connects again", 2 * SOON, || relay.counts().0 > connections);
    scene.knows_once(&events);
}

#[test]
fn a_buffering_proxy_is_polled_and_a_refusal_is_reported() {
    let (scene, relay, proof) = signed_in();
    relay.set_behavior(Behavior { buffers_answers: true, ..Behavior::default() });
    relay.cut();
    let event = scene.bob.send(&scene.room, "By asking.");
    scene.knows_once(&[proof, event]);
    scene.account("it says so", |account| {
        account["way_now"].as_str().unwrap_or_default().contains("holds its answers back")
    });
    assert!(relay.counts().1 > 0);
    let doctor = scene.pushbell.command(&["doctor"]);
    assert!(doctor.stdout.contains("proxy_buffering off;"), "{doctor:#?}");

    relay.set_behavior(Behavior { to_readers: Some((403, "")), ..Behavior::default() });
    let mark = scene.mark();
    FakeLogind::start(&scene.desktop, false).sleep_and_wake();
    scene.popup(mark, "does not let Pushbell read the topic");
    scene.account("it says so", |account| {
        account["way_now"].as_str().unwrap_or_default().contains("does not let Pushbell read")
    });
    let doctor = scene.pushbell.command(&["doctor"]);
    assert!(doctor.stdout.contains("ntfy access everyone"), "{doctor:#?}");
}
