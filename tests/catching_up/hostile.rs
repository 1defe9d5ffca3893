//! Homeservers with oversized or malformed answers, or with temporary failures.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    mock_homeserver::{MockHomeserver, ReceivedRequest},
    rig::{SOON, pushbell::message, wait_until},
    stage::{Session, Stage},
};

/// The process's peak memory, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Nested arrays of this size in bytes.
fn nested_arrays(bytes: usize, deep: bool) -> Value {
    let arrays = if deep { "[".repeat(bytes) } else { format!("[{}[]]", "[],".repeat(bytes / 3)) };
    Value::String(format!("{{\"notifications\":{arrays}}}"))
}

#[test]
fn nested_arrays_take_little_memory_and_keep_no_push_waiting() {
    for (deep, bytes) in [(false, 16_000_000), (true, 16_000_000), (false, 1_000_000), (true, 1_000_000)] {
        let homeserver = MockHomeserver::start();
        let mut stage = Stage::start(&Session::new("@alice:hs.test", homeserver.port, "token"));
        stage.pushbell.terminate();
        homeserver.answer(move |answers| {
            let nested = nested_arrays(bytes, deep);
            answers.instead =
                Box::new(move |asked| (asked.what == "GET /notifications").then(|| (200, nested.clone())));
        });
        let listed = homeserver.count("GET /notifications");
        stage.pushbell.run();
        let mut slowest = Duration::ZERO;
        let mut number = 0;
        while homeserver.count("GET /notifications") == listed || stage.catching_up() == "not yet" {
            let sent = Instant::now();
            stage.pushbell.notify(&stage.account, message(&number.to_string(), "room", "meanwhile"));
            slowest = slowest.max(sent.elapsed());
            number += 1;
        }
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        let peak = peak_memory(stage.pushbell.app().pid());
        assert!(peak < 100 * 1024, "{peak} KiB for {bytes} bytes");
        let says = stage.catching_up();
        assert_eq!(says.starts_with("it failed"), deep || bytes > 1_000_000, "{says}");
    }
}

#[test]
fn a_homeserver_that_fails_is_not_asked_for_every_push() {
    let homeserver = MockHomeserver::start();
    let details = |asked: &ReceivedRequest| asked.what.starts_with("GET /rooms/");
    homeserver.answer(move |answers| {
        answers.instead = Box::new(move |asked| details(asked).then(|| (500, json!({"errcode": "M_UNKNOWN"}))));
    });
    let session = Session { event_id_only: true, ..Session::new("@alice:hs.test", homeserver.port, "token") };
    let stage = Stage::start(&session);
    let begun = Instant::now();
    for number in 0..60 {
        let push = json!({"event_id": format!("${number}"), "room_id": "!r:hs.test", "counts": {"unread": 1}});
        stage.pushbell.notify(&stage.account, push);
    }
    wait_until("it is asked again", SOON, || homeserver.asked().iter().filter(|asked| details(asked)).count() > 1);
    let asked = homeserver.asked().iter().filter(|asked| details(asked)).count() as u64;
    assert!(asked <= 2 + begun.elapsed().as_secs(), "{asked} in {:?}", begun.elapsed());
}
