//! Files that are removed, moved, replaced or cut while the program uses them.
#![cfg(unix)]

use std::fs;

use rusqlite::Connection;

use super::*;

/// The database's files.
fn files(desk: &Desk) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| database::with_suffix(&desk.path(), suffix))
}

/// An inbox with some notices, part of which are in the log only.
async fn filled() -> Desk {
    let desk = Desk::new();
    for number in 0..50 {
        desk.record(message(&format!("$before{number}"), "!r")).await;
    }
    checkpoint(&desk);
    desk.record(message("$log", "!r")).await;
    desk
}

fn checkpoint(desk: &Desk) {
    let other = Connection::open(desk.path()).unwrap();
    other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn cut(path: &Path, bytes: u64) {
    fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// A good database of another time.
fn backup(desk: &Desk) -> PathBuf {
    let path = desk.directory.path().join("backup.db");
    let inbox = Inbox::open(&path, SETTINGS).unwrap();
    futures_lite::future::block_on(async {
        inbox.record(message("$backup", "!r").delivery()).await.unwrap();
        inbox.close().await;
    });
    path
}

#[tokio::test]
async fn pushes_answered_after_a_change_of_the_files_are_kept() {
    type Tamper = fn(&Desk);
    let ways: [(&str, Tamper); 12] = [
        ("all removed", |desk| files(desk).iter().for_each(|file| fs::remove_file(file).unwrap())),
        ("database removed", |desk| fs::remove_file(desk.path()).unwrap()),
        ("log removed", |desk| fs::remove_file(&files(desk)[1]).unwrap()),
        ("directory removed", |desk| fs::remove_dir_all(desk.path().parent().unwrap()).unwrap()),
        ("moved", |desk| fs::rename(desk.path(), desk.directory.path().join("elsewhere")).unwrap()),
        ("directory moved", |desk| {
            fs::rename(desk.path().parent().unwrap(), desk.directory.path().join("elsewhere")).unwrap();
        }),
        ("replaced", |desk| fs::rename(backup(desk), desk.path()).unwrap()),
        ("overwritten", |desk| {
            fs::copy(backup(desk), desk.path()).unwrap();
        }),
        ("emptied", |desk| cut(&desk.path(), 0)),
        ("cut", |desk| cut(&desk.path(), 8192)),
        ("log emptied", |desk| cut(&files(desk)[1], 0)),
        ("log cut", |desk| cut(&files(desk)[1], 5000)),
    ];
    for (way, tamper) in ways {
        let desk = filled().await;
        tamper(&desk);
        for number in 0..5 {
            let push = message(&format!("$after{number}"), "!r");
            // The first may have to come again, as homeservers have it.
            if let Err(error) = desk.inbox.record(push.clone().delivery()).await {
                assert_eq!(number, 0, "{way}: {error}");
                desk.record(push).await;
            }
        }
        let incident = desk.incident().await;
        assert!(incident.is_some(), "{way} is told; {:?}", desk.listed());
        assert_eq!(desk.incident().await, None, "{way} is told once");
        assert!(desk.notice("$after0").id > NoticeId(51), "{way}: numbers go on");
        let path = desk.path();
        let directory = desk.close().await;
        let after: Vec<_> = history(&path, 5, &Seals::default(), |_| true)
            .unwrap()
            .into_iter()
            .filter_map(|notice| notice.event_id)
            .collect();
        assert_eq!(after, ["$after4", "$after3", "$after2", "$after1", "$after0"], "{way}");
        drop(directory);
    }
}

#[tokio::test]
async fn files_removed_during_a_commit_are_noticed_before_the_answer() {
    for file in 0..2 {
        let desk = filled().await;
        let gone = files(&desk)[file].clone();
        let recorded = desk
            .inbox
            .ask(move |worker| {
                worker.write(|write| {
                    transaction::set_setting(write.db, "test", Some("written"))?;
                    fs::remove_file(gone).unwrap();
                    Ok(())
                })
            })
            .await;
        let error = recorded.unwrap_err();
        assert!(error.to_string().contains("removed or replaced"), "{error}");
        desk.inbox.check().await.unwrap();
        desk.record(message("$after", "!r")).await;
        assert!(desk.listed().contains(&"$after".to_owned()));
    }
}

#[tokio::test]
async fn other_programs_that_only_look_or_checkpoint_change_nothing() {
    let desk = filled().await;
    for number in 0..3 {
        checkpoint(&desk);
        assert_eq!(desk.listed().len(), 51 + number);
        check_integrity(&desk.path(), std::time::Duration::from_secs(20)).unwrap();
        desk.record(message(&format!("${number}"), "!r")).await;
    }
    assert_eq!(desk.incident().await, None);
    assert_eq!(desk.unread("a").await, 54);
}
