//! The icon on the panel: its pixels, its tooltip, its menu and its clicks.

use serde_json::json;
use tiny_skia::Pixmap;

use super::{
    app::App,
    listener::{SoundListener, WITH_SOUND},
};
use crate::rig::{
    DesktopOptions, FakeScreenSaver, Notifier, SOON, TrayHost,
    pushbell::message,
    tray_item::{MenuItem, TrayItem},
    wait_for, wait_until,
};

/// dunst and xfce4-panel.
const PANEL: DesktopOptions =
    DesktopOptions { notifier: Some(Notifier::Dunst), tray: Some(TrayHost::Xfce4Panel), ..DesktopOptions::BARE };

/// The icon's pixels on the panel, once they satisfy the condition.
#[track_caller]
fn icon(app: &App, what: &str, fits: impl Fn(&Pixmap) -> bool) -> Pixmap {
    wait_for(what, SOON, || app.desktop.tray_icon_pixels().filter(&fits))
}

/// Waits for this tooltip.
#[track_caller]
fn says(item: &TrayItem, words: &str) {
    let expected = format!("{}: {words}", pushbell::app_info::APP_NAME);
    wait_until(&format!("the icon says {expected:?}"), SOON, || {
        item.text("Title") == expected && item.tooltip() == (expected.clone(), String::new())
    });
}

fn line(item: &TrayItem, label: &str) -> Option<MenuItem> {
    let menu = item.menu();
    let nested = menu.iter().flat_map(|item| item.children.clone()).collect::<Vec<_>>();
    menu.into_iter().chain(nested).find(|item| item.label == label)
}

/// Waits until the menu has this entry.
#[track_caller]
fn offers(item: &TrayItem, label: &str) -> MenuItem {
    wait_for(&format!("the menu offers {label:?}"), SOON, || line(item, label))
}

#[test]
fn the_icon_its_tooltip_and_docks_show_the_numbers() {
    let app = App::start(PANEL, "");
    let item = app.desktop.tray_item();
    assert_eq!(app.pushbell.status()["tray"]["available"], true);
    says(&item, "nothing unread");
    let at_rest = icon(&app, "the icon is on the panel", |icon| icon.width() >= 16);
    assert!(at_rest.width() <= 24 && at_rest.height() <= 24, "{at_rest:?}");

    app.unread(3);
    says(&item, "3 unread");
    let three = icon(&app, "the icon shows a number", |icon| *icon != at_rest);
    app.unread(5);
    says(&item, "5 unread");
    let five = icon(&app, "the icon shows another number", |icon| *icon != three);
    assert_ne!(five, at_rest);
    wait_until("docks are told", SOON, || {
        let told = app.notifications().launcher();
        told.is_some_and(|told| told["count"] == 5 && told["count-visible"] == true && told["urgent"] == false)
    });

    let mut call = message("1", "room", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "c", "lifetime": 100});
    call["counts"] = json!({"unread": 5});
    app.push(call);
    says(&item, "5 unread, 1 missed call");
    icon(&app, "the icon has a mark for missed calls", |icon| *icon != five);
    wait_until("docks are told", SOON, || {
        app.notifications().launcher().is_some_and(|told| told["count"] == 6 && told["urgent"] == true)
    });

    app.unread(0);
    says(&item, "nothing unread");
    icon(&app, "the icon is as it was", |icon| *icon == at_rest);
    wait_until("docks are told", SOON, || {
        app.notifications().launcher().is_some_and(|told| told["count-visible"] == false)
    });
}

#[test]
fn the_menu_has_the_counts_the_newest_notices_and_every_action() {
    let app = App::start(PANEL, "");
    let item = app.desktop.tray_item();
    let actions = ["Pause", "30 minutes", "1 hour", "Until tomorrow", "Mute sounds", "Clear"];
    let program = ["Open inbox", "Settings", "Test notification", "Start with the desktop", "Quit"];
    let connect = "Connect a homeserver…";
    let expected = [&["Nothing unread"], &actions[..], &[connect], &program[..]].concat();
    wait_until("the menu is complete", SOON, || item.menu_labels() == expected);

    let mut names = message("0", "Salt & Pepper_room", "a & b_c __init__");
    names["counts"] = json!({"unread": 7});
    app.push(names);
    offers(&item, "• Bob in Salt & Pepper_room: a & b_c __init__");
    for number in 1..=6 {
        let mut push = message(&number.to_string(), "room", &format!("text {number}"));
        push["counts"] = json!({"unread": 7});
        app.push(push);
    }
    let notices: Vec<_> = (2..=6).rev().map(|number| format!("• Bob in room: text {number}")).collect();
    let expected: Vec<_> = std::iter::once("7 unread".to_owned())
        .chain(notices)
        .chain(["Mark these as read".to_owned()])
        .chain(actions.iter().chain(&program).map(ToString::to_string))
        .collect();
    wait_until("the menu has the newest five, and no longer asks to connect", SOON, || item.menu_labels() == expected);
    let counts = offers(&item, "7 unread");
    assert!(!counts.enabled);
}

