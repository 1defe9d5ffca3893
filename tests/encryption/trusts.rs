//! The session becomes a verified one.

use serde_json::{Value, json};

use crate::{
    client::Client,
    scene::{SYNAPSE, Scene},
};

fn account(scene: &Scene, fits: impl Fn(&Value) -> bool) -> Value {
    let of_alice = |status: &Value| {
        let accounts = status["accounts"].as_array().unwrap();
        accounts.iter().find(|account| account["name"] == scene.alice.id.as_str()).cloned().unwrap_or_default()
    };
    of_alice(&scene.pushbell.wait_for_status("the status of the session", |status| fits(&of_alice(status))))
}

#[test]
fn a_recovery_key_makes_the_session_a_verified_one() {
    let mut scene = Scene::new();
    let usual = Client::new(&SYNAPSE, &scene.alice);
    let recovery_key = usual.set_up_identity();
    scene.bob.set_up_identity();
    scene.bob.excludes_insecure_devices = true;
    scene.login(&[]);
    let unverified = account(&scene, |account| account["verified"] == false);
    assert!(unverified["encryption"].as_str().unwrap().contains("pushbell verify"), "{unverified}");
    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.popup(mark, "Encrypted message");

    std::fs::write(scene.file("wrong"), "EsTc 5rr1 4Cfd 1yTu").unwrap();
    let wrong = scene.pushbell.command(&["verify", "--recovery-key-file", &scene.file("wrong")]);
    assert_eq!(wrong.code, 1, "{wrong:#?}");
    assert!(wrong.stderr.contains("not the account's recovery key"), "{wrong:#?}");
    std::fs::write(scene.file("key"), recovery_key).unwrap();
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key")]);
    account(&scene, |account| account["verified"] == true);
    let event = scene.bob.write(&scene.room, &scene.alice, "After.");
    scene.says(&event, "After.");
    assert!(!scene.on_disk("m.cross_signing.self_signing"));
}

#[test]
fn a_login_verifies_with_a_recovery_key_from_a_file() {
    let scene = Scene::new();
    let recovery_key = Client::new(&SYNAPSE, &scene.alice).set_up_identity();
    std::fs::write(scene.file("key"), recovery_key).unwrap();
    let login = scene.login(&["--recovery-key-file", &scene.file("key")]);
    assert!(login.stdout.contains("Encrypted messages are read.\n"), "{login:#?}");
    assert_eq!(account(&scene, |account| account["verified"] == true)["verified"], json!(true));
}
