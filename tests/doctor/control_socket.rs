//! A control socket whose usual place, or any place, is not writable; and commands that wait.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
};

use pushbell::app_info;

use crate::{
    report::Report,
    rig::{Desktop, DesktopOptions, Pushbell, SOON, pushbell::message},
};

/// Checks what a status prints when the socket is at another place.
fn uses_other_place(pushbell: &Pushbell, words: &str) {
    let problems = pushbell.status()["problems"].to_string();
    let place = pushbell.data_directory().join("control.sock");
    assert!(problems.contains(words) && problems.contains(&place.display().to_string()), "{words:?}: {problems}");
    Report::of(pushbell).has("fault", "pushbell", &["it is at", words]);
}

/// The usual place of the app's socket in its runtime directory.
fn usual_place(pushbell: &Pushbell) -> PathBuf {
    let runtime = pushbell.env().iter().find(|(key, _)| key == "XDG_RUNTIME_DIR").expect("it is set");
    Path::new(&runtime.1).join(app_info::DIRECTORY_NAME).join("control.sock")
}

#[test]
fn an_unusable_runtime_directory_does_not_block_commands() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let usual = desktop.env().iter().find(|(key, _)| key == "XDG_RUNTIME_DIR").expect("it is set").1.clone();
    let long = Path::new(&usual).join("x".repeat(120));
    fs::create_dir(&long).unwrap();
    // Nobody, not even root, can create anything in /proc/sys.
    for runtime in ["/proc/sys", long.to_str().unwrap()] {
        let mut pushbell = Pushbell::prepare(&desktop, "");
        pushbell.set_env("XDG_RUNTIME_DIR", runtime);
        pushbell.run();
        uses_other_place(&pushbell, runtime);
        assert!(pushbell.ok(&["run"]).contains("already running"));
        pushbell.ok(&["clear"]);
        assert_eq!(pushbell.terminate(), Some(0));
        assert_eq!(pushbell.command(&["status"]).code, 69);
    }
}

#[test]
fn what_lies_at_the_place_of_the_socket_stays() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    fs::create_dir_all(usual_place(&pushbell)).unwrap();
    pushbell.run();
    uses_other_place(&pushbell, "control.sock");
    pushbell.terminate();
    assert!(usual_place(&pushbell).is_dir());
}

#[test]
fn a_full_run_time_directory_does_not_keep_commands_away() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let full = pushbell.home().join("full").display().to_string();
    fs::create_dir(&full).unwrap();
    let script = "mount -t tmpfs -o nr_inodes=1 full \"$XDG_RUNTIME_DIR\" && exec \"$@\"";
    let mut wrapper = vec!["unshare", "--mount"];
    if !rustix::process::getuid().is_root() {
        wrapper.push("--map-root-user");
    }
    wrapper.extend(["sh", "-c", script, "sh"]);
    pushbell.set_env("XDG_RUNTIME_DIR", &full);
    pushbell.launch_under(&wrapper, &["run"]);
    pushbell.wait_until_ready();
    uses_other_place(&pushbell, &full);
}

#[test]
fn without_any_place_for_a_socket_the_app_runs_and_says_so() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let below = |name: &str| pushbell.home().join(name).join(app_info::DIRECTORY_NAME).join("control.sock");
    for place in [usual_place(&pushbell), below(".local/share"), below(".cache")] {
        fs::create_dir_all(place).unwrap();
    }
    pushbell.run();
    assert!(pushbell.log().contains("no command can reach this Pushbell"), "{}", pushbell.log());
    let status = pushbell.command(&["status"]);
    assert_eq!(status.code, 1);
    assert!(status.stderr.contains("without a control socket"), "{status:?}");
    let report = Report::of(&pushbell);
    report.has("fault", "pushbell", &["control.sock", "its log says why", "End that process"]);
    // Commands that need no answer work.
    pushbell.ok(&["account", "add", "other"]);
    assert!(pushbell.ok(&["run"]).contains("already running"));
    assert_eq!(pushbell.terminate(), Some(0));
}

#[test]
fn many_who_wait_for_a_push_leave_room_for_other_commands() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    let request = format!(
        "{{\"request\":\"wait_for_push\",\"account\":\"{}\",\"since\":\"2026-01-01T00:00:00Z\",\"seconds\":600}}\n",
        account.name
    );
    let mut waiting: Vec<_> = (0..12)
        .map(|_| {
            let mut client = UnixStream::connect(usual_place(&pushbell)).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.set_read_timeout(Some(SOON)).unwrap();
            client
        })
        .collect();
    let answer = |client: UnixStream| {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        line
    };
    // The excess clients are refused at once.
    for client in waiting.split_off(8) {
        assert!(answer(client).contains("too many commands wait"));
    }
    assert_eq!(pushbell.status()["running"], true);
    pushbell.notify(&account, message("1", "Room", "text"));
    for client in waiting {
        assert!(answer(client).contains("pushed"));
    }
}
