//! Commands that sync with the session's keys.

use serde_json::json;

use crate::{
    client::Client,
    scene::{BLOCKED, Scene},
};

#[test]
fn a_command_that_syncs_takes_no_mention_away_from_the_app() {
    let mut scene = Scene::listening();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let encryption =
        json!({"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}});
    let few = bob.user.create_room(&json!({
        "name": "Few", "invite": [scene.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption],
    }));
    scene.alice.join(&few);
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    // The sync that is held may still be by the rules before.
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    scene.pushbell.kill9();
    let content = json!({"msgtype": "m.text", "body": "Alice, come!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let mention = bob.send_encrypted(&few, &scene.alice, "m.room.message", &content);
    let key = scene.pushbell.home().join("password").display().to_string();
    for _ in 0..2 {
        let verify = scene.pushbell.command(&["verify", "--recovery-key-file", &key]);
        assert!(verify.code == 1 && verify.stderr.contains("no cross-signing"), "it has synced: {verify:#?}");
    }
    let mark = scene.mark();
    scene.pushbell.run();
    scene.popup(mark, "Alice, come!");
    scene.wait_until_it_listens();
    scene.knows_once(std::slice::from_ref(&mention));
}
