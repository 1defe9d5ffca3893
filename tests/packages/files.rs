//! The files that packages install, as they are in `assets/linux/`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The ID of an installed build; a test build has another.
const ID: &str = "org.pushbell.Pushbell";

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/linux").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(asset(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn accepts(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make test` installs it"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("warning") && !said.contains("W: "), "{command:?}: {said}");
}

#[test]
fn the_desktop_entry_is_valid_and_says_that_it_notifies() {
    accepts(Command::new("desktop-file-validate").arg(asset(&format!("{ID}.desktop"))));
    let entry = text(&format!("{ID}.desktop"));
    for line in ["X-GNOME-UsesNotifications=true", &format!("Icon={ID}"), "Exec=pushbell run"] {
        assert!(entry.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn the_metadata_is_valid_and_of_this_version() {
    let metainfo = asset(&format!("{ID}.metainfo.xml"));
    accepts(Command::new("appstreamcli").args(["validate", "--no-net", "--no-color"]).arg(metainfo));
    let release = format!("<release version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let entry = format!("<launchable type=\"desktop-id\">{ID}.desktop</launchable>");
    for line in [&release, &entry] {
        assert!(text(&format!("{ID}.metainfo.xml")).contains(line), "{line} is missing");
    }
}

#[test]
fn a_release_says_what_changed_in_it_and_nothing_more() {
    let changelog = std::env::temp_dir().join(format!("pushbell-changelog-{}.md", std::process::id()));
    fs::write(&changelog, "# Changelog\n\n## 1.1.0\n\nNew:\n\n- a\n\n## 1.0.0 (2026-11-22)\n\nFirst.\n").unwrap();
    let check = |version: &str, expected: &str| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci/changes");
        let output = Command::new(script).arg(version).arg(&changelog).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{version}: {output:?}");
        assert_eq!(output.status.success(), !expected.is_empty());
    };
    check("1.1.0", "New:\n\n- a\n\n");
    check("1.0.0", "First.\n");
    check("1", "");
    fs::remove_file(changelog).unwrap();
}

#[test]
fn the_user_unit_is_valid() {
    // The check requires the program to exist.
    let directory = tempfile::tempdir().expect("a directory");
    let unit = directory.path().join("pushbell.service");
    let program = env!("CARGO_BIN_EXE_pushbell");
    fs::write(&unit, text("pushbell.service").replace("/usr/bin/pushbell", program)).expect("written");
    let mut command = Command::new("systemd-analyze");
    command.args(["--user", "verify", "--man=no"]).arg(unit).env("XDG_RUNTIME_DIR", directory.path());
    let output = command.output().expect("systemd-analyze starts; `make test` installs it");
    // It may also complain about other units of this computer.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("pushbell"), "{said}");
}

#[test]
fn systemctl_enables_the_unit_for_graphical_sessions() {
    let root = tempfile::tempdir().expect("a directory");
    let units = root.path().join("usr/lib/systemd/user");
    fs::create_dir_all(&units).expect("made");
    fs::copy(asset("pushbell.service"), units.join("pushbell.service")).expect("copied");
    let mut command = Command::new("systemctl");
    command.arg("--root").arg(root.path()).args(["--global", "enable", "pushbell.service"]);
    let output = command.output().expect("systemctl starts; `make test` installs it");
    let link = root.path().join("etc/systemd/user/graphical-session.target.wants/pushbell.service");
    assert!(output.status.success() && link.is_symlink(), "{output:?}");
}

#[test]
fn the_unit_is_limited_as_the_documentation_says() {
    let documented = fs::read_to_string(asset("../../docs/desktops.md")).expect("it is there");
    assert!(documented.contains("`systemd-analyze --user security` gives 6.5 for it"));
    let directory = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("systemd-analyze");
    // In tenths, with a margin for the scoring of other systemd versions.
    command.args(["--user", "security", "--offline=true", "--no-pager", "--threshold=66"]);
    command.arg(asset("pushbell.service")).env("XDG_RUNTIME_DIR", directory.path()).env("LC_ALL", "C.UTF-8");
    let output = command.output().expect("systemd-analyze starts; `make test` installs it");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("exposure level"), "{said}");
    for limit in [
        "NoNewPrivileges=",
        "RestrictNamespaces=~user",
        "MemoryDenyWriteExecute=",
        "SystemCallFilter=~@privileged",
        "RestrictAddressFamilies=~AF_PACKET",
    ] {
        assert!(said.contains(&format!("✓ {limit}")), "{limit}: {said}");
    }
}

#[test]
fn kde_finds_the_same_application() {
    let events = text("pushbell.notifyrc");
    assert!(events.contains(&format!("DesktopEntry={ID}\n")) && events.contains(&format!("IconName={ID}\n")));
}

#[test]
fn icons_are_of_the_sizes_that_they_are_installed_as() {
    for size in [16, 22, 24, 32, 48, 64, 128, 256] {
        let path = asset("../icons").join(format!("pushbell-{size}.png"));
        let icon = tiny_skia::Pixmap::load_png(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!((icon.width(), icon.height()), (size, size));
    }
}
