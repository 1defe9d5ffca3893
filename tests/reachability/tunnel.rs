//! An SSH reverse tunnel to a real sshd, with the commands of `docs/connect.md`.

use std::{fs, net::SocketAddr, path::Path, process::Command, thread};

use serde_json::json;

use crate::{
    app::{App, DUNST},
    authority::{Authority, CertificateFiles},
    line::KeepAliveConnection,
    recipes::{ENDPOINT, adapt, blocks},
    rig::{
        SOON, http,
        process::{PATH, Part, TempDir, run},
        pushbell::{address, message},
        wait_until,
    },
    secure::recorded,
};

const HEADING: &str = "SSH reverse tunnel";

fn env() -> Vec<(String, String)> {
    [("PATH", PATH), ("HOME", "/nonexistent")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn make_key(path: &Path) -> String {
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path.display().to_string()], &env());
    fs::read_to_string(path.with_extension("pub")).expect("it was made")
}

/// An sshd on this computer with temporary keys, running as the current user.
fn sshd(directory: &Path, port: u16, authorized: &str) -> Part {
    make_key(&directory.join("host"));
    fs::write(directory.join("authorized_keys"), authorized).expect("it is writable");
    let place = directory.display();
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {place}/host\nAuthorizedKeysFile {place}/authorized_keys\n\
         PidFile {place}/sshd.pid\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
    );
    fs::write(directory.join("sshd_config"), config).expect("it is writable");
    if rustix::process::getuid().is_root() {
        // Normally created by the system's service.
        fs::create_dir_all("/run/sshd").expect("root may");
    }
    let mut command = Command::new("/usr/sbin/sshd");
    command.args(["-D", "-e", "-f"]).arg(directory.join("sshd_config"));
    Part::start("sshd", command, &env(), directory)
}

#[test]
fn pushes_come_through_an_ssh_tunnel() {
    let mut app = App::start(DUNST, blocks(HEADING, "toml")[0]);
    assert_eq!(app.pushbell.status()["public_url"], "http://127.0.0.1:7874");
    let directory = TempDir::new();
    let [ssh_port, remote] = [http::free_port(), http::free_port()];
    let far_end = format!("127.0.0.1:{remote}");
    let authorized = adapt(
        blocks(HEADING, "authorized_keys")[0],
        &[("ssh-ed25519 AAAA...", &make_key(&directory.path().join("key"))), (ENDPOINT, &far_end)],
    );
    let mut server = sshd(directory.path(), ssh_port, &authorized);
    let user = run("id", &["-un"], &env());
    let line = adapt(
        blocks(HEADING, "sh")[0],
        &[
            (
                "ssh -N",
                &format!(
                    "exec ssh -N -F none -p {ssh_port} -i {}/key -o IdentitiesOnly=yes \
                     -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no",
                    directory.path().display()
                ),
            ),
            ("push@matrix.example.org", &format!("{}@127.0.0.1", user.trim())),
            (&format!("{ENDPOINT}:{ENDPOINT}"), &format!("{far_end}:127.0.0.1:{}", app.pushbell.port)),
        ],
    );
    let tunnel = || {
        let mut command = Command::new("sh");
        command.args(["-c", &line]);
        Part::start("ssh", command, &env(), directory.path())
    };
    wait_until("sshd listens", SOON, || {
        assert!(server.try_wait().is_none(), "sshd has ended: {}", server.output());
        std::net::TcpStream::connect(("127.0.0.1", ssh_port)).is_ok()
    });
    let mut client = tunnel();
    let at: SocketAddr = ([127, 0, 0, 1], remote).into();
    let body = |event: &str| address(&app.account, message(event, "room", "text"));
    let comes_through = || KeepAliveConnection::plain(at).and_then(|mut line| line.ask("GET", "/health", b"")).is_ok();
    wait_until("the tunnel is there", SOON, || {
        assert!(client.try_wait().is_none(), "ssh has ended: {}{}", client.output(), server.output());
        comes_through()
    });

    let mut kept = KeepAliveConnection::plain(at).expect("the far end listens");
    for number in 0..20 {
        kept.push(&body(&format!("kept{number}")));
    }
    let mut large = body("large").to_string().into_bytes();
    large.resize(500 * 1024, b' ');
    assert_eq!(kept.post(&large).expect("it is kept").status, 200);
    large.resize(2 * 1024 * 1024, b' ');
    let refused = KeepAliveConnection::plain(at).and_then(|mut line| line.post(&large)).expect("it is answered");
    assert!(refused.status == 413 && refused.body.contains("M_TOO_LARGE"), "{refused:?}");
    thread::scope(|scope| {
        for number in 0..50 {
            let push = body(&format!("many{number}"));
            scope.spawn(move || KeepAliveConnection::plain(at).expect("the far end listens").push(&push));
        }
    });

    // The tunnel fails, and its supervisor restarts it.
    client.kill();
    wait_until("it is gone", SOON, || !comes_through());
    let _client = tunnel();
    wait_until("it is there again", SOON, comes_through);
    KeepAliveConnection::plain(at).expect("the far end listens").push(&body("again"));

    // It carries TLS too.
    let authority = Authority::new();
    let place = CertificateFiles::with(&authority.certify("127.0.0.1"));
    app.pushbell.configure(&place.config());
    app.pushbell.wait_for_status("TLS is on", |status| status["tls"]["names"] == json!(["127.0.0.1"]));
    KeepAliveConnection::tls(at, "127.0.0.1", &authority.pem()).expect("there is a certificate").push(&body("secure"));
    assert_eq!(recorded(&app), 20 + 1 + 50 + 1 + 1);
    assert_eq!(app.pushbell.status()["problems"], json!([]));
    assert_eq!(app.pushbell.terminate(), Some(0));
}

#[test]
fn the_service_runs_the_same_line_and_systemd_understands_it() {
    let unit = blocks(HEADING, "ini")[0];
    assert!(unit.contains(&format!("\nExecStart={}", blocks(HEADING, "sh")[0])));
    let directory = TempDir::new();
    let path = directory.path().join("pushbell-tunnel.service");
    fs::write(&path, unit.replace("ExecStart=ssh", "ExecStart=/usr/bin/ssh")).expect("it is writable");
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--user", "--man=no"]).arg(path).env("XDG_RUNTIME_DIR", directory.path());
    let output = command.output().expect("systemd is there: `make test` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("pushbell"), "{said}");
}
