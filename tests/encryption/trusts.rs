//! Verifying the session.

use std::{thread, time::Duration};

use hyper::Method;
use matrix_sdk_crypto::Sas;
use serde_json::{Value, json};

use crate::{
    client::Client,
    rig::{FakeScreenSaver, Notify, SOON, Terminal, never_within, notifications::Traffic, wait_until},
    scene::{SYNAPSE, Scene},
};

/// Waits until the app withdraws the popup.
fn is_withdrawn(scene: &Scene, popup: &Notify) {
    let closes = |traffic: &Traffic| (*traffic == Traffic::CloseNotification(popup.id())).then_some(());
    scene.desktop.notifications().wait("the popup is taken back", SOON, closes);
}

#[test]
fn a_recovery_key_makes_the_session_a_verified_one() {
    let mut scene = Scene::new();
    let (_, recovery_key) = verified_only(&mut scene);
    let _stays = scene.use_reply_service();
    let mark = scene.mark();
    scene.login(&[]);
    let unverified = scene.account("it is not verified", |account| account["verified"] == false);
    assert!(unverified["encryption"].as_str().unwrap().contains("pushbell verify"), "{unverified}");
    let told = scene.popup(mark, "Not all encrypted messages can be read");
    let mark = scene.mark();
    scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.popup(mark, "Encrypted message");

    std::fs::write(scene.file("wrong"), "EsTc 5rr1 4Cfd 1yTu").unwrap();
    let wrong = scene.pushbell.command(&["verify", "--recovery-key-file", &scene.file("wrong")]);
    assert_eq!(wrong.code, 1, "{wrong:#?}");
    assert!(wrong.stderr.contains("not the account's recovery key"), "{wrong:#?}");
    std::fs::write(scene.file("key"), recovery_key).unwrap();
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key")]);
    scene.account("it is verified", |account| account["verified"] == true);
    is_withdrawn(&scene, &told);
    let event = scene.bob.write(&scene.room, &scene.alice, "After.");
    scene.says(&event, "After.");
    assert!(!scene.on_disk("m.cross_signing.self_signing"));
}

#[test]
fn a_login_verifies_with_a_recovery_key_from_a_file() {
    let scene = Scene::new();
    let recovery_key = Client::new(&SYNAPSE, &scene.alice).set_up_identity();
    std::fs::write(scene.file("key"), recovery_key).unwrap();
    let login = scene.login(&["--recovery-key-file", &scene.file("key")]);
    assert!(login.stdout.contains("Encrypted messages are read.\n"), "{login:#?}");
    assert_eq!(scene.account("it is verified", |account| account["verified"] == true)["verified"], json!(true));
}

/// Alice's other client with a cross-signing identity, Bob sending only to verified sessions, and her recovery key.
fn verified_only(scene: &mut Scene) -> (Client, String) {
    let usual = Client::new(&SYNAPSE, &scene.alice);
    let recovery_key = usual.set_up_identity();
    scene.bob.set_up_identity();
    scene.bob.excludes_insecure_devices = true;
    (usual, recovery_key)
}

/// Waits for the emoji on the terminal; returns whether they match the other side's.
fn shows_same_emoji(terminal: &mut Terminal, sas: &Sas) {
    for emoji in sas.emoji().unwrap() {
        terminal.expect(&format!("{}  {}", emoji.symbol, emoji.description));
    }
    terminal.expect("Do they match? [y/N]");
}

