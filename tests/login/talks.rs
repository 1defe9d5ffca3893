//! The conversation with a person at a terminal.

use pushbell::app_info;
use serde_json::{Value, json};

use crate::{
    ends::GUARDED,
    rig::{SOON, Terminal, pushbell::message},
    scene::Scene,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushbell");

/// What a login says of an account without cross-signing.
const ENCRYPTION: &str = "Encrypted messages are read; the account has no cross-signing that this session could be verified \
                          with: set up encryption in your usual client, then run `pushbell verify`.";

/// Where it is told what homeservers are to push to, no question is asked about containers, which this computer may have.
fn login(scene: &Scene, options: &[&str]) -> Terminal {
    let told = scene.pushbell.url().replace("/_matrix/push/v1/notify", "");
    if !std::fs::read_to_string(scene.pushbell.config_file()).unwrap().contains("public_url") {
        scene.pushbell.configure(&format!("[server]\npublic_url = \"{told}\"\n"));
    }
    let fixed = ["login", &scene.alice.id, "--push", "--homeserver", &scene.homeserver];
    Terminal::run(PROGRAM, &[&fixed, options].concat(), scene.pushbell.env())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map_or("", |(between, _)| between)
}

#[test]
fn a_person_signs_in_and_sees_a_push_arrive() {
    let scene = Scene::new();
    let mut terminal = login(&scene, &[]);
    terminal.expect(&format!("Password of {}: ", scene.alice.id));
    terminal.type_line("wrong");
    terminal.expect("hs.test does not know this user with this password.");
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("Waiting for a push: ask somebody to write to you, or press Enter to skip.");
    scene.bob.send(&scene.room, "Dinner is ready.");
    terminal.expect("A push arrived at ");
    terminal.expect("Start Pushbell with the desktop? [Y/n] ");
    assert!(scene.pushbell.ok(&["autostart", "status"]).contains("does not start"));
    terminal.type_line("");
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    let started = scene.pushbell.ok(&["autostart", "status"]);
    assert!(started.contains("Pushbell starts with the desktop, by the XDG autostart entry"), "{started}");
    let screen = terminal.screen();
    let name = scene.alice.id.clone();
    let (kept, time) = (between(&screen, "token is in ", ", which"), between(&screen, "arrived at ", ". Every"));
    let expected = format!(
        "The homeserver of {name} is {homeserver} (Synapse).\n\
         Password of {name}: \n\
         hs.test does not know this user with this password.\n\
         Password of {name}: \n\
         Signed in as the device \"{device}\".\n\
         The access token is in {kept}, which only you can read (there is no keyring).\n\
         {encryption}\n\
         The homeserver now pushes to {url} for the account \"{name}\".\n\
         Waiting for a push: ask somebody to write to you, or press Enter to skip.\n\
         A push arrived at {time}. Everything works.\n\n\
         Pushbell itself is not running yet: start it with `{PROGRAM}`.\n\
         Start Pushbell with the desktop? [Y/n] \n\
         It starts with the desktop: `{PROGRAM} autostart off` ends that.\n",
        homeserver = scene.homeserver,
        encryption = ENCRYPTION,
        device = scene.devices()[0],
        url = scene.pushbell.url().trim_end_matches("/_matrix/push/v1/notify"),
    );
    assert_eq!(screen, expected);
}

#[test]
fn accounts_unreadable_after_sign_in_leave_no_device_behind() {
    let scene = Scene::new();
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    std::fs::write(scene.pushbell.data_directory().join("accounts.toml"), "damaged").unwrap();
    terminal.type_line("secret");
    terminal.expect("accounts.toml");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
    assert_eq!(scene.devices().len(), 0);
}

#[test]
fn a_password_is_not_shown_and_the_terminal_is_left_as_it_was() {
    let scene = Scene::new();
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    assert!(!terminal.is_as_usual(), "what is typed as soon as it is asked for is not shown");
    terminal.type_line("wrong\u{3}");
    assert_eq!(terminal.wait(SOON), None, "it was interrupted: {}", terminal.screen());
    assert!(terminal.is_as_usual() && !terminal.screen().contains("wrong"), "{}", terminal.screen());
}

#[test]
fn a_password_may_be_mistyped_twice() {
    let scene = Scene::new();
    let mut terminal = login(&scene, &[]);
    for _ in 0..3 {
        terminal.expect("Password of ");
        terminal.type_line("wrong");
    }
    terminal.expect("pushbell: hs.test does not know this user with this password\n");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
    assert_eq!(terminal.screen().matches("with this password.\n").count(), 2, "{}", terminal.screen());
    assert_eq!(scene.devices().len(), 0);
}

#[test]
fn a_private_read_receipt_proves_it_without_anybody() {
    let scene = Scene::new();
    scene.bob.send(&scene.room, "Dinner is ready.");
    let unread = || scene.alice.notifications().iter().filter(|entry| entry["read"] == false).count();
    crate::rig::wait_until("the message is unread", SOON, || unread() > 0);
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("May Pushbell mark Kitchen as read, to see whether a push arrives? [y/N] ");
    terminal.type_line("y");
    terminal.expect("A push arrived at ");
    terminal.expect("Start Pushbell with the desktop? [Y/n] ");
    terminal.type_line("n");
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    assert!(scene.pushbell.ok(&["autostart", "status"]).contains("does not start"));
    assert!(scene.alice.notifications().iter().all(|entry| entry["read"] == true));
}

#[test]
fn nothing_is_marked_as_read_unasked_and_waiting_can_be_skipped() {
    let scene = Scene::new();
    scene.bob.send(&scene.room, "Dinner is ready.");
    let unread = || scene.alice.notifications().iter().filter(|entry| entry["read"] == false).count();
    crate::rig::wait_until("the message is unread", SOON, || unread() > 0);
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("[y/N] ");
    terminal.type_line("");
    terminal.expect("press Enter to skip.");
    terminal.type_line("");
    assert_eq!(terminal.wait(SOON), Some(3), "{}", terminal.screen());
    assert!(unread() > 0);
    assert_eq!(scene.alice.pushers().len(), 1);
}

#[test]
fn only_a_pusher_that_this_installation_has_left_is_removed() {
    let scene = Scene::new();
    let first = scene.login(&["--wait", "0"]);
    assert_eq!(first.code, 3, "{first:#?}");
    let ours = scene.wait_for_pushers(1).remove(0);
    let desktop = ours["device_display_name"].as_str().unwrap();
    let mark = &ours["data"]["org.pushbell.installation"];
    assert_eq!(mark.as_str().map(str::len), Some(22), "{ours}");
    // Left behind by accounts that are lost.
    let data = json!({ "org.pushbell.installation": mark });
    scene.alice.set_pusher("http://127.0.0.1:9/_matrix/push/v1/notify", app_info::APP_ID, "left-behind", &data);
    scene.alice.set_pusher_of("another computer's", app_info::APP_ID, desktop);
    scene.alice.set_pusher_of("another app's", "im.vector.app", desktop);
    let asked_by_nobody = scene.login(&["--wait", "0"]);
    let words = ["has left a pusher behind", "It stays for now: "];
    assert!(words.iter().all(|word| asked_by_nobody.stdout.contains(word)), "{asked_by_nobody:#?}");
    assert_eq!(scene.alice.pushers().len(), 4);
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("This desktop has left a pusher behind");
    terminal.expect("Remove it? [Y/n] ");
    terminal.type_line("");
    terminal.expect("press Enter to skip.");
    terminal.type_line("");
    assert_eq!(terminal.wait(SOON), Some(3), "{}", terminal.screen());
    let mut left: Vec<_> = scene.alice.pushers().into_iter().map(|pusher| pusher["pushkey"].clone()).collect();
    left.retain(|key| *key != ours["pushkey"]);
    left.sort_by_key(ToString::to_string);
    assert_eq!(left, ["another app's", "another computer's"]);
}

#[test]
fn who_is_signed_in_already_is_told_so_before_the_password() {
    let scene = Scene::new();
    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let mut terminal = login(&scene, &[]);
    let user = &scene.alice.id;
    terminal.expect(&format!("{user} is signed in here already, as the account \"{user}\". Signing in again renews"));
    terminal.expect("Password of ");
}

#[test]
fn what_keeps_a_push_away_is_said_early_and_the_wait_goes_on() {
    let scene = Scene::on(&GUARDED);
    scene.bob.send(&scene.room, "Dinner is ready.");
    let unread = || scene.alice.notifications().iter().filter(|entry| entry["read"] == false).count();
    crate::rig::wait_until("the message is unread", SOON, || unread() > 0);
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("May Pushbell mark Kitchen as read, to see whether a push arrives? [y/N] ");
    terminal.type_line("y");
    terminal.expect("It is marked, but no push has come of it.\nThis may keep pushes away, the likeliest first:\n");
    terminal.expect(" ip_range_whitelist: ['127.0.0.1/32']\n");
    terminal.expect("Still waiting: ");
    let account = scene.pushbell.account_named(&scene.alice.id);
    // It is on, so that nothing is asked.
    scene.pushbell.ok(&["autostart", "on"]);
    scene.pushbell.notify(&account, message("1", "kitchen", "Hello"));
    terminal.expect("A push arrived at ");
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
}

#[test]
fn without_an_unread_room_the_likeliest_cause_is_said_too() {
    let scene = Scene::on(&GUARDED);
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("press Enter to skip.\n");
    terminal.expect("No push has come so far. If somebody has written to you, this may keep it away");
    terminal.expect(" ip_range_whitelist: ['127.0.0.1/32']\n");
    terminal.expect("or press Enter to skip.\n");
    terminal.type_line("");
    assert_eq!(terminal.wait(SOON), Some(3), "{}", terminal.screen());
}

#[test]
fn what_is_proven_to_keep_pushes_away_is_said_at_once() {
    let scene = Scene::new();
    let wrong = format!("http://127.0.0.1:{}", crate::rig::http::free_port());
    scene.pushbell.configure(&format!("[server]\npublic_url = \"{wrong}\"\n"));
    let mut terminal = login(&scene, &["--wait", "8"]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("This keeps pushes away:\nFAULT ");
    terminal.expect("Still waiting: ");
    assert_eq!(terminal.wait(SOON), Some(3), "{}", terminal.screen());
    assert_eq!(terminal.screen().matches("FAULT ").count(), 1, "{}", terminal.screen());
}

#[test]
fn a_direct_room_is_called_after_the_other() {
    let scene = Scene::new();
    let direct = json!({"is_direct": true, "invite": [scene.alice.id], "preset": "trusted_private_chat"});
    let direct = scene.bob.create_room(&direct);
    scene.alice.join(&direct);
    scene.bob.send(&direct, "Dinner is ready.");
    let is_unread = |entry: &Value| entry["read"] == false && entry["event"]["type"] == "m.room.message";
    crate::rig::wait_until("the message is unread", SOON, || scene.alice.notifications().iter().any(is_unread));
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("secret");
    terminal.expect("May Pushbell mark the chat with Bob as read, to see whether a push arrives? [y/N] ");
}

#[test]
fn who_closes_the_terminal_is_told_so() {
    let scene = Scene::new();
    let mut terminal = login(&scene, &[]);
    terminal.expect("Password of ");
    terminal.type_line("\u{4}");
    terminal.expect("pushbell: the terminal was closed\n");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());

    assert_eq!(scene.login(&["--wait", "0"]).code, 3);
    let accounts = scene.pushbell.data_directory().join("accounts.toml");
    let text = std::fs::read_to_string(&accounts).unwrap().replace(&scene.homeserver, "http://127.0.0.1:9");
    std::fs::write(&accounts, text).unwrap();
    let mut terminal = Terminal::run(PROGRAM, &["logout", &scene.alice.id], scene.pushbell.env());
    terminal.expect("[y/N] ");
    terminal.type_line("\u{4}");
    terminal.expect("pushbell: the terminal was closed\n");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
}
