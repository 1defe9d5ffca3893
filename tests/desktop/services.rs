//! Notification services that start late, crash or hang, and a session bus that ends: nothing is lost, nothing is shown
//! twice, and no answer is delayed.

use std::time::{Duration, Instant};

use super::app::{App, DUNST, MOMENT};
use crate::rig::{DesktopOptions, Notifier, OnNotify, SOON, never_within, notifications::Traffic, wait_until};

/// The number of confirmed popups with this text.
fn confirmed(app: &App, text: &str) -> usize {
    app.notifications().all().iter().filter(|shown| matches!(shown.answer, Some(Ok(_))) && shown.body == text).count()
}

fn all_shown(app: &App) {
    app.pushbell.wait_for_status("everything has been shown", |status| status["inbox"]["unshown"] == 0);
}

#[test]
fn a_service_that_starts_late_shows_what_waits() {
    let mut app = App::start(DesktopOptions::BARE, "");
    let status = app.pushbell.wait_for_status("no service is there", |status| {
        status["popup"]["reason"].as_str().is_some_and(|reason| reason.contains("notification service"))
    });
    assert_eq!(status["popup"]["available"], false);
    app.message("1", "one", "first");
    app.message("2", "two", "second");
    assert_eq!(app.pushbell.status()["inbox"]["unshown"], 2);
    app.desktop.start_notifier(Notifier::Dunst);
    app.shows(0, "first");
    app.shows(0, "second");
    let status = app.pushbell.wait_for_status("the service is there", |status| status["popup"]["available"] == true);
    assert!(status["popup"]["reason"].as_str().is_some_and(|reason| reason.contains("dunst")), "{status}");
    all_shown(&app);
    assert_eq!((confirmed(&app, "first"), confirmed(&app, "second")), (1, 1));
}

#[test]
fn a_service_that_crashes_between_two_popups_loses_none() {
    let mut app = App::start(DUNST, "");
    app.message("1", "room", "before");
    app.shows(0, "before");
    all_shown(&app);
    app.desktop.kill_notifier();
    app.message("2", "room", "meanwhile");
    app.desktop.start_notifier(Notifier::Xfce4Notifyd);
    let shown = app.shows(0, "before\nmeanwhile");
    assert_eq!(shown.replaces_id, 0, "ids of the dead service mean nothing to the new one");
    app.message("3", "room", "after");
    assert_eq!(app.shows(0, "before\nmeanwhile\nafter").replaces_id, shown.id());
    all_shown(&app);
    assert_eq!(app.notifications().all().iter().filter(|shown| shown.answer.is_some()).count(), 3);
}

