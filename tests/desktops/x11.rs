//! XFCE, `LXQt`, MATE, and dunst without a tray.

use std::path::{Path, PathBuf};

use serde_json::json;
use tiny_skia::{Pixmap, PixmapPaint, Transform};

use super::app::App;
use crate::rig::{
    DesktopOptions, Notifier, Notify, SOON, TrayHost,
    notifications::Traffic,
    pushbell::message,
    screen::{self, difference},
    wait_for, wait_until,
};

pub(super) const SIZE: (u32, u32) = (880, 560);

fn start(notifier: Notifier, tray: Option<TrayHost>) -> App {
    let app = App::start(DesktopOptions { notifier: Some(notifier), tray, size: SIZE, ..DesktopOptions::BARE }, "");
    app.pushbell.handle_matrix_links();
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    app
}

/// Pointer position outside of what is compared: screenshots include the pointer.
pub(super) const POINTER_ASIDE: (u32, u32) = (10, 200);

/// Where a click on a popup opens the room.
#[derive(Debug, Clone, Copy)]
enum Place {
    Anywhere,
    /// The button "Open", at the lower right.
    Button,
}

/// Where pictures are saved, if they were requested.
pub(super) fn picture_path(name: &str) -> Option<PathBuf> {
    std::env::var_os("PUSHBELL_PICTURES").map(|directory| Path::new(&directory).join(name))
}

/// The right part of the screen, which contains everything.
fn right_part(image: &Pixmap) -> Pixmap {
    screen::cut(image, (SIZE.0 - PICTURE_WIDTH, 0, PICTURE_WIDTH, SIZE.1))
}

const PICTURE_WIDTH: u32 = 510;

/// Saves pictures of the screen side by side, if they were requested.
pub(super) fn picture(name: &str, images: &[Pixmap]) {
    let Some(path) = picture_path(&format!("desktop-{name}.png")) else { return };
    let gap = 12;
    let total = (PICTURE_WIDTH + gap) * u32::try_from(images.len()).expect("few") - gap;
    let mut canvas = Pixmap::new(total, SIZE.1).expect("a picture");
    for (image, x) in images.iter().zip((0..).step_by((PICTURE_WIDTH + gap) as usize)) {
        canvas.draw_pixmap(x, 0, right_part(image).as_ref(), &PixmapPaint::default(), Transform::identity(), None);
    }
    canvas.save_png(path).expect("the directory is there");
}

