//! Catching up with a real Synapse.

use std::time::Instant;

use serde_json::json;

use crate::{
    rig::{FakeLogind, SOON, Synapse, wait_until},
    stage::{Session, Stage, synapse},
};

#[test]
fn what_was_missed_while_stopped_is_known_exactly_once() {
    // Not the shared one: the test reads its log.
    let synapse = Synapse::start();
    let (alice, bob) = (synapse.register("alice-60", "Alice"), synapse.register("bob-60", "Bob"));
    let rooms = ["Kitchen", "Garden", "Attic"].map(|name| {
        let room = bob.create_room(&json!({"name": name, "invite": [alice.id]}));
        alice.join(&room);
        room
    });
    let old = bob.send(&rooms[0], "before she signed in");
    wait_until("it is listed", SOON, || !alice.notifications().is_empty());

    let mut stage = Stage::start(&Session::new(&alice.id, synapse.port, alice.token()));
    assert_eq!(alice.pushers()[0]["data"]["url"], *stage.pushbell.url(), "the pusher is there");
    let first = bob.send(&rooms[0], "while it runs");
    stage.knows_once(std::slice::from_ref(&first));
    stage.pushbell.wait_for_status("it was shown", |status| status["inbox"]["unshown"] == 0);
    stage.pushbell.terminate();

    let mut missed: Vec<_> =
        (0..60).map(|number| bob.send(&rooms[number % 3], &format!("while it is stopped {number}"))).collect();
    wait_until("all are listed", SOON, || alice.notifications().len() >= 61);
    // Each event that arrives during the backoff makes the homeserver retry and double its delay.
    let waits_long = || {
        let log = synapse.log();
        log.lines().any(|line| line.contains("Push failed: delaying for") && line.contains("3600s"))
    };
    while !waits_long() {
        missed.push(bob.send(&rooms[missed.len() % 3], "while it is stopped, once more"));
    }

    let popups = stage.desktop.notifications().len();
    stage.pushbell.run();
    stage.knows_once(&missed);
    let known = stage.known();
    assert_eq!(known.get(&old), None, "nothing from before she signed in");
    assert_eq!(known[&first], 1);
    stage.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    let summaries: Vec<_> =
        stage.desktop.notifications().all_since(popups).into_iter().map(|popup| popup.summary).collect();
    assert_eq!(summaries, [format!("{} messages in 3 rooms", missed.len())], "one popup for all of it");
    assert_eq!(stage.pushbell.status()["unread"], 3, "rooms, as Synapse counts");
    // The homeserver pushes some of the pending events before and after its pusher is set.
    let says = stage.catching_up();
    let caught_up: usize = says.strip_suffix(" events were missed").expect("it says how many").parse().unwrap();
    assert!((missed.len() - 20..=missed.len()).contains(&caught_up), "{says} of {}", missed.len());
    assert!(stage.pushbell.history().iter().all(|notice| notice["sender_display_name"] == "Bob"));

    let sent = Instant::now();
    let new = bob.send(&rooms[1], "after it has started again");
    stage.knows_once(std::slice::from_ref(&new));
    assert!(sent.elapsed().as_secs() < 10, "the homeserver no longer waits: {:?}", sent.elapsed());
    stage.knows_once(&missed);
}

#[test]
fn what_is_read_elsewhere_while_stopped_is_read_here_too() {
    let synapse = synapse();
    let (alice, bob) = (synapse.register("alice-read", "Alice"), synapse.register("bob-read", "Bob"));
    let [read, unread] = ["Read elsewhere", "Not read"].map(|name| {
        let room = bob.create_room(&json!({"name": name, "invite": [alice.id]}));
        alice.join(&room);
        room
    });
    let mut stage = Stage::start(&Session::new(&alice.id, synapse.port, alice.token()));
    let seen = bob.send(&read, "seen on the phone");
    let unseen = bob.send(&unread, "seen nowhere");
    stage.knows_once(&[seen.clone(), unseen.clone()]);
    stage.pushbell.wait_for_status("both rooms count", |status| status["unread"] == 2);
    stage.pushbell.wait_for_status("both were shown", |status| status["inbox"]["unshown"] == 0);
    stage.pushbell.terminate();

    let missed = bob.send(&read, "missed, and seen on the phone");
    let mentioned = bob.send(&unread, "alice-read: missed");
    wait_until("they are listed", SOON, || {
        let listed = alice.notifications();
        [&missed, &mentioned].iter().all(|event| listed.iter().any(|entry| entry["event"]["event_id"] == **event))
    });
    alice.read(&read, &missed);

    stage.pushbell.run();
    stage.wait_until_caught_up();
    stage.knows_once(&[seen.clone(), unseen.clone(), mentioned.clone()]);
    let is_read = |event: &str| {
        let history = stage.pushbell.history();
        history.into_iter().find(|notice| notice["event_id"] == event).expect("it is known")["read"] == true
    };
    assert!(is_read(&seen));
    assert!(!is_read(&unseen) && !is_read(&mentioned));
    assert_eq!(stage.pushbell.status()["unread"], 1);
}

#[test]
fn a_wake_sets_the_pusher_again_and_catches_up() {
    let synapse = synapse();
    let (alice, bob) = (synapse.register("alice-wake", "Alice"), synapse.register("bob-wake", "Bob"));
    let room = bob.create_room(&json!({"name": "Kitchen", "invite": [alice.id]}));
    alice.join(&room);
    let mut stage = Stage::prepare(&Session::new(&alice.id, synapse.port, alice.token()));
    let logind = FakeLogind::start(&stage.desktop, false);
    stage.pushbell.run();
    stage.wait_until_caught_up();
    // As during suspend: nothing answers, and the homeserver backs off.
    stage.pushbell.app().freeze();
    let gone = alice.pushers();
    alice.set_pusher(
        "http://127.0.0.1:9/_matrix/push/v1/notify",
        &stage.account.app_id,
        &stage.account.pushkey,
        &json!({}),
    );
    let missed: Vec<_> = (0..5).map(|number| bob.send(&room, &format!("while it sleeps {number}"))).collect();
    wait_until("all are listed", SOON, || alice.notifications().len() >= 5);
    alice.set_pusher(
        gone[0]["data"]["url"].as_str().unwrap(),
        &stage.account.app_id,
        &stage.account.pushkey,
        &json!({}),
    );
    stage.pushbell.app().thaw();
    assert!(missed.iter().all(|event| !stage.known().contains_key(event)), "the homeserver has skipped them");
    let before = stage.account_status()["caught_up_at"].clone();
    wait_until("it catches up", SOON, || {
        logind.sleep_and_wake();
        stage.account_status()["caught_up_at"] != before
    });
    stage.knows_once(&missed);
    stage.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    let popups: Vec<_> = stage.desktop.notifications().all().into_iter().map(|popup| popup.body).collect();
    assert_eq!(popups.len(), 1, "one popup for all of it: {popups:?}");
}
