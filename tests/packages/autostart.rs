//! `pushbell autostart` where no user manager runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use pushbell::identity;

use crate::rig::process::TempDir;

#[test]
fn without_a_user_manager_the_desktop_starts_it_by_an_autostart_entry() {
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
    let entry = config.join(format!("autostart/{}.desktop", identity::APP_ID));
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

/// A home, and a system of its own as far as variables lead to one.
struct Places(TempDir);

impl Places {
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

    /// Where systemd itself looks for user units, the first to count first; what it makes itself left out.
    fn unit_directories(&self) -> Vec<PathBuf> {
        let listed = self.command("systemd-analyze", &["--user", "unit-paths"]);
        let its_own = ["user.control", "transient", "generator.early", "generator", "generator.late"];
        let directories = listed.lines().map(PathBuf::from);
        directories.filter(|path| !its_own.iter().any(|name| path.ends_with(name))).collect()
    }
}

#[test]
fn units_are_found_where_systemd_finds_them() {
    let places = Places::new();
    let directories = places.unit_directories();
    let ours: Vec<_> = directories.iter().filter(|path| path.starts_with(places.0.path())).collect();
    assert_eq!(ours.len(), 5, "{directories:?}");
    let unit = format!("{}.service", identity::DIRECTORY_NAME);
    let write = |directory: &Path| {
        fs::create_dir_all(directory).expect("made");
        fs::write(directory.join(&unit), "[Service]\nExecStart=/bin/true\n").expect("written");
    };
    let mask = |directory: &Path| {
        fs::create_dir_all(directory).expect("made");
        symlink("/dev/null", directory.join(&unit)).expect("linked");
    };
    let remove = |directory: &Path| fs::remove_file(directory.join(&unit)).expect("it is there");
    for (first, second) in ours.iter().zip(ours.iter().skip(1)) {
        let wants = second.join("graphical-session.target.wants");
        fs::create_dir_all(&wants).expect("made");
        symlink(second.join(&unit), wants.join(&unit)).expect("linked");
        write(second);
        assert_eq!(places.status(), format!("Pushbell starts with the desktop, by the systemd user unit {unit}.\n"));
        mask(first);
        assert_eq!(places.status(), "Pushbell does not start with the desktop.\n", "{first:?} before {second:?}");
        remove(first);
        remove(second);
        mask(second);
        write(first);
        assert!(places.status().contains(&unit), "{first:?} before {second:?}");
        remove(first);
        remove(second);
        fs::remove_dir_all(wants).expect("removed");
    }
}

#[test]
fn an_entry_of_the_systems_is_found_and_hidden() {
    let places = Places::new();
    let entry = places.path(&format!("etc/xdg/autostart/{}.desktop", identity::APP_ID));
    fs::create_dir_all(entry.parent().expect("a directory")).expect("made");
    fs::write(&entry, "[Desktop Entry]\nType=Application\nName=Pushbell\nExec=pushbell run\n").expect("written");
    let by = format!("Pushbell starts with the desktop, by the XDG autostart entry {}.\n", entry.display());
    assert_eq!(places.status(), by);
    let off = places.command(env!("CARGO_BIN_EXE_pushbell"), &["autostart", "off"]);
    assert_eq!(off, "Pushbell does not start with the desktop.\n");
    assert!(entry.exists());
}
