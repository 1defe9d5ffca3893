//! The same push more than once.

use std::thread;

use serde_json::json;

use super::load::{message, recorded};
use crate::{
    app::{App, DUNST},
    rig::pushbell::address,
};

#[test]
fn a_repeated_push_is_kept_and_shown_once_over_restarts() {
    let mut app = App::start(DUNST, "");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| app.push(message("$same", "room")));
        }
    });
    app.shows(0, "text $same");
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    let mark = app.mark();
    for kill in [false, true] {
        if kill {
            app.pushbell.kill9();
            app.pushbell.run();
        } else {
            app.pushbell.restart();
        }
        app.push(message("$same", "room"));
        app.shows_nothing(mark);
        assert_eq!(app.pushbell.status()["unread"], 1);
    }
    assert_eq!(recorded(&app.pushbell.database()), ["$same"]);
}

#[test]
fn the_same_event_counts_for_each_of_two_accounts() {
    let app = App::start(DUNST, "");
    app.pushbell.ok(&["account", "add", "work"]);
    let work = app.pushbell.account_named("work");
    app.push(message("$both", "room"));
    app.shows(0, "text $both");
    let mark = app.mark();
    app.pushbell.notify(&work, message("$both", "room"));
    app.shows(mark, "text $both");
    app.counts(2);
    assert_eq!(recorded(&app.pushbell.database()), ["$both", "$both"]);

    // And in one push for both.
    let mut body = address(&app.account, message("$one", "room"));
    body["notification"]["devices"]
        .as_array_mut()
        .expect("it is an array")
        .push(json!({"app_id": work.app_id, "pushkey": work.pushkey}));
    assert_eq!(app.pushbell.push(&body), (200, json!({"rejected": []})));
    app.counts(4);
}

#[test]
fn a_count_that_overtakes_its_event_loses_nothing() {
    let app = App::start(DUNST, "");
    app.unread(5);
    app.counts(5);
    let mut late = message("$late", "room");
    late["counts"] = json!({"unread": 4});
    app.push(late.clone());
    app.shows(0, "text $late");
    // The counts of the latest arrival apply: nothing tells which of them is older.
    app.counts(4);
    app.unread(5);
    app.counts(5);
    // A retry of the event with its old counts no longer changes anything.
    app.push(late);
    assert_eq!(app.pushbell.status()["unread"], 5);
}
