//! Notification settings of single rooms.

use std::{sync::LazyLock, time::Duration};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{SOON, Synapse, never_within, terminal::Terminal, wait_until},
    scene::{SYNAPSE, Scene, encryption},
};

/// A homeserver that pushes every encrypted event, regardless of its room's rules (MSC4028).
static PUSHES_ALL: LazyLock<Synapse> = LazyLock::new(|| {
    let experimental = "experimental_features: {msc4028_push_encrypted_events: true}\n";
    Synapse::start_with(|configuration, _port| configuration + experimental)
});

/// The account's own push rules of this kind, without the homeserver's default rules.
fn rules(scene: &Scene, kind: &str) -> Vec<Value> {
    let rules = scene.alice.request(&Method::GET, "pushrules/", &Value::Null);
    let rules = rules["global"][kind].as_array().unwrap().iter();
    rules.filter(|rule| rule["default"] == false).cloned().collect()
}

/// `pushbell room show` for the scene's room.
fn shown(scene: &Scene) -> Value {
    serde_json::from_str(&scene.pushbell.ok(&["room", "show", &scene.room, "--json"])).unwrap()
}

fn mention(scene: &Scene, text: &str) -> String {
    let content = json!({"msgtype": "m.text", "body": text, "m.mentions": {"user_ids": [scene.alice.id]}});
    scene.bob.send_encrypted(&scene.room, &scene.alice, "m.room.message", &content)
}

#[test]
fn a_room_is_found_and_set_as_clients_do() {
    let scene = Scene::signed_in();
    let options = json!({"name": "Mission Control", "invite": [scene.alice.id], "preset": "trusted_private_chat"});
    let room = scene.bob.user.create_room(&options);
    scene.alice.join(&room);
    let event = scene.bob.user.send(&room, "Ground control here.");
    scene.says(&event, "Ground control here.");
    let listed = |room: &str| {
        let lines = scene.pushbell.ok(&["room", "list", "--json"]);
        let mut lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["room_id"] == room)
    };
    let line = listed(&room).unwrap();
    assert_eq!((&line["name"], &line["notify"]), (&json!("Mission Control"), &json!("default")));
    assert!(scene.pushbell.ok(&["room", "list"]).contains("Mission Control"));

    // By name, case-insensitively.
    scene.pushbell.ok(&["room", "set", "mission control", "--notify", "all"]);
    let [all] = rules(&scene, "room").try_into().unwrap();
    assert_eq!(all["rule_id"], room.as_str());
    assert_eq!(all["actions"], json!(["notify", {"set_tweak": "sound", "value": "default"}]));
    scene.pushbell.ok(&["room", "set", &room, "--notify", "mute"]);
    let [mute] = rules(&scene, "override").try_into().unwrap();
    let condition = json!({"kind": "event_match", "key": "room_id", "pattern": room});
    assert_eq!((&mute["conditions"], &mute["actions"]), (&json!([condition]), &json!([])));
    assert_eq!(rules(&scene, "room"), [] as [Value; 0]);
    assert_eq!(listed(&room).unwrap()["notify"], "mute");
    let said = scene.pushbell.ok(&["room", "set", &room, "--notify", "mentions", "--with-override"]);
    assert!(said.contains("not encrypted"), "{said}");
    let [mentions] = rules(&scene, "room").try_into().unwrap();
    assert_eq!((&mentions["actions"], rules(&scene, "override").len()), (&json!([]), 0));
    scene.pushbell.ok(&["room", "set", &room, "--notify", "default"]);
    assert_eq!((rules(&scene, "room").len(), rules(&scene, "override").len()), (0, 0));

    // As another client mutes a room; no event of it has arrived.
    let silent = scene.bob.user.create_room(&json!({"room_alias_name": "silent"}));
    assert_eq!(listed(&silent), None);
    let condition = json!({"kind": "event_match", "key": "room_id", "pattern": silent});
    scene.alice.set_push_rule("override", &silent, &json!({"conditions": [condition], "actions": []}));
    assert_eq!(listed(&silent).unwrap()["notify"], "mute");
    assert!(scene.pushbell.ok(&["room", "show", "#silent:hs.test"]).contains("Notifies of nothing"));
    let nowhere = scene.pushbell.command(&["room", "show", "Nowhere"]);
    assert!(nowhere.code == 1 && nowhere.stderr.contains("pushbell room list"), "{nowhere:#?}");
}

