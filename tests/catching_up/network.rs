//! A network that comes back. The app runs in a network namespace of its own.

use std::process::Command;

use crate::{
    rig::{SOON, process::Part, wait_until},
    stage::{Session, Stage},
};

#[test]
fn it_catches_up_when_a_network_comes() {
    let mut stage = Stage::prepare(&Session::new("@alice:hs.test", 9, "token"));
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"]);
    let holder = Part::start("network", command, stage.pushbell.env(), &stage.pushbell.home());
    wait_until("the network is there", SOON, || holder.stdout().contains("ready"));
    let mut inside = vec!["nsenter".to_owned(), format!("--target={}", holder.pid()), "--net".to_owned()];
    if !rustix::process::getuid().is_root() {
        inside.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
    }
    stage.pushbell.launch_under(&inside.iter().map(String::as_str).collect::<Vec<_>>(), &["run"]);
    wait_until("it has tried", SOON, || stage.pushbell.log().contains("catching up failed"));
    assert!(!stage.pushbell.log().contains("a network has come"));
    let ip = |arguments: &str| {
        let arguments = ["ip"].into_iter().chain(arguments.split(' '));
        let status = Command::new(&inside[0]).args(&inside[1..]).args(arguments).status().expect("nsenter starts");
        assert!(status.success());
    };
    // As good as a network card: any route to others counts, whichever interface it uses.
    ip("address add 10.77.0.1/32 dev lo");
    ip("route add 10.78.0.0/16 dev lo");
    wait_until("it is noticed", SOON, || stage.pushbell.log().contains("a network has come"));
    assert_eq!(stage.pushbell.log().matches("a network has come").count(), 1, "not the computer's own address");
}
