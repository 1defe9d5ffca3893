//! Pushes for unknown pushkeys.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::json;

use crate::{rig::wait_until, stage::Stage};

/// Every file below the directory: size and modification time.
fn files(directory: &Path) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(data) = entry.metadata() {
            found.insert(path, (data.len(), data.modified().unwrap()));
        }
    }
    found
}

#[test]
fn a_flood_of_wrong_pushkeys_writes_one_log_line_only() {
    let stage = Stage::set("[log]\nlevel = \"info\"\n");
    stage.serves("before");
    stage.app.wait_for_status("the popup is recorded", |status| status["inbox"]["unshown"] == 0);
    let data = stage.app.data_directory();
    // The popup's record may still be in transit from the write-ahead log to the database.
    let mut before = files(&data);
    wait_until("the files are at rest", crate::rig::SOON, || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        let now = files(&data);
        std::mem::replace(&mut before, now.clone()) == now
    });

    for number in 0..500 {
        let pushkey = format!("wrong-{number}");
        let device = json!({"app_id": stage.account.app_id, "pushkey": pushkey});
        let body = json!({"notification": {"event_id": "$x", "room_id": "!x", "devices": [device]}});
        assert_eq!(stage.app.push(&body), (200, json!({"rejected": [pushkey]})));
    }
    let almost = format!("{}x", &stage.account.pushkey[..stage.account.pushkey.len() - 1]);
    let device = json!({"app_id": stage.account.app_id, "pushkey": almost});
    assert_eq!(stage.app.push(&json!({"notification": {"devices": [device]}})).1, json!({"rejected": [almost]}));

    assert_eq!(files(&data), before, "nothing was written");
    let log = stage.app.log();
    let told = log.lines().filter(|line| line.contains("pushkey")).collect::<Vec<_>>();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(!log.contains("wrong-"), "{log}");
    stage.serves("afterwards");
}
