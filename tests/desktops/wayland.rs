//! sway with waybar, and mako or swaync, headless and without X11.

use std::{fs, path::PathBuf, process::Command};

use serde_json::json;
use tiny_skia::Pixmap;

use super::{app::App, do_not_disturb};
use crate::rig::{
    Desktop, DesktopOptions, Pushbell, SOON, Sound, bus,
    notifications::SERVICE,
    process::{self, Part},
    pushbell::message,
    screen, wait_for, wait_until,
};

const SIZE: (u32, u32) = (880, 560);
const BAR: u32 = 36;

/// The compositor and its clients, and a desktop of which only the bus is used.
struct Wayland {
    // Dropped in this order.
    app: App,
    _waybar: Part,
    _notifier: Part,
    _sway: Part,
    env: Vec<(String, String)>,
    run: PathBuf,
}

impl Wayland {
    /// Starts it with this notification service.
    fn start(notifier: &str) -> Self {
        let desktop = Desktop::start(DesktopOptions { sound: Some(Sound::Pulse), ..DesktopOptions::BARE });
        let run = desktop.run_directory();
        let mut env = desktop.env().to_vec();
        env.retain(|(name, _)| name != "DISPLAY");
        let mut set = |name: &str, value: &str| {
            env.retain(|(other, _)| other != name);
            env.push((name.to_owned(), value.to_owned()));
        };
        set("XDG_SESSION_TYPE", "wayland");
        set("XDG_CURRENT_DESKTOP", "sway");
        for (name, value) in
            [("WLR_BACKENDS", "headless"), ("WLR_LIBINPUT_NO_DEVICES", "1"), ("WLR_RENDERER", "pixman")]
        {
            set(name, value);
        }
        let write = |name: &str, text: &str| {
            let path = run.join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("the run directory is writable");
            fs::write(&path, text).expect("the run directory is writable");
            path
        };
        let (width, height) = SIZE;
        let sway = write(
            "sway.conf",
            &format!("output HEADLESS-1 resolution {width}x{height} bg #2e3f55 solid_color\nxwayland disable\n"),
        );
        let bar = write(
            "waybar.json",
            &format!(
                r#"{{"layer": "top", "position": "bottom", "height": {BAR}, "modules-right": ["tray"], "tray": {{"icon-size": 22}}}}"#
            ),
        );
        let style = write("waybar.css", "* { font-family: DejaVu Sans; } window#waybar { background: #202020; }");
        let mako = write("mako.conf", "font=DejaVu Sans 11\nborder-color=#88aacc\n");

        // sway refuses to run as root.
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000", "sway", "--config"]).arg(sway);
        let sway = Part::start("sway", command, &env, &run);
        let socket = wait_for("the compositor listens", SOON, || {
            let names = fs::read_dir(&run).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            names.into_iter().find(|name| name.starts_with("wayland-") && !name.contains(".lock"))
        });
        env.push(("WAYLAND_DISPLAY".to_owned(), socket));
        let mut command = Command::new(notifier);
        if notifier == "mako" {
            command.arg("--config").arg(mako);
        }
        let notifier = Part::start(notifier, command, &env, &run);
        let mut command = Command::new("waybar");
        command.arg("--config").arg(bar).arg("--style").arg(style);
        let waybar = Part::start("waybar", command, &env, &run);
        let connection = desktop.connect();
        for name in [SERVICE.0, "org.kde.StatusNotifierWatcher"] {
            wait_until(&format!("{name} is on the bus"), SOON, || bus::block_on(bus::has_owner(&connection, name)));
        }

        let mut pushbell = Pushbell::prepare(&desktop, "");
        for (name, value) in env.iter().filter(|(name, _)| name.starts_with("XDG_") || name == "WAYLAND_DISPLAY") {
            if !matches!(name.as_str(), "XDG_CONFIG_HOME" | "XDG_DATA_HOME" | "XDG_CACHE_HOME") {
                pushbell.set_env(name, value);
            }
        }
        pushbell.unset_env("DISPLAY");
        pushbell.handle_matrix_links();
        pushbell.ok(&["account", "add", "home"]);
        pushbell.run();
        let account = pushbell.account_named("home");
        Self { app: App { pushbell, account, desktop }, _waybar: waybar, _notifier: notifier, _sway: sway, env, run }
    }

