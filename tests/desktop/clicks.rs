//! A click opens the room as `popup.open` configures, and marks the room as read.

use serde_json::json;

use super::app::{App, DUNST};
use crate::rig::{
    DesktopOptions, SOON,
    notifications::Traffic,
    pushbell::{executable, message},
    wait_for, wait_until,
};

const LINK: &str = "matrix:roomid/r:hs.test/e/event?via=hs.test";
const WEB: &str = "https://matrix.to/#/!r%3Ahs.test/%24event?via=hs.test";

fn event() -> serde_json::Value {
    let mut push = message("event", "r:hs.test", "text");
    push["room_name"] = "Mission Control".into();
    push
}

/// The opened URLs, once there are any.
fn opened(app: &App) -> Vec<(String, String)> {
    wait_for("something is opened", SOON, || Some(app.pushbell.opened()).filter(|opened| !opened.is_empty()))
}

fn is_read(app: &App) {
    wait_until("the room is read", SOON, || app.pushbell.history()[0]["read"] == true);
}

#[test]
fn a_click_on_a_popup_of_dunst_opens_the_room_and_reads_it() {
    let app = App::start(DUNST, "");
    app.pushbell.handle_matrix_links();
    app.push(event());
    app.shows(0, "text");
    let mark = app.mark();
    app.desktop.dunst("NotificationAction", Some(0));
    assert_eq!(opened(&app), [(LINK.to_owned(), String::new())]);
    is_read(&app);
    // The unread count is set by the homeserver.
    app.counts(1);
    app.notifications().wait_since(mark, "the popup is gone", SOON, |traffic| {
        matches!(traffic, Traffic::NotificationClosed(..) | Traffic::CloseNotification(_)).then_some(())
    });
    // The next message is the only unread one.
    app.message("2", "r:hs.test", "next");
    assert_eq!(app.shows(mark, "next").replaces_id, 0);
}

#[test]
fn a_click_opens_matrix_to_where_nothing_handles_links() {
    let app = App::start(DUNST, "");
    let before = app.desktop.screenshot();
    app.push(event());
    wait_until("the popup is on the screen", SOON, || app.desktop.screenshot() != before);
    app.desktop.click(app.desktop.options.size.0 - 60, 40, 1);
    assert_eq!(opened(&app), [(WEB.to_owned(), String::new())]);
    is_read(&app);
}

#[test]
fn the_activation_token_of_a_click_is_passed_on() {
    let app = App::start(DesktopOptions::BARE, "");
    app.pushbell.handle_matrix_links();
    let fake = app.desktop.fake_notifier(&["actions", "body"]);
    app.push(event());
    let id = app.shows(0, "text").id();
    fake.invoke_action_with_token(id, "default", "token-7");
    assert_eq!(opened(&app), [(LINK.to_owned(), "token-7".to_owned())]);
    is_read(&app);
    // This service does not close a popup when it is clicked.
    app.withdraws(0, id);
}

#[test]
fn forged_clicks_and_keys_that_were_not_offered_do_nothing() {
    let app = App::start(DesktopOptions::BARE, "");
    app.pushbell.handle_matrix_links();
    let fake = app.desktop.fake_notifier(&["actions", "body"]);
    app.push(event());
    let id = app.shows(0, "text").id();
    app.message("2", "other", "dismissed");
    let other = app.shows(0, "dismissed").id();
    app.desktop.forge_signal("ActionInvoked", &(id, "default"));
    app.desktop.forge_signal("NotificationClosed", &(id, 2_u32));
    fake.invoke_action(id + 1000, "default");
    fake.invoke_action(id, "ignore");
    // The effect of this signal shows that the earlier ones were processed.
    fake.close(other, 2);
    wait_until("the other room is read", SOON, || app.pushbell.history()[0]["read"] == true);
    assert_eq!((app.pushbell.opened().len(), &app.pushbell.history()[1]["read"]), (0, &json!(false)));
    let listed = |options: &[&str]| app.pushbell.ok(&[&["history", "--json"], options].concat()).lines().count();
    let options: [&[&str]; 4] = [&["--unread"], &["--room", "OTHER"], &["--account", "home"], &["--account", "work"]];
    assert_eq!(options.map(listed), [1, 1, 2, 0]);
    fake.invoke_action(id, "default");
    assert_eq!(opened(&app).len(), 1);
    wait_until("the room is read", SOON, || app.pushbell.history()[1]["read"] == true);
}

