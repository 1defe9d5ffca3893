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
    let news = desk.news().await;
    assert_eq!((news.zeroed, news.waiting_notices), (vec![], 4), "nothing of the bad one is left");
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
fn a_file_that_is_no_database_is_named() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    std::fs::write(&path, "this is a text and no database".repeat(99)).unwrap();
    let error = Inbox::open(&path, RETENTION, Arc::default()).unwrap_err();
    assert!(refused(&error));
    assert_eq!(error.to_string(), format!("the inbox {} cannot be used: file is not a database", path.display()));
    assert!(refused(&history(&path, 1).unwrap_err()));
    let directory_as_file = Inbox::open(directory.path(), RETENTION, Arc::default()).unwrap_err();
    assert!(refused(&directory_as_file), "{directory_as_file}");
    let below_a_file = Inbox::open(&path.join("pushbell.db"), RETENTION, Arc::default()).unwrap_err();
    assert!(refused(&below_a_file), "{below_a_file}");
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); PRAGMA user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Inbox::open(&path, RETENTION, Arc::default()).unwrap_err();
    assert!(matches!(error, InboxError::TooNew { found: 99, known: 1, .. }), "{error}");
    assert!(matches!(history(&path, 1), Err(InboxError::TooNew { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn an_empty_file_becomes_an_inbox() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    std::fs::write(&path, "").unwrap();
    assert_eq!(history(&path, 1).unwrap(), []);
    let inbox = Inbox::open(&path, RETENTION, Arc::default()).unwrap();
    inbox.record(message("$1", "!r").delivery()).await.unwrap();
    assert_eq!(history(&path, 1).unwrap().len(), 1);
}

#[tokio::test]
async fn a_database_of_version_1_is_read() {
    // Written as version 1 wrote it. Never edited: later versions must go on reading it.
    const VERSION_1: &str = include_str!("version_1.sql");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(VERSION_1).unwrap();
    db.close().unwrap();
    let inbox = Inbox::open(&path, RETENTION, Arc::default()).unwrap();
    let news = inbox.news(at(0)).await.unwrap();
    let state = |account: &str, unread, missed_calls, last_push| AccountState {
        account: account.to_owned(),
        unread,
        missed_calls,
        last_push: Some(at(last_push)),
    };
    assert_eq!(news.accounts, [state("home", 7, 1, 40), state("work", 1, 0, 30)]);
    assert_eq!(news.waiting.len(), 1);
    assert_eq!(news.waiting[0].newest_sound, Some((NoticeId(2), SoundTweak::Named("bing".to_owned()))));
    assert_eq!((news.calls.len(), news.calls[0].state), (1, CallState::Missed));
    assert_eq!(history(&path, 9).unwrap().len(), 4);
    assert_eq!(inbox.setting("pause").await.unwrap().as_deref(), Some("2026-09-22T00:00:00Z"));
    let known = message("$retry", "!r").for_account("home");
    inbox.record(known.delivery()).await.unwrap();
    assert_eq!(history(&path, 9).unwrap().len(), 4);
}

#[tokio::test]
async fn the_last_handle_ends_the_thread_with_its_work_done() {
    let desk = Desk::new();
    let path = desk.path();
    let pending: Vec<_> = (0..20)
        .map(|number| {
            let (answer, _) = oneshot::channel();
            let push = message(&format!("${number}"), "!r").delivery();
            desk.inbox.requests.try_send(Request::Record((push, answer))).ok()
        })
        .collect();
    assert!(pending.iter().all(Option::is_some));
    let directory = desk.close().await;
    assert_eq!(history(&path, 99).unwrap().len(), 20);
    drop(directory);
}