    /// A screenshot of the whole screen.
    fn image(&self) -> Pixmap {
        let path = self.run.join("screen.png");
        process::run("grim", &[&path.display().to_string()], &self.env);
        Pixmap::load_png(&path).expect("grim writes a picture")
    }

    /// The tray at the right end of the bar.
    fn tray(&self) -> Pixmap {
        screen::cut(&self.image(), (SIZE.0 - 60, SIZE.1 - BAR, 60, BAR))
    }

    /// The screen above the bar.
    fn above(&self) -> Pixmap {
        screen::cut(&self.image(), (0, 0, SIZE.0, SIZE.1 - BAR))
    }

    /// The notifications that mako lists.
    fn list(&self) -> String {
        process::run("makoctl", &["list"], &self.env)
    }
}

#[test]
fn a_wayland_desktop_without_x11_shows_popups_and_the_badge() {
    let desktop = Wayland::start("mako");
    let app = &desktop.app;
    app.pushbell.wait_for_status("all of the desktop is there", |status| {
        status["tray"]["available"] == true && status["popup"]["available"] == true
    });
    let empty = color_of_bar(&desktop);
    let plain = wait_for("the icon is on the bar", SOON, || {
        Some(desktop.tray()).filter(|tray| tray.pixels().iter().any(|pixel| *pixel != empty))
    });
    let bare = desktop.above();

    let mut push = message("1", "r:hs.test", "Dinner at <b>eight</b> & wine");
    push["room_name"] = "Mission Control".into();
    push["counts"] = json!({"unread": 7});
    app.push(push);
    let popup = app.notifications().wait_for_notify("it is shown", |notify| notify.body.contains("Dinner"));
    wait_until("the popup is on the screen", SOON, || desktop.above() != bare);
    wait_until("the badge is on the icon", SOON, || desktop.tray() != plain);
    let shown = desktop.list();
    assert!(shown.contains("Bob in Mission Control") && shown.contains("eight"), "{shown}");
    assert!(app.desktop.tray_item().text("Title").contains("7 unread"));
    if let Some(directory) = std::env::var_os("PUSHBELL_PICTURES") {
        let part = screen::cut(&desktop.image(), (SIZE.0 - 510, 0, 510, SIZE.1));
        part.save_png(PathBuf::from(directory).join("desktop-sway.png")).expect("the directory is there");
    }

    app.message("2", "r:hs.test", "Or at nine?");
    let second = app.notifications().wait_for_notify("it is shown", |notify| notify.body.contains("nine"));
    assert_eq!(second.replaces_id, popup.id());
    wait_until("one popup says both", SOON, || desktop.list().matches("\"summary\"").count() == 1);
    app.unread(0);
    wait_until("the popup is withdrawn", SOON, || desktop.above() == bare);
    wait_until("the badge is off the icon", SOON, || desktop.tray() == plain);

    app.message("3", "r:hs.test", "Click me");
    wait_until("it is shown", SOON, || desktop.list().contains("Click me"));
    process::run("makoctl", &["invoke"], &desktop.env);
    let opened = wait_for("the room is opened", SOON, || app.pushbell.opened().pop());
    assert_eq!(opened.0, "matrix:roomid/r:hs.test/e/3?via=hs.test");
    wait_until("the popup is gone", SOON, || desktop.above() == bare);
}

fn color_of_bar(desktop: &Wayland) -> tiny_skia::PremultipliedColorU8 {
    desktop.image().pixel(SIZE.0 / 2, SIZE.1 - BAR / 2).expect("a pixel")
}

#[test]
fn do_not_disturb_of_mako_silences_sounds_and_calls() {
    let desktop = Wayland::start("mako");
    do_not_disturb::is_followed(&desktop.app, &|on| {
        let mode = if on { "do-not-disturb" } else { "default" };
        process::run("makoctl", &["mode", "-s", mode], &desktop.env);
    });
}

#[test]
fn do_not_disturb_of_swaync_silences_sounds_and_calls() {
    let desktop = Wayland::start("swaync");
    do_not_disturb::is_followed(&desktop.app, &|on| {
        process::run("swaync-client", &[if on { "--dnd-on" } else { "--dnd-off" }], &desktop.env);
    });
}
