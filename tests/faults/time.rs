//! Suspend, and a clock that jumps.

use serde_json::json;

use super::load::{message, recorded};
use crate::{
    app::{App, DUNST},
    rig::{Clock, Desktop, FakeLogind, SOON, never_within, wait_until},
};

#[test]
fn what_was_delivered_after_a_sleep_is_one_summary() {
    let desktop = Desktop::start(DUNST);
    let logind = FakeLogind::start(&desktop, false);
    let app = App::on(desktop, "");
    wait_until("the app listens to logind", SOON, || {
        logind.sleep_and_wake();
        app.pushbell.log().contains("woke")
    });
    for number in 0..60 {
        app.push(message(&format!("${number}"), &format!("room {}", number % 12)));
    }
    app.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    let shown = app.notifications().all();
    assert!(
        shown
            .iter()
            .all(|popup| popup.summary.ends_with("messages in 12 rooms") || popup.summary.contains(" messages in ")),
        "{shown:#?}"
    );
    assert!(shown.len() <= 4, "{shown:#?}");
    assert_eq!(shown.last().map(|popup| popup.summary.as_str()), Some("60 messages in 12 rooms"));
    assert_eq!(app.notifications().open().len(), 1);
}

#[test]
fn a_clock_that_jumps_a_day_loses_and_repeats_nothing() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    let clock = Clock::of(&mut app.pushbell);
    app.pushbell.run();

    app.push(message("$today", "room"));
    app.shows(0, "text $today");
    let call = json!({
        "event_id": "$call", "room_id": "!calls", "room_name": "calls", "type": "m.call.invite",
        "sender": "@bob:hs.test", "sender_display_name": "Bob", "prio": "high",
        "content": {"call_id": "1", "lifetime": 20_000, "version": "1"},
        "devices": [{"tweaks": {"sound": "ring"}}],
    });
    app.push(call);
    let rings = |app: &App| {
        let popups = app.notifications().open();
        popups.values().filter(|popup| popup.hints["category"] == "call.incoming").count()
    };
    wait_until("it rings", SOON, || rings(&app) == 1);
    for (jump, event) in [("+1d", "$tomorrow"), ("-1d", "$yesterday"), ("+0d", "$again today")] {
        clock.set(jump);
        let mark = app.mark();
        app.push(message(event, &format!("room {event}")));
        app.shows(mark, &format!("text {event}"));
        assert!(app.pushbell.is_healthy());
    }
    app.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    // The call has rung for its real duration and was missed once.
    app.missed_calls(1);
    wait_until("it no longer rings", SOON, || rings(&app) == 0);
    let calls = app.notifications().all().iter().filter(|popup| popup.summary.contains("call")).count();
    assert!(calls <= 2, "ringing and missed: {:#?}", app.notifications().all());
    let mark = app.mark();
    app.push(message("$tomorrow", "room $tomorrow"));
    never_within(crate::app::MOMENT, "it is shown again", || !app.notifications().all_since(mark).is_empty());
    assert_eq!(recorded(&app.pushbell.database()), ["$today", "$call", "$tomorrow", "$yesterday", "$again today"]);
    let days: Vec<_> =
        app.pushbell.history().iter().map(|line| line["received_at"].as_str().map(|at| at[..10].to_owned())).collect();
    assert_ne!(days[1], days[2], "the clock really jumped");
}
