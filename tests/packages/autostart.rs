//! `pushbell autostart` without a user manager.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use pushbell::app_info;

use crate::rig::process::TempDir;

#[test]
fn without_a_user_manager_an_autostart_entry_starts_it() {
    let home = TempDir::new();
    let config = home.path().join("config");
    let run = |action: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pushbell"));
        command.args(["autostart", action]).env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
        let output = command.env("XDG_CONFIG_HOME", &config).output().expect("it runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    assert_eq!(run("status"), "Pushbell does not start with the desktop.\n");
    let entry = config.join(format!("autostart/{}.desktop", app_info::APP_ID));
    let by = format!("Pushbell starts with the desktop, by the XDG autostart entry {}.\n", entry.display());
    assert_eq!(run("on"), by);
    assert_eq!(run("status"), by);
    let text = fs::read_to_string(&entry).expect("written");
    assert!(text.contains(&format!("Exec=\"{}\" run\n", env!("CARGO_BIN_EXE_pushbell"))), "{text}");
    let valid = Command::new("desktop-file-validate").arg(&entry).output().expect("`make test` installs it");
    assert!(valid.status.success(), "{valid:?}");
    assert_eq!(run("off"), "Pushbell does not start with the desktop.\n");
    assert!(!entry.exists());
}

/// A home directory, and system directories as far as environment variables can redirect them.
struct Directories(TempDir);

impl Directories {
    fn new() -> Self {
        Self(TempDir::new())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home"));
        for (variable, name) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_DIRS", "etc/xdg"),
            ("XDG_DATA_DIRS", "share"),
        ] {
            fs::create_dir_all(self.path(name)).expect("made");
            command.env(variable, self.path(name));
        }
        let output = command.output().expect("it runs; `make test` installs systemd");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn status(&self) -> String {
        self.command(env!("CARGO_BIN_EXE_pushbell"), &["autostart", "status"])
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(&path, text).expect("written");
        path
    }

    /// Installs a unit as a package does.
    fn install_unit(&self) {
        let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=graphical-session.target\n";
        self.write(&format!("data/systemd/user/{}", unit()), text);
    }
}

fn unit() -> String {
    format!("{}.service", app_info::DIRECTORY_NAME)
}

#[test]
fn a_unit_that_the_person_has_enabled_is_found_and_disabled() {
    let places = Directories::new();
    places.install_unit();
    assert_eq!(places.status(), "Pushbell does not start with the desktop.\n");
    let link = places.path(&format!("config/systemd/user/graphical-session.target.wants/{}", unit()));
    fs::create_dir_all(link.parent().expect("a directory")).expect("made");
    symlink(places.path(&format!("data/systemd/user/{}", unit())), &link).expect("linked");
    let by = format!("Pushbell starts with the desktop, by the systemd user unit {}", unit());
    assert_eq!(places.status(), format!("{by}.\n"));
    places.write(&format!("config/autostart/{}.desktop", app_info::APP_ID), "[Desktop Entry]\nExec=pushbell\n");
    assert!(places.status().contains("But one is enough: "), "{}", places.status());
    // Without a user manager, the desktop entry is kept.
    let on = places.command(env!("CARGO_BIN_EXE_pushbell"), &["autostart", "on"]);
    assert!(on.contains("by the XDG autostart entry") && !on.contains("But"), "{on}");
    assert!(link.symlink_metadata().is_err());
}

#[test]
fn a_unit_that_the_system_starts_is_masked() {
    let places = Directories::new();
    places.install_unit();
    let link = places.path(&format!("run/systemd/user/graphical-session.target.wants/{}", unit()));
    fs::create_dir_all(link.parent().expect("a directory")).expect("made");
    symlink(places.path(&format!("data/systemd/user/{}", unit())), link).expect("linked");
    assert!(places.status().contains(&unit()));
    let off = places.command(env!("CARGO_BIN_EXE_pushbell"), &["autostart", "off"]);
    assert_eq!(off, "Pushbell does not start with the desktop.\n");
    let mask = fs::read_link(places.path(&format!("config/systemd/user/{}", unit()))).expect("a link");
    assert_eq!(mask, Path::new("/dev/null"));
}

#[test]
fn an_entry_of_the_systems_is_found_and_hidden() {
    let places = Directories::new();
    let text = "[Desktop Entry]\nType=Application\nName=Pushbell\nExec=pushbell run\n";
    let entry = places.write(&format!("etc/xdg/autostart/{}.desktop", app_info::APP_ID), text);
    let by = format!("Pushbell starts with the desktop, by the XDG autostart entry {}.\n", entry.display());
    assert_eq!(places.status(), by);
    let off = places.command(env!("CARGO_BIN_EXE_pushbell"), &["autostart", "off"]);
    assert_eq!(off, "Pushbell does not start with the desktop.\n");
    assert!(entry.exists());
}
