//! What happens when the file is not as it should be, and how commits are shared.

use rusqlite::Connection;

use super::*;

/// How many commits the log holds: frames that end one name the size of the database (SQLite's WAL format).
fn commits(desk: &Desk) -> usize {
    const HEADER: usize = 32;
    const FRAME: usize = 24 + 4096;
    let log = std::fs::read(desk.path().with_extension("db-wal")).unwrap_or_default();
    log.get(HEADER..).unwrap_or_default().chunks_exact(FRAME).filter(|frame| frame[4..8] != [0; 4]).count()
}

fn refused(error: &InboxError) -> bool {
    matches!(error, InboxError::Unusable { .. })
}

#[tokio::test]
async fn pushes_that_wait_share_a_commit() {
    let desk = Desk::new();
    let before = commits(&desk);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let inbox = desk.inbox.clone();
            tokio::spawn(async move { inbox.record(message(&format!("${number}"), "!r").delivery()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let commits = commits(&desk) - before;
    assert!((1..=40).contains(&commits), "{commits} commits for 200 pushes");
    assert_eq!(desk.unread("a").await, 200);
}

#[tokio::test]
async fn one_bad_push_fails_alone() {
    let desk = Desk::new();
    desk.record(message("$0", "!r")).await;
    Connection::open(desk.path())
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON notice WHEN NEW.event_id = '$bad'
            BEGIN SELECT RAISE(ABORT, 'no room for this one'); END",
        )
        .unwrap();
    let mut both = message("$bad", "!r");
    both.recipients.insert(0, recipient("b"));
    let mut outcomes = Vec::new();
    let record = async |push: Push| desk.inbox.record(push.delivery()).await;
    let all = tokio::join!(
        biased;
        record(message("$1", "!r").counting(unread(1))),
        record(both.counting(unread(0))),
        record(message("$2", "!r")),
        record(message("$3", "!r").counting(unread(3))),
    );
    outcomes.extend([all.0, all.1, all.2, all.3]);
    let error = outcomes[1].clone().unwrap_err();
    assert!(error.to_string().contains("no room for this one"), "{error}");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    assert_eq!(desk.history().len(), 4);
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.waiting_notices, 4, "nothing of the bad one is left");
    assert_eq!(desk.numbers().await, BTreeMap::from([("a".to_owned(), (3, 0))]));
}

#[tokio::test]
async fn after_a_failure_the_next_request_tries_again() {
    let desk = Desk::new();
    let other = Connection::open(desk.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(refused(&desk.inbox.record(message("$1", "!r").delivery()).await.unwrap_err()));
    assert!(refused(&desk.inbox.check().await.unwrap_err()));
    assert_eq!(desk.history(), []);
    other.execute_batch("ROLLBACK").unwrap();
    desk.inbox.check().await.unwrap();
    desk.record(message("$1", "!r")).await;
    assert_eq!(desk.history().len(), 1);
}

#[tokio::test]
async fn a_retry_signals_what_a_failed_commit_has_left_on_disk() {
    let desk = Desk::new();
    desk.record(message("$before", "!r")).await;
    desk.snapshot().await;
    let other = Connection::open(desk.path()).unwrap();
    // A commit that fails, as it does when it was written and cannot be synced.
    other
        .execute_batch(
            "CREATE TABLE none (id INTEGER PRIMARY KEY);
            CREATE TABLE lost (id INTEGER REFERENCES none DEFERRABLE INITIALLY DEFERRED);
            CREATE TRIGGER fails AFTER INSERT ON notice BEGIN INSERT INTO lost VALUES (1); END",
        )
        .unwrap();
    // A step of pruning is a success, too, with which the failed commit would be told.
    while desk.inbox.ask(|worker| Ok(worker.is_pruning())).await.unwrap() {}
    while desk.has_changed() {}
    let push = message("$1", "!r").counting(unread(0));
    desk.inbox.record(push.clone().delivery()).await.unwrap_err();
    assert_eq!(desk.history().len(), 1);
    // That it is on disk all the same is somebody else's doing here.
    other.execute_batch("DROP TRIGGER fails").unwrap();
    let left = Inbox::open(&desk.path(), SETTINGS).unwrap();
    left.record(push.clone().delivery()).await.unwrap();
    left.close().await;
    assert!(!desk.has_changed());
    desk.record(push).await;
    assert!(desk.has_changed());
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, desk.digest(key("a", "!r")).await.unwrap().count), (1, 1));
    desk.inbox.check().await.unwrap();
    assert!(!desk.has_changed(), "it is told once");
}

#[tokio::test]
async fn after_a_failed_write_only_a_real_write_is_healthy() {
    let desk = Desk::new();
    let other = Connection::open(desk.path()).unwrap();
    for table in ["notice", "setting"] {
        let trigger =
            format!("CREATE TRIGGER {table}_full BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'disk full'); END");
        other.execute_batch(&trigger).unwrap();
    }
    desk.inbox.check().await.unwrap();
    desk.inbox.record(message("$1", "!r").delivery()).await.unwrap_err();
    let error = desk.inbox.check().await.unwrap_err();
    assert!(error.to_string().contains("disk full"), "{error}");
    other.execute_batch("DROP TRIGGER setting_full").unwrap();
    desk.inbox.check().await.unwrap();
}

