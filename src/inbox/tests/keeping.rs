//! How long things are kept, and what else the file is.

use super::*;

const DAY: i64 = 24 * 60 * 60;

/// Waits until the thread has pruned: it does so before it waits for a request that has not come yet.
async fn pruned(desk: &Desk) {
    while desk.inbox.ask(|worker| Ok(worker.is_pruning())).await.unwrap() {}
}

fn ids(desk: &Desk) -> Vec<String> {
    desk.history().into_iter().filter_map(|notice| notice.event_id).collect()
}

#[tokio::test]
async fn old_notices_are_forgotten_with_what_was_counted_by_them() {
    let desk = Desk::new();
    desk.record(message("$old", "!old")).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.news_at(60).await;
    desk.show_all().await;
    desk.mark_shown(Shown::Call(NoticeId(2), CallState::Missed)).await;
    desk.record(message("$waiting", "!r")).await;
    desk.record(message("$young", "!r").at(DAY)).await;
    assert_eq!((desk.unread("a").await, desk.missed("a").await), (4, 1));
    pruned(&desk).await;
    assert_eq!(ids(&desk), ["$old", "$call", "$waiting", "$young"]);

    desk.record(message("$new", "!r").at(30 * DAY + 1)).await;
    pruned(&desk).await;
    assert_eq!(ids(&desk), ["$waiting", "$young", "$new"]);
    assert_eq!((desk.unread("a").await, desk.missed("a").await), (3, 0));
    assert_eq!(desk.inbox.totals().await.unwrap(), Totals { notices: 3, unshown: 3 });
    assert_eq!(desk.digest(key("a", "!old")).await, None);
    desk.record(message("$old", "!old").at(30 * DAY + 2)).await;
    assert_eq!(ids(&desk).len(), 4, "within the kept history only");
}

