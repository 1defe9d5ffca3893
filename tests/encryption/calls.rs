//! Calls in encrypted rooms, and events that end them on other devices.

use std::time::Duration;

use serde_json::json;

use crate::{
    rig::{SOON, never_within, wait_until},
    scene::{SYNAPSE, Scene},
};

/// The number of Pushbell's requests for the room's messages as Alice.
fn polls(scene: &Scene) -> usize {
    let of_alice = format!("{{{}}}", scene.alice.id);
    let log = SYNAPSE.log();
    let lines = log.lines().filter(|line| line.contains("Processed request") && line.contains(&of_alice));
    lines.filter(|line| line.contains("/messages?dir=b")).count()
}

/// Bob calls; returns the popup's ID.
fn call(scene: &Scene, id: &str) -> u32 {
    let mark = scene.mark();
    let invite = json!({"call_id": id, "lifetime": 60_000, "version": "1", "offer": {"type": "offer", "sdp": ""}});
    scene.bob.send_encrypted(&scene.room, &scene.alice, "m.call.invite", &invite);
    scene.popup(mark, "Bob is calling").id()
}

#[test]
fn what_ends_a_call_is_read_where_nothing_is_pushed() {
    let scene = Scene::signed_in();
    let condition = json!({"kind": "event_match", "key": "room_id", "pattern": scene.room});
    // No pushes for the room's events.
    let mute = |is_mute: bool| {
        let actions = if is_mute { json!([]) } else { json!(["notify"]) };
        scene.alice.set_push_rule("override", &scene.room, &json!({"conditions": [condition], "actions": actions}));
    };
    // The keys have not arrived yet.
    let end = |call_id: &str, how: &str| {
        scene.bob.rotate(&scene.room);
        scene.bob.send_encrypted(&scene.room, &scene.alice, how, &json!({"call_id": call_id, "version": "1"}));
    };
    let popup = call(&scene, "taken");
    mute(true);
    end("taken", "m.call.select_answer");
    wait_until("it no longer rings", SOON, || !is_up(&scene, popup));
    mute(false);
    call(&scene, "hung up");
    mute(true);
    end("hung up", "m.call.hangup");
    scene.pushbell.wait_for_status("it is missed", |status| status["missed_calls"] == 1);
}

fn is_up(scene: &Scene, popup: u32) -> bool {
    scene.desktop.notifications().open().contains_key(&popup)
}

#[test]
fn a_call_that_is_taken_elsewhere_ends_at_once() {
    let scene = Scene::signed_in();
    let popup = call(&scene, "first");
    // The room is polled when a sync reports something new in it, not every two seconds.
    wait_until("it is looked at", SOON, || polls(&scene) > 0);
    never_within(Duration::from_secs(7), "it is looked at again and again", || polls(&scene) > 3);
    assert!(is_up(&scene, popup));
    // A message in another room does not end the call.
    let elsewhere = scene.bob.user.create_room(&json!({"invite": [scene.alice.id], "preset": "trusted_private_chat"}));
    scene.alice.join(&elsewhere);
    scene.alice.send(&elsewhere, "Not now.");
    never_within(Duration::from_secs(1), "it ends", || !is_up(&scene, popup));
    scene.alice.send_event(&scene.room, "m.room.encrypted", &json!({"algorithm": "m.megolm.v1.aes-sha2"}));
    wait_until("it no longer rings", SOON, || !is_up(&scene, popup));
    scene.pushbell.wait_for_status("it is not missed", |status| status["missed_calls"] == 0);
    // The watch of the room may end with the call.
    let syncs = scene.syncs();
    never_within(Duration::from_secs(3), "syncs go on", || scene.syncs() > syncs + 1);

    // While it rings, keys are found as usual.
    let popup = call(&scene, "second");
    scene.bob.rotate(&scene.room);
    let event = scene.bob.write(&scene.room, &scene.alice, "Are you there?");
    scene.says(&event, "Are you there?");
    assert!(is_up(&scene, popup));
    let hangup = json!({"call_id": "second", "version": "1", "reason": "user_hangup"});
    scene.bob.send_encrypted(&scene.room, &scene.alice, "m.call.hangup", &hangup);
    scene.pushbell.wait_for_status("it is missed", |status| status["missed_calls"] == 1);
}
