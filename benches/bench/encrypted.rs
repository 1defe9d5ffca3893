//! What encrypted messages take: time to their popup, and memory while their keys are open.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    load,
    rig::{Desktop, DesktopOptions, SOON, Synapse, notifications::Traffic},
    servers::Server,
    table::{Target::AtMost, figure, median, note},
};

#[path = "../../tests/encryption/client.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use all of it")]
mod client;

use client::Client;

/// A popup that is up changes at most four times a second: slower pushes are not held back.
const PAUSE: Duration = Duration::from_millis(350);
/// Minimum time between two searches for keys.
const SEARCH: Duration = Duration::from_millis(2100);

/// Alice's desktop, and Bob, who writes to her.
struct Scene {
    desktop: Desktop,
    server: Server,
    alice: crate::rig::synapse::User,
    bob: Client,
    room: String,
    events: u32,
}

/// From the first byte of a push with ciphertext to the bus's delivery of `Notify` with what it says.
pub(crate) fn encrypted(runs: usize) {
    let synapse = Synapse::start();
    let desktop = Desktop::start(DesktopOptions::BARE);
    let _service = desktop.fake_notifier(&["actions", "body"]);
    let (alice, bob) = (synapse.register("alice", "Alice"), Client::new(&synapse, &synapse.register("bob", "Bob")));
    let room = bob.user.create_room(&json!({"is_direct": true, "invite": [alice.id], "initial_state": [
        {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
    ]}));
    alice.join(&room);
    let server = Server::signed_in(&desktop, &synapse, &alice);
    let mut scene = Scene { desktop, server, alice, bob, room, events: 0 };
    // The first asks for push rules and members.
    scene.popup(true);

    let (mut known, mut new, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs * 20 {
        thread::sleep(PAUSE);
        known.push(scene.popup(false));
    }
    let (open, _) = scene.server.private_memory();
    for _ in 0..runs * 5 {
        thread::sleep(SEARCH);
        new.push(scene.popup(true));
        let begun = Instant::now();
        scene.bob.sync();
        syncs.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    scene.server.rest();
    // The keys are closed, and memory given back.
    thread::sleep(Duration::from_secs(20));
    let (closed, _) = scene.server.private_memory();
    figure("encrypted, with a known key: a popup after the push's first byte, ms", median(known), AtMost(10.0));
    let sync = median(syncs);
    let new = median(new);
    figure(
        "encrypted, with a new key: the same, without the homeserver's /sync, ms",
        (new - sync).max(0.0),
        AtMost(100.0),
    );
    note("beside it that /sync, ms", sync);
    let open = (open as f64 - closed as f64).max(0.0) / 1e6;
    figure("private memory while an account's keys are open, MB more", open, AtMost(1.0));
}

impl Scene {
    /// Pushes a message, with a key that is new or not; milliseconds to its popup.
    fn popup(&mut self, has_new_key: bool) -> f64 {
        self.events += 1;
        let text = format!("Message {}.", self.events);
        if has_new_key {
            self.bob.rotate(&self.room);
        }
        let content = json!({"msgtype": "m.text", "body": text});
        let (ciphertext, keys) = self.bob.encrypt(&self.room, &self.alice, "m.room.message", &content);
        self.bob.deliver(&keys);
        let mark = self.desktop.notifications().len();
        let sent = load::post(self.server.port, self.push(&ciphertext).as_bytes()).expect("it is answered with 200");
        let shown = self.desktop.notifications().wait_since(mark, "its popup", SOON, |traffic| match traffic {
            Traffic::Notify(notify) if notify.body.contains(&text) => Some(notify.at),
            _ => None,
        });
        shown.saturating_duration_since(sent).as_secs_f64() * 1e3
    }

    /// The request of a push of this ciphertext.
    fn push(&self, ciphertext: &Value) -> String {
        let device = json!({"app_id": self.server.app_id, "pushkey": self.server.pushkey});
        let body = json!({"notification": {
            "event_id": format!("$event{}", self.events), "room_id": self.room, "type": "m.room.encrypted",
            "sender": self.bob.user.id, "content": ciphertext, "devices": [device],
        }});
        load::request(self.server.port, &body.to_string())
    }
}
