//! Room keys that arrive late, in great numbers, or never.

use std::{
    thread,
    time::{Duration, Instant},
};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    rig::{SOON, never_within, wait_until},
    scene::{Scene, encryption},
};

/// Bob's next message with a room key of its own: the event ID, and a function that sends the key.
fn message(scene: &Scene, text: &str) -> (String, impl Fn()) {
    scene.bob.rotate(&scene.room);
    let content = json!({"msgtype": "m.text", "body": text});
    let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
    let event = scene.bob.user.send_event(&scene.room, "m.room.encrypted", &ciphertext);
    (event, move || scene.bob.deliver(&keys))
}

#[test]
fn a_key_that_comes_within_two_seconds_shows_no_placeholder() {
    let scene = Scene::signed_in();
    let first = scene.bob.write(&scene.room, &scene.alice, "One.");
    scene.says(&first, "One.");
    // On a busy machine the placeholder may be shown first; the next attempt is faster.
    for _ in 0..3 {
        let (mark, begun) = (scene.mark(), Instant::now());
        let (event, deliver) = message(&scene, "A bit late.");
        // The delay is what is tested.
        thread::sleep(Duration::from_millis(1200).saturating_sub(begun.elapsed()));
        deliver();
        scene.says(&event, "A bit late.");
        let popups = scene.desktop.notifications().all_since(mark);
        if popups.iter().all(|popup| !popup.body.contains("Encrypted message")) {
            return;
        }
    }
    panic!("each time there was a placeholder");
}

#[test]
fn a_key_that_comes_when_nobody_looks_any_more_is_found() {
    let scene = Scene::signed_in();
    let begun = Instant::now();
    let (event, deliver) = message(&scene, "Far too late.");
    scene.line(&event, "it is listed", |line| line["body"] == "Encrypted message");
    // How long the key is waited for.
    thread::sleep(Duration::from_secs(11).saturating_sub(begun.elapsed()));
    let syncs = scene.syncs();
    never_within(Duration::from_secs(6), "it still looks", || scene.syncs() > syncs + 1);
    deliver();
    let next = scene.bob.write(&scene.room, &scene.alice, "The next.");
    scene.says(&next, "The next.");
    // In the same sync.
    scene.says(&event, "Far too late.");
}

#[test]
fn a_used_up_stock_of_one_time_keys_is_filled_up() {
    let scene = Scene::signed_in();
    let device = scene.own_device();
    let claim = || {
        let wanted = json!({"one_time_keys": {&scene.alice.id: {&device: "signed_curve25519"}}});
        scene.bob.user.request(&Method::POST, "keys/claim", &wanted)["one_time_keys"][&scene.alice.id][&device].clone()
    };
    let is_fallback = |key: &Value| key.to_string().contains("\"fallback\":true");
    // The fallback key is uploaded after the first sync.
    wait_until("there is a fallback key", SOON, || (0..60).any(|_| is_fallback(&claim())));
    let event = scene.bob.write(&scene.room, &scene.alice, "With the fallback key.");
    scene.says(&event, "With the fallback key.");
    wait_until("there are one-time keys again", SOON, || !is_fallback(&claim()));
}

#[test]
fn two_accounts_are_read_at_once() {
    let scene = Scene::signed_in();
    let carol = scene.register("carol");
    let login = scene.login_of(&carol, &[]);
    assert!(login.stdout.contains("Encrypted messages are read"), "{login:#?}");
    let room = scene.bob.user.create_room(&json!({"invite": [carol.id], "initial_state": [encryption()]}));
    carol.join(&room);
    for number in 0..3 {
        let (to_alice, to_carol) = (format!("For Alice, {number}."), format!("For Carol, {number}."));
        let first = scene.bob.write(&scene.room, &scene.alice, &to_alice);
        let second = scene.bob.write(&room, &carol, &to_carol);
        assert_eq!(scene.says(&first, &to_alice)["account"], scene.alice.id.as_str());
        assert_eq!(scene.says(&second, &to_carol)["account"], carol.id.as_str());
    }
}