#[tokio::test]
async fn nothing_stays_in_any_table_of_what_is_forgotten() {
    let desk = Desk::new();
    for number in 0..20 {
        let mut push = message(&format!("${number}"), &format!("!{number}"));
        push.notification.event_type = None;
        push.notification.content = None;
        push.recipients[0].fetches_details = true;
        desk.record(push).await;
    }
    desk.record(message("$counted", "!counted").for_account("b").counting(unread(3)).per_room()).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.news_at(60).await;
    desk.show_all().await;
    desk.mark_shown(Shown::Call(NoticeId(22), CallState::Missed)).await;
    let rows = |table: &str| -> i64 {
        let db = rusqlite::Connection::open(desk.path()).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(["notice", "room", "wanted_details", "call"].map(rows), [22, 22, 20, 1]);
    desk.news_at(31 * DAY).await;
    pruned(&desk).await;
    assert_eq!(["notice", "wanted_details", "call", "key_log", "key_bucket"].map(rows), [0; 5]);
    assert_eq!(rows("room"), 1, "its number is part of its account's");
    assert_eq!(desk.unread("b").await, 3);
}

#[tokio::test]
async fn what_rings_is_never_forgotten() {
    let desk = Desk::new();
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.mark_shown(Shown::Call(NoticeId(1), CallState::Ringing)).await;
    desk.inbox.set_retention(RETENTION, at(31 * DAY)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(ids(&desk), ["$call"]);
}

#[tokio::test]
async fn a_missed_call_that_nobody_was_told_of_is_never_forgotten() {
    let desk = Desk::new();
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.mark_shown(Shown::Call(NoticeId(1), CallState::Ringing)).await;
    // It rings out while nothing is shown, such as in a pause.
    desk.news_at(60).await;
    desk.inbox.set_retention(RETENTION, at(31 * DAY)).await.unwrap();
    pruned(&desk).await;
    assert_eq!((ids(&desk), desk.missed("a").await), (vec!["$call".to_owned()], 1));
    desk.mark_shown(Shown::Call(NoticeId(1), CallState::Missed)).await;
    desk.inbox.set_retention(RETENTION, at(31 * DAY)).await.unwrap();
    pruned(&desk).await;
    assert_eq!((ids(&desk), desk.missed("a").await), (vec![], 0));
}

#[tokio::test]
async fn a_forgotten_number_is_not_used_again() {
    let mut desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.mark_read(Read::Everything).await;
    desk.news_at(31 * DAY).await;
    pruned(&desk).await;
    assert_eq!(ids(&desk), [""; 0]);
    desk.restart();
    desk.record(message("$2", "!r")).await;
    assert_eq!(desk.notice("$2").id, NoticeId(2));
}

#[tokio::test]
async fn pruning_goes_through_many_notices_and_past_a_clock_that_was_wrong() {
    let desk = Desk::new();
    desk.record(message("$future", "!r").at(3000 * DAY)).await;
    let tasks: Vec<_> = (0..1200)
        .map(|number| {
            let inbox = desk.inbox.clone();
            let push = message(&format!("${number}"), "!r").at(number / 10);
            tokio::spawn(async move { inbox.record(push.delivery()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    desk.show_all().await;
    let days = |keep_days| Retention { keep_days, keep_bodies: true };
    desk.inbox.set_retention(days(1), at(DAY + 60)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(ids(&desk).len(), 1 + 600);
    desk.inbox.set_retention(days(1), at(9 * DAY)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(ids(&desk), ["$future"]);
}

#[tokio::test]
async fn texts_are_kept_until_they_were_read_where_none_are_kept() {
    let keep_none = Retention { keep_days: 30, keep_bodies: false };
    let desk = Desk::keeping(keep_none);
    let has_text = |id: &str| desk.notice(id).content.is_some();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!s").counting(unread(2))).await;
    desk.record(event("$call", "!r", "m.call.invite", r#"{"call_id":"c"}"#)).await;
    desk.record(event("$over", "!r", "m.call.hangup", r#"{"call_id":"x"}"#)).await;
    desk.show_all().await;
    assert!(has_text("$1") && has_text("$2") && has_text("$call") && !has_text("$over"));
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(1))).await;
    assert!(!has_text("$1") && has_text("$2"));
    let edit = r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$1"},"m.new_content":{"body":"new"}}"#;
    desk.record(event("$edit", "!r", "m.room.message", edit)).await;
    assert!(!has_text("$1") && !has_text("$edit"));
    desk.record(badge(unread(0))).await;
    assert!(!has_text("$2") && !has_text("$call"));
}

#[tokio::test]
async fn texts_go_when_none_are_to_be_kept_any_more() {
    let mut desk = Desk::new();
    desk.record(message("$read", "!r")).await;
    desk.mark_read(Read::Everything).await;
    desk.record(message("$unread", "!r")).await;
    let texts = |desk: &Desk| desk.history().iter().map(|notice| notice.content.is_some()).collect::<Vec<_>>();
    desk.inbox.set_retention(Retention { keep_days: 30, keep_bodies: false }, at(1)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(texts(&desk), [false, true]);

    // Also of what was kept before a start with another configuration, and again after that.
    desk.restart();
    desk.mark_read(Read::Everything).await;
    desk.news_at(2).await;
    pruned(&desk).await;
    assert_eq!(texts(&desk), [false, true]);
    desk.inbox.set_retention(Retention { keep_days: 30, keep_bodies: false }, at(3)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(texts(&desk), [false, false]);
}

#[tokio::test]
async fn settings_outlive_the_program() {
    let mut desk = Desk::new();
    assert_eq!(desk.inbox.setting("pause").await.unwrap(), None);
    for value in ["1", "2"] {
        desk.inbox.set_setting("pause", Some(value.to_owned())).await.unwrap();
        desk.restart();
        assert_eq!(desk.inbox.setting("pause").await.unwrap().as_deref(), Some(value));
    }
    desk.inbox.set_setting("pause", None).await.unwrap();
    assert_eq!(desk.inbox.setting("pause").await.unwrap(), None);
}

#[tokio::test]
async fn history_is_read_while_the_program_runs_and_when_it_does_not() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("pushbell.db");
    assert_eq!(history(&path, 9).unwrap(), [], "there is none yet");
    assert!(!path.exists());

    let desk = Desk::new();
    for number in 0..3 {
        desk.record(message(&format!("${number}"), "!r")).await;
    }
    let newest_two = |path: &Path| -> Vec<String> {
        history(path, 2).unwrap().into_iter().filter_map(|notice| notice.event_id).collect()
    };
    assert_eq!(newest_two(&desk.path()), ["$2", "$1"]);
    let path = desk.path();
    let directory = desk.close().await;
    assert!(!path.with_extension("db-wal").exists(), "SQLite removes its log when the last connection is closed");
    assert_eq!(newest_two(&path), ["$2", "$1"]);
    drop(directory);
}

#[tokio::test]
async fn the_file_shrinks_when_much_was_forgotten() {
    let desk = Desk::new();
    let text = "x".repeat(20_000);
    for number in 0..400 {
        let content = format!(r#"{{"body":"{text}"}}"#);
        desk.record(event(&format!("${number}"), "!r", "m.room.message", &content)).await;
    }
    desk.show_all().await;
    desk.mark_read(Read::Everything).await;
    let length = |desk: &Desk| {
        let other = rusqlite::Connection::open(desk.path()).unwrap();
        other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        std::fs::metadata(desk.path()).unwrap().len()
    };
    assert!(length(&desk) > 8_000_000);
    desk.news_at(31 * DAY).await;
    pruned(&desk).await;
    assert_eq!(ids(&desk), [""; 0]);
    assert!(length(&desk) < 2_000_000, "{} bytes", length(&desk));
    desk.record(message("$new", "!r").at(31 * DAY)).await;
    assert_eq!(ids(&desk), ["$new"]);
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_for_a_while_does_not_end_the_pruning() {
    let desk = Desk::new();
    desk.news_at(9000 * DAY).await;
    desk.record(message("$old", "!r")).await;
    desk.show_all().await;
    desk.news_at(31 * DAY).await;
    pruned(&desk).await;
    assert_eq!(ids(&desk), [""; 0]);
}
