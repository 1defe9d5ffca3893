//! `pushbell autostart` where no user manager runs.

use std::{fs, process::Command};

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
