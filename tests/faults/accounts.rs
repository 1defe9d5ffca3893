//! `accounts.toml` is missing, unreadable or damaged: a pushkey that may be known is never rejected.

use std::{
    fs::{self, File},
    io::Write,
    process::Command,
};

use serde_json::{Value, json};

use super::load::message;
use crate::{
    app::{App, DUNST},
    rig::{
        DesktopOptions, SOON, http,
        pushbell::{Account, address},
        wait_until,
    },
};

/// The body of a push for an unknown pushkey.
fn for_unknown_pushkey(app: &App) -> Value {
    let stranger = Account { pushkey: "nobody's".to_owned(), ..app.account.clone() };
    address(&stranger, message("$stranger", "room"))
}

#[test]
fn accounts_that_cannot_be_read_reject_nobody() {
    let mut app = App::start(DUNST, "");
    let path = app.pushbell.data_directory().join("accounts.toml");
    let good = fs::read_to_string(&path).expect("the accounts are there");
    let known = address(&app.account, message("$known", "room"));
    let rejected = json!({"rejected": ["nobody's"]});
    assert_eq!(app.pushbell.push(&for_unknown_pushkey(&app)), (200, rejected.clone()));

    for is_running in [true, false] {
        for (fault, text) in [("missing", None), ("damaged", Some("[[account]\nname = 1")), ("empty", Some(""))] {
            if !is_running {
                app.pushbell.terminate();
            }
            let mark = app.mark();
            match text {
                Some(text) => fs::write(&path, text).expect("it is ours"),
                None => fs::remove_file(&path).expect("it is ours"),
            }
            if !is_running {
                app.pushbell.launch(&["run"]);
            }
            wait_until(&format!("it says that the accounts are {fault}"), crate::rig::SOON, || {
                app.pushbell.health().is_ok_and(|answer| answer.status == 503 && answer.body.contains("accounts"))
            });
            let answer = app.pushbell.post(for_unknown_pushkey(&app).to_string());
            assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{fault}");
            let answer = app.pushbell.post(known.to_string());
            // Known pushkeys remain known while the app runs; after a restart nobody can tell which are known.
            assert_eq!(answer.status, if is_running { 200 } else { 503 }, "{fault}: {answer:?}");
            assert!(!answer.body.contains(&app.account.pushkey), "{answer:?}");
            let problems = app.pushbell.status()["problems"].to_string();
            assert!(problems.contains("accounts.toml"), "{fault}: {problems}");
            assert!(app.titled(mark, "The accounts cannot be read").body.contains("accounts.toml"), "{fault}");
            assert_eq!(path.exists(), text.is_some(), "nothing is made in its place");

            fs::write(&path, &good).expect("it is ours");
            wait_until("the accounts are read again", crate::rig::SOON, || app.pushbell.is_healthy());
            assert_eq!(app.pushbell.push(&known), (200, json!({"rejected": []})), "{fault}");
            assert_eq!(app.pushbell.push(&for_unknown_pushkey(&app)), (200, rejected.clone()));
        }
    }
}

#[test]
fn what_changes_while_it_starts_is_taken_up() {
    let mut app = App::start(DesktopOptions::BARE, "");
    app.pushbell.ok(&["account", "add", "added"]);
    let added = app.pushbell.account_named("added");
    app.pushbell.terminate();
    let path = app.pushbell.data_directory().join("accounts.toml");
    let with_added = path.with_extension("new");
    fs::copy(&path, &with_added).expect("it is ours");
    app.pushbell.ok(&["account", "remove", "added"]);
    let without = fs::read_to_string(&path).expect("the accounts are there");
    // A FIFO shows when the accounts are read, and blocks the start until then.
    fs::remove_file(&path).expect("it is ours");
    assert!(Command::new("mkfifo").arg(&path).status().expect("it is installed").success());

    app.pushbell.launch(&["run"]);
    let mut pipe = File::options().write(true).open(&path).expect("the app reads it");
    fs::rename(&with_added, &path).expect("it is ours");
    let old = app.pushbell.port;
    let new = http::free_port();
    app.pushbell.configure(&format!("[server]\nlisten = [\"127.0.0.1:{old}\", \"127.0.0.1:{new}\"]\n"));
    pipe.write_all(without.as_bytes()).expect("the app reads it");
    drop(pipe);

    app.pushbell.wait_for_status("the account is known", |status| status["accounts"].to_string().contains("added"));
    app.pushbell.notify(&added, message("$added", "room"));
    app.pushbell.port = new;
    wait_until("the new address is listened on", SOON, || app.pushbell.is_healthy());
}