#[test]
fn a_hanging_service_delays_no_answer_and_shows_all_later() {
    let mut app = App::start(DUNST, "");
    app.message("0", "room 0", "before");
    app.shows(0, "before");
    all_shown(&app);
    app.desktop.notifier().freeze();
    for number in 1..=6 {
        let start = Instant::now();
        app.message(&format!("{number}"), &format!("room {}", number % 2), &format!("text {number}"));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    app.pushbell.wait_for_status("the app has noticed", |status| {
        status["popup"]["reason"].as_str().is_some_and(|reason| reason.contains("does not answer"))
    });
    let start = Instant::now();
    app.message("7", "room 1", "text 7");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    app.desktop.notifier().thaw();
    all_shown(&app);
    // Each room ends up with its newest messages and a count of the others.
    let open = app.notifications().open();
    let mut texts: Vec<_> = open.values().map(|shown| shown.body.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["1 more\ntext 2\ntext 4\ntext 6", "1 more\ntext 3\ntext 5\ntext 7"]);
    app.pushbell.wait_for_status("popups work again", |status| status["popup"]["available"] == true);
    // Nothing was shown twice.
    let shown: Vec<_> =
        app.notifications().all().iter().map(|shown| (shown.summary.clone(), shown.body.clone())).collect();
    let distinct: std::collections::BTreeSet<_> = shown.iter().collect();
    assert_eq!(distinct.len(), shown.len(), "{shown:#?}");
}

#[test]
fn a_service_that_hangs_for_good_and_is_replaced_loses_nothing() {
    let mut app = App::start(DUNST, "");
    app.message("0", "room 0", "before");
    app.shows(0, "before");
    app.desktop.notifier().freeze();
    app.message("1", "room 1", "while it hung");
    app.pushbell.wait_for_status("the app has noticed", |status| status["popup"]["available"] == false);
    app.desktop.kill_notifier();
    app.desktop.start_notifier(Notifier::Dunst);
    app.shows(0, "while it hung");
    all_shown(&app);
    assert_eq!(confirmed(&app, "while it hung"), 1);
}

#[test]
fn a_slow_service_is_waited_for() {
    let app = App::start(DesktopOptions::BARE, "");
    let fake = app.desktop.fake_notifier(&["body"]);
    fake.on_notify(OnNotify::AnswerAfter(Duration::from_millis(700)));
    app.message("1", "room", "slow");
    app.message("2", "room", "slower");
    app.shows(0, "slow\nslower");
    all_shown(&app);
    assert!(app.notifications().all().len() <= 2);
}

#[test]
fn a_session_bus_that_ends_and_comes_back_loses_nothing() {
    let mut app = App::start(DUNST, "");
    app.message("1", "room", "before");
    app.shows(0, "before");
    all_shown(&app);
    app.desktop.kill_bus();
    let status = app.pushbell.wait_for_status("the app has noticed", |status| status["popup"]["available"] == false);
    assert!(status["popup"]["reason"].as_str().is_some_and(|reason| reason.contains("session bus")), "{status}");
    app.message("2", "other room", "without a bus");
    app.desktop.start_bus();
    app.desktop.start_notifier(Notifier::Dunst);
    app.shows(0, "without a bus");
    all_shown(&app);
    let mark = app.mark();
    app.message("3", "third room", "after");
    app.shows(mark, "after");
    assert_eq!(confirmed(&app, "without a bus"), 1);
    assert_eq!(confirmed(&app, "before"), 1);
}

#[test]
fn without_a_session_bus_the_app_runs_and_says_what_is_missing() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    app.pushbell.set_env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    app.pushbell.run();
    app.message("1", "room", "text");
    let status = app.pushbell.wait_for_status("the app has noticed", |status| {
        status["popup"]["reason"].as_str().is_some_and(|reason| reason.contains("session bus"))
    });
    assert_eq!((&status["unread"], &status["inbox"]["unshown"]), (&1.into(), &1.into()));
    assert_eq!((&status["tray"]["available"], &status["popup"]["available"]), (&false.into(), &false.into()));
    assert_eq!(app.pushbell.terminate(), Some(0));
}

#[test]
fn a_popup_that_is_never_answered_is_not_requested_endlessly() {
    let app = App::start(DesktopOptions::BARE, "");
    let fake = app.desktop.fake_notifier(&["body"]);
    fake.on_notify(OnNotify::Hang);
    let asked = || app.notifications().all().len();
    app.message("1", "room", "swallowed");
    wait_until("it is asked for", SOON, || asked() == 1);
    never_within(MOMENT, "it is asked for again at once", || asked() > 1);
    fake.on_notify(OnNotify::Answer);
    app.shows(0, "swallowed");
    all_shown(&app);
    assert!(app.notifications().traffic().iter().filter(|traffic| matches!(traffic, Traffic::Notify(_))).count() <= 3);
}

#[test]
fn without_a_cookie_sounds_still_go_to_pulseaudio_itself() {
    let app = App::start(DesktopOptions::default(), "");
    assert!(app.pushbell.env().iter().all(|(key, _)| key != "PULSE_COOKIE"));
    app.pushbell.ok(&["test"]);
    app.pushbell.wait_for_status("the sound was played", |status| status["sound"]["reason"] == "PulseAudio");
}

#[test]
fn what_was_read_before_a_service_started_is_not_shown() {
    let mut app = App::start(DesktopOptions::BARE, "");
    app.message("1", "room", "read elsewhere");
    app.unread(0);
    app.counts(0);
    app.desktop.start_notifier(Notifier::Dunst);
    app.message("2", "room", "unread");
    app.shows(0, "unread");
    assert_eq!(app.notifications().all().len(), 1);
}

#[test]
fn what_was_read_while_a_service_hung_is_withdrawn_later() {
    let mut app = App::start(DUNST, "[popup]\ntimeout = \"never\"\n");
    app.message("1", "room", "first");
    let first = app.shows(0, "first");
    all_shown(&app);
    app.desktop.notifier().freeze();
    app.message("2", "room", "second");
    app.message("3", "other room", "third");
    app.pushbell.wait_for_status("the app has noticed", |status| status["popup"]["available"] == false);
    app.unread(0);
    app.counts(0);
    app.desktop.notifier().thaw();
    assert_eq!(app.notifications().wait_for_closed(first.id()), 3);
    wait_until("nothing is on the screen", SOON, || app.notifications().open().is_empty());
    app.pushbell.wait_for_status("popups work again", |status| status["popup"]["available"] == true);
    app.message("4", "room", "fourth");
    app.shows(0, "fourth");
    assert_eq!(app.notifications().open().len(), 1);
}
