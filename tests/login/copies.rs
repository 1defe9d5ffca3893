//! A home directory that was copied to another computer.

use crate::scene::Scene;

/// Runs a command on a computer with another id, as root can.
const ELSEWHERE: [&str; 5] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "for file in /etc/machine-id /var/lib/dbus/machine-id; do [ ! -e $file ] || mount --bind \"$0\" $file; done; exec \"$@\"",
];

#[test]
fn a_copied_home_leaves_the_first_computers_pusher_alone() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let scene = Scene::new();
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let first = scene.wait_for_pushers(1).remove(0);
    assert_eq!(scene.devices().len(), 1);
    let id = scene.file("machine-id");
    std::fs::write(&id, "b08dfa6083e7567a1921a715000001fb\n").unwrap();
    let elsewhere = [&ELSEWHERE[..], &[&id]].concat();
    let password = scene.file("password");
    let login = [
        "login",
        &scene.alice.id,
        "--push",
        "--homeserver",
        &scene.homeserver,
        "--password-file",
        &password,
        "--wait",
        "0",
    ];
    let login = scene.pushbell.command_under(&elsewhere, &login);

    assert_eq!(login.code, 3, "{login:#?}");
    assert!(login.stdout.contains("was signed in on another computer"), "{login:#?}");
    assert!(!login.stdout.contains("left a pusher behind"), "{login:#?}");
    // The first computer's session, and so its pusher, go on.
    assert_eq!(scene.devices().len(), 2);
    let pushers = scene.alice.pushers();
    assert_eq!(pushers.len(), 2);
    assert!(pushers.contains(&first), "{pushers:#?}");
    let mark = |pusher: &serde_json::Value| pusher["data"]["org.pushbell.installation"].clone();
    assert_ne!(mark(&pushers[0]), mark(&pushers[1]));
}