#[test]
fn a_flipped_bit_in_a_pushkey_rejects_nobody_until_accepted() {
    let mut app = App::start(DUNST, "");
    app.pushbell.ok(&["account", "add", "other"]);
    let other = app.pushbell.account_named("other");
    let path = app.pushbell.data_directory().join("accounts.toml");
    let good = fs::read_to_string(&path).expect("the accounts are there");
    let mut bits = app.account.pushkey.clone().into_bytes();
    bits[3] ^= 1;
    let flipped = String::from_utf8(bits).expect("base64 and its neighbours are ASCII");
    for is_running in [true, false] {
        if !is_running {
            app.pushbell.terminate();
        }
        fs::write(&path, good.replace(&app.account.pushkey, &flipped)).expect("it is ours");
        if !is_running {
            app.pushbell.launch(&["run"]);
        }
        let known = address(&app.account, message(&format!("$known {is_running}"), "room"));
        wait_until("what the file lacks is put off", SOON, || {
            app.pushbell.health().is_ok_and(|answer| answer.status == 503) && app.pushbell.push(&known).0 == 503
        });
        app.pushbell.notify(&other, message(&format!("$other {is_running}"), "room"));
        assert_eq!(app.pushbell.push(&for_unknown_pushkey(&app)).0, 503);
        let problems = app.pushbell.status()["problems"].to_string();
        assert!(problems.contains("accounts.toml") && problems.contains("--accept"), "{problems}");
        let doctor = app.pushbell.command(&["doctor"]);
        assert!(doctor.code == 1 && doctor.stdout.contains("account list --accept"), "{doctor:#?}");

        // Any command that writes accounts accepts the current file, and so does `account list --accept`.
        if is_running {
            app.pushbell.ok(&["account", "list", "--accept"]);
        } else {
            app.pushbell.ok(&["account", "add", "third"]);
        }
        assert_eq!(app.pushbell.push(&known), (200, json!({"rejected": [app.account.pushkey]})));
        app.pushbell.wait_for_status("all is well", |status| status["problems"] == json!([]));
        fs::write(&path, &good).expect("it is ours");
        wait_until("the accounts are read again", SOON, || app.pushbell.push(&known) == (200, json!({"rejected": []})));
    }
}

#[test]
fn an_empty_data_directory_beside_old_config_is_no_first_start() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    fs::remove_dir_all(app.pushbell.data_directory()).expect("it is ours");
    app.pushbell.launch(&["run"]);
    wait_until("it says that the accounts are gone", SOON, || {
        app.pushbell.health().is_ok_and(|answer| answer.status == 503 && answer.body.contains("accounts"))
    });
    let known = address(&app.account, message("$known", "room"));
    assert_eq!(app.pushbell.push(&known).0, 503);
    assert_eq!(app.pushbell.status()["accounts"], json!([]));
    app.pushbell.ok(&["account", "add", "home", "--pushkey", &app.account.pushkey]);
    assert_eq!(app.pushbell.push(&known), (200, json!({"rejected": []})));
}

#[test]
fn a_killed_account_add_leaves_no_copy_of_the_pushkeys() {
    let mut app = App::start(DesktopOptions::BARE, "");
    for name in ["second", "third", "fourth", "fifth"] {
        app.pushbell.ok(&["account", "add", name]);
    }
    app.pushbell.terminate();
    let (directory, pushkey) = (app.pushbell.data_directory(), app.account.pushkey.clone());
    let copies = || {
        let files = fs::read_dir(&directory).expect("it is there").flatten();
        let has_pushkey = |text: &[u8]| text.windows(20).any(|part| part == &pushkey.as_bytes()[..20]);
        files.filter(|file| fs::read(file.path()).is_ok_and(|text| has_pushkey(&text))).count()
    };
    assert_eq!(copies(), 1);
    // The system kills a process that writes more than 1 KiB into a file.
    let limited = ["/bin/sh", "-c", r#"ulimit -f 2; exec "$0" "$@""#];
    let killed = app.pushbell.command_under(&limited, &["account", "add", "sixth"]);
    assert_eq!((killed.code, copies()), (-1, 2), "{killed:#?}");
    app.pushbell.run();
    assert_eq!(copies(), 1);
}
