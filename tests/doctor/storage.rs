//! Configuration, accounts, database and disk.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
};

use crate::{
    report::Report,
    rig::{Desktop, DesktopOptions, Notifier, Pushbell, pushbell::message, small_disk::SmallDisk},
};

const DUNST: DesktopOptions = DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE };

#[test]
fn each_file_that_is_not_as_it_should_be_is_named() {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    pushbell.notify(&account, message("1", "room", "text"));

    // A running app that keeps the old configuration says so, too; it is reported once.
    pushbell.write_config("[popup]\npreveiw = \"always\"\n");
    pushbell.wait_for_status("it has seen the file", |status| status["problems"] != serde_json::json!([]));
    let report = Report::of(&pushbell);
    report.faults(&["config"]);
    report.has("fault", "config", &["pushbell.toml:2: popup.preveiw", "popup.preview", "check-config"]);
    pushbell.terminate();
    Report::of(&pushbell).faults(&["config"]);
    pushbell.write_config("[server]\npublic_url = \"https://example.org/bell\"\n");
    let report = Report::of(&pushbell);
    report.faults(&["config"]);
    report.has("fault", "config", &["server.public_url", "without a path"]);
    assert_eq!(report.code, 1);
    pushbell.configure("");

    let accounts = pushbell.data_directory().join("accounts.toml");
    let text = fs::read_to_string(&accounts).unwrap();
    fs::write(&accounts, "[[account]]\nname = 7\n").unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["accounts"]);
    report.has("fault", "accounts", &["accounts.toml:"]);
    fs::remove_file(&accounts).unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["accounts"]);
    report.has("fault", "accounts", &["is gone", "backup"]);
    fs::write(&accounts, &text).unwrap();
    Report::of(&pushbell).faults(&[]);

    // The second page and all after it.
    let mut database = File::options().write(true).open(pushbell.database()).unwrap();
    database.seek(SeekFrom::Start(4096)).unwrap();
    let length = database.metadata().unwrap().len();
    database.write_all(&vec![0xa5; usize::try_from(length).unwrap() - 4096]).unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["database"]);
    report.has("fault", "database", &["damaged", "puts the file aside"]);
}

#[test]
fn a_disk_that_is_full_or_read_only_is_named() {
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::start(&desktop, "");
    pushbell.terminate();
    let disk = SmallDisk::in_place_of_data_of(&pushbell);
    let inside = disk.inside();
    let inside: Vec<&str> = inside.iter().map(String::as_str).collect();

    Report::under(&inside, &pushbell).has("warning", "disk", &["MB are left"]);
    disk.fill();
    let report = Report::under(&inside, &pushbell);
    report.faults(&["disk"]);
    report.has("fault", "disk", &["full disk", "Make room"]);
    disk.make_room();

    disk.remount("ro");
    let report = Report::under(&inside, &pushbell);
    report.faults(&["database", "disk"]);
    report.has("fault", "database", &["cannot be written", "Read-only"]);
    report.has("fault", "disk", &["read-only"]);
}
