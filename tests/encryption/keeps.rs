//! What is stored, where, and when it is deleted.

use std::{thread, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{SOON, keyring::Keyring, never_within, wait_until},
    scene::{SYNAPSE, Scene},
};

#[test]
fn no_decrypted_text_is_on_the_disk_as_it_is() {
    let mut scene = Scene::signed_in();
    let event = scene.bob.write(&scene.room, &scene.alice, "xyzzy-plugh");
    scene.says(&event, "xyzzy-plugh");
    let edit = json!({
        "msgtype": "m.text", "body": "* frotz-gnusto", "m.new_content": {"msgtype": "m.text", "body": "frotz-gnusto"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    });
    scene.push_from_bob("$edit", "m.room.message", &edit);
    scene.says(&event, "frotz-gnusto");
    assert!(!scene.on_disk("xyzzy-plugh") && !scene.on_disk("frotz-gnusto"));
    scene.pushbell.terminate();
    scene.says(&event, "frotz-gnusto");
    assert!(!scene.on_disk("xyzzy-plugh") && !scene.on_disk("frotz-gnusto"));
    assert!(!scene.pushbell.log().contains("frotz"));
}

#[test]
fn kills_in_the_middle_of_syncs_lose_and_repeat_nothing() {
    const KILLS: usize = 25;
    let mut scene = Scene::signed_in();
    // The library stores a sender's first key in two steps; a kill in between loses that key.
    let first = scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.says(&first, "Before.");
    let mut sent = Vec::new();
    for number in 0..KILLS {
        scene.bob.rotate(&scene.room);
        let text = format!("Number {number}.");
        sent.push((scene.bob.write(&scene.room, &scene.alice, &text), text));
        // The push triggers a sync. Its progress is not visible from outside, so each round kills the app a bit later.
        thread::sleep(Duration::from_millis(4) * u32::try_from(number).unwrap());
        scene.pushbell.kill9();
        scene.pushbell.run();
    }
    for (event, text) in &sent {
        scene.says(event, text);
    }
    assert_eq!(scene.pushbell.history_of(300).len(), KILLS + 1, "each is there once");
}

#[test]
fn signing_out_leaves_no_keys_and_no_texts() {
    let scene = Scene::signed_in();
    let event = scene.bob.write(&scene.room, &scene.alice, "Soon forgotten.");
    scene.says(&event, "Soon forgotten.");
    let stores = || std::fs::read_dir(scene.pushbell.data_directory().join("encryption")).unwrap().count();
    assert!(stores() > 0);
    scene.pushbell.ok(&["logout", &scene.alice.id]);
    assert_eq!(stores(), 0);
    scene.line(&event, "its text is gone", |line| line["body"] == "Encrypted message");
}

#[test]
fn a_session_without_its_keys_gives_way_to_a_new_one() {
    let mut scene = Scene::signed_in();
    let devices = || {
        let devices = scene.alice.request(&Method::GET, "devices", &Value::Null);
        let devices = devices["devices"].as_array().unwrap().iter();
        devices
            .filter(|device| device["display_name"].is_string())
            .map(|device| device["device_id"].clone())
            .collect::<Vec<_>>()
    };
    let before = devices();
    let again = scene.login(&[]);
    assert_eq!(devices(), before, "with its keys it is used again: {again:#?}");
    drop(again);
    scene.pushbell.terminate();
    std::fs::remove_dir_all(scene.pushbell.data_directory().join("encryption")).unwrap();
    scene.pushbell.run();
    scene.login(&[]);
    let devices = {
        let devices = scene.alice.request(&Method::GET, "devices", &Value::Null);
        devices["devices"].as_array().unwrap().iter().filter(|device| device["display_name"].is_string()).count()
    };
    assert_eq!(devices, 1, "the old session was ended");
    let event = scene.bob.write(&scene.room, &scene.alice, "Read again.");
    scene.says(&event, "Read again.");
}

#[test]
fn the_session_of_an_access_token_gets_no_keys() {
    let scene = Scene::new();
    let usual = Client::new(&SYNAPSE, &scene.alice);
    let keys = |scene: &Scene| {
        scene.alice.request(&Method::POST, "keys/query", &json!({"device_keys": {&scene.alice.id: []}}))
    };
    let before = keys(&scene);
    std::fs::write(scene.file("token"), &scene.alice.token).unwrap();
    let token = scene.file("token");
    let login = ["login", &scene.alice.id, "--homeserver", &scene.homeserver, "--token-file", &token, "--wait", "0"];
    let login = scene.pushbell.command(&login);
    assert!(login.stdout.contains("encrypted messages are not read"), "{login:#?}");
    let status = scene.status_says("is that of another client's session");
    assert!(status["encryption"].as_str().unwrap().contains("in the browser"), "{status}");
    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "For the usual client.");
    scene.popup(mark, "Encrypted message");
    never_within(Duration::from_secs(1), "it syncs", || scene.syncs() > 0);
    assert_eq!(keys(&scene), before);
    assert!(!scene.pushbell.data_directory().join("encryption").exists());
    drop(usual);
}

