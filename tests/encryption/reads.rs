//! What comes encrypted is read.

use serde_json::{Value, json};

use crate::{rig::synapse, scene::Scene};

#[test]
fn a_message_with_a_new_key_is_read_and_sounds() {
    let scene = Scene::signed_in();
    let mark = scene.mark();
    let event = scene.bob.write(&scene.room, &scene.alice, "Dinner is ready.");
    let popup = scene.popup(mark, "Dinner is ready.");
    assert_eq!(popup.summary, "Bob");
    // On a busy computer the key may take longer than the popup waits.
    let shown = scene.desktop.notifications().all_since(mark);
    let mut placeholders = shown.iter().filter(|other| other.body.contains("Encrypted"));
    assert!(placeholders.all(|other| other.id() == popup.replaces_id), "{shown:#?}");
    let line = scene.says(&event, "Dinner is ready.");
    assert_eq!((&line["type"], &line["sound"]), (&json!("m.room.message"), &json!("default")));
}

#[test]
fn a_message_with_a_known_key_is_read_without_a_sync() {
    let scene = Scene::signed_in();
    let reads_without_a_sync = |text: &&str| {
        let syncs = scene.syncs();
        let event = scene.bob.write(&scene.room, &scene.alice, text);
        scene.says(&event, text);
        scene.syncs() == syncs
    };
    // The first message brings the key. Syncs that take what else there is may go on for a few messages more.
    let texts = ["One.", "Two.", "Three.", "Four.", "Five.", "Six."];
    assert!(texts.iter().any(reads_without_a_sync));
}

#[test]
fn a_mention_is_a_highlight_and_sounds_in_a_room_of_many() {
    let scene = Scene::signed_in();
    let keyword = json!({"pattern": "rocket", "actions": ["notify", {"set_tweak": "highlight"}]});
    scene.alice.set_push_rule("content", "rocket", &keyword);
    let others = ["carol", "dave"].map(|name| scene.register(name));
    for other in &others {
        scene.bob.user.invite(&scene.room, other);
        other.join(&scene.room);
    }
    let plain = scene.bob.write(&scene.room, &scene.alice, "Hello.");
    let line = scene.says(&plain, "Hello.");
    assert_eq!((&line["highlight"], &line["sound"]), (&json!(false), &Value::Null));
    let mark = scene.mark();
    let content = json!({"msgtype": "m.text", "body": "Alice, come!", "m.mentions": {"user_ids": [scene.alice.id]}});
    let mention = scene.bob.send_encrypted(&scene.room, &scene.alice, "m.room.message", &content);
    let line = scene.says(&mention, "Alice, come!");
    assert_eq!((&line["highlight"], &line["sound"]), (&json!(true), &json!("default")));
    scene.popup(mark, "mentioned you");
    let keyword = scene.bob.write(&scene.room, &scene.alice, "The rocket is ready.");
    assert_eq!(scene.says(&keyword, "The rocket is ready.")["highlight"], json!(true));
    let in_thread = json!({
        "msgtype": "m.text", "body": "In a thread.",
        "m.relates_to": {"rel_type": "m.thread", "event_id": mention, "is_falling_back": true, "m.in_reply_to": {"event_id": mention}},
    });
    let in_thread = scene.bob.send_encrypted(&scene.room, &scene.alice, "m.room.message", &in_thread);
    assert_eq!(scene.says(&in_thread, "In a thread.")["highlight"], json!(false));
}

#[test]
fn an_edit_changes_its_message_and_a_reaction_pops_up_nothing() {
    let scene = Scene::signed_in();
    let event = scene.bob.write(&scene.room, &scene.alice, "At sevn.");
    scene.says(&event, "At sevn.");
    let edit = json!({
        "msgtype": "m.text", "body": "* At seven.", "m.new_content": {"msgtype": "m.text", "body": "At seven."},
        "m.relates_to": {"rel_type": "m.replace", "event_id": event},
    });
    let mark = scene.mark();
    // Synapse sees what is an edit, and pushes none.
    scene.push_from_bob("$edit", "m.room.message", &edit);
    scene.says(&event, "At seven.");
    scene.popup(mark, "At seven.");
    let mark = scene.mark();
    let reaction = json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "👍"}});
    scene.push_from_bob("$reaction", "m.reaction", &reaction);
    let line = scene.line("$reaction", "the reaction is read", |line| line["type"] == "m.reaction");
    assert_eq!((&line["shown"], &line["read"]), (&json!(false), &json!(true)));
    assert_eq!(scene.desktop.notifications().all_since(mark).len(), 0);
}

#[test]
fn a_key_that_comes_late_replaces_what_was_shown_without_it() {
    let scene = Scene::signed_in();
    let content = json!({"msgtype": "m.text", "body": "Where are you?"});
    let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
    let mark = scene.mark();
    let event = scene.bob.user.send_event(&scene.room, "m.room.encrypted", &ciphertext);
    let placeholder = scene.popup(mark, "Encrypted message");
    scene.bob.deliver(&keys);
    let popup = scene.popup(mark, "Where are you?");
    assert_eq!(popup.replaces_id, placeholder.id());
    scene.says(&event, "Where are you?");
}

#[test]
fn keys_of_hundreds_of_messages_are_all_taken_in() {
    let scene = Scene::signed_in();
    let mut last = String::new();
    for number in 0..300 {
        scene.bob.rotate(&scene.room);
        let text = format!("Number {number}.");
        last = if number == 299 {
            scene.bob.write(&scene.room, &scene.alice, &text)
        } else {
            let (_, keys) = scene.bob.encrypt(
                &scene.room,
                &scene.alice,
                "m.room.message",
                &json!({"msgtype": "m.text", "body": text}),
            );
            scene.bob.deliver(&keys);
            last
        };
    }
    scene.says(&last, "Number 299.");
}

#[test]
fn what_comes_by_its_id_alone_is_read_too() {
    let scene = Scene::new();
    scene.login(&["--event-id-only"]);
    let event = scene.bob.write(&scene.room, &scene.alice, "By its id.");
    let line = scene.says(&event, "By its id.");
    assert_eq!(line["sender_display_name"], "Bob");
}

#[test]
fn a_redaction_takes_a_decrypted_text_away() {
    let scene = Scene::signed_in();
    let event = scene.bob.write(&scene.room, &scene.alice, "Not for you.");
    scene.says(&event, "Not for you.");
    // As a homeserver that notifies of redactions pushes them.
    let body = json!({"notification": {
        "event_id": "$redaction", "room_id": scene.room, "type": "m.room.redaction", "sender": scene.bob.user.id,
        "content": {"redacts": event}, "devices": [scene.device()],
    }});
    assert_eq!(scene.pushbell.push(&body).0, 200);
    scene.line(&event, "it is redacted", |line| line["redacted"] == true && line["body"] == "Message deleted");
}

#[test]
fn what_another_implementation_has_encrypted_is_read() {
    let python = synapse::install("nio-0.26.0", "matrix-nio[e2e]==0.26.0");
    let scene = Scene::signed_in();
    let mark = scene.mark();
    let script = scene.file("nio_sender.py");
    std::fs::write(&script, include_str!("nio_sender.py")).unwrap();
    let text = "By matrix-nio.";
    let arguments = [&script, &scene.homeserver, &scene.bob.user.id, &scene.file("nio"), &scene.room, text];
    let sent = std::process::Command::new(python).args(arguments).output().unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let event = String::from_utf8(sent.stdout).unwrap();
    scene.says(event.trim(), text);
    scene.popup(mark, text);
}
