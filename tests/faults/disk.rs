//! The disk is full, or has become read-only. The app's data directory is a small disk of its own, in a mount
//! namespace that lives as long as the test.

use std::{fs, io::Write, path::PathBuf, process::Command};

use super::{
    database::{is_ill, is_put_off, recovers},
    load::{integrity, message, recorded},
};
use crate::{
    app::{App, DUNST},
    rig::{
        SOON,
        process::{Part, TempDir},
        pushbell::address,
        wait_until,
    },
};

/// A disk of 3 MB in place of the app's data directory, for whoever is [`Disk::inside`].
struct Disk {
    holder: Part,
    directory: PathBuf,
}

impl Disk {
    /// Takes over what is in the directory. Without being root, this needs a kernel that gives everybody namespaces.
    fn in_place_of_data_of(app: &App) -> Self {
        let directory = app.pushbell.data_directory();
        let script = r#"set -e
            mkdir "$1.disk"; mount -t tmpfs -o size=3m,mode=0700 disk "$1.disk"
            cp -a "$1/." "$1.disk"; mount --bind "$1.disk" "$1"
            echo ready; exec sleep infinity"#;
        let mut command = Command::new("unshare");
        if !rustix::process::getuid().is_root() {
            command.arg("--map-root-user");
        }
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(&directory);
        let logs = app.pushbell.home();
        let holder = Part::start("disk", command, app.pushbell.env(), &logs);
        wait_until("the disk is there", SOON, || holder.stdout().contains("ready"));
        Self { holder, directory }
    }

    /// What runs a program inside.
    fn inside(&self) -> Vec<String> {
        let mut command = vec!["nsenter".to_owned(), format!("--target={}", self.holder.pid()), "--mount".to_owned()];
        if !rustix::process::getuid().is_root() {
            command.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        command
    }

    fn run(&self, app: &mut App) {
        let inside = self.inside();
        app.pushbell.launch_under(&inside.iter().map(String::as_str).collect::<Vec<_>>(), &["run"]);
    }

    /// The path of a file on it, as seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(self.directory.strip_prefix("/").expect("it is absolute")).join(name)
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = fs::File::create(self.path("ballast")).expect("the disk can be written");
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// The events on it, and whether the database is sound; the app does not run. SQLite would take a path by way of
    /// `/proc` for one outside, so it reads a copy.
    fn recorded(&self) -> Vec<String> {
        let copy = TempDir::new();
        let database = copy.path().join("pushbell.db");
        fs::copy(self.path("pushbell.db"), &database).expect("the app has made it");
        assert!(!self.path("pushbell.db-wal").exists(), "the app has closed it");
        assert_eq!(integrity(&database), "ok");
        recorded(&database)
    }

    fn make_room(&self) {
        fs::remove_file(self.path("ballast")).expect("it is there");
    }

    fn remount(&self, how: &str) {
        let inside = self.inside();
        let status = Command::new(&inside[0])
            .args(&inside[1..])
            .args(["mount", "-o", &format!("remount,bind,{how}")])
            .arg(&self.directory)
            .status()
            .expect("nsenter starts");
        assert!(status.success(), "the disk is made {how}");
    }
}

#[test]
fn a_full_disk_puts_pushes_off_until_there_is_room() {
    let mut app = App::start(DUNST, "");
    app.pushbell.terminate();
    let disk = Disk::in_place_of_data_of(&app);
    disk.run(&mut app);
    wait_until("it is well", SOON, || app.pushbell.is_healthy());
    app.push(message("$before", "room"));
    app.shows(0, "text $before");
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    disk.fill();
    // What there is room for is taken still: closing and opening the database makes some.
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
    is_put_off(&app, "$put off");
    is_ill(&app, "full");
    app.pushbell.wait_for_status("it says what is wrong", |status| status["problems"].to_string().contains("full"));
    disk.make_room();
    recovers(&app, "$put off");
    app.pushbell.wait_for_status("nothing is wrong any more", |status| {
        !status["problems"].to_string().contains("full") && status["inbox"]["unshown"] == 0
    });

    // Also when it starts.
    app.pushbell.terminate();
    disk.fill();
    disk.run(&mut app);
    is_ill(&app, "full");
    is_put_off(&app, "$at start");
    disk.make_room();
    recovers(&app, "$at start");
    app.pushbell.terminate();
    let mut expected = vec!["$before".to_owned()];
    expected.extend(taken);
    expected.extend(["$put off".to_owned(), "$at start".to_owned()]);
    assert_eq!(disk.recorded(), expected);
}

#[test]
fn a_read_only_disk_puts_pushes_off_until_it_is_writable() {
    let mut app = App::start(DUNST, "");
    app.push(message("$before", "room"));
    app.shows(0, "text $before");
    app.pushbell.terminate();
    let disk = Disk::in_place_of_data_of(&app);
    disk.remount("ro");
    disk.run(&mut app);
    wait_until("it answers", SOON, || app.pushbell.health().is_ok());
    assert_eq!(app.pushbell.health().map(|answer| answer.status), Ok(503));
    is_put_off(&app, "$read-only");
    let problems = app
        .pushbell
        .wait_for_status("it says what is wrong", |status| status["problems"].to_string().contains("inbox"));
    assert!(problems["problems"].to_string().contains("pushbell.db"), "{problems}");
    disk.remount("rw");
    recovers(&app, "$read-only");
    app.shows(0, "text $before\ntext $read-only");
    app.pushbell.terminate();
    assert_eq!(disk.recorded(), ["$before", "$read-only"]);
}

#[test]
fn a_write_or_a_sync_that_fails_puts_pushes_off_until_they_succeed() {
    let mut app = App::start(DUNST, "");
    let mut expected = Vec::new();
    for (number, (call, error)) in
        [("pwrite64", "EROFS"), ("pwrite64", "ENOSPC"), ("fsync,fdatasync", "EIO")].into_iter().enumerate()
    {
        let before = format!("$before{number}");
        app.push(message(&before, "room"));
        // A tracer that has the calls fail, for as long as it is attached.
        let mut tracer = Command::new("strace");
        tracer.args(["-f", "-p", &app.pushbell.app().pid().to_string()]);
        tracer.arg("-e").arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:error={error}"));
        let mut tracer = Part::start(&format!("tracer{number}"), tracer, app.pushbell.env(), &app.pushbell.home());
        wait_until("the tracer is attached", SOON, || tracer.stderr().contains("attached"));
        let event = format!("$fails{number}");
        is_put_off(&app, &event);
        is_ill(&app, "full");
        is_put_off(&app, &event);
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
    is_put_off(&app, "$unsynced");
    tracer.signal(rustix::process::Signal::INT);
    tracer.wait(SOON);
    app.push(message("$unsynced", "room"));
    app.shows(0, "text $before\ntext $unsynced");
    app.pushbell.terminate();
    assert_eq!(recorded(&app.pushbell.database()), ["$before", "$unsynced"]);
}
