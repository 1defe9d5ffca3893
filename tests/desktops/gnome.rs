//! GNOME Shell, as an X11 compositor without a session manager.

use std::{fs, path::PathBuf, process::Command};

use serde_json::json;

use super::{
    app::{App, GetAccount, by_hand},
    do_not_disturb,
};
use crate::rig::{
    Desktop, DesktopOptions, Notify, Pushbell, SOON, Sound, bus, never_within,
    notifications::{SERVICE, Traffic},
    process::Part,
    pushbell::message,
    screen, wait_for, wait_until,
};

const SHELL: (&str, &str, &str) = ("org.gnome.Shell", "/org/gnome/Shell", "org.gnome.Shell");

/// Pushbell's notifications in the shell's list, including the banner.
const OURS: &str = "Main.messageTray.getSources().filter(source => source.title.includes('Pushbell'))\
    .flatMap(source => source.notifications)";

const SETTINGS: &str = "\
[org/gnome/shell]
welcome-dialog-last-shown-version='999'
[org/gnome/desktop/interface]
enable-animations=false
[org/gnome/desktop/session]
idle-delay=uint32 0
";

/// The shell, and the program that owns the notifications' bus name on its behalf.
pub(super) struct Gnome {
    // Dropped in this order.
    pub(super) app: App,
    _shell: Part,
    _notifications: Part,
    connection: zbus::Connection,
}

impl Gnome {
    fn start(config: &str) -> Self {
        Self::start_as(config, &by_hand)
    }

