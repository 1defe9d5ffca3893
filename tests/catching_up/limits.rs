//! Homeservers that list no notifications, and homeservers that list too many.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    mock_homeserver::{MockHomeserver, ReceivedRequest, entry},
    rig::{SOON, http, wait_until},
    stage::{Session, Stage},
};

fn session(homeserver: &MockHomeserver) -> Session {
    Session { server: "", ..Session::new("@alice:hs.test", homeserver.port, "token") }
}

#[test]
fn without_a_list_the_pusher_is_set_again_and_status_says_so() {
    // The second is the answer of conduwuit's successors when the admin has disabled the list.
    for errcode in ["M_UNRECOGNIZED", "M_NOT_FOUND"] {
        let homeserver = MockHomeserver::start();
        homeserver.answer(move |answers| {
            answers.instead = Box::new(move |asked| {
                let unrecognized = (404, json!({"errcode": errcode, "error": "Unrecognized request"}));
                (asked.what == "GET /notifications").then_some(unrecognized)
            });
        });
        let stage = Stage::start(&session(&homeserver));
        assert_eq!(stage.catching_up(), "the pusher is set again; this homeserver does not list what was missed");
        assert_eq!(homeserver.count("POST /pushers/set"), 1);
        assert!(stage.pushbell.ok(&["status"]).contains("does not list what was missed"));
        let set = homeserver.asked().into_iter().find(|asked| asked.what == "POST /pushers/set").unwrap();
        assert_eq!(set.token.as_deref(), Some("token"));
        assert_eq!(set.body["append"], true);
        // The login recognizes this desktop's earlier sessions by this name.
        assert_eq!(set.body["device_display_name"], pushbell::platform::host::name());
        assert_eq!(set.body["data"]["url"], *stage.pushbell.url());
    }
}

#[test]
fn a_pusher_keeps_its_names_and_follows_what_its_url_depends_on() {
    let homeserver = MockHomeserver::start();
    homeserver.answer(|answers| {
        answers.instead = Box::new(|asked| {
            let pusher = json!({
                "app_id": "org.example.tray", "pushkey": "key-of-@alice:hs.test", "kind": "http", "lang": "pt-BR",
                "app_display_name": "Pushbell", "device_display_name": "desk",
                "data": {"url": "https://desk.example.org/_matrix/push/v1/notify"},
            });
            (asked.what == "GET /pushers").then(|| (200, json!({"pushers": [pusher]})))
        });
    });
    let stage = Stage::start(&session(&homeserver));
    let order: Vec<_> = homeserver.asked().into_iter().map(|asked| asked.what).collect();
    assert_eq!(order, ["GET /pushers", "POST /pushers/set", "GET /notifications"], "nothing is lost in between");
    let set = |homeserver: &MockHomeserver| {
        let asked = homeserver.asked();
        asked.into_iter().rfind(|asked| asked.what == "POST /pushers/set").unwrap().body
    };
    let body = set(&homeserver);
    assert_eq!(body["data"]["url"], *stage.pushbell.url());
    assert_eq!((&body["lang"], &body["device_display_name"]), (&json!("pt-BR"), &json!("desk")));
    let follows = |config: &str, url: &str| {
        stage.pushbell.configure(config);
        wait_until(url, SOON, || set(&homeserver)["data"]["url"] == format!("{url}/_matrix/push/v1/notify"));
    };
    let port = http::free_port();
    follows(&format!("[server]\nlisten = [\"127.0.0.1:{port}\"]\n"), &format!("http://127.0.0.1:{port}"));
    follows("[server]\npublic_url = \"https://elsewhere.example.org\"\n", "https://elsewhere.example.org");
}

#[test]
fn more_than_is_read_back_is_one_summary_that_says_so() {
    let homeserver = MockHomeserver::start();
    let mut stage = Stage::start(&session(&homeserver));
    stage.pushbell.terminate();
    let now = Timestamp::now().as_millisecond();
    homeserver.answer(|answers| {
        answers.listed =
            (0..1500).map(|number| entry(&format!("$e{number}"), "!r:hs.test", now + 2000 - number)).collect();
    });
    let asked = homeserver.count("GET /notifications");
    stage.pushbell.run();
    stage.wait_until_caught_up();
    assert_eq!(homeserver.count("GET /notifications") - asked, 10);
    assert_eq!(stage.catching_up(), "1000 events were missed, and there was more than is read back");
    let popup = stage.desktop.notifications().wait_for_notify("the summary", |_| true);
    assert_eq!(popup.summary, "1000 messages in 1 room");
    assert!(popup.body.contains("There were more than are read back."), "{popup:?}");
    let known = stage.known();
    assert!(known.contains_key("$e0") && known.contains_key("$e999") && !known.contains_key("$e1000"));
}