#[test]
fn a_test_that_cannot_arrive_says_what_stands_in_the_way() {
    let app = App::start(PANEL, "");
    let item = app.desktop.tray_item();
    offers(&item, "Test notification");
    let is_told = |words: &[&str]| {
        let mark = app.mark();
        item.click_menu("Test notification");
        let popup = app.titled(mark, "The test did not arrive");
        assert!(words.iter().all(|word| popup.body.contains(word)), "{popup:?}");
    };
    let missing = app.pushbell.home().join("missing.pem").display().to_string();
    app.pushbell.configure(&format!("[server]\ntls = {{ certificate = \"{missing}\", key = \"{missing}\" }}"));
    wait_until("the certificate is missed", SOON, || app.pushbell.status()["problems"].to_string().contains(&missing));
    is_told(&["https://127.0.0.1:", "missing.pem"]);
    app.pushbell.ok(&["account", "remove", &app.account.name]);
    is_told(&["no account", "pushbell login"]);
}

#[test]
fn every_line_of_the_menu_does_what_it_says() {
    let mut app = App::start(PANEL, "");
    app.pushbell.handle_matrix_links();
    let item = app.desktop.tray_item();
    let opened = |count: usize| {
        wait_for("something is opened", SOON, || Some(app.pushbell.opened()).filter(|opened| opened.len() == count))
    };
    offers(&item, "Connect a homeserver…");
    item.click_menu("Connect a homeserver…");
    let page = |address: &str, section: &str| {
        assert!(
            address.starts_with("http://") && address.contains(&format!("/enter?to={section}&token=")),
            "{address}"
        );
    };
    page(&opened(1)[0].0, "setup");
    item.click_menu("Settings");
    page(&opened(2)[1].0, "settings");
    item.click_menu("Open inbox");
    page(&opened(3)[2].0, "inbox");

    item.click_menu("Test notification");
    app.titled(0, "Major Tom in Mission Control");
    app.counts(1);
    offers(&item, "Connect a homeserver…");
    app.pushbell.ok(&["clear"]);

    let mark = app.mark();
    app.message("1", "r:hs.test", "first");
    let first = app.shows(mark, "first");
    app.message("2", "s:hs.test", "second");
    let second = app.shows(mark, "second");
    offers(&item, "• Bob in s:hs.test: second");
    item.click_menu("• Bob in r:hs.test: first");
    assert_eq!(opened(4)[3].0, "matrix:roomid/r:hs.test/e/1?via=hs.test");
    app.withdraws(mark, first.id());
    wait_until("the room is read", SOON, || app.pushbell.history()[1]["read"] == true);
    assert_eq!(app.pushbell.history()[0]["read"], false);

    item.click_menu("Mark these as read");
    app.withdraws(mark, second.id());
    wait_until("that room is read", SOON, || app.pushbell.history()[0]["read"] == true);

    let mark = app.mark();
    app.message("3", "s:hs.test", "third");
    let third = app.shows(mark, "third");
    item.click_menu("Clear");
    app.withdraws(mark, third.id());
    app.counts(0);
    says(&item, "nothing unread");

    let at_work = icon(&app, "the icon is on the panel", |_| true);
    for (label, least, most) in [("30 minutes", 29, 30), ("1 hour", 59, 60), ("Until tomorrow", 1, 33 * 60)] {
        offers(&item, label);
        item.click_menu(label);
        let status = app.pushbell.wait_for_status("it is paused", |status| !status["paused_until"].is_null());
        let until: jiff::Timestamp =
            status["paused_until"].as_str().and_then(|until| until.parse().ok()).expect("a time");
        let minutes = (until.as_second() - jiff::Timestamp::now().as_second()) / 60;
        assert!((least..=most).contains(&minutes), "{label}: {minutes} minutes");
        offers(&item, "Resume");
        icon(&app, "the icon is dimmed", |icon| *icon != at_work);
        assert!(item.text("Title").contains("paused until"), "{}", item.text("Title"));
        assert!(line(&item, "Pause").is_none());
        item.click_menu("Resume");
        app.pushbell.wait_for_status("it is not paused", |status| status["paused_until"].is_null());
        icon(&app, "the icon is as it was", |icon| *icon == at_work);
    }

    let entry = app.pushbell.home().join(format!(".config/autostart/{}.desktop", pushbell::app_info::APP_ID));
    for on in [true, false] {
        item.click_menu("Start with the desktop");
        wait_until("starting with the desktop is ticked as it is", SOON, || {
            line(&item, "Start with the desktop").is_some_and(|line| line.checked == Some(on)) && entry.exists() == on
        });
    }
    for (word, on) in [("on", true), ("off", false)] {
        app.pushbell.ok(&["autostart", word]);
        wait_until("what a command does is ticked too", SOON, || {
            line(&item, "Start with the desktop").is_some_and(|line| line.checked == Some(on))
        });
    }

    item.click_menu("Quit");
    assert_eq!(app.pushbell.app().wait(SOON).code(), Some(0));
    wait_until("the icon is gone", SOON, || app.desktop.tray_items() == 0);
}

