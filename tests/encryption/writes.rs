//! Writing into encrypted rooms from popups.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    proxy::Mode,
    rig::{Clock, SOON, wait_for, wait_until},
    scene::{SYNAPSE, Scene},
};

impl Scene {
    /// The room's events by Alice, newest first, without state events.
    fn events_by_alice(&self, room: &str) -> Vec<Value> {
        let page = self.bob.user.request(&Method::GET, &format!("rooms/{room}/messages?dir=b&limit=30"), &Value::Null);
        let events = page["chunk"].as_array().cloned().unwrap_or_default().into_iter();
        events.filter(|event| event["sender"] == self.alice.id && event.get("state_key").is_none()).collect()
    }

    /// Alice's latest message in the room, as decrypted by Bob.
    pub(crate) fn bob_reads(&self, already: usize) -> Value {
        let what = "Alice has written";
        let event = wait_for(what, SOON, || Some(self.events_by_alice(&self.room)).filter(|all| all.len() > already));
        assert_eq!(event[0]["type"], "m.room.encrypted");
        self.bob.sync();
        self.bob.read(&self.room, &event[0])
    }
}

#[test]
fn a_reply_is_encrypted_where_the_room_is() {
    let mut scene = Scene::signed_in();
    let fake = scene.use_reply_service();
    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "Dinner?");
    let popup = scene.popup(mark, "Dinner?");
    fake.reply(popup.id(), "Yes, at the usual place.");
    let read = scene.bob_reads(0);
    assert_eq!(
        (&read["type"], &read["content"]["body"]),
        (&json!("m.room.message"), &json!("Yes, at the usual place."))
    );
    wait_until("nothing of it is left", SOON, || !scene.on_disk("at the usual place"));

    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "When?");
    let popup = scene.popup(mark, "When?");
    fake.reply(popup.id(), "At eight.");
    assert_eq!(scene.bob_reads(1)["content"]["body"], "At eight.");
}

#[test]
fn an_encrypted_reply_survives_kills_and_is_sent_at_most_once() {
    const SEND: &str = "/send/";
    let (mut scene, proxy) = Scene::behind_faulty_proxy();
    scene.login(&[]);
    let clock = Clock::of(&mut scene.pushbell);
    let fake = scene.use_reply_service();
    // Bob asks, Alice replies, the answers to her requests are lost, and the app is killed.
    let reply = |scene: &mut Scene, question: &str, answer: &str| {
        let (mark, before) = (scene.mark(), scene.requests(SEND));
        scene.bob.write(&scene.room, &scene.alice, question);
        let popup = scene.popup(mark, question);
        proxy.set(Mode::Loses(SEND));
        fake.reply(popup.id(), answer);
        wait_until("it is tried again", SOON, || scene.requests(SEND) > before + 1);
        scene.pushbell.kill9();
    };
    reply(&mut scene, "Dinner?", "Yes, at the usual place.");
    proxy.set(Mode::Open);
    let before = scene.requests(SEND);
    scene.pushbell.run();
    wait_until("it is tried again", SOON, || scene.requests(SEND) > before);

    reply(&mut scene, "When?", "At eight.");
    clock.set("+16m");
    scene.pushbell.run();
    let given_back = scene.popup(0, "It may have been sent");
    assert!(given_back.body.ends_with("\nAt eight."), "{given_back:?}");
    assert!(!scene.on_disk("At eight."));
    assert_eq!(scene.events_by_alice(&scene.room).len(), 2, "each once");
    assert_eq!(scene.bob_reads(1)["content"]["body"], "At eight.");
}

#[test]
fn who_has_left_cannot_read_the_next_reply() {
    let mut scene = Scene::signed_in();
    let carol = scene.register("carol");
    let carol = Client::new(&SYNAPSE, &carol);
    scene.bob.user.invite(&scene.room, &carol.user);
    carol.user.join(&scene.room);
    let fake = scene.use_reply_service();
    // The session ID of the key that encrypts each reply, newest last.
    let mut keys = Vec::new();
    for number in 0..3 {
        if number == 2 {
            carol.user.request(&Method::POST, &format!("rooms/{}/leave", scene.room), &json!({}));
        }
        let (mark, text) = (scene.mark(), format!("Question {number}."));
        scene.bob.write(&scene.room, &scene.alice, &text);
        let popup = scene.popup(mark, &text);
        fake.reply(popup.id(), &format!("Answer {number}."));
        assert_eq!(scene.bob_reads(number)["content"]["body"], format!("Answer {number}."));
        keys.push(scene.events_by_alice(&scene.room)[0]["content"]["session_id"].clone());
    }
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    assert!(carol.has_received("m.room.encrypted"), "she had the first");
}

#[test]
fn a_call_is_declined_in_an_encrypted_room() {
    let mut scene = Scene::signed_in();
    let fake = scene.use_reply_service();
    let mark = scene.mark();
    let call = json!({"call_id": "c", "party_id": "B", "version": "1", "lifetime": 60_000, "offer": {"type": "offer", "sdp": ""}});
    scene.bob.send_encrypted(&scene.room, &scene.alice, "m.call.invite", &call);
    let popup = scene.popup(mark, "Bob is calling");
    fake.invoke_action(popup.id(), "decline");
    let read = scene.bob_reads(0);
    assert_eq!((&read["type"], &read["content"]["call_id"]), (&json!("m.call.reject"), &json!("c")));
}

#[test]
fn a_room_that_was_seen_encrypted_gets_nothing_in_clear() {
    let mut scene = Scene::signed_in();
    let fake = scene.use_reply_service();
    let plain = scene.bob.user.create_room(&json!({"name": "Kitchen", "invite": [scene.alice.id]}));
    scene.alice.join(&plain);
    let mark = scene.mark();
    let ciphertext = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "x"});
    scene.push_encrypted("$odd", &scene.bob.user.id, &plain, &ciphertext);
    let popup = scene.popup(mark, "Encrypted message");
    fake.reply(popup.id(), "Who asks?");
    let written =
        wait_for("something is sent", SOON, || Some(scene.events_by_alice(&plain)).filter(|all| !all.is_empty()));
    assert_eq!(written[0]["type"], "m.room.encrypted");
}

#[test]
fn a_session_without_keys_writes_nothing_into_encrypted_rooms() {
    let mut scene = Scene::new();
    std::fs::write(scene.file("token"), &scene.alice.token).unwrap();
    let token = scene.file("token");
    let login = ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token, "--wait", "0"];
    assert_eq!(scene.pushbell.command(&login).code, 3);
    let fake = scene.use_reply_service();
    let mark = scene.mark();
    scene.bob.user.send(&scene.room, "In clear, though the room is encrypted.");
    let popup = scene.popup(mark, "In clear");
    fake.reply(popup.id(), "Really?");
    let given_back = scene.popup(mark, "nothing is sent in clear");
    assert!(given_back.body.contains("Really?"), "{given_back:?}");
    assert_eq!(scene.events_by_alice(&scene.room), Vec::<Value>::new());
}
