//! What other users of the same computer can see: nothing.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::Command,
};

use pushbell::app_info;

use crate::{
    rig::{Desktop, DesktopOptions, Pushbell, process, wait_until},
    stage::Stage,
};

/// This path and everything below it except symbolic links.
fn everything(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if fs::symlink_metadata(path).is_ok_and(|data| data.is_dir()) {
        for entry in fs::read_dir(path).unwrap().flatten() {
            found.extend(everything(&entry.path()));
        }
    }
    found
}

#[test]
fn all_files_and_sockets_are_private_whatever_the_umask() {
    for umask in ["0", "077", "0777"] {
        let desktop = Desktop::start(DesktopOptions::BARE);
        let _service = desktop.fake_notifier(&["body", "actions"]);
        let mut app = Pushbell::prepare(&desktop, "");
        let as_is = app.config_file();
        // An editor's backup file is not ours.
        let ours = |path: &PathBuf| *path != as_is && !path.is_symlink();
        app.launch_under_umask(umask, &["run"]);
        app.wait_until_ready();
        app.ok(&["account", "add", "real"]);
        let account = app.account_named("real");
        for number in 0..20 {
            app.notify(&account, crate::rig::pushbell::message(&format!("e{number}"), "room", "text"));
        }
        app.wait_for_status("all are shown", |status| status["inbox"]["unshown"] == 0);
        app.ok(&["pause", "1h"]);

        let home = app.home();
        let directories =
            [home.join(".local/share"), home.join(".cache"), home.join(".config"), desktop.run_directory()];
        let mut found = Vec::new();
        for place in directories {
            let place = place.join(app_info::DIRECTORY_NAME);
            found.extend(everything(&place).into_iter().filter(|path| path.exists()).filter(ours));
        }
        for path in &found {
            let data = fs::symlink_metadata(path).unwrap();
            // The configuration's directory belongs to the test.
            if Some(path.as_path()) == as_is.parent() {
                continue;
            }
            let expected = if data.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(data.mode() & 0o7777, expected, "umask {umask}: {} {:o}", path.display(), data.mode());
        }
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        for name in ["pushbell.db", "pushbell.db-wal", "accounts.toml", "control.sock"] {
            assert!(names.contains(&name), "umask {umask}: {name} is among {names:?}");
        }
    }
}

#[test]
fn the_first_configuration_is_private_whatever_the_umask() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut app = Pushbell::prepare(&desktop, "");
    // The default port may be in use: the file is written before the app tries it.
    fs::remove_file(app.config_file()).unwrap();
    fs::remove_dir(app.config_file().parent().unwrap()).unwrap();
    app.launch_under_umask("0", &["run"]);
    wait_until("the configuration is written", crate::rig::SOON, || app.config_file().exists());
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&app.config_file()), 0o600);
    assert_eq!(mode(app.config_file().parent().unwrap()), 0o700);
}

/// Requests the status over a control socket, and prints the answer.
const ASK: &str = r#"
import socket, sys
control = socket.socket(socket.AF_UNIX)
control.settimeout(20)
control.connect(sys.argv[1])
try:
    control.sendall(b'{"request":"status"}\n')
    print(control.recv(65536).decode())
except (BrokenPipeError, ConnectionResetError):
    pass
"#;

#[test]
fn the_control_socket_serves_nobody_else() {
    let stage = Stage::set("");
    let socket = stage.desktop.run_directory().join(app_info::DIRECTORY_NAME).join("control.sock");
    let path = socket.display().to_string();
    let own = process::run("python3", &["-c", ASK, &path], stage.app.env());
    assert!(own.contains(r#""running":true"#), "{own}");

    let other = |path: &str| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", ASK, path]).env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
        let output = command.output().expect("python3 starts; `make test` installs what the tests need");
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    if !rustix::process::geteuid().is_root() {
        println!(
            "only root can be somebody else: that the socket's directory is closed has been seen, not who is served"
        );
        return;
    }
    assert!(other(&path).1.contains("PermissionError"), "the directory keeps others out");
    // Even if the directories and the socket were open to all, only their owner would be served.
    for directory in socket.ancestors().skip(1).take_while(|path| *path != Path::new("/tmp")) {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let (answer, error) = other(&path);
    assert!(answer.trim().is_empty() && error.is_empty(), "{answer} {error}");
    assert!(process::run("python3", &["-c", ASK, &path], stage.app.env()).contains(r#""running":true"#));
}

/// The user and group "nobody".
const NOBODY: u32 = 65_534;
