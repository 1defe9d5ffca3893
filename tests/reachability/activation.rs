//! Sockets that a service manager hands over.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use serde_json::json;

use crate::{
    app::DUNST,
    line::Line,
    recipes::{ENDPOINT, adapt, blocks},
    rig::{
        Desktop, Pushbell, SOON, http,
        pushbell::{address, message},
        wait_until,
    },
};

const HEADING: &str = "Started by systemd when a push comes";

#[test]
fn a_push_starts_the_program_through_systemds_own_activation() {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    pushbell.ok(&["account", "add", "home"]);
    let account = pushbell.account_named("home");
    let port = http::free_port();
    // The sockets that the unit in the recipe names.
    let unit = adapt(
        blocks(HEADING, "ini")[0],
        &[(ENDPOINT, &format!("127.0.0.1:{port}")), ("[::1]:7874", &format!("[::1]:{port}"))],
    );
    let mut wrapper = vec!["systemd-socket-activate".to_owned()];
    // Which hands on nothing of its own environment.
    wrapper.extend(pushbell.env().iter().map(|(key, _)| format!("--setenv={key}")));
    wrapper
        .extend(unit.lines().filter_map(|line| line.strip_prefix("ListenStream=")).map(|at| format!("--listen={at}")));
    let [v4, v6] = [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))];
    pushbell.launch_under(&wrapper.iter().map(String::as_str).collect::<Vec<_>>(), &["run"]);
    wait_until("systemd listens", SOON, || {
        pushbell.log().contains("Listening on") && pushbell.log().contains(&format!("[::1]:{port}"))
    });
    assert_eq!(pushbell.command(&["status"]).code, 69, "it does not run yet");

    let body = |event: &str| address(&account, message(event, "room", "text"));
    Line::plain(v4).expect("systemd listens").push(&body("1"));
    Line::plain(v6).expect("it listens").push(&body("2"));
    let status = pushbell.status();
    assert_eq!(status["listen"], json!([v4.to_string(), v6.to_string()]));
    assert_eq!(status["public_url"], format!("http://{v4}"));
    assert!(Line::plain(([127, 0, 0, 1], pushbell.port).into()).is_err(), "`server.listen` is not used");
    assert!(pushbell.ok(&["test"]).contains(&v4.to_string()));

    // A change of the configuration leaves them alone, and no program that is started from here gets them.
    pushbell.configure("[server]\npublic_url = \"https://push.example.org\"");
    pushbell.wait_for_status("it is taken up", |status| status["public_url"] == "https://push.example.org");
    assert_eq!(pushbell.status()["listen"], json!([v4.to_string(), v6.to_string()]));
    Line::plain(v4).expect("it listens").push(&body("3"));
    let pid = pushbell.app().pid();
    for descriptor in [3, 4] {
        let path = format!("/proc/{pid}/fdinfo/{descriptor}");
        let info = fs::read_to_string(path).expect("it is open");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("it has flags").trim();
        assert_ne!(u32::from_str_radix(flags, 8).expect("octal") & 0o2_000_000, 0, "it is closed for others: {flags}");
    }
    assert_eq!(pushbell.terminate(), Some(0));
}

/// Runs the program by bash with this done before, in which `$1` is a port of somebody who listens.
fn launched(before: &str) -> (Pushbell, Desktop) {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port().to_string();
    let script = format!("port=$0; {before}; exec \"$@\"");
    pushbell.launch_under(&["bash", "-c", &script, &port], &["run"]);
    if !before.contains("LISTEN_PID=1") {
        pushbell.app().wait(SOON);
    }
    (pushbell, desktop)
}

#[test]
fn what_is_no_listening_socket_is_refused_with_words() {
    for (before, reason) in [
        ("export LISTEN_FDS=1 LISTEN_PID=$$; exec 3</dev/null", "fd 3 is not a socket"),
        ("export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<>/dev/tcp/127.0.0.1/$port", "it does not listen"),
        ("export LISTEN_FDS=1 LISTEN_PID=$$; exec 3<>/dev/udp/127.0.0.1/$port", "fd 3 is not a valid tcp socket"),
    ] {
        let (mut pushbell, _desktop) = launched(before);
        assert_eq!(pushbell.app().wait(SOON).code(), Some(1), "{before}");
        let said = pushbell.app().stderr();
        assert!(said.starts_with("pushbell: the service manager hands over something"), "{before}: {said}");
        assert!(said.contains(reason) && said.contains("ListenStream="), "{before}: {said}");
        assert!(!Path::new(&pushbell.database()).exists(), "nothing was begun");
    }
}

#[test]
fn what_is_meant_for_another_process_is_left_alone() {
    let (mut pushbell, _desktop) = launched("export LISTEN_FDS=1 LISTEN_PID=1; exec 3</dev/null");
    pushbell.wait_until_ready();
    assert_eq!(pushbell.status()["listen"], json!([format!("127.0.0.1:{}", pushbell.port)]));
}

/// The service that the unit starts is a part of the packages: what is shown here is that systemd understands the unit.
#[test]
fn systemd_understands_the_units_of_the_recipes() {
    let directory = crate::rig::process::TempDir::new();
    let path = |name: &str| directory.path().join(name);
    let tunnel = blocks("SSH reverse tunnel", "ini")[0].replace("ExecStart=ssh", "ExecStart=/usr/bin/ssh");
    for (name, text) in [
        ("pushbell.socket", blocks(HEADING, "ini")[0]),
        ("pushbell.service", "[Service]\nExecStart=/bin/true\n"),
        ("pushbell-tunnel.service", &tunnel),
    ] {
        fs::write(path(name), text).expect("it is writable");
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no"])
        .args([path("pushbell.socket"), path("pushbell-tunnel.service")])
        .env("XDG_RUNTIME_DIR", directory.path())
        .output()
        .expect("systemd is there: `make test` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("pushbell"), "{said}");
}
