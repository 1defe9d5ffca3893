//! The user unit under a real systemd user manager, on a real desktop.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use pushbell::app_info;
use serde_json::{Value, json};

use crate::{
    mock_homeserver::MockHomeserver,
    rig::{
        Desktop, DesktopOptions, Notifier, Pushbell, SOON, Sound,
        keyring::Keyring,
        process::Part,
        pushbell::{self as app, Account},
        wait_for, wait_until,
    },
    stage,
};

/// Starts a user manager in PID and mount namespaces and a control group of its own, so that it cannot affect others.
/// It gets what it expects of a booted system.
const MANAGER: &str = r#"
set -e
group=/sys/fs/cgroup/$1
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "$group"
(echo "$BASHPID" >"$group/cgroup.procs"; exec /lib/systemd/systemd --user --unit=basic.target) || true
find "$group" -depth -type d -exec rmdir {} + || true
"#;

struct Session {
    manager: Part,
    /// The command that runs a program in the manager's namespaces.
    enter: Vec<String>,
    pushbell: Pushbell,
    desktop: Desktop,
}

impl Session {
    /// A desktop with a user manager whose graphical session has not started yet.
    fn start() -> Self {
        let options =
            DesktopOptions { notifier: Some(Notifier::Dunst), sound: Some(Sound::Pulse), ..DesktopOptions::BARE };
        let desktop = Desktop::start(options);
        let pushbell = Pushbell::prepare(&desktop, "");
        let units = pushbell.home().join(".config/systemd/user");
        fs::create_dir_all(&units).expect("the home is writable");
        // graphical-session.target can only be started by a unit bound to it, as desktops do.
        fs::write(units.join("desktop.target"), "[Unit]\nWants=dbus.service\nBindsTo=graphical-session.target\n")
            .expect("written");
        // Its own bus and sound server would replace the desktop's. Once it assumes that it has started the bus, it
        // connects to it.
        for (name, text) in [
            ("dbus.socket", "[Socket]\nListenStream=%t/no-bus\n"),
            ("dbus.service", "[Unit]\nRequires=dbus.socket\n[Service]\nExecStart=/bin/sleep infinity\n"),
        ] {
            fs::write(units.join(name), text).expect("written");
        }
        for unit in ["pulseaudio.service", "pulseaudio.socket", "sockets.target"] {
            symlink("/dev/null", units.join(unit)).expect("linked");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", MANAGER, "manager"]);
        let place = pushbell.home().parent().and_then(Path::file_name).expect("a directory of its own").to_owned();
        command.arg(place);
        let manager = Part::start("systemd", command, pushbell.env(), &pushbell.home());
        let children = format!("/proc/{0}/task/{0}/children", manager.pid());
        let first = wait_for("the manager's first process", SOON, || {
            Some(fs::read_to_string(&children).ok()?.trim().to_owned()).filter(|pid| !pid.is_empty())
        });
        let enter = ["nsenter", "--mount", "--pid", "--target", &first].map(str::to_owned).to_vec();
        let session = Self { manager, enter, pushbell, desktop };
        wait_until("the user manager runs", SOON, || {
            session.systemctl(&["is-active", "basic.target"]).status.success()
        });
        session
    }

    fn systemctl(&self, arguments: &[&str]) -> Output {
        let (enter, rest) = self.enter.split_first().expect("a program");
        let mut command = Command::new(enter);
        command.args(rest).args(["systemctl", "--user"]).args(arguments).env_clear();
        command.envs(self.pushbell.env().iter().map(|(key, value)| (key, value)));
        command.output().expect("nsenter starts; `make test` installs it")
    }

    /// Runs a command of the app in the manager's namespaces: systemd ignores clients whose process it cannot see.
    fn pushbell(&self, arguments: &[&str]) -> String {
        let enter: Vec<&str> = self.enter.iter().map(String::as_str).collect();
        let output = self.pushbell.command_under(&enter, arguments);
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{output:?}");
        output.stdout
    }

    fn says(&self, arguments: &[&str]) -> String {
        String::from_utf8_lossy(&self.systemctl(arguments).stdout).trim().to_owned()
    }

    fn desktop_begins(&self) {
        self.systemctl(&["import-environment", "PATH", "DISPLAY"]);
        let started = self.systemctl(&["start", "desktop.target"]);
        assert!(started.status.success(), "{started:?}");
    }

    /// `/proc` status of the unit's main process.
    fn main_process(&self) -> String {
        let pid = self.says(&["show", "--property=MainPID", "--value", &unit()]);
        let (enter, rest) = self.enter.split_first().expect("a program");
        let output = Command::new(enter).args(rest).args(["cat", &format!("/proc/{pid}/status")]).output();
        String::from_utf8_lossy(&output.expect("nsenter starts").stdout).into_owned()
    }

    fn desktop_ends(&self) {
        let ended = self.systemctl(&["stop", "desktop.target", "graphical-session.target"]);
        assert!(ended.status.success(), "{ended:?}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.systemctl(&["exit"]);
        self.manager.wait(Duration::from_secs(10));
    }
}

fn unit() -> String {
    format!("{}.service", app_info::DIRECTORY_NAME)
}

#[test]
fn the_user_unit_starts_with_the_session_under_its_limits() {
    let session = Session::start();
    // An account added by hand avoids the welcome popup.
    session.pushbell.ok(&["account", "add", "limited"]);
    let entry = session.pushbell.home().join(format!(".config/autostart/{}.desktop", app_info::APP_ID));
    let said = session.pushbell(&["autostart", "on"]);
    assert!(said.contains("XDG autostart entry") && entry.exists(), "no session target yet: {said}");

    session.desktop_begins();
    let said = session.pushbell(&["autostart", "on"]);
    assert_eq!(said, format!("Pushbell starts with the desktop, by the systemd user unit {}.\n", unit()));
    assert!(!entry.exists());
    assert_eq!(session.says(&["is-enabled", &unit()]), "enabled");
    for property in ["After", "PartOf", "WantedBy"] {
        let units = session.says(&["show", "--property", property, "--value", &unit()]);
        assert!(units.split(' ').any(|unit| unit == "graphical-session.target"), "{property}: {units}");
    }

    // The next login.
    session.desktop_ends();
    session.desktop_begins();
    wait_until("the unit has started it", SOON, || session.pushbell.is_healthy());
    let status = session.pushbell.wait_for_status("it can show popups", |status| status["popup"]["available"] == true);
    assert_eq!(status["problems"], json!([]));

    // Popup, sound and click, under the limits of the unit, which do not apply to the program that opens the room.
    let opened = session.pushbell.home().join("opened");
    let launcher = session.pushbell.home().parent().expect("a directory").join("bin/xdg-open");
    let script = format!(
        "#!/bin/sh\n{{ echo \"$*\"; grep -E 'NoNewPrivs|Seccomp:' /proc/self/status; }} >'{0}.new'\nmv '{0}.new' '{0}'\n",
        opened.display()
    );
    fs::write(&launcher, script).expect("written");
    app::executable(&launcher);
    let notifications = session.desktop.notifications();
    let mut push = app::message("1", "room:hs.test", "under limits");
    push["devices"] = json!([{"tweaks": {"sound": "default"}}]);
    session.pushbell.notify(&session.pushbell.account_named("limited"), push);
    notifications
        .wait_for_notify("the popup is shown", |notify| notify.body == "under limits" && notify.answer.is_some());
    session.pushbell.wait_for_status("a sound has played", |status| {
        status["sound"]["reason"].as_str().is_some_and(|reason| !reason.starts_with("opened when"))
    });
    session.desktop.dunst("NotificationAction", Some(0));
    let seen = wait_for("the room is opened", SOON, || fs::read_to_string(&opened).ok());
    assert!(seen.starts_with("https://matrix.to/#/") && seen.contains("NoNewPrivs:\t0\nSeccomp:\t0\n"), "{seen}");

    let first = session.says(&["show", "--property=MainPID", "--value", &unit()]);
    session.systemctl(&["kill", "--signal=KILL", &unit()]);
    wait_until("it is started again after a crash", SOON, || {
        let now = session.says(&["show", "--property=MainPID", "--value", &unit()]);
        now != first && now != "0" && session.pushbell.is_healthy()
    });

    session.desktop_ends();
    wait_until("it ends with the session", SOON, || session.says(&["is-active", &unit()]) == "inactive");
    assert_eq!(session.pushbell(&["autostart", "off"]), "Pushbell does not start with the desktop.\n");
    assert_ne!(session.says(&["is-enabled", &unit()]), "enabled");
    session.desktop_begins();
    assert_eq!(session.says(&["is-active", &unit()]), "inactive");

    // A package's unit is used if it starts this program; otherwise one is written.
    let home = session.pushbell.home();
    let own = home.join(format!(".config/systemd/user/{}", unit()));
    assert!(!own.exists());
    for (program, is_made) in [(env!("CARGO_BIN_EXE_pushbell"), false), ("/another/pushbell", true)] {
        let packaged = home.join(format!(".local/share/systemd/user/{}", unit()));
        fs::create_dir_all(packaged.parent().expect("a directory")).expect("made");
        let text = format!("[Service]\nExecStart={program} run\n[Install]\nWantedBy=graphical-session.target\n");
        fs::write(packaged, text).expect("written");
        session.systemctl(&["daemon-reload"]);
        let said = session.pushbell(&["autostart", "on"]);
        assert!(said.contains("systemd user unit") && !said.contains("But"), "{said}");
        assert_eq!(own.exists(), is_made, "{program}");
    }
    session.pushbell(&["autostart", "off"]);
    assert!(!own.exists() && session.says(&["is-enabled", &unit()]) == "disabled");
}

#[test]
fn the_keyring_is_read_and_written_under_the_limits_of_the_unit() {
    let session = Session::start();
    let keyring = Keyring::start(&session.desktop);
    let homeserver = MockHomeserver::start();
    // Each refresh token is valid once, as with homeservers; only the newest token is accepted.
    let newest = |token: &'static str, before: &'static str| {
        homeserver.answer(|answers| {
            answers.instead = Box::new(move |asked| match asked.what.as_str() {
                "POST /refresh" if asked.body["refresh_token"] == format!("refresh-{before}") => {
                    let refresh = format!("refresh-{token}");
                    Some((200, json!({"access_token": token, "refresh_token": refresh, "expires_in_ms": 600_000})))
                }
                _ => (asked.token.as_deref() != Some(token))
                    .then(|| (401, json!({"errcode": "M_UNKNOWN_TOKEN", "error": "the test says so"}))),
            });
        });
    };
    let kept = || -> Vec<String> {
        let kept = keyring.secrets_of("@alice:hs.test");
        let token = |secret: &String| serde_json::from_str::<Value>(secret).expect("JSON")["access_token"].to_string();
        kept.iter().map(token).collect()
    };
    let login = || {
        let before = homeserver.count("GET /notifications");
        session.desktop_begins();
        wait_until("it has caught up", SOON, || homeserver.count("GET /notifications") > before);
        session.pushbell.wait_for_status("it says so", |status| !status["accounts"][0]["caught_up_at"].is_null());
        let limits = session.main_process();
        assert!(limits.contains("NoNewPrivs:\t1\nSeccomp:\t2\n"), "{limits}");
    };
    let mut signed_in = stage::Session::new("@alice:hs.test", homeserver.port, "first");
    signed_in.tokens["refresh_token"] = "refresh-first".into();
    let account = Account { name: "home".into(), app_id: "org.example.tray".into(), pushkey: "key".into() };
    signed_in.keep(&session.pushbell, &account);
    assert!(kept().is_empty());

    // A refreshed token is written into the keyring, and is no longer in any file.
    newest("second", "first");
    session.desktop_begins();
    session.pushbell(&["autostart", "on"]);
    session.desktop_ends();
    login();
    assert_eq!(kept(), ["\"second\""]);
    assert!(!session.pushbell.data_directory().join("secrets.json").exists());

    // After the next login the token is read from there.
    session.desktop_ends();
    login();
    assert_eq!(homeserver.count("POST /refresh"), 1);

    // A token read from there is replaced there.
    session.desktop_ends();
    newest("third", "second");
    login();
    assert_eq!((kept(), homeserver.count("POST /refresh")), (vec!["\"third\"".to_owned()], 2));
    assert!(!session.pushbell.data_directory().join("secrets.json").exists());
}
