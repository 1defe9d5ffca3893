//! The desktop and its components.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tiny_skia::Pixmap;
use zbus::Connection;

use super::{
    SOON, bus,
    fake_service::FakeNotifications,
    notifications::{self, Notifications},
    panel,
    process::{self, Part, TempDir},
    screen::{self, Screen},
    tray_item::TrayItem,
    wait_for, wait_until,
};

pub(crate) use super::panel::TrayHost;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notifier {
    Dunst,
    Xfce4Notifyd,
    MateNotificationDaemon,
    LxqtNotificationd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// PulseAudio with one null sink, "rig", which can be recorded.
    Pulse,
}

/// The components that the desktop starts with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DesktopOptions {
    pub(crate) notifier: Option<Notifier>,
    pub(crate) tray: Option<TrayHost>,
    pub(crate) sound: Option<Sound>,
    /// The panel's icon size in pixels.
    pub(crate) icon_size: u32,
    /// Width and height of the screen.
    pub(crate) size: (u32, u32),
}

impl Default for DesktopOptions {
    /// dunst, xfce4-panel, PulseAudio.
    fn default() -> Self {
        Self {
            notifier: Some(Notifier::Dunst),
            tray: Some(TrayHost::Xfce4Panel),
            sound: Some(Sound::Pulse),
            ..Self::BARE
        }
    }
}

impl DesktopOptions {
    /// Only a screen, a bus and a window manager.
    pub(crate) const BARE: Self = Self { notifier: None, tray: None, sound: None, icon_size: 22, size: (1024, 640) };
}

/// A running desktop. Its components end with it, newest first.
pub(crate) struct Desktop {
    pub(crate) options: DesktopOptions,
    // Dropped in this order.
    tray: Option<Part>,
    notifier: Option<Part>,
    sound: Option<Part>,
    settings: Option<Part>,
    window_manager: Option<Part>,
    bus: Option<Part>,
    _system_bus: Part,
    screen: Screen,
    notifications: Notifications,
    env: Vec<(String, String)>,
    directory: TempDir,
}