#[test]
fn mentions_in_an_encrypted_room_come_by_a_rule_of_ours() {
    let scene = Scene::signed_in();
    let said = scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions"]);
    assert!(said.contains("pushes nothing of this room"), "{said}");
    let shown_without = shown(&scene);
    assert_eq!((&shown_without["notify"], &shown_without["encrypted"]), (&json!("mentions"), &json!(true)));
    assert_eq!(shown_without["every_encrypted"], Value::Null);
    let lost = mention(&scene, "Nobody is told.");

    let said = scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions", "--with-override"]);
    assert!(said.contains("your other devices are woken too"), "{said}");
    assert_eq!(shown(&scene)["every_encrypted"], "pushbell");
    let mark = scene.mark();
    let chatter = scene.bob.write(&scene.room, &scene.alice, "Just chatter.");
    let line = scene.says(&chatter, "Just chatter.");
    assert_eq!((&line["shown"], &line["read"], &line["sound"]), (&json!(false), &json!(true), &Value::Null));
    let event = mention(&scene, "Alice, look!");
    let line = scene.says(&event, "Alice, look!");
    assert_eq!((&line["highlight"], &line["sound"]), (&json!(true), &json!("default")));
    let popup = scene.popup(mark, "Alice, look!");
    assert!(!popup.body.contains("chatter"), "{popup:#?}");
    assert!(scene.pushbell.history().iter().all(|line| line["event_id"] != lost.as_str()));

    let doctor = scene.pushbell.command(&["doctor"]).stdout;
    let unwrapped = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unwrapped.contains(&format!("wakes your other devices too: {}", scene.room)), "{doctor}");
    scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mute"]);
    let [mute] = rules(&scene, "override").try_into().unwrap();
    assert_eq!(mute["rule_id"], scene.room.as_str());
}

#[test]
fn signing_out_leaves_no_push_rule_of_ours() {
    let scene = Scene::signed_in();
    scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions", "--with-override"]);
    let anothers = "org.pushbell.encrypted.another-computer.!r:hs.test";
    let rule = json!({"conditions": [], "actions": ["notify"]});
    scene.alice.set_push_rule("override", anothers, &rule);
    assert_eq!(rules(&scene, "override").len(), 2);
    let said = scene.pushbell.ok(&["logout", "--all"]);
    assert!(said.contains("Removed 1 push rule"), "{said}");
    let [left] = rules(&scene, "override").try_into().unwrap();
    assert_eq!(left["rule_id"], anothers);
}

#[test]
fn at_a_terminal_the_rule_of_ours_is_asked_about() {
    let scene = Scene::signed_in();
    for (answer, is_set) in [("no", false), ("yes", true)] {
        let arguments = ["room", "set", &scene.room, "--notify", "mentions"];
        let mut terminal = Terminal::run(env!("CARGO_BIN_EXE_pushbell"), &arguments, scene.pushbell.env());
        terminal.expect("your other devices are woken too");
        terminal.type_line(answer);
        assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
        assert_eq!(rules(&scene, "override").len(), usize::from(is_set));
    }
    // Nothing is requested where there is nothing to decide.
    let arguments = ["room", "set", &scene.room, "--notify", "mentions", "--no-override"];
    let mut terminal = Terminal::run(env!("CARGO_BIN_EXE_pushbell"), &arguments, scene.pushbell.env());
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    assert_eq!(rules(&scene, "override").len(), 0);
}

