//! Plasma on X11: kwin, plasmashell and what they need, without a session manager.

use std::{fs, process::Command};

use pushbell::app_info;
use serde_json::json;

use super::{
    app::App,
    do_not_disturb,
    x11::{ASIDE, SIZE, at_rest, difference, picture},
};
use crate::rig::{
    Desktop, DesktopOptions, Pushbell, SOON, Sound, bus,
    notifications::{SERVICE, Traffic},
    process::{self, Part},
    pushbell::message,
    screen, wait_for, wait_until,
};

struct Plasma {
    // In the order in which they have to end.
    app: App,
    _shell: Part,
    _activities: Part,
    _kded: Part,
    _kwin: Part,
}

impl Plasma {
    /// Pushbell is installed there: the desktop knows its name and icon.
    fn start(config: &str) -> Self {
        let desktop = Desktop::start(DesktopOptions { size: SIZE, sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let run = desktop.run_directory();
        let write = |name: &str, content: &[u8]| {
            let path = desktop.directory().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("the directory is writable");
            fs::write(&path, content).expect("the directory is writable");
        };
        write("home/.config/kwinrc", b"[Compositing]\nEnabled=false\n");
        write("home/.config/kwalletrc", b"[Wallet]\nEnabled=false\n");
        write("home/.config/kscreenlockerrc", b"[Daemon]\nAutolock=false\n");
        let id = app_info::APP_ID;
        let entry = format!("[Desktop Entry]\nType=Application\nName=Pushbell\nExec=true\nIcon={id}\n");
        write(&format!("share/applications/{id}.desktop"), entry.as_bytes());
        let icon = include_bytes!("../../assets/icons/pushbell-128.png");
        write(&format!("share/icons/hicolor/128x128/apps/{id}.png"), icon);
        let data = format!("{}:/usr/local/share:/usr/share", desktop.directory().join("share").display());

        let mut env = desktop.env().to_vec();
        let plasma = [
            ("XDG_CURRENT_DESKTOP", "KDE"),
            ("XDG_DATA_DIRS", &data),
            ("XDG_CONFIG_DIRS", "/etc/xdg:/usr/share/plasma"),
            ("XDG_MENU_PREFIX", "plasma-"),
            ("KDE_FULL_SESSION", "true"),
            ("KDE_SESSION_VERSION", "5"),
            ("QT_QUICK_BACKEND", "software"),
            ("QT_XCB_NO_XI2", ""),
        ];
        for (name, value) in plasma {
            env.retain(|(other, _)| other != name);
            env.push((name.to_owned(), value.to_owned()));
        }
        process::run("kbuildsycoca5", &[], &env);
        let connection = desktop.connect();
        let has_owner = |name: &str| bus::block_on(bus::has_owner(&connection, name));
        let start = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments);
            Part::start(program.rsplit('/').next().unwrap_or(program), command, &env, &run)
        };
        let kwin = start("kwin_x11", &["--replace"]);
        wait_until("kwin is there", SOON, || has_owner("org.kde.KWin"));
        let kded = start("kded5", &[]);
        let activities = start("/usr/lib/x86_64-linux-gnu/libexec/kactivitymanagerd", &[]);
        wait_until("the tray is there", SOON, || has_owner("org.kde.StatusNotifierWatcher"));
        let shell = start("plasmashell", &["--no-respawn"]);
        wait_until("Plasma shows notifications", SOON, || {
            bus::block_on(bus::call(&connection, SERVICE, "GetServerInformation", &())).is_ok()
        });
        // It covers the whole screen, once it is drawn.
        wait_until("the desktop is drawn", SOON, || {
            let image = desktop.screenshot();
            screen::color(&image, 5, 5) != (0, 0, 0) && screen::color(&image, SIZE.0 / 2, SIZE.1 - 5) != (0, 0, 0)
        });

        let mut pushbell = Pushbell::prepare(&desktop, config);
        pushbell.set_env("XDG_CURRENT_DESKTOP", "KDE");
        pushbell.set_env("XDG_DATA_DIRS", &data);
        pushbell.handle_matrix_links();
        pushbell.ok(&["account", "add", "home"]);
        pushbell.run();
        let account = pushbell.account_named("home");
        desktop.point(ASIDE.0, ASIDE.1);
        let app = App { pushbell, account, desktop };
        app.pushbell.wait_for_status("all of the desktop is there", |status| {
            status["tray"]["available"] == true && status["popup"]["available"] == true
        });
        Self { app, _shell: shell, _activities: activities, _kded: kded, _kwin: kwin }
    }
}

#[test]
fn plasma_shows_popups_that_can_be_clicked_and_go_away() {
    let plasma = Plasma::start("");
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
    at_rest(app, "the popup is on the screen", &bare);
    let mut mention = message("2", "m:hs.test", "you: ready for the countdown?");
    mention["room_name"] = "Mission Control".into();
    mention["sender_display_name"] = "Major Tom".into();
    mention["content"]["m.mentions"] = json!({"user_ids": ["@you:hs.test"]});
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    app.push(mention);
    app.notifications().wait_for_notify("it is shown", |notify| notify.body.contains("countdown"));
    let both = at_rest(app, "both are on the screen", &bare);
    picture("plasma", std::slice::from_ref(&both));
    app.unread(0);
    wait_until("both are off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());

    app.message("3", "r:hs.test", "Click me");
    let shown = at_rest(app, "the popup is on the screen again", &bare);
    let (x, y, width, height) = difference(&bare, &shown).expect("it differs");
    app.desktop.click(x + width / 3, y + height * 2 / 3, 1);
    let opened = wait_for("the click opens the room", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/r:hs.test/e/3?via=hs.test");
    assert_ne!(opened.1, "", "there is an activation token");
    app.desktop.point(ASIDE.0, ASIDE.1);
    wait_until("the popup is off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());
}

#[test]
fn what_expired_on_plasma_can_still_be_clicked_in_its_list() {
    let plasma = Plasma::start("[popup]\ntimeout = 1\n");
    let app = &plasma.app;
    let bare = app.desktop.screenshot();
    app.message("1", "r:hs.test", "Gone soon");
    let popup = app.notifications().wait_for_notify("it is shown", |notify| notify.body == "Gone soon");
    at_rest(app, "the popup is on the screen", &bare);
    wait_until("the popup is off the screen", SOON, || difference(&bare, &app.desktop.screenshot()).is_none());
    // Of what is closed the list has no buttons any more.
    let is_closed = |traffic: &Traffic| matches!(traffic, Traffic::NotificationClosed(..));
    assert!(!app.notifications().traffic().iter().any(is_closed));
    app.unread(0);
    assert_eq!(app.notifications().wait_for_closed(popup.id()), 3);
}

#[test]
fn do_not_disturb_of_plasma_silences_sounds_and_calls() {
    let plasma = Plasma::start("");
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