/// Checks that popups show the text as sent, are replaced and withdrawn, and that a click opens the room.
fn popups_work(app: &App, place: Place) {
    let bare = app.desktop.screenshot();
    let mut first = message("1", "r:hs.test", "Dinner at <b>eight</b> & bring _wine_");
    first["room_name"] = "Mission Control".into();
    let mut second = message("2", "r:hs.test", "Or at nine?");
    second["room_name"] = "Mission Control".into();
    let shows = |event: &str| {
        app.notifications().wait_for_notify(&format!("{event} is shown"), |notify| notify.body.contains(event))
    };

    app.push(first);
    let popup = shows("Dinner");
    app.desktop.at_rest("the popup is on the screen", &bare);
    app.push(second.clone());
    let replaced = shows("nine");
    assert_eq!(replaced.replaces_id, popup.id(), "one popup for one room");
    let answered = |notify: &&Notify| notify.body == replaced.body && notify.answer.is_some();
    wait_until("it is answered", SOON, || app.notifications().all().iter().any(|notify| answered(&notify)));
    app.unread(0);
    app.withdraws(0, popup.id());
    wait_until("the popup is off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());

    let mark = app.mark();
    second["event_id"] = "$3".into();
    second["content"]["body"] = "Click me".into();
    app.push(second);
    shows("Click me");
    let screen = app.desktop.at_rest("the popup is on the screen again", &bare);
    let (x, y, width, height) = difference(&bare, &screen).expect("it differs");
    match place {
        Place::Anywhere => app.desktop.click(x + width / 3, y + height / 2, 1),
        Place::Button => app.desktop.click(x + width * 3 / 4, y + height * 3 / 4, 1),
    }
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    let opened = wait_for("the click opens the room", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/r:hs.test/e/3?via=hs.test");
    app.notifications().wait_since(mark, "the popup is gone", SOON, |traffic| {
        matches!(traffic, Traffic::NotificationClosed(..) | Traffic::CloseNotification(_)).then_some(())
    });
    wait_until("the popup is off the screen again", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());
    app.unread(0);
}

/// Checks the badge on the panel, its tooltip and its menu.
fn tray_works(app: &App) {
    let item = app.desktop.tray_item();
    let icon = |what: &str, fits: &dyn Fn(&Pixmap) -> bool| {
        wait_for(what, SOON, || app.desktop.tray_icon_pixels().filter(|pixels| fits(pixels)))
    };
    let bare = icon("the icon is on the panel", &|_| true);
    app.unread(7);
    icon("the badge is on the icon", &|pixels| *pixels != bare);
    assert!(item.text("Title").contains("7 unread"));

    let (x, y) = app.desktop.tray_icon_position().expect("the icon is there");
    let before = app.desktop.screenshot();
    app.desktop.point(x, y);
    app.desktop.at_rest("the tooltip is on the screen", &before);
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    wait_until("the tooltip is off the screen", SOON, || difference(&before, &app.desktop.screenshot()).is_none());
    app.desktop.click(x, y, 3);
    let menu = app.desktop.at_rest("the menu is on the screen", &before);
    let (.., height) = difference(&before, &menu).expect("it differs");
    assert!(height > 120, "all of the menu is on the screen: {height} rows");
    app.desktop.key("Escape");
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    wait_until("the menu is off the screen", SOON, || difference(&before, &app.desktop.screenshot()).is_none());
    app.unread(0);
}

/// Takes a picture of a message, a mention, the badge and the menu.
fn take_picture(app: &App, name: &str) {
    let bare = app.desktop.screenshot();
    let mut talk = message("talk", "k:hs.test", "Dinner at eight & bring wine");
    talk["room_name"] = "Kitchen".into();
    talk["counts"] = json!({"unread": 2});
    app.push(talk);
    let mut mention = message("mention", "m:hs.test", "you: ready for the countdown?");
    mention["room_name"] = "Mission Control".into();
    mention["sender_display_name"] = "Major Tom".into();
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    mention["content"]["m.mentions"] = json!({"user_ids": ["@you:hs.test"]});
    mention["counts"] = json!({"unread": 3});
    app.push(mention);
    app.notifications().wait_for_notify("the mention is shown", |notify| notify.body.contains("countdown"));
    let popups = app.desktop.at_rest("popups are on the screen", &bare);
    if app.desktop.options.tray.is_some() {
        let (x, y) = app.desktop.tray_icon_position().expect("the icon is there");
        app.desktop.click(x, y, 3);
        let menu = app.desktop.at_rest("the menu is on the screen", &popups);
        picture(name, &[popups, menu]);
    } else {
        picture(name, &[popups]);
    }
}

#[test]
fn xfce_shows_popups_badge_tooltip_and_menu() {
    let app = start(Notifier::Xfce4Notifyd, Some(TrayHost::Xfce4Panel));
    popups_work(&app, Place::Button);
    tray_works(&app);
    take_picture(&app, "xfce");
}

#[test]
fn lxqt_shows_popups_badge_tooltip_and_menu() {
    let app = start(Notifier::LxqtNotificationd, Some(TrayHost::LxqtPanel));
    popups_work(&app, Place::Anywhere);
    tray_works(&app);
    take_picture(&app, "lxqt");
}

#[test]
fn mate_shows_popups_badge_tooltip_and_menu() {
    let app = start(Notifier::MateNotificationDaemon, Some(TrayHost::MatePanel));
    popups_work(&app, Place::Anywhere);
    tray_works(&app);
    take_picture(&app, "mate");
}

#[test]
fn dunst_alone_shows_popups_and_status_says_what_is_missing() {
    let app = start(Notifier::Dunst, None);
    popups_work(&app, Place::Anywhere);
    let status = app.pushbell.wait_for_status("there is no tray", |status| !status["tray"]["reason"].is_null());
    assert_eq!(status["tray"]["available"], false);
    take_picture(&app, "dunst");
}