#[test]
fn keys_of_another_client_are_left_alone() {
    let mut scene = Scene::signed_in();
    scene.pushbell.terminate();
    std::fs::remove_dir_all(scene.pushbell.data_directory().join("encryption")).unwrap();
    scene.pushbell.run();
    scene.pushbell.wait_for_status("it says so", |status| {
        let accounts = status["accounts"].as_array().unwrap().iter();
        accounts.filter_map(|account| account["encryption"].as_str()).any(|says| says.contains("left alone"))
    });
    wait_until("it does not try again and again", SOON, || scene.pushbell.log().matches("left alone").count() == 1);
}

#[test]
fn an_older_copy_of_the_keys_ends_in_a_new_session() {
    let mut scene = Scene::signed_in();
    let keys = scene.pushbell.data_directory().join("encryption");
    let copy = scene.pushbell.home().join("copy");
    let run = |program: &str, arguments: &[&std::path::Path]| {
        assert!(std::process::Command::new(program).arg("-rT").args(arguments).status().unwrap().success());
    };
    scene.pushbell.terminate();
    run("cp", &[&keys, &copy]);
    scene.pushbell.run();
    // Each new client that writes consumes a one-time key, which is then replaced.
    let writes = |scene: &Scene| {
        let client = Client::new(&SYNAPSE, &scene.bob.user.sign_in_again());
        client.write(&scene.room, &scene.alice, "From another device.")
    };
    let uploads = scene.uploads();
    scene.says(&writes(&scene), "From another device.");
    // The message is shown before that.
    wait_until("another one-time key is uploaded", SOON, || scene.uploads() > uploads);
    scene.pushbell.terminate();
    std::fs::remove_dir_all(&keys).unwrap();
    run("cp", &[&copy, &keys]);
    scene.pushbell.run();
    writes(&scene);
    scene.pushbell.wait_for_status("it says so", |status| {
        let accounts = status["accounts"].as_array().unwrap().iter();
        accounts.filter_map(|account| account["encryption"].as_str()).any(|says| says.contains("are older than"))
    });
    scene.login(&[]);
    let event = scene.bob.write(&scene.room, &scene.alice, "Read again.");
    scene.says(&event, "Read again.");
}

#[test]
fn texts_wait_for_a_keyring_that_is_locked() {
    let mut scene = Scene::new();
    let keyring = Keyring::start(&scene.desktop);
    scene.login(&[]);
    let first = scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.says(&first, "Before.");
    assert_eq!(scene.account("it is known", |account| account["encryption"].is_string())["key_in_file"], false);
    scene.pushbell.terminate();
    keyring.lock();
    scene.pushbell.run();
    let mark = scene.mark();
    let second = scene.bob.write(&scene.room, &scene.alice, "Meanwhile.");
    scene.popup(mark, "Encrypted message");
    scene.status_says("the keyring (Secret Service) does not give");
    for event in [&first, &second] {
        scene.line(event, "it is locked", |line| line["body"] == "Encrypted message");
    }
    keyring.unlock();
    scene.popup(mark, "Meanwhile.");
    scene.says(&first, "Before.");
    scene.says(&second, "Meanwhile.");
}