    pub(super) fn start_as(config: &str, get_account: &GetAccount<'_>) -> Self {
        let desktop =
            Desktop::start(DesktopOptions { size: (880, 560), sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let run = desktop.run_directory();
        let mut env = desktop.env().to_vec();
        env.retain(|(name, _)| !matches!(name.as_str(), "XDG_CURRENT_DESKTOP" | "GSETTINGS_BACKEND"));
        env.push(("XDG_CURRENT_DESKTOP".to_owned(), "GNOME".to_owned()));
        env.push(("GSETTINGS_BACKEND".to_owned(), "keyfile".to_owned()));
        let settings = desktop.directory().join("home/.config/glib-2.0/settings");
        fs::create_dir_all(&settings).expect("the home is writable");
        fs::write(settings.join("keyfile"), SETTINGS).expect("the home is writable");

        let mut command = Command::new("gnome-shell");
        command.args(["--x11", "--replace", "--unsafe-mode"]);
        let shell = Part::start("gnome-shell", command, &env, &run);
        let connection = desktop.connect();
        wait_until("GNOME Shell is there", SOON, || bus::block_on(bus::has_owner(&connection, SHELL.0)));
        // It owns the notifications' bus name for the shell, and exits if it starts before the shell.
        let mut command = Command::new("gjs");
        command.arg("/usr/share/gnome-shell/org.gnome.Shell.Notifications");
        let notifications = Part::start("shell-notifications", command, &env, &run);
        wait_until("GNOME Shell shows notifications", SOON, || {
            bus::block_on(bus::call(&connection, SERVICE, "GetServerInformation", &())).is_ok()
        });

        let mut pushbell = Pushbell::prepare(&desktop, config);
        pushbell.set_env("XDG_CURRENT_DESKTOP", "GNOME");
        do_not_disturb::share_settings(&desktop, &mut pushbell);
        pushbell.handle_matrix_links();
        let app = App::run(desktop, pushbell, get_account);
        app.pushbell.wait_for_status("the shell is found", |status| status["popup"]["available"] == true);
        let gnome = Self { app, _shell: shell, _notifications: notifications, connection };
        // The shell starts in its overview, and then warns that it cannot lock the screen.
        wait_until("the shell warns", SOON, || {
            gnome.eval("!Main.layoutManager._startingUp && Main.messageTray.getSources().length > 0") == "true"
        });
        wait_until("the desktop is in view", SOON, || {
            let script = "Main.messageTray.getSources().forEach(source => source.destroy()); Main.overview.hide(); \
                Main.overview.visible || Main.messageTray._banner !== null";
            gnome.eval(script) == "false"
        });
        gnome
    }

    /// The result of a script in the shell's JavaScript, as text; "" if it fails.
    fn eval(&self, script: &str) -> String {
        let answer = bus::block_on(bus::call(&self.connection, SHELL, "Eval", &(script,))).expect("the shell answers");
        let json = answer[1].as_str().unwrap_or_default();
        serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
    }

    /// Title and text of the banner as displayed.
    fn banner(&self) -> (String, String) {
        let label = |name: &str| {
            self.eval(&format!("Main.messageTray._banner ? Main.messageTray._banner.{name}.clutter_text.text : ''"))
        };
        (label("titleLabel"), label("bodyLabel"))
    }

    /// Waits for a banner with this title.
    #[track_caller]
    pub(super) fn shows(&self, title: &str) -> String {
        let mut last = (String::new(), String::new());
        wait_for(&format!("a banner is titled {title:?}"), SOON, || {
            last = self.banner();
            (last.0 == title).then(|| last.1.clone())
        })
    }

    /// Moves the pointer over the banner until it expands. A banner that appears under the pointer waits for a
    /// movement.
    pub(super) fn hover(&self) {
        let mut moves = 0;
        wait_until("the banner shows its buttons", SOON, || {
            if let Some((x, y)) = self.middle("Main.messageTray._banner") {
                moves += 1;
                self.app.desktop.point(x + moves % 8 * 4, y);
            }
            self.eval("Main.messageTray._banner?.expanded") == "true"
        });
    }

    /// The centre of the actor that this script returns, in screen coordinates.
    fn middle(&self, actor: &str) -> Option<(u32, u32)> {
        let script = format!(
            "(() => {{ const actor = {actor}; if (!actor || !actor.mapped) return ''; \
                const [x, y] = actor.get_transformed_position(), [width, height] = actor.get_transformed_size(); \
                return [x + width / 2, y + height / 2].map(Math.round).join(' '); }})()"
        );
        let middle = self.eval(&script);
        let (x, y) = middle.split_once(' ')?;
        Some((x.parse().ok()?, y.parse().ok()?))
    }

    /// Clicks this button of the banner.
    #[track_caller]
    fn click_button(&self, label: &str) {
        self.hover();
        let button =
            format!("Main.messageTray._banner?._buttonBox?.get_children().find(button => button.label === '{label}')");
        let mut last = None;
        let (x, y) = wait_for(&format!("there is a button {label:?}"), SOON, || {
            let before = std::mem::replace(&mut last, self.middle(&button));
            last.filter(|_| before == last)
        });
        self.app.desktop.click(x, y, 1);
        self.app.desktop.point(5, 500);
    }

    /// The titles of Pushbell's notifications in the list, including the banner.
    fn listed(&self) -> Vec<String> {
        self.eval(&format!("{OURS}.map(each => each.title).join('\\n')")).lines().map(str::to_owned).collect()
    }
}

#[test]
fn gnome_shows_the_text_as_typed_and_opens_the_room() {
    let gnome = Gnome::start("");
    let app = &gnome.app;
    let mut push = message("1", "r:hs.test", "it's \"5 < 6\" & <b>so</b>");
    push["room_name"] = "Mission Control".into();
    app.push(push);
    assert_eq!(gnome.shows("Bob in Mission Control"), "it's \"5 < 6\" & <b>so</b>");
    let status = app.pushbell.status();
    assert!(status["tray"]["reason"].as_str().is_some_and(|reason| reason.contains("AppIndicator")), "{status}");
    if let Some(directory) = std::env::var_os("PUSHBELL_PICTURES") {
        let banner = || screen::cut(&app.desktop.screenshot(), (200, 40, 480, 160));
        // Without animations it is drawn at once.
        wait_until("the banner is drawn", SOON, || {
            let banner = banner();
            banner.pixels().iter().any(|pixel| *pixel != banner.pixels()[0])
        });
        let part = screen::cut(&app.desktop.screenshot(), (150, 0, 580, 180));
        part.save_png(PathBuf::from(directory).join("desktop-gnome.png")).expect("the directory is there");
    }

    // The newest line first, since a banner shows only the beginning of its text; and one banner per room.
    let mut second = message("2", "r:hs.test", "Or at nine?");
    second["room_name"] = "Mission Control".into();
    app.push(second);
    wait_until("the newest line is first", SOON, || {
        gnome.eval(&format!("{OURS}[0].bannerBodyText")).starts_with("Or at nine?")
    });
    assert_eq!(gnome.listed(), ["Bob in Mission Control"]);
    gnome.eval(&format!("{OURS}[0].activate()"));
    let opened = wait_for("the room is opened", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/r:hs.test/e/2?via=hs.test");
    wait_until("the banner is gone", SOON, || gnome.listed().is_empty());

    app.message("3", "r:hs.test", "Read elsewhere");
    wait_until("it is listed", SOON, || !gnome.listed().is_empty());
    app.unread(0);
    wait_until("the banner is withdrawn", SOON, || gnome.listed().is_empty());
}

#[test]
fn a_ringing_call_on_gnome_stands_before_a_mention() {
    let gnome = Gnome::start("");
    let app = &gnome.app;
    let mut mention = message("1", "m:hs.test", "you: ready?");
    mention["room_name"] = "Mission Control".into();
    mention["devices"] = json!([{"tweaks": {"highlight": true}}]);
    mention["content"]["m.mentions"] = json!({"user_ids": ["@you:hs.test"]});
    app.push(mention);
    gnome.shows("Bob mentioned you in Mission Control");
    let mut call = message("2", "c:hs.test", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "call", "lifetime": 4000, "version": 0});
    app.push(call);
    // The user is idle: no banner closes by itself.
    gnome.shows("Bob is calling");
    assert_eq!(gnome.listed(), ["Bob is calling"]);
    // Only then does the lock screen show the caller.
    let scope =
        gnome.eval(&format!("{OURS}[0].source.narrowestPrivacyScope === imports.ui.messageTray.PrivacyScope.SYSTEM"));
    assert_eq!(scope, "true");
    app.missed_calls(1);
    gnome.shows("Missed call from Bob");
    never_within(super::app::MOMENT, "the missed call is gone", || gnome.banner().0 != "Missed call from Bob");
    let mut listed = gnome.listed();
    listed.sort();
    assert_eq!(listed, ["Bob mentioned you in Mission Control", "Missed call from Bob"]);
}

#[test]
fn buttons_on_gnome_do_what_they_say_when_they_are_clicked() {
    let gnome = Gnome::start("[popup]\nactions = [\"mute_hour\"]\n");
    let app = &gnome.app;
    let mut push = message("1", "r:hs.test", "Dinner?");
    push["room_name"] = "Kitchen".into();
    app.push(push);
    gnome.shows("Bob in Kitchen");
    gnome.click_button("Mute for 1 hour");
    let muted = |status: &serde_json::Value| status["muted_rooms"][0]["name"] == "Kitchen";
    app.pushbell.wait_for_status("the room is muted", muted);
    wait_until("the banner is gone", SOON, || gnome.listed().is_empty());

    let mut call = message("2", "c:hs.test", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "call", "lifetime": 60_000, "version": 0});
    app.push(call);
    gnome.shows("Bob is calling");
    gnome.click_button("Answer");
    let opened = wait_for("the room is opened", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/c:hs.test/e/2?via=hs.test");
    wait_until("the banner is gone", SOON, || gnome.listed().is_empty());
}

#[test]
fn gnome_drops_no_popup_of_ours_unseen() {
    let gnome = Gnome::start("");
    for number in 1..=5 {
        gnome.app.message(&number.to_string(), &format!("{number}:hs.test"), &format!("text {number}"));
        let shows = |notify: &Notify| notify.body.contains(&format!("text {number}"));
        gnome.app.notifications().wait_for_notify("it is shown", shows);
        wait_until("no more than three are listed", SOON, || gnome.listed().len() == number.min(3));
    }
    assert!(gnome.listed().contains(&"3 messages in 3 rooms".to_owned()), "{:?}", gnome.listed());
    let dropped = |traffic: &Traffic| matches!(traffic, Traffic::NotificationClosed(_, 1));
    assert!(!gnome.app.notifications().traffic().iter().any(dropped));
}

#[test]
fn do_not_disturb_of_gnome_silences_sounds_and_calls() {
    let gnome = Gnome::start("");
    do_not_disturb::is_followed(&gnome.app, &|on| {
        do_not_disturb::set(&gnome.app.desktop, "org.gnome.desktop.notifications", "show-banners", !on);
    });
}