#[test]
fn comparing_emoji_makes_the_session_a_verified_one() {
    let mut scene = Scene::new();
    let (usual, recovery_key) = verified_only(&mut scene);
    usual.set_up_backup(&recovery_key);
    scene.login(&[]);
    let unread = scene.bob.write(&scene.room, &scene.alice, "Before.");
    scene.line(&unread, "it is listed", |line| line["body"] == "Encrypted message");
    usual.sync();
    usual.back_up();
    let mut terminal = scene.terminal(&["verify"]);
    terminal.expect("Compare emoji with another session of yours that is at hand?");
    terminal.type_line("y");
    terminal.expect("accept in one of them");
    let request = usual.verification_request();
    let sas = usual.exchange_keys(&request);
    shows_same_emoji(&mut terminal, &sas);
    terminal.type_line("y");
    usual.confirm(&sas);
    terminal.expect("The session is verified");
    terminal.expect("Read the account's key backup too");
    // By now the crypto library also wants the keys of the identity.
    usual.sync();
    assert!(!usual.has_received("m.secret.request"));
    terminal.type_line("y");
    terminal.expect("is asked for the backup's key");
    wait_until("the backup's key is asked for", SOON, || usual.has_received("m.secret.request"));
    wait_until("it is given", SOON, || {
        usual.sync();
        terminal.screen().contains("The account's key backup is read")
    });
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    let account = scene.account("the backup is used", |account| account["key_backup"] == true);
    assert_eq!(account["verified"], true);
    assert_eq!(usual.secrets_asked_for(), ["m.megolm_backup.v1"]);
    scene.says(&unread, "Before.");
    let event = scene.bob.write(&scene.room, &scene.alice, "After.");
    scene.says(&event, "After.");
}

#[test]
fn emoji_that_differ_verify_nothing() {
    let mut scene = Scene::new();
    let (usual, _) = verified_only(&mut scene);
    scene.login(&[]);
    let mut terminal = scene.terminal(&["verify"]);
    terminal.expect("Compare emoji");
    terminal.type_line("y");
    let request = usual.verification_request();
    let sas = usual.exchange_keys(&request);
    shows_same_emoji(&mut terminal, &sas);
    terminal.type_line("n");
    terminal.expect("the emoji did not match");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
    wait_until("the other session knows", SOON, || {
        usual.sync();
        sas.is_cancelled()
    });
    scene.account("it is not verified", |account| account["verified"] == false);
}

#[test]
fn a_verification_that_is_refused_is_told() {
    let mut scene = Scene::new();
    let (usual, _) = verified_only(&mut scene);
    scene.login(&[]);
    let mut terminal = scene.terminal(&["verify"]);
    terminal.expect("Compare emoji");
    terminal.type_line("y");
    let request = usual.verification_request();
    usual.cancel(&request);
    terminal.expect("it was cancelled in the other session");
    assert_eq!(terminal.wait(SOON), Some(1), "{}", terminal.screen());
}

#[test]
fn a_request_of_another_session_is_told_and_answered() {
    let mut scene = Scene::new();
    let (usual, _) = verified_only(&mut scene);
    scene.login(&[]);
    scene.account("it is not verified", |account| account["verified"] == false);
    let _stays = scene.use_reply_service();
    let saver = FakeScreenSaver::start(&scene.desktop, false);
    saver.set_locked(true);
    // Nothing else triggers a check.
    let is_quiet = || {
        let syncs = scene.syncs();
        thread::sleep(Duration::from_secs(5));
        scene.syncs() == syncs
    };
    wait_until("it no longer syncs", 2 * SOON, is_quiet);
    let mark = scene.mark();
    let request = usual.request_verification(&scene.own_device());
    // It checks when the user is present.
    saver.set_locked(false);
    let popup = scene.popup(mark, "asks to verify Pushbell");
    assert!(popup.body.contains("pushbell verify"), "{popup:?}");
    let mut terminal = scene.terminal(&["verify"]);
    terminal.expect("asks to verify this one");
    let sas = usual.exchange_keys(&request);
    shows_same_emoji(&mut terminal, &sas);
    terminal.type_line("y");
    usual.confirm(&sas);
    terminal.expect("The session is verified");
    scene.account("it is verified", |account| account["verified"] == true);
    is_withdrawn(&scene, &popup);
}

#[test]
fn a_command_sees_a_request_that_nothing_else_has_found() {
    let mut scene = Scene::new();
    let (usual, _) = verified_only(&mut scene);
    scene.login(&[]);
    scene.account("it is not verified", |account| account["verified"] == false);
    let request = usual.request_verification(&scene.own_device());
    let mut terminal = scene.terminal(&["verify"]);
    terminal.expect("asks to verify this one");
    assert!(!terminal.screen().contains("Compare emoji"), "{}", terminal.screen());
    usual.cancel(&request);
    terminal.expect("it was cancelled in the other session");
}

