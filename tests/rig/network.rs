//! A network namespace connected to ours by a cable: programs inside run as if on another computer.

use std::process::Command;

use super::{
    SOON,
    process::{PATH, Part, TempDir},
    wait_until,
};

/// A cable (veth pair) between a namespace and ours, with two networks: a private one, and one with public addresses.
/// `.1` is our end, `.2` the namespace's.
pub(crate) struct Cable {
    holder: Part,
    _logs: TempDir,
    interface: String,
    pub(crate) private: String,
    pub(crate) public: String,
}

/// A MAC address that no network card has.
const NOBODY: &str = "02:00:00:00:00:99";

impl Cable {
    /// Returns `None` without root privileges, which connecting namespaces requires.
    pub(crate) fn plug_in() -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"]);
        let logs = TempDir::new();
        let holder = Part::start("network", command, &[("PATH".to_owned(), PATH.to_owned())], logs.path());
        wait_until("the network is there", SOON, || holder.stdout().contains("ready"));
        let pid = holder.pid();
        let (interface, number) = (format!("pb{pid}"), pid % 250);
        let (private, public) = (format!("10.213.{number}"), format!("198.18.{number}"));
        let cable = Self { holder, _logs: logs, interface, private, public };
        let (interface, inside) = (&cable.interface, cable.inside().join(" "));
        run(&format!("ip link add {interface} type veth peer name cable netns {pid}"));
        // No IPv6 address: it would be assigned seconds later and signal a network change to every app.
        run(&format!("ip link set {interface} addrgenmode none"));
        for network in [&cable.private, &cable.public] {
            run(&format!("ip address add {network}.1/24 dev {interface}"));
            run(&format!("{inside} ip address add {network}.2/24 dev cable"));
        }
        run(&format!("ip link set {interface} up && {inside} ip link set cable up"));
        Some(cable)
    }

    /// The command that runs a program inside.
    pub(crate) fn inside(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--target={}", self.holder.pid()), "--net".to_owned()]
    }

    /// From now on packets are dropped, without a link-down event at either end.
    pub(crate) fn cut(&self) {
        self.each_end("replace", &format!("lladdr {NOBODY} nud permanent"));
    }

    pub(crate) fn reconnect(&self) {
        self.each_end("delete", "");
    }

    fn each_end(&self, what: &str, how: &str) {
        let (interface, inside) = (&self.interface, self.inside().join(" "));
        for network in [&self.private, &self.public] {
            run(&format!("ip neighbour {what} {network}.2 {how} dev {interface}"));
            run(&format!("{inside} ip neighbour {what} {network}.1 {how} dev cable"));
        }
    }
}

#[track_caller]
fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().expect("there is a shell");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
