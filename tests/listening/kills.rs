//! The app is killed while it takes over what a held sync has brought.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use crate::{
    client::Client,
    rig::{Act, Between, SOON, Stage, wait_until},
    scene::{BLOCKED, SYNC, Scene},
};

#[test]
fn nothing_is_lost_when_the_app_is_killed_at_any_step_of_taking_an_answer_over() {
    /// What has happened when it is killed, and how many milliseconds later: the answer is here, what it stands for is
    /// fetched, is in the inbox, its keys and token are kept, it is decrypted and shown, and the next sync is held.
    const LIST: &str = "/v3/notifications?";
    const STEPS: [(Stage, &str, [u64; 5]); 5] = [
        (Stage::Answered, SYNC, [0, 2, 5, 10, 25]),
        (Stage::Asked, LIST, [0, 2, 5, 10, 25]),
        (Stage::Answered, LIST, [0, 2, 5, 10, 20]),
        (Stage::Answered, LIST, [30, 45, 70, 110, 180]),
        (Stage::Asked, SYNC, [0, 2, 5, 10, 25]),
    ];
    let between = Between::passing(BLOCKED.port);
    let mut scene = Scene::listening_behind(&BLOCKED, between.port);
    let room = scene.encrypted_room();
    let bob = Client::new(&BLOCKED, &scene.bob);
    let mark = scene.mark();
    let mut events = vec![bob.write(&room, &scene.alice, "Before.")];
    scene.popup(mark, "Before.");
    let mut texts = Vec::new();
    let steps = STEPS.iter().flat_map(|(stage, path, delays)| delays.iter().map(move |delay| (*stage, *path, *delay)));
    for (number, (stage, path, delay)) in steps.enumerate() {
        scene.wait_until_it_listens();
        bob.rotate(&room);
        let (killed, has_killed) = mpsc::channel();
        let armed = Arc::new(Mutex::new(Some((scene.pushbell.killer(), killed))));
        between.behave(move |at, head| {
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
            Act::Pass
        });
        let text = format!("Number {number}.");
        events.push(bob.write(&room, &scene.alice, &text));
        texts.push(text);
        has_killed.recv_timeout(SOON).unwrap_or_else(|_| panic!("{stage:?} {path} is not reached"));
        scene.pushbell.kill9();
        between.behave(|_, _| Act::Pass);
        scene.pushbell.run();
    }
    scene.knows_once(&events);
    wait_until("all are read", 2 * SOON, || {
        let known: Vec<_> = scene.pushbell.history_of(300).iter().map(|line| line["body"].clone()).collect();
        texts.iter().all(|text| known.contains(&text.as_str().into()))
    });
}