#[test]
fn a_request_of_another_user_shows_nothing() {
    let mut scene = Scene::new();
    let (usual, _) = verified_only(&mut scene);
    scene.login(&[]);
    scene.account("it is not verified", |account| account["verified"] == false);
    let mark = scene.mark();
    scene.bob.request_verification_of_other(&usual, &scene.own_device());
    scene.bob.excludes_insecure_devices = false;
    let event = scene.bob.write(&scene.room, &scene.alice, "Look.");
    scene.says(&event, "Look.");
    let asks = |notify: &Notify| notify.summary.contains("Verification");
    never_within(Duration::from_secs(2), "it is told", || {
        scene.desktop.notifications().all_since(mark).iter().any(asks)
    });
}

#[test]
fn keys_come_from_the_backup_once_its_key_is_given() {
    let mut scene = Scene::new();
    let (usual, recovery_key) = verified_only(&mut scene);
    usual.set_up_backup(&recovery_key);
    scene.login(&[]);
    let event = scene.bob.write(&scene.room, &scene.alice, "Only for the usual client.");
    usual.sync();
    usual.back_up();
    std::fs::write(scene.file("key"), &recovery_key).unwrap();
    scene.line(&event, "it is listed", |line| line["body"] == "Encrypted message");
    // Verified only; it does not have the backup's key.
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key")]);
    let unused = scene.account("it is verified", |account| account["verified"] == true);
    assert_eq!(unused["key_backup"], Value::Null);
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key"), "--with-backup"]);
    scene.account("the backup is used", |account| account["key_backup"] == true);
    scene.says(&event, "Only for the usual client.");

    // A later message whose key is only in the backup.
    scene.bob.rotate(&scene.room);
    let content = json!({"msgtype": "m.text", "body": "Later."});
    let (ciphertext, keys) = scene.bob.encrypt(&scene.room, &scene.alice, "m.room.message", &content);
    scene.bob.deliver_to(&keys, &usual);
    usual.sync();
    usual.back_up();
    let mark = scene.mark();
    let later = scene.bob.user.send_event(&scene.room, "m.room.encrypted", &ciphertext);
    scene.says(&later, "Later.");
    scene.popup(mark, "Later.");

    // The backup is replaced. The previous message may still trigger a check and so notice it at once.
    let mark = scene.mark();
    usual.set_up_backup(&recovery_key);
    scene.bob.rotate(&scene.room);
    scene.bob.write(&scene.room, &scene.alice, "With the next.");
    scene.popup(mark, "The key backup was reset");
    scene.account("the backup is no longer used", |account| account["key_backup"] == false);
    assert!(scene.pushbell.command(&["doctor"]).stdout.contains("--with-backup"));
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key"), "--with-backup"]);
    scene.account("the backup is used", |account| account["key_backup"] == true);
}

#[test]
fn a_backup_that_nobody_trusted_has_signed_is_not_read() {
    let mut scene = Scene::new();
    let (usual, recovery_key) = verified_only(&mut scene);
    usual.set_up_backup(&recovery_key);
    // Replaced by one of the homeserver's own.
    Client::new(&SYNAPSE, &scene.alice.sign_in_again()).make_unsigned_backup();
    std::fs::write(scene.file("key"), &recovery_key).unwrap();
    scene.login(&[]);
    let refused = scene.pushbell.command(&["verify", "--recovery-key-file", &scene.file("key"), "--with-backup"]);
    assert_eq!(refused.code, 1, "{refused:#?}");
    assert!(refused.stderr.contains("not the one that this key opens"), "{refused:#?}");
    let account = scene.account("it is verified", |account| account["verified"] == true);
    assert_eq!(account["key_backup"], Value::Null);
}

