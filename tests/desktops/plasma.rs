//! Plasma on X11.

use serde_json::json;

use super::{
    app::{App, GetAccount, by_hand},
    do_not_disturb,
    x11::{POINTER_ASIDE, SIZE, picture},
};
use crate::rig::{
    Desktop, DesktopOptions, Pushbell, SOON, Sound, bus,
    notifications::{SERVICE, Traffic},
    plasma::Plasma,
    pushbell::message,
    screen::difference,
    wait_for, wait_until,
};

pub(super) struct PlasmaApp {
    // Dropped in this order.
    pub(super) app: App,
    _plasma: Plasma,
}

impl PlasmaApp {
    fn start(config: &str) -> Self {
        Self::start_as(config, &by_hand)
    }

    pub(super) fn start_as(config: &str, get_account: &GetAccount<'_>) -> Self {
        let desktop = Desktop::start(DesktopOptions { size: SIZE, sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let plasma = Plasma::start(&desktop);
        let mut pushbell = Pushbell::prepare(&desktop, config);
        plasma.prepare(&mut pushbell);
        pushbell.handle_matrix_links();
        let app = App::run(desktop, pushbell, get_account);
        app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
        app.pushbell.wait_for_status("all of the desktop is there", |status| {
            status["tray"]["available"] == true && status["popup"]["available"] == true
        });
        Self { app, _plasma: plasma }
    }
}

#[test]
fn plasma_shows_popups_that_can_be_clicked_and_go_away() {
    let plasma = PlasmaApp::start("");
    let app = &plasma.app;
    app.unread(2);
    let item = app.desktop.tray_item();
    wait_until("the tray item has the number", SOON, || item.text("Title").contains("2 unread"));
    let bare = app.desktop.screenshot();
    let mut push = message("1", "r:hs.test", "Dinner at eight & bring wine");
    push["room_name"] = "Kitchen".into();
    app.push(push);
    let popup = app.notifications().wait_for_notify("it is shown", |notify| notify.body.contains("Dinner"));
    assert_eq!(popup.app_icon, "", "the icon of the desktop entry is shown");
    app.desktop.at_rest("the popup is on the screen", &bare);
    let mut mention = message("2", "m:hs.test", "you: ready for the countdown?");
    mention["room_name"] = "Mission Control".into();
    mention["sender_display_name"] = "Major Tom".into();
    mention["content"]["m.mentions"] = json!({"user_ids": ["@you:hs.test"]});
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    app.push(mention);
    app.notifications().wait_for_notify("it is shown", |notify| notify.body.contains("countdown"));
    let both = app.desktop.at_rest("both are on the screen", &bare);
    picture("plasma", std::slice::from_ref(&both));
    app.unread(0);
    wait_until("both are off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());

    app.message("3", "r:hs.test", "Click me");
    let shown = app.desktop.at_rest("the popup is on the screen again", &bare);
    let (x, y, width, height) = difference(&bare, &shown).expect("it differs");
    app.desktop.click(x + width / 3, y + height * 2 / 3, 1);
    let opened = wait_for("the click opens the room", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/r:hs.test/e/3?via=hs.test");
    assert_ne!(opened.1, "", "there is an activation token");
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    wait_until("the popup is off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());
}

#[test]
fn what_expired_on_plasma_can_still_be_clicked_in_its_list() {
    let plasma = PlasmaApp::start("[popup]\ntimeout = 1\n");
    let app = &plasma.app;
    let bare = app.desktop.screenshot();
    app.message("1", "r:hs.test", "Gone soon");
    let popup = app.notifications().wait_for_notify("it is shown", |notify| notify.body == "Gone soon");
    app.desktop.at_rest("the popup is on the screen", &bare);
    wait_until("the popup is off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());
    // Closed notifications have no buttons in the list.
    let is_closed = |traffic: &Traffic| matches!(traffic, Traffic::NotificationClosed(..));
    assert!(!app.notifications().traffic().iter().any(is_closed));
    app.unread(0);
    assert_eq!(app.notifications().wait_for_closed(popup.id()), 3);
}

#[test]
fn do_not_disturb_of_plasma_silences_sounds_and_calls() {
    let plasma = PlasmaApp::start("");
    let connection = plasma.app.desktop.connect();
    let cookie = std::cell::Cell::new(0);
    do_not_disturb::is_followed(&plasma.app, &|on| {
        if on {
            let hints = std::collections::HashMap::<&str, zbus::zvariant::Value<'_>>::new();
            let request = ("presenter", "a talk", hints);
            let answer = bus::block_on(bus::call(&connection, SERVICE, "Inhibit", &request)).expect("Plasma takes it");
            cookie.set(answer.as_u64().and_then(|answer| u32::try_from(answer).ok()).expect("a number"));
        } else {
            bus::block_on(bus::call(&connection, SERVICE, "UnInhibit", &(cookie.get(),))).expect("Plasma takes it");
        }
    });
}
