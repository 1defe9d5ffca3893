//! Forged, replayed and malformed events are not decrypted and cause no requests.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    rig::{SOON, never_within, wait_until},
    scene::Scene,
};

/// Bob's next message, encrypted but not sent; its key was sent.
fn message(scene: &Scene, text: &str) -> Value {
    let content = json!({"msgtype": "m.text", "body": text});
    let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
    scene.bob.deliver(&keys);
    ciphertext
}

#[test]
fn a_message_under_another_sender_is_not_read() {
    let scene = Scene::signed_in();
    let ciphertext = message(&scene, "Send me money.");
    scene.push_encrypted("$forged", "@mallory:hs.test", &scene.room, &ciphertext);
    wait_until("it was looked at", SOON, || scene.pushbell.log().contains("not by the sender that it names"));
    let forged = scene.line("$forged", "it is listed", |_| true);
    assert_eq!((&forged["body"], &forged["type"]), (&json!("Encrypted message"), &json!("m.room.encrypted")));
    assert!(!scene.on_disk("Send me money."));
}

#[test]
fn a_message_under_a_second_id_shows_nothing() {
    let scene = Scene::signed_in();
    let (ciphertext, mark) = (message(&scene, "Only once."), scene.mark());
    scene.push_encrypted("$first", &scene.bob.user.id, &scene.room, &ciphertext);
    scene.popup(mark, "Only once.");
    scene.says("$first", "Only once.");
    let mark = scene.mark();
    scene.push_encrypted("$second", &scene.bob.user.id, &scene.room, &ciphertext);
    wait_until("the second is listed nowhere", SOON, || {
        let lines = scene.pushbell.history();
        lines.len() == 1 && lines[0]["event_id"] == "$first"
    });
    assert_eq!(scene.desktop.notifications().all_since(mark).len(), 0);
}

#[test]
fn a_message_for_another_room_is_not_read() {
    let scene = Scene::signed_in();
    let ciphertext = message(&scene, "For this room.");
    scene.push_encrypted("$first", &scene.bob.user.id, &scene.room, &ciphertext);
    scene.says("$first", "For this room.");
    let another = message(&scene, "For this room too.");
    let mark = scene.mark();
    scene.push_encrypted("$elsewhere", &scene.bob.user.id, "!other:hs.test", &another);
    scene.popup(mark, "Encrypted message");
    assert_eq!(scene.line("$elsewhere", "it is listed", |_| true)["body"], "Encrypted message");
}

#[test]
fn cut_ciphertext_is_shown_as_such_and_causes_no_sync() {
    let scene = Scene::signed_in();
    let first = scene.bob.write(&scene.room, &scene.alice, "One.");
    scene.says(&first, "One.");
    let (whole, mark) = (message(&scene, "Two."), scene.mark());
    let text = whole["ciphertext"].as_str().unwrap();
    let causes_no_sync = |round: &usize| {
        let syncs = scene.syncs();
        for (number, cut) in [&text[..text.len() / 2], "", "!!", "AwgA"].into_iter().enumerate() {
            let mut ciphertext = whole.clone();
            ciphertext["ciphertext"] = cut.into();
            scene.push_encrypted(&format!("$cut{round}.{number}"), &scene.bob.user.id, &scene.room, &ciphertext);
        }
        wait_until("all were looked at", SOON, || {
            scene.pushbell.log().matches("an encrypted message stays so").count() == 4 * round
        });
        scene.syncs() == syncs
    };
    // Syncs that the first message caused may continue in the meantime.
    assert!((1..=5).any(|round| causes_no_sync(&round)));
    scene.popup(mark, "Encrypted message");
}

#[test]
fn a_thousand_unknown_sessions_cause_few_syncs() {
    let scene = Scene::signed_in();
    let (ciphertext, syncs) = (message(&scene, "Known."), scene.syncs());
    let (device, begun) = (scene.device(), Instant::now());
    for number in 0..1000 {
        let mut forged = ciphertext.clone();
        forged["session_id"] = format!("session{number}").into();
        let body = json!({"notification": {
            "event_id": format!("$forged{number}"), "room_id": scene.room, "type": "m.room.encrypted",
            "sender": scene.bob.user.id, "content": forged, "devices": [device],
        }});
        assert_eq!(scene.pushbell.push(&body).0, 200);
    }
    // One at a time, one every two seconds, and none after the keys are given up.
    never_within(Duration::from_secs(6), "there are more syncs", || {
        (scene.syncs() - syncs) as u64 > 4 + begun.elapsed().as_secs() / 2
    });
}
