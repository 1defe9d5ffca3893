//! Events that arrive while the app is not running, more than a list or a sync answer holds.

use serde_json::json;

use crate::{
    client::Client,
    links::Nginx,
    scene::{BLOCKED, Scene},
};

const ENCRYPTION: &str =
    r#"{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}"#;

#[test]
fn unlisted_events_are_judged_and_absent_ones_counted() {
    let none = "location /_matrix/client/v3/notifications {\nreturn 200 '{\"notifications\": []}';\n}";
    let nginx = Nginx::start(none);
    let mut scene = Scene::listening_behind(&BLOCKED, nginx.port);
    let few = scene.bob.create_room(&json!({"name": "Few", "invite": [scene.alice.id]}));
    scene.alice.join(&few);
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    let mark = scene.mark();
    let before = scene.bob.send(&scene.room, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    scene.pushbell.kill9();

    let content = json!({"msgtype": "m.text", "body": "Alice, come!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let mention = scene.bob.send_event(&few, "m.room.message", &content);
    let chatter = scene.bob.send(&few, "Chatter.");
    let many: Vec<_> = (0..46).map(|number| scene.bob.send(&scene.room, &format!("One of many, {number}."))).collect();
    let mark = scene.mark();
    scene.pushbell.run();
    let popup = scene.popup(mark, "47 unread");
    assert!(popup.summary == "More is unread" && popup.body.contains("Kitchen: 47 unread"), "{popup:?}");
    scene.popup(mark, "Alice, come!");
    scene.wait_until_it_listens();
    let last = scene.bob.send(&scene.room, "The last one.");
    scene.knows_once(&[&[before, mention, last], &many[26..]].concat());
    let known = scene.known();
    assert!(!known.contains_key(&chatter) && !known.contains_key(&many[25]), "{known:#?}");
    let counted =
        scene.desktop.notifications().all_since(mark).iter().filter(|it| it.summary == "More is unread").count();
    assert_eq!(counted, 1);
}

#[test]
fn a_mention_before_many_messages_and_a_command_is_found() {
    let mut scene = Scene::listening();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let encryption: serde_json::Value = serde_json::from_str(ENCRYPTION).unwrap();
    let few = bob.user.create_room(&json!({
        "name": "Few", "invite": [scene.alice.id], "preset": "trusted_private_chat", "initial_state": [encryption],
    }));
    scene.alice.join(&few);
    scene.alice.set_push_rule("room", &few, &json!({"actions": []}));
    // The pending sync may still use the previous rules.
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    scene.pushbell.kill9();
    let content = json!({"msgtype": "m.text", "body": "Alice, come!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let mention = bob.send_encrypted(&few, &scene.alice, "m.room.message", &content);
    for number in 0..30 {
        bob.write(&few, &scene.alice, &format!("Chatter, {number}."));
    }
    // Events received by a command's syncs still reach the app.
    let key = scene.pushbell.home().join("password").display().to_string();
    for _ in 0..2 {
        let verify = scene.pushbell.command(&["verify", "--recovery-key-file", &key]);
        assert!(verify.code == 1 && verify.stderr.contains("no cross-signing"), "it has synced: {verify:#?}");
    }
    let mark = scene.mark();
    scene.pushbell.run();
    scene.popup(mark, "Alice, come!");
    scene.knows_once(&[mention]);
    let shown = scene.desktop.notifications().all_since(mark);
    assert!(!shown.iter().any(|popup| popup.body.contains("Chatter")), "{shown:#?}");
}