#[test]
fn calls_that_were_missed_do_not_ring() {
    let homeserver = MockHomeserver::start();
    let mut stage = Stage::start(&session(&homeserver));
    stage.pushbell.terminate();
    let mut call = entry("$call", "!r:hs.test", Timestamp::now().as_millisecond());
    call["event"]["type"] = "m.call.invite".into();
    call["event"]["content"] = json!({"call_id": "1", "lifetime": 60_000, "version": "1"});
    call["actions"] = json!(["notify", {"set_tweak": "sound", "value": "ring"}]);
    homeserver.answer(|answers| answers.listed = vec![call]);
    stage.pushbell.run();
    stage.pushbell.wait_for_status("a missed call", |status| status["missed_calls"] == 1);
    let popup = stage.desktop.notifications().wait_for_notify("the missed call", |_| true);
    assert!(popup.summary.contains("Missed call"), "{popup:?}");
}

#[test]
fn while_all_is_well_it_asks_nothing_and_never_wakes() {
    let homeserver = MockHomeserver::start();
    let mut stage = Stage::start(&session(&homeserver));
    let asked = homeserver.asked().len();
    let pid = stage.pushbell.app().pid();
    // Voluntary context switches by thread.
    let switches = || -> BTreeMap<String, u64> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let count = |path: std::path::PathBuf| {
            let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
            let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            (format!("{} {}", name.trim(), path.display()), line.and_then(|line| line.trim().parse().ok()).unwrap_or(0))
        };
        tasks.map(|task| count(task.path())).collect()
    };
    // Wait until the activity of the start and of the last command has ended, deferred work included.
    let mut last = switches();
    wait_until("it has come to rest for ten seconds", 3 * SOON, || {
        // The measuring period: only time shows that nothing wakes up.
        std::thread::sleep(Duration::from_secs(10));
        let now = switches();
        std::mem::replace(&mut last, now.clone()) == now
    });
    assert_eq!(homeserver.asked().len(), asked);
}

#[test]
fn an_event_that_leaves_the_list_was_read_on_such_servers() {
    for (server, expected) in [("Synapse", true), ("", false)] {
        let homeserver = MockHomeserver::start();
        let mut stage = Stage::start(&Session { server, ..session(&homeserver) });
        let push = |event: &str, room: &str| {
            let content = json!({"msgtype": "m.text", "body": event});
            stage.pushbell.notify(
                &stage.account,
                json!({"event_id": event, "room_id": room, "type": "m.room.message", "sender": "@bob:hs.test",
                       "content": content, "counts": {"unread": 2}}),
            );
        };
        push("$gone", "!a:hs.test");
        push("$listed", "!b:hs.test");
        push("$read", "!b:hs.test");
        stage.pushbell.wait_for_status("both rooms were shown", |status| status["inbox"]["unshown"] == 0);
        stage.pushbell.kill9();
        let now = Timestamp::now().as_millisecond();
        homeserver.answer(|answers| {
            let mut read = entry("$read", "!b:hs.test", now);
            read["read"] = true.into();
            answers.listed = vec![read, entry("$listed", "!b:hs.test", now)];
        });
        stage.pushbell.run();
        stage.wait_until_caught_up();
        let history = stage.pushbell.history();
        let is_read = |event: &str| history.iter().find(|notice| notice["event_id"] == event).unwrap()["read"] == true;
        assert_eq!((is_read("$gone"), is_read("$listed"), is_read("$read")), (expected, false, true), "{server:?}");
    }
}

#[test]
fn names_are_not_fetched_after_too_many_requests() {
    let homeserver = MockHomeserver::start();
    let now = Timestamp::now().as_millisecond();
    let names = |asked: &ReceivedRequest| asked.what.starts_with("GET /rooms/");
    homeserver.answer(move |answers| {
        answers.instead = Box::new(move |asked| {
            names(asked).then(|| (429, json!({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 600_000})))
        });
        answers.listed =
            (0..100).map(|number| entry(&format!("$e{number}"), &format!("!{number}:hs.test"), now + 2000)).collect();
    });
    let stage = Stage::start(&session(&homeserver));
    assert_eq!(stage.catching_up(), "100 events were missed");
    let asked = homeserver.asked().iter().filter(|asked| names(asked)).count();
    assert!((1..20).contains(&asked), "{asked}");
}