#[test]
fn mute_silences_sounds_and_rings_and_survives_a_restart() {
    let mut app = App::start(DesktopOptions { tray: Some(TrayHost::Xfce4Panel), ..WITH_SOUND }, "");
    let listener = SoundListener::on(&app);
    let sounding = |event: &str| {
        let mut push = message(event, "room", event);
        push["devices"] = json!([{"tweaks": {"sound": "default"}}]);
        push
    };
    let item = app.desktop.tray_item();
    assert_eq!(offers(&item, "Mute sounds").checked, Some(false));
    let heard = listener.mark();
    let mut call = sounding("ringing");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "c", "lifetime": 60_000});
    call["devices"][0]["tweaks"]["sound"] = "ring".into();
    app.push(call);
    listener.hears_ring_begin(heard);
    item.click_menu("Mute sounds");
    listener.wait_for_silence();
    wait_until("the menu says so", SOON, || offers(&item, "Mute sounds").checked == Some(true));
    let heard = listener.mark();
    app.push(sounding("muted"));
    app.shows(0, "muted");
    app.pushbell.restart();
    let item = app.desktop.tray_item();
    assert_eq!(app.pushbell.status()["muted"], true);
    app.push(sounding("still muted"));
    app.notifications().wait_for_notify("it is shown", |shown| shown.body.ends_with("still muted"));
    listener.hears_nothing(heard);
    assert_eq!(offers(&item, "Mute sounds").checked, Some(true));
    item.click_menu("Mute sounds");
    app.pushbell.wait_for_status("sounds are back", |status| status["muted"] == false);
    let heard = listener.mark();
    app.push(sounding("loud"));
    listener.hears(&app, heard, &listener.default);
}

#[test]
fn a_click_on_the_icon_opens_the_newest_unread_room() {
    let app = App::start(PANEL, "");
    app.pushbell.handle_matrix_links();
    let item = app.desktop.tray_item();
    icon(&app, "the icon is on the panel", |_| true);
    // Nothing is unread, so nothing happens.
    item.activate();
    app.message("1", "r:hs.test", "first");
    app.message("2", "s:hs.test", "second");
    app.shows(0, "second");
    app.shows(0, "first");
    let (x, y) = app.desktop.tray_icon_position().expect("the icon is on the panel");
    app.desktop.click(x, y, 1);
    let opened =
        wait_for("something is opened", SOON, || Some(app.pushbell.opened()).filter(|opened| !opened.is_empty()));
    assert_eq!(opened[0].0, "matrix:roomid/s:hs.test/e/2?via=hs.test");
    wait_until("that room is read", SOON, || app.pushbell.history()[0]["read"] == true);
    item.activate();
    wait_until("the next one is opened", SOON, || app.pushbell.opened().len() == 2);
    assert_eq!(app.pushbell.opened()[1].0, "matrix:roomid/r:hs.test/e/1?via=hs.test");
}

