//! Cinnamon, as an X11 compositor without a session manager.

use std::process::Command;

use serde_json::json;
use tiny_skia::Pixmap;

use super::{
    app::App,
    do_not_disturb,
    x11::{POINTER_ASIDE, SIZE, picture},
};
use crate::rig::{
    Desktop, DesktopOptions, Pushbell, SOON, Sound, bus, notifications::SERVICE, process::Part, pushbell::message,
    screen, wait_until,
};

const SHELL: (&str, &str, &str) = ("org.Cinnamon", "/org/Cinnamon", "org.Cinnamon");

struct Cinnamon {
    // Dropped in this order.
    app: App,
    _shell: Part,
    connection: zbus::Connection,
}

impl Cinnamon {
    fn start() -> Self {
        let desktop = Desktop::start(DesktopOptions { size: SIZE, sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let mut env = desktop.env().to_vec();
        env.retain(|(name, _)| !matches!(name.as_str(), "XDG_CURRENT_DESKTOP" | "GSETTINGS_BACKEND"));
        env.push(("XDG_CURRENT_DESKTOP".to_owned(), "X-Cinnamon".to_owned()));
        env.push(("GSETTINGS_BACKEND".to_owned(), "keyfile".to_owned()));
        let mut command = Command::new("cinnamon");
        command.arg("--replace");
        let shell = Part::start("cinnamon", command, &env, &desktop.run_directory());
        let connection = desktop.connect();
        wait_until("Cinnamon shows notifications", SOON, || {
            bus::block_on(bus::call(&connection, SERVICE, "GetServerInformation", &())).is_ok()
        });

        let mut pushbell = Pushbell::prepare(&desktop, "");
        pushbell.set_env("XDG_CURRENT_DESKTOP", "X-Cinnamon");
        do_not_disturb::share_settings(&desktop, &mut pushbell);
        pushbell.ok(&["account", "add", "home"]);
        pushbell.run();
        let account = pushbell.account_named("home");
        let cinnamon = Self { app: App { pushbell, account, desktop }, _shell: shell, connection };
        // It fades in, and writes settings in the meantime.
        wait_until("the panel is in view", SOON, || {
            screen::color(&cinnamon.app.desktop.screenshot(), SIZE.0 / 2, SIZE.1 - 10) != (0, 0, 0)
        });
        cinnamon
    }

    /// The result of a script in the shell's JavaScript, as text; "" if it fails.
    fn eval(&self, script: &str) -> String {
        let answer = bus::block_on(bus::call(&self.connection, SHELL, "Eval", &(script,))).expect("the shell answers");
        let json = answer[1].as_str().unwrap_or_default();
        serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
    }

    /// Waits for a banner with this title.
    #[track_caller]
    fn shows(&self, title: &str) {
        wait_until(&format!("a banner is titled {title:?}"), SOON, || {
            self.eval("Main.messageTray._notification ? Main.messageTray._notification.title : ''") == title
        });
    }
}

#[test]
fn a_ringing_call_on_cinnamon_stands_before_a_mention() {
    let cinnamon = Cinnamon::start();
    let app = &cinnamon.app;
    let status = app.pushbell.status();
    assert!(status["tray"]["reason"].as_str().is_some_and(|reason| reason.contains("XApp")), "{status}");
    app.desktop.point(POINTER_ASIDE.0, POINTER_ASIDE.1);
    let bare = app.desktop.at_rest("the desktop is there", &Pixmap::new(SIZE.0, SIZE.1).expect("a picture"));
    let mut mention = message("1", "m:hs.test", "you: ready for the countdown?");
    mention["room_name"] = "Mission Control".into();
    mention["sender_display_name"] = "Major Tom".into();
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    mention["content"]["m.mentions"] = json!({"user_ids": ["@you:hs.test"]});
    app.push(mention);
    cinnamon.shows("Major Tom mentioned you in Mission Control");
    let shown = app.desktop.at_rest("the banner is on the screen", &bare);
    picture("cinnamon", std::slice::from_ref(&shown));
    let mut call = message("2", "c:hs.test", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "call", "lifetime": 3000, "version": 0});
    app.push(call);
    cinnamon.shows("Bob is calling");
    app.missed_calls(1);
    cinnamon.shows("Missed call from Bob");
}

#[test]
fn do_not_disturb_of_cinnamon_silences_sounds_and_calls() {
    let cinnamon = Cinnamon::start();
    do_not_disturb::is_followed(&cinnamon.app, &|on| {
        wait_until("Cinnamon follows", SOON, || {
            let schema = "org.cinnamon.desktop.notifications";
            do_not_disturb::set(&cinnamon.app.desktop, schema, "display-notifications", !on);
            cinnamon.eval("Main.messageTray._notificationsEnabled") == (!on).to_string()
        });
    });
}
