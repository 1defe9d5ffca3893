//! What the app has recorded survives a kill.

use super::app::{App, DUNST};
use crate::rig::{DesktopOptions, Notifier, SOON, notifications::Traffic, wait_until};

fn all_shown(app: &App) {
    app.pushbell.wait_for_status("everything has been shown", |status| status["inbox"]["unshown"] == 0);
}

#[test]
fn many_rooms_that_waited_when_it_was_killed_are_one_summary() {
    let mut app = App::start(DesktopOptions::BARE, "");
    for number in 0..9 {
        app.message(&format!("e{number}"), &format!("room {}", number % 5), "waits");
    }
    app.pushbell.kill9();
    app.desktop.start_notifier(Notifier::Dunst);
    app.pushbell.run();
    app.titled(0, "9 messages in 5 rooms");
    all_shown(&app);
    assert_eq!(app.notifications().all().len(), 1);
    app.counts(1);

    // Neither a retry of a push recorded before the crash nor another start shows anything.
    let mark = app.mark();
    app.message("e3", "room 3", "waits");
    app.shows_nothing(mark);
    app.pushbell.restart();
    app.shows_nothing(mark);
    assert_eq!(app.pushbell.history().len(), 9);
    assert!(app.pushbell.history().iter().all(|line| line["shown"] == true && line["read"] == false));
}

#[test]
fn a_few_rooms_that_waited_at_a_kill_are_shown_one_by_one() {
    let mut app = App::start(DesktopOptions::BARE, "");
    for (event, room) in [("1", "one"), ("2", "two"), ("3", "one")] {
        app.message(event, room, &format!("text {event}"));
    }
    app.pushbell.kill9();
    app.pushbell.run();
    app.desktop.start_notifier(Notifier::Dunst);
    app.shows(0, "text 1\ntext 3");
    app.shows(0, "text 2");
    all_shown(&app);
    assert_eq!(app.notifications().all().len(), 2);
}

#[test]
fn the_number_survives_being_killed() {
    let mut app = App::start(DUNST, "");
    app.unread(17);
    app.counts(17);
    app.pushbell.kill9();
    app.pushbell.run();
    let status = app.pushbell.status();
    assert_eq!((&status["unread"], &status["accounts"][0]["unread"]), (&17.into(), &17.into()));
    assert!(status["accounts"][0]["last_push"].is_string());
    app.pushbell.ok(&["clear"]);
    app.pushbell.kill9();
    app.pushbell.run();
    assert_eq!(app.pushbell.status()["unread"], 0);
}

#[test]
fn what_was_shown_before_a_restart_counts_but_is_not_repeated() {
    let mut app = App::start(DUNST, "");
    app.message("1", "room", "first");
    app.shows(0, "first");
    all_shown(&app);
    let mark = app.mark();
    assert_eq!(app.pushbell.terminate(), Some(0));
    app.pushbell.run();
    app.shows_nothing(mark);
    app.message("2", "room", "second");
    app.shows(mark, "first\nsecond");
}

#[test]
fn popups_left_on_the_screen_are_adopted_at_the_next_start() {
    let mut app = App::start(DesktopOptions::BARE, "");
    let fake = app.desktop.fake_notifier(&["actions", "body"]);
    app.pushbell.handle_matrix_links();
    for room in ["r:hs.test", "replaced", "withdrawn"] {
        app.message(room, room, room);
        app.shows(0, room);
    }
    all_shown(&app);
    let id = |app: &App, text: &str| app.shows(0, text).id();
    let (clicked, replaced, withdrawn) = (id(&app, "r:hs.test"), id(&app, "replaced"), id(&app, "withdrawn"));
    let mut mark = app.mark();
    app.pushbell.restart();

    // A newer message replaces the popup of the older one.
    app.message("newer", "replaced", "newer");
    let newer = app.shows(mark, "replaced\nnewer");
    assert_eq!(newer.replaces_id, replaced);

    // A click opens the room.
    mark = app.mark();
    fake.invoke_action(clicked, "default");
    wait_until("the room is opened", SOON, || {
        app.pushbell.opened().iter().any(|(link, _)| link == "matrix:roomid/r:hs.test/e/r:hs.test?via=hs.test")
    });
    app.withdraws(mark, clicked);

    // After one more start, too, what was read on another device is withdrawn.
    app.pushbell.restart();
    app.unread(0);
    app.withdraws(mark, withdrawn);
    app.withdraws(mark, newer.id());
}

#[test]
fn a_new_notification_service_is_asked_to_close_no_old_popup() {
    let mut app = App::start(DUNST, "");
    app.message("1", "room", "first");
    app.shows(0, "first");
    all_shown(&app);
    app.pushbell.terminate();
    app.desktop.notifier().kill();
    app.desktop.start_notifier(Notifier::Dunst);
    let mark = app.mark();
    app.pushbell.run();
    app.message("2", "room", "second");
    assert_eq!(app.shows(mark, "first\nsecond").replaces_id, 0);
    app.unread(0);
    app.withdraws(mark, app.shows(mark, "first\nsecond").id());
    let closed: Vec<_> = app
        .notifications()
        .since(mark)
        .into_iter()
        .filter(|seen| matches!(seen, Traffic::CloseNotification(_)))
        .collect();
    assert_eq!(closed.len(), 1, "{closed:?}");
}
