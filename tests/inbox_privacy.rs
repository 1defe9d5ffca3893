//! The inbox's files are for the person alone.

#![cfg(unix)]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use pushbell::inbox::{Inbox, Retention};

#[tokio::test]
async fn the_inbox_and_what_is_beside_it_are_private() {
    let home = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let data = home.path().join("share/pushbell");
    let path = data.join("pushbell.db");
    let inbox = Inbox::open(&path, Retention { keep_days: 30, keep_bodies: true }, Arc::default()).unwrap();
    inbox.set_setting("test", Some("written".to_owned())).await.unwrap();
    assert_eq!((mode(&home.path().join("share")), mode(&data)), (0o700, 0o700));
    for name in ["pushbell.db", "pushbell.db-shm", "pushbell.db-wal"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}
