//! The database is locked, damaged or of another version.

use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use super::load::{integrity, message, recorded};
use crate::{
    app::{App, DUNST},
    rig::{SOON, never_within, pushbell::address, wait_until},
};

/// Checks that a push is answered with a retryable 503, and that nothing is rejected.
#[track_caller]
pub(crate) fn is_refused_for_now(app: &App, event: &str) {
    let answer = app.pushbell.post(address(&app.account, message(event, "room")).to_string());
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{answer:?}");
    assert_eq!(answer.json()["errcode"], "M_UNKNOWN");
    assert!(!answer.body.contains("rejected"), "{answer:?}");
}

/// Checks that the app itself reports that it cannot accept pushes, and why.
#[track_caller]
pub(crate) fn is_unhealthy(app: &App, why: &str) {
    wait_until(&format!("/health says {why:?}"), SOON, || {
        app.pushbell.health().is_ok_and(|answer| answer.status == 503 && answer.body.contains(why))
    });
}

/// Checks that it has recovered by itself, and accepts what it refused before.
#[track_caller]
pub(crate) fn recovers(app: &App, event: &str) {
    wait_until("it is well again", SOON, || app.pushbell.is_healthy());
    app.push(message(event, "room"));
}

#[test]
fn a_locked_database_defers_pushes_until_it_is_free() {
    let mut app = App::start(DUNST, "");
    app.push(message("$before", "room"));
    let locked = |app: &App| {
        let other = Connection::open(app.pushbell.database()).expect("the database is there");
        wait_until("it can be locked", SOON, || other.execute_batch("BEGIN IMMEDIATE").is_ok());
        other
    };
    let other = locked(&app);
    is_refused_for_now(&app, "$locked");
    is_unhealthy(&app, "locked");
    drop(other);
    recovers(&app, "$locked");

    // Also at the start.
    app.pushbell.terminate();
    let other = locked(&app);
    other.execute_batch("COMMIT; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("nobody else has it");
    app.pushbell.launch(&["run"]);
    is_unhealthy(&app, "locked");
    is_refused_for_now(&app, "$at start");
    drop(other);
    recovers(&app, "$at start");
    app.shows(0, "text $before\ntext $locked\ntext $at start");
    assert_eq!(recorded(&app.pushbell.database()), ["$before", "$locked", "$at start"]);
}

#[test]
fn a_pause_is_kept_though_the_database_was_locked_at_the_start() {
    let mut app = App::start(DUNST, "");
    app.pushbell.ok(&["pause", "2h"]);
    app.pushbell.terminate();
    let other = Connection::open(app.pushbell.database()).expect("the database is there");
    other.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE").expect("nobody else has it");
    app.pushbell.launch(&["run"]);
    is_unhealthy(&app, "locked");
    drop(other);
    recovers(&app, "$paused");
    app.pushbell.wait_for_status("it is paused", |status| status["paused_until"].is_string());
    let is_shown = || app.notifications().all().iter().any(|popup| popup.body.contains("$paused"));
    never_within(crate::app::MOMENT, "it is shown", is_shown);
    app.pushbell.ok(&["resume"]);
    app.shows(0, "text $paused");
}

/// The files that were set aside.
fn set_aside(app: &App) -> Vec<PathBuf> {
    let entries = fs::read_dir(app.pushbell.data_directory()).expect("it is there");
    let paths = entries.map(|entry| entry.expect("it is readable").path());
    paths.filter(|path| path.display().to_string().contains("pushbell.db.damaged-")).collect()
}

/// Overwrites the first page, or all pages but the first, with garbage.
fn damage(database: &Path, first: bool) {
    let file = fs::File::options().write(true).open(database).expect("it is ours");
    let length = file.metadata().expect("it is open").size();
    let (from, to) = if first { (0, 4096) } else { (4096, length) };
    let garbage: Vec<u8> = (from..to).map(|at| u8::try_from(at * 7 % 251).expect("it is small")).collect();
    file.write_all_at(&garbage, from).expect("it is writable");
}

#[test]
fn a_damaged_database_is_set_aside_reported_and_replaced() {
    for (first, is_running) in [(false, true), (false, false), (true, false)] {
        let mut app = App::start(DUNST, "");
        let database = app.pushbell.database();
        let old: Vec<_> = (0..200).map(|number| format!("$old{number}")).collect();
        for event in &old {
            app.push(message(event, "room"));
        }
        if is_running {
            app.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
            let other = Connection::open(&database).expect("it is there");
            other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("nobody reads");
            damage(&database, first);
            // Forces the app to read it again.
            other.pragma_update(None, "application_id", 1).expect("the first page is whole");
        } else {
            app.pushbell.terminate();
            damage(&database, first);
            app.pushbell.launch(&["run"]);
        }
        let mut answers = Vec::new();
        wait_until("a push is taken again", SOON, || {
            let Ok(answer) = crate::rig::http::request(
                app.pushbell.port,
                &hyper::Method::POST,
                crate::rig::pushbell::PATH,
                None,
                address(&app.account, message("$new", "other room")).to_string(),
            ) else {
                return false;
            };
            answers.push((answer.status, answer.body));
            answers.last().is_some_and(|(status, _)| *status == 200)
        });
        let (last, put_off) = answers.split_last().expect("there was an answer");
        assert_eq!(last.1, r#"{"rejected":[]}"#);
        assert!(put_off.iter().all(|(status, body)| *status == 503 && !body.contains("rejected")), "{answers:?}");

        // The user is told: popup, status and log.
        let told = app.titled(0, "The inbox was damaged");
        let kept = set_aside(&app);
        let kept = kept.iter().find(|path| !path.display().to_string().ends_with("-wal")).expect("it is kept aside");
        let name = kept.file_name().expect("it has a name").to_str().expect("it is UTF-8");
        assert!(told.body.contains(name), "{}", told.body);
        let problems = app.pushbell.status()["problems"].to_string();
        assert!(problems.contains(name), "{problems}");
        assert!(app.pushbell.log().contains(name));
        assert_eq!(kept.metadata().expect("it is there").mode() & 0o777, 0o600);

        app.shows(0, "text $new");
        assert_eq!(recorded(&database), ["$new"]);
        assert_eq!(integrity(&database), "ok");
        // Nothing more is set aside, and a restart uses the new database.
        app.pushbell.restart();
        assert_eq!(app.pushbell.history().len(), 1);
        assert_eq!(set_aside(&app).iter().filter(|path| !path.display().to_string().ends_with("-wal")).count(), 1);
    }
}

#[test]
fn a_newer_database_is_refused_and_not_harmed() {
    let mut app = App::start(DUNST, "");
    app.push(message("$1", "room"));
    app.pushbell.terminate();
    let database = app.pushbell.database();
    let db = Connection::open(&database).expect("it is there");
    db.pragma_update(None, "user_version", 99).expect("it is writable");
    db.close().expect("nothing is in use");
    let before = fs::read(&database).expect("it is there");
    app.pushbell.launch(&["run"]);
    assert_eq!(app.pushbell.app().wait(SOON).code(), Some(1));
    let said = app.pushbell.app().stderr();
    assert!(said.contains("version 99") && said.contains("newer Pushbell"), "{said}");
    assert_eq!(fs::read(&database).expect("it is there"), before);
    assert!(set_aside(&app).is_empty());
}

#[test]
fn history_is_pruned_while_the_app_serves() {
    let app = App::start(DUNST, "");
    for number in 0..20 {
        app.push(message(&format!("${number}"), "room"));
    }
    app.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    app.pushbell.ok(&["clear"]);
    let month = 31 * 24 * 60 * 60 * 1000_i64;
    let other = Connection::open(app.pushbell.database()).expect("it is there");
    other.busy_timeout(SOON).expect("it is open");
    other.execute("UPDATE notice SET received_at = received_at - ?1 WHERE id <= 15", [month]).expect("it is writable");
    // A configuration change prunes at once.
    app.pushbell.configure("[history]\nkeep_days = 29");
    wait_until("old notices are listed no more", SOON, || app.pushbell.history().len() == 5);
    app.push(message("$15", "room"));
    assert_eq!(recorded(&app.pushbell.database()).len(), 20, "their retries are known for longer");
    never_within(crate::app::MOMENT, "it is not healthy", || !app.pushbell.is_healthy());
}
