//! Plasma on X11: kwin, plasmashell and their dependencies, without a session manager.

use std::{fs, process::Command};

use pushbell::app_info;

use super::{
    Desktop, Pushbell, SOON, bus,
    notifications::SERVICE,
    process::{self, Part},
    screen, wait_until,
};

/// Plasma's programs, on a desktop of their own.
pub(crate) struct Plasma {
    // Dropped in this order.
    _shell: Part,
    _activities: Part,
    _kded: Part,
    _kwin: Part,
    data: String,
}

impl Plasma {
    /// Starts Plasma with Pushbell installed, so that it knows its name and icon.
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let (run, size) = (desktop.run_directory(), desktop.options.size);
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
        // It covers the whole screen once it is drawn.
        wait_until("the desktop is drawn", SOON, || {
            let image = desktop.screenshot();
            screen::color(&image, 5, 5) != (0, 0, 0) && screen::color(&image, size.0 / 2, size.1 - 5) != (0, 0, 0)
        });
        Self { _shell: shell, _activities: activities, _kded: kded, _kwin: kwin, data }
    }

    /// Sets the environment by which the app detects Plasma when it starts.
    pub(crate) fn prepare(&self, pushbell: &mut Pushbell) {
        pushbell.set_env("XDG_CURRENT_DESKTOP", "KDE");
        pushbell.set_env("XDG_DATA_DIRS", &self.data);
    }
}
