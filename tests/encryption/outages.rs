//! The homeserver is slow, failing or unreachable.

use std::time::Instant;

use serde_json::json;

use crate::{
    client::Client,
    proxy::{FaultyProxy, Mode},
    rig::{SOON, wait_until},
    scene::{SYNAPSE, Scene},
};

impl Scene {
    /// Alice signs in through a proxy that can fail.
    pub(crate) fn behind_faulty_proxy() -> (Self, FaultyProxy) {
        let (proxy, mut scene) = (FaultyProxy::before(SYNAPSE.port), Self::new());
        scene.homeserver = format!("http://127.0.0.1:{}", proxy.port);
        (scene, proxy)
    }
}

#[test]
fn nothing_is_lost_while_the_homeserver_does_not_answer() {
    let (scene, proxy) = Scene::behind_faulty_proxy();
    scene.login(&[]);
    let known = scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.says(&known, "Before.");
    for (number, mode) in [Mode::Fails("/"), Mode::Hangs, Mode::Cut].into_iter().enumerate() {
        proxy.set(mode);
        // With a known key no request is made.
        let known = format!("Known, {number}.");
        let event = scene.bob.write(&scene.room, &scene.alice, &known);
        scene.says(&event, &known);
        scene.bob.rotate(&scene.room);
        let text = format!("Number {number}.");
        let content = json!({"msgtype": "m.text", "body": text});
        let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
        scene.bob.deliver(&keys);
        let (mark, begun, event) = (scene.mark(), Instant::now(), format!("$unknown{number}"));
        scene.push_encrypted(&event, &scene.bob.user.id, &scene.room, &ciphertext);
        let took = begun.elapsed();
        assert!(took < SOON / 2, "{mode:?}: the push is answered after {took:?}");
        scene.popup(mark, "Encrypted message");
        proxy.set(Mode::Open);
        scene.says(&event, &text);
        scene.popup(mark, &text);
    }
}

#[test]
fn a_backup_that_cannot_be_asked_about_counts_as_it_was() {
    let (mut scene, proxy) = Scene::behind_faulty_proxy();
    let usual = Client::new(&SYNAPSE, &scene.alice);
    let recovery_key = usual.set_up_identity();
    usual.set_up_backup(&recovery_key);
    std::fs::write(scene.file("key"), &recovery_key).unwrap();
    scene.login(&["--recovery-key-file", &scene.file("key")]);
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key"), "--with-backup"]);
    scene.account("the backup is used", |account| account["key_backup"] == true);
    let not_asked = |scene: &Scene| scene.pushbell.log().matches("whether the key backup is still the same").count();
    proxy.set(Mode::Fails("/room_keys/version"));
    let (mark, before) = (scene.mark(), not_asked(&scene));
    let event = scene.bob.write(&scene.room, &scene.alice, "Read without it.");
    scene.says(&event, "Read without it.");
    wait_until("it was asked in vain", SOON, || not_asked(&scene) > before + 1);
    assert_eq!(scene.account("it is known", |account| account["verified"] == true)["key_backup"], true);

    // The backup is replaced in the meantime, which is noticed as soon as possible.
    usual.set_up_backup(&recovery_key);
    proxy.set(Mode::Open);
    scene.popup(mark, "The key backup was reset");
    scene.account("the backup is no longer used", |account| account["key_backup"] == false);
    // What is known stays known without the homeserver, also after a restart.
    proxy.set(Mode::Fails("/room_keys/version"));
    let before = not_asked(&scene);
    scene.pushbell.restart();
    wait_until("it was asked in vain", SOON, || not_asked(&scene) > before);
    scene.account("the backup is not used", |account| account["key_backup"] == false);
}
