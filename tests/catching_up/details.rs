//! Pushes with nothing but ids (`event_id_only`), with Synapse.

use serde_json::json;

use crate::{
    rig::{SOON, wait_until},
    stage::{Session, Stage, synapse},
};

#[test]
fn a_push_of_ids_becomes_a_popup_with_names_and_text() {
    let synapse = synapse();
    let (alice, bob) = (synapse.register("alice-ids", "Alice"), synapse.register("bob-ids", "Bob"));
    let room = bob.create_room(&json!({"name": "Mission Control", "invite": [alice.id]}));
    alice.join(&room);
    let session = Session { event_id_only: true, ..Session::new(&alice.id, synapse.port, alice.token()) };
    let mut stage = Stage::start(&session);
    assert_eq!(alice.pushers()[0]["data"]["format"], "event_id_only");

    let event = bob.send(&room, "I'm floating in a most peculiar way.");
    let popup = stage.desktop.notifications().wait_for_notify("the popup", |popup| popup.body.contains("peculiar"));
    assert_eq!(popup.summary, "Bob in Mission Control");
    assert_eq!(stage.titles(), ["Bob in Mission Control"], "it has waited for the names");
    let notice = &stage.pushbell.history()[0];
    assert_eq!(notice["event_id"], *event);
    assert_eq!(notice["sender"], *bob.id);
    assert_eq!(notice["type"], "m.room.message");

    let content = json!({"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x", "session_id": "s"});
    let mark = stage.desktop.notifications().len();
    bob.send_event(&room, "m.room.encrypted", &content);
    let popup = stage.desktop.notifications().wait_for_notify_since(mark, "the encrypted one", |_| true);
    assert!(popup.body.contains("Encrypted message"), "{popup:?}");
    assert_eq!(popup.summary, "Bob in Mission Control");

    // Of a room that she has not joined the homeserver tells nothing by itself.
    bob.create_room(&json!({"name": "Secret Plans", "invite": [alice.id]}));
    let popup = stage.desktop.notifications().wait_for_notify_since(mark, "the invite", |popup| {
        popup.summary.contains("invites you") || popup.body.contains("invites you")
    });
    assert!(popup.summary.contains(&*bob.id) || popup.summary.contains("Bob"), "{popup:?}");

    // What could not be asked before a restart is asked after it.
    stage.pushbell.terminate();
    stage.pushbell.run();
    stage.wait_until_caught_up();
    let late = bob.send(&room, "after the restart");
    wait_until("it has its text", SOON, || {
        stage.pushbell.history().iter().any(|notice| notice["event_id"] == *late && notice["body"] == "after the restart")
    });
}