#[test]
fn a_dismissed_popup_is_read_and_nothing_is_opened() {
    let app = App::start(DUNST, "");
    let before = app.desktop.screenshot();
    app.push(event());
    let id = app.shows(0, "text").id();
    wait_until("the popup is on the screen", SOON, || app.desktop.screenshot() != before);
    app.desktop.click(app.desktop.options.size.0 - 60, 40, 3);
    assert_eq!(app.notifications().wait_for_closed(id), 2);
    is_read(&app);
    assert_eq!(app.pushbell.opened(), []);
}

#[test]
fn an_expired_popup_was_not_read() {
    let app = App::start(DUNST, "[popup]\ntimeout = 1\n");
    app.push(event());
    let id = app.shows(0, "text").id();
    assert_eq!(app.notifications().wait_for_closed(id), 1);
    // The command arrives after the signal, so the app has processed the signal.
    app.counts(1);
    assert_eq!(app.pushbell.history()[0]["read"], false);
    app.message("2", "r:hs.test", "next");
    app.shows(0, "text\nnext");
}

#[test]
fn an_address_is_opened_with_its_placeholders_encoded() {
    let app = App::start(DUNST, "[popup]\nopen = \"https://chat.example/#/room/{room}/{event}?u={user}\"\n");
    app.push(event());
    app.shows(0, "text");
    app.desktop.dunst("NotificationAction", Some(0));
    let address = "https://chat.example/#/room/%21r%3Ahs.test/%24event?u=%40bob%3Ahs.test";
    assert_eq!(opened(&app), [(address.to_owned(), String::new())]);
}

#[test]
fn placeholders_stay_inside_the_arguments_of_a_command() {
    let app = App::start(DUNST, "[popup]\nopen = [\"client\", \"--room={room}\", \"{event}; rm -r x\"]\n");
    let (program, said) = (app.pushbell.home().join("../bin/client"), app.pushbell.home().join("said"));
    let script = format!(
        "#!/bin/sh\nfor argument in \"$@\"; do echo \"$argument\"; done >'{0}.new'\nmv '{0}.new' '{0}'\n",
        said.display()
    );
    std::fs::write(&program, script).expect("the temporary directory is writable");
    executable(&program);
    app.push(event());
    app.shows(0, "text");
    app.desktop.dunst("NotificationAction", Some(0));
    let said = wait_for("the client is started", SOON, || std::fs::read_to_string(&said).ok());
    assert_eq!(said, "--room=!r:hs.test\n$event; rm -r x\n");
    is_read(&app);
}

#[test]
fn what_cannot_be_opened_is_said() {
    let app = App::start(DUNST, "[popup]\nopen = [\"no-such-client\"]\n");
    app.push(event());
    app.shows(0, "text");
    app.desktop.dunst("NotificationAction", Some(0));
    let said = app.titled(0, "It could not be opened");
    assert!(said.body.contains("no-such-client"), "{said:?}");
}

#[test]
fn a_click_on_a_summary_opens_the_newest_room() {
    let mut app = App::start(DesktopOptions::BARE, "");
    app.pushbell.handle_matrix_links();
    for number in 0..9 {
        app.message(&format!("e{number}"), &format!("r{number}:hs.test"), "waits");
    }
    app.desktop.start_notifier(crate::rig::Notifier::Dunst);
    app.titled(0, "9 messages in 9 rooms");
    app.desktop.dunst("NotificationAction", Some(0));
    assert_eq!(opened(&app)[0].0, "matrix:roomid/r8:hs.test/e/e8?via=hs.test");
    wait_until("that room is read, and no other", SOON, || {
        let read = app.pushbell.history().iter().filter(|line| line["read"] == true).count();
        assert!(read <= 1);
        read == 1
    });
    assert_eq!(app.pushbell.history()[0]["read"], json!(true));
}