#[test]
fn the_icon_appears_when_a_tray_host_starts_or_restarts() {
    let mut app = App::start(DesktopOptions { tray: None, ..PANEL }, "");
    let status = app.pushbell.wait_for_status("the app has noticed", |status| {
        status["tray"]["reason"].as_str().is_some_and(|reason| reason.contains("add a tray to the panel"))
    });
    assert_eq!(status["tray"]["available"], false);
    let said = |app: &App| app.pushbell.log().matches("add a tray to the panel").count();
    wait_until("the log says so", SOON, || said(&app) == 1);
    app.unread(3);
    app.unread(4);
    app.counts(4);
    assert_eq!(said(&app), 1, "once");
    app.desktop.start_tray(TrayHost::Xfce4Panel);
    says(&app.desktop.tray_item(), "4 unread");
    let four = icon(&app, "the icon is on the panel", |_| true);
    app.pushbell.wait_for_status("the app has noticed", |status| status["tray"]["available"] == true);
    app.desktop.kill_tray();
    app.pushbell.wait_for_status("the app has noticed", |status| status["tray"]["available"] == false);
    app.desktop.start_tray(TrayHost::Xfce4Panel);
    says(&app.desktop.tray_item(), "4 unread");
    icon(&app, "the icon is back as it was", |icon| *icon == four);
    app.unread(5);
    says(&app.desktop.tray_item(), "5 unread");
    assert_eq!(said(&app), 2, "once more for the host that was killed");
}

#[test]
fn the_icon_comes_back_with_the_session_bus() {
    let mut app = App::start(PANEL, "");
    app.unread(4);
    says(&app.desktop.tray_item(), "4 unread");
    app.desktop.kill_bus();
    app.desktop.start_bus();
    app.desktop.start_tray(TrayHost::Xfce4Panel);
    app.unread(6);
    says(&app.desktop.tray_item(), "6 unread");

    // Also one that starts after the app.
    app.pushbell.terminate();
    app.desktop.kill_bus();
    app.pushbell.run();
    app.desktop.start_bus();
    app.desktop.start_tray(TrayHost::Xfce4Panel);
    says(&app.desktop.tray_item(), "6 unread");
}

#[test]
fn a_hanging_session_bus_delays_neither_pushes_nor_start_or_end() {
    let mut app = App::start(PANEL, "");
    says(&app.desktop.tray_item(), "nothing unread");
    app.desktop.bus().freeze();
    app.message("1", "room", "text");
    for unread in 0..100 {
        app.unread(unread);
    }
    assert_eq!(app.pushbell.terminate(), Some(0));
    app.pushbell.run();
    app.unread(7);
    assert_eq!(app.pushbell.terminate(), Some(0));
    app.desktop.bus().thaw();
    app.pushbell.run();
    says(&app.desktop.tray_item(), "7 unread");
}

#[test]
fn without_a_tray_the_rest_goes_on() {
    let mut app = App::start(PANEL, "");
    app.pushbell.terminate();
    app.pushbell.launch(&["run", "--no-tray"]);
    wait_until("it runs", SOON, || app.pushbell.command(&["status"]).code == 0);
    app.message("1", "room", "text");
    app.shows(0, "text");
    assert_eq!(app.desktop.tray_items(), 0);
    let status = app.pushbell.status();
    assert_eq!(status["tray"], json!({"available": false, "reason": "turned off with --no-tray"}));
    assert!(!app.pushbell.log().contains("no tray icon"), "nobody needs to be told");
    assert_eq!(app.pushbell.terminate(), Some(0));
}

#[test]
fn a_tray_host_that_hangs_delays_nothing() {
    let mut app = App::start(PANEL, "");
    says(&app.desktop.tray_item(), "nothing unread");
    app.desktop.tray().freeze();
    for number in 1..=5 {
        app.message(&number.to_string(), "room", &format!("text {number}"));
    }
    app.notifications().wait_for_notify("popups come", |shown| shown.body.ends_with("text 5"));
    assert_eq!(app.pushbell.terminate(), Some(0));
}

#[test]
fn the_menu_hides_texts_as_soon_as_the_screen_is_locked() {
    let app = App::start(PANEL, "[popup]\npreview = \"unlocked\"\n");
    let saver = FakeScreenSaver::start(&app.desktop, false);
    app.message("1", "room", "secret");
    let item = app.desktop.tray_item();
    offers(&item, "• Bob in room: secret");
    saver.set_locked(true);
    offers(&item, "• Bob in room");
    saver.set_locked(false);
    offers(&item, "• Bob in room: secret");
}