impl Desktop {
    /// Starts a desktop and waits until all of it works.
    pub(crate) fn start(options: DesktopOptions) -> Self {
        let directory = TempDir::new();
        let path = |name: &str| directory.path().join(name);
        for name in ["logs", "home/.config", "home/.local/share", "home/.cache", "run"] {
            fs::create_dir_all(path(name)).expect("the temporary directory is writable");
        }
        private(&path("run"));
        let home = path("home").display().to_string();
        let mut env = [
            ("PATH", process::PATH.to_owned()),
            ("HOME", home.clone()),
            ("XDG_RUNTIME_DIR", path("run").display().to_string()),
            ("XDG_CONFIG_HOME", format!("{home}/.config")),
            ("XDG_DATA_HOME", format!("{home}/.local/share")),
            ("XDG_CACHE_HOME", format!("{home}/.cache")),
            ("XDG_SESSION_TYPE", "x11".to_owned()),
            ("XDG_CURRENT_DESKTOP", "XFCE".to_owned()),
            ("LANG", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("NO_AT_BRIDGE", "1".to_owned()),
            ("GTK_A11Y", "none".to_owned()),
            ("GSETTINGS_BACKEND", "memory".to_owned()),
            ("LIBGL_ALWAYS_SOFTWARE", "1".to_owned()),
            ("DBUS_SESSION_BUS_ADDRESS", bus::address(&path("run"), "bus")),
            ("DBUS_SYSTEM_BUS_ADDRESS", bus::address(&path("run"), "system-bus")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec();
        let logs = path("logs");
        let screen = Screen::start(options.size, &path("run"), &env, &logs);
        env.push(("DISPLAY".to_owned(), screen.display.clone()));
        let system_bus = bus::start(&path("run"), "system-bus", &env, &logs);
        let mut desktop = Self {
            options,
            tray: None,
            notifier: None,
            sound: None,
            settings: None,
            window_manager: None,
            bus: None,
            _system_bus: system_bus,
            screen,
            notifications: Notifications::default(),
            env,
            directory,
        };
        desktop.start_bus();
        if options.sound == Some(Sound::Pulse) {
            desktop.start_sound();
        }
        if let Some(notifier) = options.notifier {
            desktop.start_notifier(notifier);
        }
        if let Some(host) = options.tray {
            desktop.start_tray(host);
        }
        desktop
    }

    /// The directory of the desktop's own files and of its components' logs.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The environment of a program on this desktop.
    pub(crate) fn env(&self) -> &[(String, String)] {
        &self.env
    }

    /// A new connection to the desktop's bus.
    pub(crate) fn connect(&self) -> Connection {
        bus::block_on(bus::connect(&self.bus_address()))
    }

    pub(crate) fn bus_address(&self) -> String {
        bus::address(&self.run_directory(), "bus")
    }

    /// The system bus, which is empty unless a test adds services.
    pub(crate) fn system_bus_address(&self) -> String {
        bus::address(&self.run_directory(), "system-bus")
    }

    pub(crate) fn run_directory(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    fn part(&self, name: &str, command: Command) -> Part {
        Part::start(name, command, &self.env, &self.logs())
    }

    /// The session bus, to freeze or thaw it.
    #[track_caller]
    pub(crate) fn bus(&mut self) -> &mut Part {
        self.bus.as_mut().expect("the desktop has a session bus")
    }

    /// Waits until the name has an owner on the bus, or has none.
    #[track_caller]
    fn wait_for_name(&self, name: &str, present: bool) {
        let connection = self.connect();
        let what = format!("{name} is {} the bus", if present { "on" } else { "off" });
        wait_until(&what, SOON, || bus::block_on(bus::has_owner(&connection, name)) == present);
    }

    // The bus

    /// Starts the session bus (again, at the same address), with the services of every session.
    pub(crate) fn start_bus(&mut self) {
        self.bus = Some(bus::start(&self.run_directory(), "bus", &self.env, &self.logs()));
        self.notifications.follow(&self.bus_address());
        let daemon = activation_program("org.xfce.Xfconf");
        self.settings = Some(self.part("xfconfd", Command::new(daemon)));
        self.wait_for_name("org.xfce.Xfconf", true);
        if self.window_manager.is_none() {
            let mut command = Command::new("openbox");
            command.arg("--sm-disable");
            self.window_manager = Some(self.part("openbox", command));
            wait_until("the window manager is there", SOON, || {
                let output = Command::new("xprop")
                    .args(["-root", "_NET_SUPPORTING_WM_CHECK"])
                    .env_clear()
                    .envs(self.env.iter().map(|(key, value)| (key, value)))
                    .output()
                    .expect("xprop starts; `make test` installs what the tests need");
                String::from_utf8_lossy(&output.stdout).contains("window id")
            });
        }
    }

    /// Kills the session bus, and with it the notification service and the tray host.
    pub(crate) fn kill_bus(&mut self) {
        self.bus = None;
        self.settings = None;
        self.notifier = None;
        self.tray = None;
    }

    // Sound

    fn start_sound(&mut self) {
        let socket = self.run_directory().join("pulse/native");
        fs::create_dir_all(self.run_directory().join("pulse")).expect("the run directory is writable");
        // Clients must send a cookie even if it is not checked: PulseAudio disconnects one whose cookie is not 256
        // bytes.
        let cookie = self.run_directory().join("pulse/cookie");
        fs::write(&cookie, [7; 256]).expect("the run directory is writable");
        let script = self.run_directory().join("pulse.pa");
        let text = format!(
            "load-module module-native-protocol-unix socket={} auth-anonymous=1 auth-cookie={}\n\
             load-module module-null-sink sink_name=rig rate=48000 channels=2 norewinds=1\n\
             set-default-sink rig\nset-default-source rig.monitor\n",
            socket.display(),
            cookie.display()
        );
        fs::write(&script, text).expect("the run directory is writable");
        // For programs that only support ALSA.
        fs::write(self.home().join(".asoundrc"), "pcm.!default { type pulse }\nctl.!default { type pulse }\n")
            .expect("the home is writable");
        let mut command = Command::new("pulseaudio");
        command.arg("-n").arg("-F").arg(&script).args([
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "--log-target=stderr",
            "--log-level=info",
        ]);
        self.sound = Some(self.part("pulseaudio", command));
        self.env.push(("PULSE_SERVER".to_owned(), format!("unix:{}", socket.display())));
        self.env.push(("PULSE_COOKIE".to_owned(), cookie.display().to_string()));
        wait_until("the sound server answers", SOON, || {
            Command::new("pactl")
                .arg("info")
                .env_clear()
                .envs(self.env.iter().map(|(key, value)| (key, value)))
                .output()
                .is_ok_and(|output| output.status.success())
        });
    }

    /// The sound server, to freeze or kill it.
    #[track_caller]
    pub(crate) fn sound(&mut self) -> &mut Part {
        self.sound.as_mut().expect("the desktop has sound")
    }

    // Popups

    /// Starts a notification service and waits until it answers.
    pub(crate) fn start_notifier(&mut self, notifier: Notifier) {
        let command = match notifier {
            Notifier::Dunst => {
                let directory = self.home().join(".config/dunst");
                fs::create_dir_all(&directory).expect("the home is writable");
                fs::write(directory.join("dunstrc"), DUNSTRC).expect("the home is writable");
                Command::new("dunst")
            }
            Notifier::Xfce4Notifyd => Command::new(activation_program("org.xfce.xfce4-notifyd.Notifications")),
            Notifier::MateNotificationDaemon => Command::new(activation_program("org.freedesktop.mate.Notifications")),
            Notifier::LxqtNotificationd => Command::new("lxqt-notificationd"),
        };
        self.notifier = Some(self.part("notifier", command));
        self.wait_for_name(notifications::SERVICE.0, true);
        let connection = self.connect();
        wait_until("the notification service answers", SOON, || {
            bus::block_on(bus::call(&connection, notifications::SERVICE, "GetServerInformation", &())).is_ok()
        });
    }

    /// Kills the notification service (SIGKILL) and waits until its name is released.
    pub(crate) fn kill_notifier(&mut self) {
        self.notifier().kill();
        self.notifier = None;
        self.wait_for_name(notifications::SERVICE.0, false);
    }

    /// The notification service, to freeze or thaw it.
    #[track_caller]
    pub(crate) fn notifier(&mut self) -> &mut Part {
        self.notifier.as_mut().expect("the desktop has a notification service")
    }

    /// Starts a scripted notification service instead of a real one.
    pub(crate) fn fake_notifier(&self, capabilities: &[&str]) -> FakeNotifications {
        FakeNotifications::start(&self.bus_address(), capabilities)
    }

    /// The traffic between the app and the notification service.
    pub(crate) fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Calls dunst's own interface: `NotificationAction` (by position from the top: its default action),
    /// `NotificationCloseLast`, `NotificationCloseAll`.
    #[track_caller]
    pub(crate) fn dunst(&self, method: &str, position: Option<u32>) {
        let dunst = (notifications::SERVICE.0, notifications::SERVICE.1, "org.dunstproject.cmd0");
        bus::block_on(async {
            let connection = bus::connect(&self.bus_address()).await;
            match position {
                Some(position) => bus::call(&connection, dunst, method, &(position,)).await,
                None => bus::call(&connection, dunst, method, &()).await,
            }
        })
        .unwrap_or_else(|error| panic!("dunst's {method}: {error}"));
    }

    /// Turns dunst's "do not disturb" on or off.
    #[track_caller]
    pub(crate) fn pause_dunst(&self, paused: bool) {
        let properties = (notifications::SERVICE.0, notifications::SERVICE.1, "org.freedesktop.DBus.Properties");
        let value = ("org.dunstproject.cmd0", "paused", zbus::zvariant::Value::Bool(paused));
        bus::block_on(bus::call(&self.connect(), properties, "Set", &value)).expect("dunst takes it");
    }

    /// Sends a forged signal of the notification service from another connection.
    pub(crate) fn forge_signal<B: serde::Serialize + zbus::zvariant::DynamicType>(&self, signal: &str, body: &B) {
        let (_, path, interface) = notifications::SERVICE;
        bus::block_on(async {
            let connection = bus::connect(&self.bus_address()).await;
            connection.emit_signal(None::<&str>, path, interface, signal, body).await
        })
        .expect("the bus takes signals");
    }

    // The tray

    /// Starts a tray host and waits until it accepts items.
    pub(crate) fn start_tray(&mut self, host: TrayHost) {
        let command = panel::command(host, self.options.icon_size, &self.home());
        self.tray = Some(self.part("tray", command));
        self.wait_for_name("org.kde.StatusNotifierWatcher", true);
        let size = self.options.size;
        wait_until("the panel is on the screen", SOON, || {
            let image = self.screenshot();
            screen::color(&image, size.0 / 2, size.1 - panel::HEIGHT / 2) == panel::COLOR
        });
    }

    /// Kills the tray host (SIGKILL) and waits until its name is released.
    pub(crate) fn kill_tray(&mut self) {
        self.tray.as_mut().expect("the desktop has a tray host").kill();
        self.tray = None;
        self.wait_for_name("org.kde.StatusNotifierWatcher", false);
    }

    /// The tray host, to freeze or thaw it.
    #[track_caller]
    pub(crate) fn tray(&mut self) -> &mut Part {
        self.tray.as_mut().expect("the desktop has a tray host")
    }

    /// The app's tray item, once there is exactly one.
    #[track_caller]
    pub(crate) fn tray_item(&self) -> TrayItem {
        let connection = self.connect();
        wait_for("there is one tray item", SOON, || {
            let mut items = TrayItem::all(&connection);
            (items.len() == 1).then(|| items.remove(0))
        })
    }

    /// The number of registered tray items.
    pub(crate) fn tray_items(&self) -> usize {
        TrayItem::all(&self.connect()).len()
    }

    /// The pixels of the tray icons on the panel, cropped to what differs from the panel's colour; `None` if there is
    /// nothing.
    pub(crate) fn tray_icon_pixels(&self) -> Option<Pixmap> {
        let image = self.screenshot();
        panel::icon_area(&image).map(|area| screen::cut(&image, area))
    }

    /// The centre of the tray icons on the screen.
    pub(crate) fn tray_icon_position(&self) -> Option<(u32, u32)> {
        let (x, y, width, height) = panel::icon_area(&self.screenshot())?;
        Some((x + width / 2, y + height / 2))
    }

    // Screen and pointer

    pub(crate) fn screenshot(&self) -> Pixmap {
        self.screen.image()
    }

    /// A screenshot that differs from this one, once the screen no longer changes.
    #[track_caller]
    pub(crate) fn at_rest(&self, what: &str, before: &Pixmap) -> Pixmap {
        let mut last = self.screenshot();
        wait_for(what, SOON, || {
            // Windows may fade in: wait until the screen is unchanged for a moment.
            std::thread::sleep(std::time::Duration::from_millis(150));
            let now = self.screenshot();
            let rests = now == last;
            last = now.clone();
            (rests && screen::difference(before, &now).is_some()).then_some(now)
        })
    }

    /// Saves a screenshot as PNG.
    pub(crate) fn save_screenshot(&self, path: &Path) {
        self.screenshot().save_png(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Moves the pointer there.
    pub(crate) fn point(&self, x: u32, y: u32) {
        process::run("xdotool", &["mousemove", "--sync", &x.to_string(), &y.to_string()], &self.env);
    }

    /// Presses a key, by its X name.
    pub(crate) fn key(&self, key: &str) {
        process::run("xdotool", &["key", key], &self.env);
    }

    /// Types a text into the focused window.
    pub(crate) fn type_text(&self, text: &str) {
        process::run("xdotool", &["type", "--delay", "40", text], &self.env);
    }

    /// Clicks with a mouse button: 1 left, 2 middle, 3 right.
    pub(crate) fn click(&self, x: u32, y: u32, button: u32) {
        let (x, y, button) = (x.to_string(), y.to_string(), button.to_string());
        process::run("xdotool", &["mousemove", "--sync", &x, &y, "click", &button], &self.env);
    }
}

/// The program that D-Bus would activate for this name.
#[track_caller]
fn activation_program(name: &str) -> String {
    let path = format!("/usr/share/dbus-1/services/{name}.service");
    let text = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}. `make test` installs what the tests need."));
    let program = text.lines().find_map(|line| line.strip_prefix("Exec=")).expect("it names its program");
    program.to_owned()
}

fn private(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("it is ours");
}

const DUNSTRC: &str = r#"[global]
    origin = top-right
    offset = 20x20
    width = (200, 420)
    height = 300
    notification_limit = 20
    font = DejaVu Sans 11
    markup = full
    format = "<b>%s</b>\n%b"
    show_age_threshold = -1
    idle_threshold = 0
    icon_position = left
    max_icon_size = 48
    enable_posix_regex = true
    show_indicators = yes
    mouse_left_click = do_action, close_current
    mouse_right_click = close_current
    dmenu = /bin/false
"#;
