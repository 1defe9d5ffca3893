//! Pauses, previews, and configuration changes while the app runs.

use std::time::Duration;

use hyper::Method;
use serde_json::json;

use super::app::App;
use super::app::DUNST;
use crate::rig::{
    Desktop, DesktopOptions, FakeLogind, FakeScreenSaver, Pushbell, SOON, http, pushbell::message, wait_for, wait_until,
};

#[test]
fn a_pause_survives_a_restart_and_ends_in_one_summary() {
    let mut app = App::start(DUNST, "");
    app.pushbell.ok(&["pause", "30m"]);
    for (event, room) in [("1", "one"), ("2", "two"), ("3", "one")] {
        let mut push = message(event, room, "held back");
        push["counts"] = json!({"unread": event.parse::<u64>().expect("a number")});
        app.push(push);
    }
    app.counts(3);
    app.pushbell.kill9();
    app.pushbell.run();
    let status = app.pushbell.status();
    assert!(status["paused_until"].is_string() && status["inbox"]["unshown"] == 3, "{status}");
    app.shows_nothing(0);
    app.pushbell.ok(&["resume"]);
    app.titled(0, "3 messages in 2 rooms");
    app.pushbell
        .wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0 && status["paused_until"].is_null());
    assert_eq!(app.notifications().all().len(), 1);
    app.message("4", "one", "after");
    app.notifications().wait_for_notify("popups come again", |shown| shown.body.ends_with("after"));
}

#[test]
fn a_pause_ends_by_itself() {
    let app = App::start(DUNST, "");
    app.pushbell.ok(&["pause", "2s"]);
    app.message("1", "one", "held back");
    app.shows_nothing(0);
    app.shows(0, "held back");
    assert!(app.pushbell.status()["paused_until"].is_null());
}

#[test]
fn with_popups_off_notices_count_and_are_never_shown_later() {
    let app = App::start(DUNST, "[popup]\nenabled = false\n");
    app.message("1", "room", "unseen");
    app.pushbell.wait_for_status("it is settled", |status| status["inbox"]["unshown"] == 0 && status["unread"] == 1);
    app.pushbell.configure("");
    wait_until("the change is taken up", SOON, || app.pushbell.log().contains("the configuration has changed"));
    app.shows_nothing(0);
    app.message("2", "room", "seen");
    app.shows(0, "seen");
    wait_until("it is written down", SOON, || app.pushbell.history()[0]["shown"] == true);
    assert_eq!(app.pushbell.history()[1]["shown"], false);
}

#[test]
fn without_previews_the_text_is_in_no_popup() {
    let app = App::start(DUNST, "[popup]\npreview = \"never\"\n");
    app.message("1", "room", "secret");
    assert_eq!(app.titled(0, "Bob in room").body, "New message");
    app.message("2", "room", "secret");
    app.shows(0, "2 messages");
    assert_eq!(app.pushbell.history()[0]["body"], "secret");
}

/// Whether the popup of a message contains its text.
fn has_preview(app: &App) -> bool {
    let mark = app.mark();
    let event = format!("event {mark}");
    app.message(&event, "room", &event);
    // The previous popup may be updated in the meantime: the screen was unlocked while it was in flight.
    let is_of_it = |body: &str| body.contains(&event) || !body.contains("event");
    let shown = app.notifications().wait_for_notify_since(mark, "it is shown", |popup| is_of_it(&popup.body));
    assert_eq!(shown.summary, "Bob in room");
    shown.body.contains(&event)
}

#[test]
fn previews_are_hidden_on_a_locked_or_unknown_screen() {
    const UNLOCKED: &str = "[popup]\npreview = \"unlocked\"\n";
    let app = App::start(DUNST, UNLOCKED);
    assert!(!has_preview(&app), "nobody knows");
    let becomes = |app: &App, expected: bool| {
        wait_until(&format!("previews: {expected}"), SOON, || has_preview(app) == expected);
    };
    let saver = FakeScreenSaver::start(&app.desktop, false);
    becomes(&app, true);
    saver.set_locked(true);
    becomes(&app, false);
    saver.set_locked(false);
    becomes(&app, true);
    drop(saver);
    becomes(&app, false);
    drop(app);

    let desktop = Desktop::start(DUNST);
    let logind = FakeLogind::start(&desktop, true);
    let app = App::on(desktop, UNLOCKED);
    assert!(!has_preview(&app), "it is locked");
    logind.set_locked(false);
    becomes(&app, true);
    logind.set_locked(true);
    becomes(&app, false);
}