#[test]
fn what_is_missing_for_an_unverified_session_is_told_once() {
    let mut scene = Scene::new();
    let _usual = verified_only(&mut scene);
    let mark = scene.mark();
    scene.login(&[]);
    let popup = scene.popup(mark, "Not all encrypted messages can be read");
    assert!(popup.body.contains("pushbell verify"), "{popup:?}");
    let doctor = scene.pushbell.command(&["doctor"]);
    assert!(doctor.stdout.contains("pushbell verify"), "{doctor:#?}");
    let status = scene.pushbell.command(&["status"]);
    assert!(status.stdout.contains("protects against nobody who can read the file"), "{status:#?}");
    let mark = scene.mark();
    scene.pushbell.restart();
    scene.account("it is not verified", |account| account["verified"] == false);
    let again = |notify: &Notify| notify.summary.contains("Not all encrypted");
    never_within(Duration::from_secs(1), "it is told again", || {
        scene.desktop.notifications().all_since(mark).iter().any(again)
    });
}

#[test]
fn a_new_session_of_the_account_is_told_once() {
    let scene = Scene::signed_in();
    let first = scene.bob.write(&scene.room, &scene.alice, "One.");
    scene.says(&first, "One.");
    scene.status_says("encrypted messages are read");
    let mark = scene.mark();
    let _new = Client::new(&SYNAPSE, &scene.alice.sign_in_as("Tablet"));
    scene.bob.rotate(&scene.room);
    let second = scene.bob.write(&scene.room, &scene.alice, "Two.");
    scene.says(&second, "Two.");
    let popup = scene.popup(mark, "New sign-in");
    assert!(popup.body.contains("Tablet"), "{popup:?}");
}

#[test]
fn a_reset_of_the_identity_is_told_and_mended() {
    let mut scene = Scene::new();
    let (_, recovery_key) = verified_only(&mut scene);
    std::fs::write(scene.file("key"), recovery_key).unwrap();
    scene.login(&["--recovery-key-file", &scene.file("key")]);
    scene.account("it is verified", |account| account["verified"] == true);
    let mark = scene.mark();
    let other = Client::new(&SYNAPSE, &scene.alice.sign_in_again());
    std::fs::write(scene.file("key"), other.set_up_identity()).unwrap();
    // Any encrypted event triggers a check.
    scene.bob.excludes_insecure_devices = false;
    scene.bob.rotate(&scene.room);
    scene.bob.write(&scene.room, &scene.alice, "Look.");
    scene.popup(mark, "is no longer verified");
    scene.status_says("no longer verified");
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key")]);
    scene.account("it is verified", |account| account["verified"] == true);
}

#[test]
fn a_session_deleted_elsewhere_names_the_command_to_sign_in() {
    let mut scene = Scene::signed_in();
    let device = scene.own_device();
    let auth = json!({"type": "m.login.password", "password": "secret",
        "identifier": {"type": "m.id.user", "user": scene.alice.id}});
    scene.alice.request(&Method::DELETE, &format!("devices/{device}"), &json!({"auth": auth}));
    scene.pushbell.restart();
    let account = scene.status_says("are not read: the homeserver has ended the session");
    assert!(account["signed_in"].as_str().unwrap().contains("pushbell login"), "{account}");
    scene.login(&[]);
    let event = scene.bob.write(&scene.room, &scene.alice, "Read again.");
    scene.says(&event, "Read again.");
}

#[test]
fn a_passphrase_verifies_as_a_recovery_key_does() {
    let mut scene = Scene::new();
    Client::new(&SYNAPSE, &scene.alice).set_up_identity_with(Some("correct horse"));
    scene.bob.set_up_identity();
    scene.bob.excludes_insecure_devices = true;
    scene.login(&[]);
    std::fs::write(scene.file("key"), "correct horse\n").unwrap();
    scene.pushbell.ok(&["verify", "--recovery-key-file", &scene.file("key")]);
    let event = scene.bob.write(&scene.room, &scene.alice, "After.");
    scene.says(&event, "After.");
}