#[test]
fn a_place_where_no_database_can_be_is_named_by_every_request() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "this is a text and no database").unwrap();
    for path in [directory.path().to_owned(), file.join("pushbell.db")] {
        let inbox = Inbox::open(&path, SETTINGS).unwrap();
        let error = futures_lite::future::block_on(inbox.check()).unwrap_err();
        assert!(refused(&error) && error.to_string().contains(&path.display().to_string()), "{error}");
    }
    let error = history(&file, 1, &Seals::default(), |_| true).unwrap_err();
    assert_eq!(error.to_string(), format!("the inbox {} is damaged: file is not a database", file.display()));
}

/// What the directory holds besides the database and what belongs to it: name and length.
fn set_aside(database: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(database.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains(".damaged-"));
    names.sort();
    names
}

/// Overwrites the whole file but its first page, or that page alone.
fn damage(path: &Path, first_page: bool) {
    let mut bytes = std::fs::read(path).unwrap();
    let range = if first_page { 0..4096 } else { 4096..bytes.len() };
    assert!(!range.is_empty(), "there is something to damage");
    bytes[range].fill(0xa5);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_kept_aside_and_a_new_one_begun() {
    for (first_page, is_running) in [(false, true), (true, false), (false, false)] {
        let mut desk = Desk::new();
        let path = desk.path();
        for number in 0..300 {
            desk.record(message(&format!("$old{number}"), "!r")).await;
        }
        let other = Connection::open(&path).unwrap();
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(other);
        let before = set_aside(&path).len();
        if is_running {
            damage(&path, first_page);
            // After another program has written, nothing in memory is trusted any more.
            Connection::open(&path).unwrap().pragma_update(None, "application_id", 1).unwrap();
            let _ = desk.inbox.snapshot(OnScreen::default()).await;
        } else {
            let directory = desk.close().await;
            damage(&path, first_page);
            let inbox = Inbox::open(&path, SETTINGS).unwrap();
            desk = Desk::of(directory, inbox);
            let _ = desk.inbox.snapshot(OnScreen::default()).await;
        }
        desk.inbox.check().await.unwrap();
        let kept = set_aside(&path);
        assert_eq!(kept.iter().filter(|name| !name.ends_with("-wal")).count(), before + 1, "{kept:?}");

        desk.record(message("$new", "!r")).await;
        let snapshot = desk.snapshot().await;
        assert_eq!(snapshot.waiting_notices, 1, "first page {first_page}, running {is_running}");
        let Some(Incident::SetAside { kept_as, .. }) = desk.incident().await else { panic!("it is told") };
        assert!(kept.contains(&kept_as.file_name().unwrap().to_str().unwrap().to_owned()));
        assert_eq!(desk.incident().await, None, "once");
        if is_running {
            assert!(desk.notice("$new").id > NoticeId(300), "{:?}", desk.notice("$new").id);
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Inbox::open(&path, SETTINGS).unwrap_err();
    assert!(matches!(error, InboxError::TooNew { found: 99, known: 3, .. }), "{error}");
    assert!(matches!(history(&path, 1, &Seals::default(), |_| true), Err(InboxError::TooNew { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_inbox_is_set_aside_and_told_of() {
    let old_schema = "CREATE TABLE account (id INTEGER PRIMARY KEY); PRAGMA user_version = 2";
    for (content, reason) in [
        (None, "is empty"),
        (Some(old_schema), "was written by a version from before the first release"),
        (Some("CREATE TABLE notice (id INTEGER PRIMARY KEY)"), "is no inbox of Pushbell"),
    ] {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("pushbell.db");
        match content {
            Some(content) => Connection::open(&path).unwrap().execute_batch(content).unwrap(),
            None => std::fs::write(&path, "").unwrap(),
        }
        let error = history(&path, 1, &Seals::default(), |_| true).unwrap_err();
        assert_eq!(error.to_string(), format!("the inbox {} {reason}", path.display()));
        let before = std::fs::read(&path).unwrap();
        let inbox = Inbox::open(&path, SETTINGS).unwrap();
        inbox.record(message("$1", "!r").delivery()).await.unwrap();
        assert_eq!(history(&path, 9, &Seals::default(), |_| true).unwrap().len(), 1);
        let Some(incident) = inbox.take_incident().await.unwrap() else { panic!("it is told: {reason}") };
        assert!(incident.to_string().contains(reason), "{incident}");
        let Incident::SetAside { kept_as, .. } = incident else { panic!("{incident}") };
        assert_eq!(std::fs::read(kept_as).unwrap(), before);
    }
}

#[tokio::test]
async fn the_last_handle_ends_the_thread_with_its_work_done() {
    let desk = Desk::new();
    let path = desk.path();
    let pending: Vec<_> = (0..20)
        .map(|number| {
            let (answer, _) = oneshot::channel();
            let push = message(&format!("${number}"), "!r").delivery();
            desk.inbox.requests.try_send(Request::Record((Box::new(push), answer))).ok()
        })
        .collect();
    assert!(pending.iter().all(Option::is_some));
    let directory = desk.close().await;
    assert_eq!(history(&path, 99, &Seals::default(), |_| true).unwrap().len(), 20);
    drop(directory);
}

#[tokio::test]
async fn close_finishes_earlier_requests_and_closes_the_database() {
    let desk = Desk::new();
    let recording = tokio::spawn({
        let inbox = desk.inbox.clone();
        async move { inbox.record(message("$1", "!r").delivery()).await }
    });
    tokio::task::yield_now().await;
    desk.inbox.clone().close().await;
    assert!(!desk.path().with_extension("db-wal").exists());
    recording.await.unwrap().unwrap();
    assert!(matches!(desk.inbox.check().await, Err(InboxError::Closed)));
    desk.inbox.clone().close().await;
    assert_eq!(desk.history().len(), 1);
}