fn health(port: u16) -> Option<u16> {
    http::request(port, &Method::GET, "/health", None, "").ok().map(|answer| answer.status)
}

#[test]
fn a_good_change_of_the_configuration_is_taken_up_while_running() {
    let mut app = App::start(DUNST, "");
    let (old, new) = (app.pushbell.port, http::free_port());
    app.pushbell.port = new;
    app.pushbell.configure("[server]\nextra_paths = [\"/old/style\"]\n[popup]\ntimeout = 3\n");
    wait_until("the new address answers", SOON, || health(new) == Some(200));
    wait_until("the old one does not", SOON, || health(old).is_none());
    assert_eq!(app.pushbell.status()["listen"], json!([format!("127.0.0.1:{new}")]));
    app.message("1", "room", "text");
    assert_eq!(app.shows(0, "text").timeout, 3000);
    let body = crate::rig::pushbell::address(&app.account, message("2", "room", "by the other path"));
    let answer = http::request(new, &Method::POST, "/old/style", None, body.to_string()).expect("it answers");
    assert_eq!((answer.status, answer.json()), (200, json!({"rejected": []})));
    app.shows(0, "text\nby the other path");
}

#[test]
fn a_bad_change_keeps_the_good_configuration_and_is_reported() {
    let app = App::start(DUNST, "[popup]\ntimeout = 3\n");
    app.pushbell.write_config("[popup]\ntimeout = 5\nprevew = \"never\"\n");
    let said = app.titled(0, "The configuration has a fault");
    let file = app.pushbell.config_file().display().to_string();
    let names = |text: &str| text.contains(&format!("{file}:3")) && text.contains("prevew") && text.contains("preview");
    assert!(names(&said.body), "{:?}", said.body);
    let problems = app.pushbell.status()["problems"].clone();
    assert!(problems.as_array().is_some_and(|all| all.len() == 1 && all[0].as_str().is_some_and(names)), "{problems}");
    assert!(names(&app.pushbell.log()));
    app.message("1", "room", "text");
    assert_eq!(app.shows(0, "text").timeout, 3000);
    assert_eq!(app.pushbell.command(&["check-config"]).code, 78);

    app.pushbell.configure("[popup]\ntimeout = 5\n");
    app.withdraws(0, said.id());
    app.pushbell.wait_for_status("all is well", |status| status["problems"] == json!([]));
    app.message("2", "room", "more");
    assert_eq!(app.shows(0, "text\nmore").timeout, 5000);
}

#[test]
fn an_empty_or_faulty_configuration_changes_nothing() {
    let mut app = App::start(DUNST, "[popup]\npreview = \"never\"\n");
    let good = std::fs::read_to_string(app.pushbell.config_file()).expect("it is there");
    let mut event = 0;
    for is_running in [true, false] {
        for bad in ["", "# nothing\n", "[popup\n"] {
            if !is_running {
                app.pushbell.terminate();
            }
            let mark = app.mark();
            app.pushbell.write_config(bad);
            if !is_running {
                app.pushbell.launch(&["run"]);
            }
            let said = app.titled(mark, "The configuration has a fault");
            assert!(said.body.contains("last good configuration is in force"), "{said:?}");
            assert!(app.pushbell.status()["problems"][0].as_str().is_some_and(|said| said.contains("pushbell.toml")));
            assert_eq!(app.pushbell.command(&["check-config"]).code, 78, "{bad:?}");
            event += 1;
            let mark = app.mark();
            app.message(&event.to_string(), &format!("room {event}"), "secret");
            assert_eq!(app.titled(mark, &format!("Bob in room {event}")).body, "New message", "{bad:?}");

            app.pushbell.write_config(&good);
            app.pushbell.wait_for_status("all is well", |status| status["problems"] == json!([]));
        }
    }
}

/// Runs the app, which must fail to start: exit code and output.
fn ends(pushbell: &mut Pushbell) -> (Option<i32>, String) {
    pushbell.launch(&["run"]);
    let status = pushbell.app().wait(SOON);
    (status.code(), pushbell.log())
}

