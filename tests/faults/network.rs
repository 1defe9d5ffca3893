//! The interface of the listening address appears later, goes away and comes back. The app runs in a network namespace
//! of its own.

use std::process::Command;

use super::load::{message, recorded};
use crate::{
    app::{App, DUNST},
    rig::{SOON, never_within, process::Part, pushbell::address, wait_until},
};

const ADDRESS: &str = "10.77.0.1";

struct Network {
    holder: Part,
}

impl Network {
    fn start(app: &App) -> Self {
        let mut command = Command::new("unshare");
        if !rustix::process::getuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"]);
        let holder = Part::start("network", command, app.pushbell.env(), &app.pushbell.home());
        wait_until("the network is there", SOON, || holder.stdout().contains("ready"));
        Self { holder }
    }

    fn inside(&self) -> Vec<String> {
        let mut command = vec!["nsenter".to_owned(), format!("--target={}", self.holder.pid()), "--net".to_owned()];
        if !rustix::process::getuid().is_root() {
            command.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        command
    }

    /// Runs a command inside; its output, if it succeeded.
    fn run(&self, command: &[&str]) -> Result<String, String> {
        let inside = self.inside();
        let output = Command::new(&inside[0]).args(&inside[1..]).args(command).output().expect("nsenter starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    fn ip(&self, arguments: &str) {
        let command: Vec<_> = ["ip"].into_iter().chain(arguments.split(' ')).collect();
        self.run(&command).unwrap_or_else(|error| panic!("ip {arguments}: {error}"));
    }

    /// Posts a push from inside; returns the status line.
    fn push(&self, app: &App, event: &str) -> String {
        let body = address(&app.account, message(event, "room")).to_string();
        let script = r#"exec 3<>"/dev/tcp/$1/$2" && printf 'POST /_matrix/push/v1/notify HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %s\r\n\r\n%s' "${#3}" "$3" >&3 && head -n 1 <&3"#;
        self.run(&["bash", "-c", script, "bash", ADDRESS, &app.pushbell.port.to_string(), &body])
            .unwrap_or_else(|error| error)
    }
}

fn listens(app: &App) -> bool {
    !app.pushbell.status()["listen"].as_array().is_none_or(Vec::is_empty)
}

#[test]
fn an_address_may_appear_later_go_away_and_come_back() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    let network = Network::start(&app);
    app.pushbell.configure(&format!("[server]\nlisten = [\"{ADDRESS}:{}\"]", app.pushbell.port));
    let inside = network.inside();
    app.pushbell.launch_under(&inside.iter().map(String::as_str).collect::<Vec<_>>(), &["run"]);
    wait_until("the app is there", SOON, || app.pushbell.command(&["status"]).code == 0);
    assert!(!listens(&app));
    let problems = app.pushbell.status()["problems"].to_string();
    assert!(problems.contains(ADDRESS), "{problems}");
    app.titled(0, "Not all addresses can be listened on");

    // As good as a network card: an address is local whichever interface has it.
    network.ip(&format!("address add {ADDRESS}/32 dev lo"));
    wait_until("it listens", SOON, || listens(&app));
    assert_eq!(app.pushbell.status()["problems"], serde_json::json!([]));
    assert!(network.push(&app, "$1").starts_with("HTTP/1.1 200"));

    network.ip(&format!("address delete {ADDRESS}/32 dev lo"));
    assert!(!network.push(&app, "$2").starts_with("HTTP/1.1 200"));
    never_within(crate::app::MOMENT, "it has ended", || app.pushbell.app().try_wait().is_some());
    network.ip(&format!("address add {ADDRESS}/32 dev lo"));
    wait_until("it answers there again", SOON, || network.push(&app, "$3").starts_with("HTTP/1.1 200"));
    app.pushbell.terminate();
    assert_eq!(recorded(&app.pushbell.database()), ["$1", "$3"]);
}

#[test]
fn a_missing_address_does_not_keep_the_others_from_serving() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    // A documentation network: nobody has this address.
    let port = app.pushbell.port;
    app.pushbell.configure(&format!("[server]\nlisten = [\"192.0.2.1:{port}\", \"127.0.0.1:{port}\"]"));
    app.pushbell.run();
    app.push(message("$1", "room"));
    let status = app.pushbell.status();
    assert_eq!(status["listen"], serde_json::json!([format!("127.0.0.1:{port}")]));
    assert!(status["problems"].to_string().contains("192.0.2.1"), "{status}");
    assert_eq!(app.pushbell.terminate(), Some(0));
}
