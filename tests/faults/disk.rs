//! The disk is full, has become read-only, or fails.

use std::process::Command;

use super::{
    database::{is_refused_for_now, is_unhealthy, recovers},
    load::{integrity, message, recorded},
};
use crate::{
    app::{App, DUNST},
    rig::{SOON, process::Part, pushbell::address, small_disk::SmallDisk, wait_until},
};

/// Runs the app with its data on this disk.
fn run_on(disk: &SmallDisk, app: &mut App) {
    let inside = disk.inside();
    app.pushbell.launch_under(&inside.iter().map(String::as_str).collect::<Vec<_>>(), &["run"]);
}

/// The events in the database on the disk, which must be intact; the app must not be running.
fn recorded_on(disk: &SmallDisk) -> Vec<String> {
    let (_directory, database) = disk.copy_of_database();
    assert_eq!(integrity(&database), "ok");
    recorded(&database)
}

#[test]
fn a_full_disk_puts_pushes_off_until_there_is_room() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    let disk = SmallDisk::in_place_of_data_of(&app.pushbell);
    run_on(&disk, &mut app);
    wait_until("it is well", SOON, || app.pushbell.is_healthy());
    app.push(message("$before", "room"));
    app.shows(0, "text $before");
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    disk.fill();
    // Pushes that fit are still accepted: closing and reopening the database frees some space.
    let (mut taken, mut refused, mut number) = (Vec::new(), 0, 0);
    while refused < 20 {
        let event = format!("$full{number}");
        let (status, answer) = app.pushbell.push(&address(&app.account, message(&event, "room")));
        match status {
            200 => {
                taken.push(event);
                number += 1;
                refused = 0;
                assert!(number < 5000, "the disk is full");
            }
            status => {
                assert_eq!((status, answer.get("rejected")), (503, None));
                refused += 1;
            }
        }
    }
    is_refused_for_now(&app, "$put off");
    is_unhealthy(&app, "full");
    app.pushbell.wait_for_status("it says what is wrong", |status| status["problems"].to_string().contains("full"));
    disk.make_room();
    recovers(&app, "$put off");
    app.pushbell.wait_for_status("nothing is wrong any more", |status| {
        !status["problems"].to_string().contains("full") && status["inbox"]["unshown"] == 0
    });

    // Also at the start.
    app.pushbell.terminate();
    disk.fill();
    run_on(&disk, &mut app);
    is_unhealthy(&app, "full");
    is_refused_for_now(&app, "$at start");
    disk.make_room();
    recovers(&app, "$at start");
    app.pushbell.terminate();
    let mut expected = vec!["$before".to_owned()];
    expected.extend(taken);
    expected.extend(["$put off".to_owned(), "$at start".to_owned()]);
    assert_eq!(recorded_on(&disk), expected);
}

#[test]
fn a_read_only_disk_puts_pushes_off_until_it_is_writable() {
    let mut app = App::start(DUNST, "");
    app.push(message("$before", "room"));
    app.shows(0, "text $before");
    app.pushbell.terminate();
    let disk = SmallDisk::in_place_of_data_of(&app.pushbell);
    disk.remount("ro");
    run_on(&disk, &mut app);
    wait_until("it answers", SOON, || app.pushbell.health().is_ok());
    assert_eq!(app.pushbell.health().map(|answer| answer.status), Ok(503));
    is_refused_for_now(&app, "$read-only");
    let problems = app
        .pushbell
        .wait_for_status("it says what is wrong", |status| status["problems"].to_string().contains("inbox"));
    assert!(problems["problems"].to_string().contains("pushbell.db"), "{problems}");
    disk.remount("rw");
    recovers(&app, "$read-only");
    app.shows(0, "text $before\ntext $read-only");
    app.pushbell.terminate();
    assert_eq!(recorded_on(&disk), ["$before", "$read-only"]);
}

#[test]
fn a_failing_write_or_sync_defers_pushes_until_it_succeeds() {
    let mut app = App::start(DUNST, "");
    let mut expected = Vec::new();
    for (number, (call, error)) in
        [("pwrite64", "EROFS"), ("pwrite64", "ENOSPC"), ("fsync,fdatasync", "EIO")].into_iter().enumerate()
    {
        let before = format!("$before{number}");
        app.push(message(&before, "room"));
        // strace makes the system calls fail for as long as it is attached.
        let mut tracer = Command::new("strace");
        tracer.args(["-f", "-p", &app.pushbell.app().pid().to_string()]);
        tracer.arg("-e").arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:error={error}"));
        let mut tracer = Part::start(&format!("tracer{number}"), tracer, app.pushbell.env(), &app.pushbell.home());
        wait_until("the tracer is attached", SOON, || tracer.stderr().contains("attached"));
        let event = format!("$fails{number}");
        is_refused_for_now(&app, &event);
        is_unhealthy(&app, "full");
        is_refused_for_now(&app, &event);
        tracer.signal(rustix::process::Signal::INT);
        tracer.wait(SOON);
        recovers(&app, &event);
        expected.extend([before, event]);
    }
    app.pushbell.wait_for_status("nothing is wrong any more", |status| {
        status["problems"] == serde_json::json!([]) && status["inbox"]["unshown"] == 0
    });
    app.pushbell.terminate();
    assert_eq!(recorded(&app.pushbell.database()), expected);
    assert_eq!(integrity(&app.pushbell.database()), "ok");
}

#[test]
fn what_could_not_be_synced_is_shown_when_its_retry_comes() {
    let mut app = App::start(DUNST, "");
    app.push(message("$before", "room"));
    app.shows(0, "text $before");
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    let mut tracer = Command::new("strace");
    tracer.args(["-f", "-p", &app.pushbell.app().pid().to_string()]);
    tracer.args(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]);
    let mut tracer = Part::start("tracer", tracer, app.pushbell.env(), &app.pushbell.home());
    wait_until("the tracer is attached", SOON, || tracer.stderr().contains("attached"));
    is_refused_for_now(&app, "$unsynced");
    tracer.signal(rustix::process::Signal::INT);
    tracer.wait(SOON);
    app.push(message("$unsynced", "room"));
    app.shows(0, "text $before\ntext $unsynced");
    app.pushbell.terminate();
    assert_eq!(recorded(&app.pushbell.database()), ["$before", "$unsynced"]);
}
