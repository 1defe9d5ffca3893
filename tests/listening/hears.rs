//! Events received over a long-polling sync.

use std::time::Instant;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{SOON, wait_until},
    scene::{BLOCKED, Scene},
};

#[test]
fn messages_invites_and_calls_come_at_once_without_a_push() {
    let scene = Scene::listening();
    assert_eq!(scene.alice.pushers().len(), 0, "nobody is to push");
    let mut times = Vec::new();
    for number in 0..7 {
        let (mark, text) = (scene.mark(), format!("Message {number}."));
        let sent = Instant::now();
        scene.bob.send(&scene.room, &text);
        scene.popup(mark, &text);
        times.push(sent.elapsed());
    }
    times.sort();
    eprintln!("from sending to the popup: {times:?}");

    let mark = scene.mark();
    scene.bob.create_room(&json!({"name": "Secret Plans", "invite": [scene.alice.id]}));
    scene.popup(mark, "invites you to");

    let mark = scene.mark();
    let call = json!({"call_id": "c", "version": "1", "party_id": "p", "lifetime": 60000,
        "offer": {"type": "offer", "sdp": ""}});
    let direct = scene.bob.create_room(&json!({"invite": [scene.alice.id], "is_direct": true}));
    scene.alice.join(&direct);
    scene.bob.send_event(&direct, "m.call.invite", &call);
    let popup = scene.popup(mark, "call");
    assert!(format!("{popup:?}").contains("call.incoming"), "it rings: {popup:?}");
}

#[test]
fn a_burst_is_known_exactly_once_and_muted_rooms_are_not_heard() {
    let scene = Scene::listening();
    let muted = scene.bob.create_room(&json!({"name": "Noise", "invite": [scene.alice.id]}));
    scene.alice.join(&muted);
    let about = json!([{"kind": "event_match", "key": "room_id", "pattern": muted}]);
    scene.alice.set_push_rule("override", &muted, &json!({"conditions": about, "actions": []}));
    let noise = scene.bob.send(&muted, "Noise.");
    let events: Vec<_> =
        (0..60).map(|number| scene.bob.send(&scene.room, &format!("One of many, {number}."))).collect();
    scene.knows_once(&events);
    assert!(!scene.known().contains_key(&noise));
}

#[test]
fn what_is_read_elsewhere_goes() {
    let scene = Scene::listening();
    let other = scene.bob.create_room(&json!({"name": "Garden", "invite": [scene.alice.id]}));
    scene.alice.join(&other);
    let receipt = |kind: &str, event: &str, body: &Value| {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = format!("rooms/{}/receipt/{kind}/{}", encode(&scene.room), encode(event));
        scene.alice.request(&Method::POST, &path, body);
    };
    let mark = scene.mark();
    scene.bob.send(&other, "It stays.");
    let stays = scene.popup(mark, "It stays.");
    let kinds = [("m.read", json!({})), ("m.read.private", json!({})), ("m.read", json!({"thread_id": "main"}))];
    for (kind, body) in kinds {
        let mark = scene.mark();
        let event = scene.bob.send(&scene.room, "Dinner is ready.");
        let popup = scene.popup(mark, "Dinner is ready.");
        receipt(kind, &event, &body);
        let read = Instant::now();
        wait_until("its popup goes", SOON, || !scene.desktop.notifications().open().contains_key(&popup.id()));
        eprintln!("{kind} {body}: gone after {:?}", read.elapsed());
        assert!(scene.desktop.notifications().open().contains_key(&stays.id()), "another room's stays");
    }
    let root = scene.bob.send(&scene.room, "A thread.");
    scene.knows_once(std::slice::from_ref(&root));
    receipt("m.read", &root, &json!({"thread_id": "main"}));
    let mark = scene.mark();
    let relation = json!({"rel_type": "m.thread", "event_id": root});
    let reply = json!({"msgtype": "m.text", "body": "In the thread.", "m.relates_to": relation});
    let reply = scene.bob.send_event(&scene.room, "m.room.message", &reply);
    let popup = scene.popup(mark, "In the thread.");
    receipt("m.read", &reply, &json!({"thread_id": root}));
    wait_until("its popup goes", SOON, || !scene.desktop.notifications().open().contains_key(&popup.id()));
    let unread = || {
        let unread = scene.pushbell.history().into_iter().filter(|notice| notice["read"] == false);
        unread.map(|notice| notice["body"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until(&format!("the other room alone is unread: {:?}", unread()), SOON, || unread() == ["It stays."]);
}

#[test]
fn encrypted_mentions_are_found_where_only_they_notify() {
    let mut scene = Scene::listening();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let encryption =
        json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let [all, few] = ["All", "Few"].map(|name| {
        let room = bob.user.create_room(&json!({
            "name": name, "invite": [scene.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption],
        }));
        scene.alice.join(&room);
        room
    });
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    let mark = scene.mark();
    bob.write(&all, &scene.alice, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    let mark = scene.mark();
    bob.write(&few, &scene.alice, "Chatter.");
    let mention = json!({"msgtype": "m.text", "body": "Alice, come!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let mention = bob.send_encrypted(&few, &scene.alice, "m.room.message", &mention);
    scene.popup(mark, "Alice, come!");
    let shown = scene.desktop.notifications().all_since(mark);
    assert!(!shown.iter().any(|popup| popup.body.contains("Chatter")), "{shown:#?}");
    scene.knows_once(std::slice::from_ref(&mention));
    // The homeserver does not list it in `/notifications`, and no history is read to find it.
    scene.pushbell.restart();
    scene.account("it has caught up", |account| !account["caught_up_at"].is_null());
    let history = scene.pushbell.history();
    assert!(history.iter().any(|notice| notice["event_id"] == *mention && notice["read"] == false), "{history:#?}");
}
