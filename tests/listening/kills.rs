//! The app is killed while it processes the answer to a long-polling sync.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    client::Client,
    rig::{Proxy, ProxyAction, SOON, Stage, wait_until},
    scene::{BLOCKED, SYNC, Scene},
};

#[test]
fn a_kill_at_any_step_of_a_sync_loses_nothing() {
    const LIST: &str = "/v3/notifications?";
    /// Steps after which the app is killed, each with a delay in milliseconds. An answer with a message's room key
    /// comes before the one with the message: the key arrives and is stored with the sync token; the details of the
    /// message are fetched, it is in the inbox, it is decrypted and shown; the next sync is pending.
    const STEPS: [(Stage, &str, [u64; 5]); 5] = [
        (Stage::Answered, SYNC, [0, 10, 40, 80, 160]),
        (Stage::Requested, LIST, [0, 2, 5, 10, 25]),
        (Stage::Answered, LIST, [0, 2, 5, 10, 20]),
        (Stage::Answered, LIST, [30, 45, 70, 110, 180]),
        (Stage::Requested, SYNC, [0, 2, 5, 10, 25]),
    ];
    let proxy = Proxy::forwarding(BLOCKED.port);
    let mut scene = Scene::listening_behind(&BLOCKED, proxy.port);
    let room = scene.encrypted_room();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let mark = scene.mark();
    let mut events = vec![bob.write(&room, &scene.alice, "Before.")];
    scene.popup(mark, "Before.");
    let steps = STEPS.iter().flat_map(|(stage, path, delays)| delays.iter().map(move |delay| (*stage, *path, *delay)));
    for (number, (stage, path, delay)) in steps.enumerate() {
        scene.wait_until_it_listens();
        bob.rotate(&room);
        let (killed, has_killed) = mpsc::channel();
        let armed = Arc::new(Mutex::new(Some((scene.pushbell.killer(), killed))));
        proxy.set_behavior(move |at, head| {
            if at == stage
                && head.contains(path)
                && let Some((kill, killed)) = armed.lock().unwrap().take()
            {
                let kill = move || {
                    thread::sleep(Duration::from_millis(delay));
                    kill();
                    killed.send(()).unwrap();
                };
                if delay == 0 { kill() } else { drop(thread::spawn(kill)) }
            }
            ProxyAction::Pass
        });
        let text = format!("Number {number}.");
        let event = bob.write(&room, &scene.alice, &text);
        let step = format!("{delay} ms after {stage:?} {path}");
        has_killed.recv_timeout(SOON).unwrap_or_else(|_| panic!("it is killed {step}"));
        scene.pushbell.kill9();
        proxy.set_behavior(|_, _| ProxyAction::Pass);
        scene.pushbell.run();
        // Check before the next message, which would cause a listing of all of them.
        wait_until(&format!("what was killed {step} is read"), SOON, || {
            let is_it = |line: &Value| line["event_id"] == *event && line["body"] == *text;
            scene.pushbell.history_of(300).iter().any(is_it)
        });
        events.push(event);
    }
    scene.knows_once(&events);
}