/// The text is a single line, readable for users, without Rust debug output.
#[track_caller]
fn is_a_sentence(text: &str) {
    let lines: Vec<_> = text.trim().lines().collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(!text.contains("panicked") && !text.contains("Error {") && !text.contains("Os {"), "{text}");
}

#[test]
fn a_bad_configuration_ends_the_start_before_a_port_is_bound() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let port = pushbell.port;
    pushbell.write_config(&format!("[server]\nlisten = [\"127.0.0.1:{port}\"]\n[popup]\nenabled = \"yes\"\n"));
    // If the app tried to bind it, the listener would make it fail.
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let (code, said) = ends(&mut pushbell);
    assert_eq!(code, Some(78), "{said}");
    let file = pushbell.config_file().display().to_string();
    assert!(said.contains(&format!("{file}:4")) && said.contains("popup.enabled"), "{said}");
    is_a_sentence(&said);
    assert!(!pushbell.database().exists() && !pushbell.data_directory().join("accounts.toml").exists());
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    // A first start: readiness is not announced.
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", pushbell.port)).expect("the port is free");
    let (code, said) = ends(&mut pushbell);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("127.0.0.1:{} is in use", pushbell.port)) && said.contains("server.listen"),
        "{said}"
    );
    is_a_sentence(&said);
}

#[test]
fn a_second_one_says_that_one_is_running() {
    let app = App::start(DUNST, "");
    let second = app.pushbell.command(&["run"]);
    assert_eq!((second.code, &*second.stderr), (0, ""), "{second:?}");
    assert!(second.stdout.contains("already running"), "{second:?}");
    app.message("1", "room", "text");
    app.shows(0, "text");
}

#[test]
fn an_unreadable_inbox_defers_pushes_and_says_what_to_do() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    pushbell.ok(&["account", "add", "home"]);
    std::fs::create_dir(pushbell.database()).expect("the home is writable");
    pushbell.launch(&["run"]);
    wait_until("it says so", SOON, || pushbell.log().contains("move it away"));
    assert!(pushbell.log().contains(&pushbell.database().display().to_string()), "{}", pushbell.log());
    let account = pushbell.account_named("home");
    let push = crate::rig::pushbell::address(&account, message("1", "room", "text"));
    let answer = wait_for("an answer", SOON, || Some(pushbell.post(push.to_string())));
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{answer:?}");

    std::fs::remove_dir(pushbell.database()).expect("the home is writable");
    wait_until("the homeserver's next try succeeds", SOON, || pushbell.post(push.to_string()).status == 200);
    assert_eq!(pushbell.history().len(), 1);
}

#[test]
fn accounts_removed_and_added_take_effect_at_once() {
    let app = App::start(DUNST, "");
    app.pushbell.ok(&["account", "add", "work"]);
    let work = app.pushbell.account_named("work");
    app.pushbell.notify(&work, message("1", "room", "for work"));
    app.shows(0, "for work");
    app.pushbell.ok(&["account", "remove", "work"]);
    let body = crate::rig::pushbell::address(&work, message("2", "room", "late"));
    assert_eq!(app.pushbell.push(&body), (200, json!({"rejected": [work.pushkey]})));
    let gone = app.pushbell.wait_for_status("its numbers are gone", |status| status["unread"] == 0);
    assert_eq!(gone["accounts"].as_array().map(Vec::len), Some(1));
    crate::rig::never_within(Duration::from_millis(100), "it is shown", || {
        app.notifications().all().iter().any(|shown| shown.body.contains("late"))
    });
}

#[test]
fn a_changed_configuration_is_applied_while_commands_come() {
    let app = App::start(DUNST, "");
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also on panic: a scope waits for its threads.
        let _ended = EndsWhenDropped(&over);
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                app.pushbell.status();
            }
        });
        app.pushbell.configure("[popup]\ntimeout = 3\n");
        let mut event = 0;
        wait_until("the new time is that of a popup", SOON, || {
            event += 1;
            let mark = app.mark();
            app.message(&event.to_string(), &format!("room {event}"), "text");
            app.shows(mark, "text").timeout == 3000
        });
    });
}

struct EndsWhenDropped<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