/// A message whose key is missing shows nothing but is listed in the history; a mention is shown once its key arrives.
fn check_undecrypted(scene: &Scene) {
    let content = json!({"msgtype": "m.text", "body": "Alice, late!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
    let mark = scene.mark();
    let event = scene.bob.user.send_event(&scene.room, "m.room.encrypted", &ciphertext);
    let line = scene.says(&event, "Encrypted message");
    assert_eq!(line["shown"], false);
    never_within(Duration::from_secs(3), "a popup tells of it", || {
        !scene.desktop.notifications().all_since(mark).is_empty()
    });
    scene.bob.deliver(&keys);
    scene.popup(mark, "Alice, late!");
    let line = scene.says(&event, "Alice, late!");
    assert_eq!((&line["highlight"], &line["sound"]), (&json!(true), &json!("default")));
}

#[test]
fn what_a_homeserver_pushes_undecrypted_shows_nothing() {
    let scene = Scene::signed_in_at(&PUSHES_ALL);
    check_undecrypted(&scene);
    // No push rule of ours is needed with that homeserver.
    let said = scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions"]);
    assert_eq!((said.lines().count(), shown(&scene)["every_encrypted"].as_str()), (1, Some("homeserver")), "{said}");
    assert_eq!(rules(&scene, "override").len(), 0);
    let mark = scene.mark();
    let chatter = scene.bob.write(&scene.room, &scene.alice, "Just chatter.");
    let line = scene.says(&chatter, "Just chatter.");
    assert_eq!((&line["shown"], &line["sound"]), (&json!(false), &Value::Null));
    mention(&scene, "Alice, here!");
    scene.popup(mark, "Alice, here!");
    assert!(scene.desktop.notifications().all_since(mark).iter().all(|popup| !popup.body.contains("chatter")));
}

#[test]
fn what_our_rule_has_pushed_undecrypted_shows_nothing() {
    let scene = Scene::signed_in();
    scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions", "--with-override"]);
    check_undecrypted(&scene);
}

/// The history's line for the sender's next message in the room.
fn next_message(scene: &Scene, sender: &Client, room: &str, content: &Value) -> Value {
    let event = sender.send_encrypted(room, &scene.alice, "m.room.message", content);
    scene.line(&event, "it is read", |line| line["type"] == "m.room.message")
}

#[test]
fn what_rules_need_is_asked_again_when_it_has_changed() {
    let scene = Scene::signed_in();
    let hello = json!({"msgtype": "m.text", "body": "Hello."});
    let line = next_message(&scene, &scene.bob, &scene.room, &hello);
    assert_eq!(line["sound"], "default", "they are two");
    let carol = Client::new(
        &SYNAPSE,
        &SYNAPSE
            .register(&format!("newcomer-{}", &scene.alice.id[1..scene.alice.id.len() - ":hs.test".len()]), "Carol"),
    );
    scene.bob.user.invite(&scene.room, &carol.user);
    carol.user.join(&scene.room);
    wait_until("three make no direct room", 3 * SOON, || {
        next_message(&scene, &carol, &scene.room, &hello)["sound"].is_null()
    });

    // A known rule is removed by another client.
    scene.pushbell.ok(&["room", "set", &scene.room, "--notify", "mentions"]);
    scene.push_from_bob("$late", "m.room.message", &hello);
    let line = scene.says("$late", "Hello.");
    assert_eq!((&line["shown"], &line["read"]), (&json!(false), &json!(true)));
    let room = percent_encoding::utf8_percent_encode(&scene.room, percent_encoding::NON_ALPHANUMERIC);
    scene.alice.request(&Method::DELETE, &format!("pushrules/global/room/{room}"), &Value::Null);
    wait_until("it is told again", 3 * SOON, || next_message(&scene, &scene.bob, &scene.room, &hello)["read"] == false);
}

#[test]
fn who_has_made_a_room_may_mention_it() {
    let scene = Scene::signed_in();
    let content = json!({"msgtype": "m.text", "body": "All of you!", "m.mentions": {"room": true}});
    for version in ["11", "12"] {
        let room = scene.bob.user.create_room(&json!({
            "room_version": version, "invite": [scene.alice.id], "preset": "private_chat", "initial_state": [encryption()],
        }));
        scene.alice.join(&room);
        let line = next_message(&scene, &scene.bob, &room, &content);
        assert_eq!(line["highlight"], true, "in a room of version {version}");
    }
}
