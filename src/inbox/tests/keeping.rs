//! How long things are kept, and what else the file is.

use super::*;

const DAY: i64 = 24 * 60 * 60;

/// Waits until the thread has pruned: it does so before it waits for a request that has not come yet.
async fn pruned(desk: &Desk) {
    while desk.inbox.ask(|worker| Ok(worker.is_pruning())).await.unwrap() {}
}

/// Lets days pass, each seen by the inbox: a clock that jumps further is not believed. The old ones are forgotten then.
async fn days_pass(desk: &Desk, settings: Settings, days: std::ops::RangeInclusive<i64>) {
    for day in days {
        desk.inbox.configure(settings, at(day * DAY + 1)).await.unwrap();
        pruned(desk).await;
    }
}

#[tokio::test]
async fn old_read_notices_are_blanked_and_deleted_after_40_days() {
    let desk = Desk::new();
    desk.record(message("$read", "!old")).await;
    desk.mark_read(Read::Everything).await;
    desk.record(message("$unread", "!r")).await;
    desk.record(event("$redaction", "!r", "m.room.redaction", r#"{"redacts":"$gone","reason":"secret"}"#)).await;
    desk.record(message("$young", "!r").at(2 * DAY)).await;
    days_pass(&desk, SETTINGS, 0..=29).await;
    assert_eq!(desk.listed(), ["$read", "$unread", "$young"]);

    days_pass(&desk, SETTINGS, 30..=31).await;
    assert_eq!(desk.listed(), ["$unread", "$young"]);
    for forgotten in ["$read", "$redaction"] {
        let notice = desk.notice(forgotten);
        assert_eq!((notice.sender, notice.room_id, notice.content), (None, None, None), "{forgotten}");
    }
    desk.record(message("$read", "!old").at(31 * DAY)).await;
    assert_eq!((desk.history().len(), desk.unread("a").await), (4, 2), "it is a retry");

    days_pass(&desk, SETTINGS, 32..=41).await;
    assert_eq!(desk.history().len(), 2);
    desk.record(message("$read", "!old").at(41 * DAY)).await;
    assert_eq!(desk.listed(), ["$unread", "$young", "$read"]);
    assert_eq!(desk.inbox.totals().await.unwrap(), Totals { notices: 3, unshown: 3 });
}

#[tokio::test]
async fn unread_notices_are_never_deleted() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!r")).await;
    desk.record(event("$ringing", "!r", "m.call.invite", "{}")).await;
    desk.record(event("$missed", "!r", "m.call.invite", "{}").replayed()).await;
    desk.show_all().await;
    desk.mark_shown(Shown::Call(NoticeId(4), CallState::Missed)).await;
    days_pass(&desk, Settings { keep_days: 1, ..SETTINGS }, 0..=100).await;
    assert_eq!(desk.listed(), ["$1", "$2", "$ringing", "$missed"]);
    assert_eq!((desk.unread("a").await, desk.missed("a").await), (4, 1));
    assert_eq!(desk.digest(key("a", "!r")).await.unwrap().count, 2);
}

#[tokio::test]
async fn a_clock_that_jumps_years_ahead_deletes_nothing() {
    let mut desk = Desk::new();
    desk.record(message("$old", "!r")).await;
    desk.mark_read(Read::Everything).await;
    for _ in 0..2 {
        desk.record(message("$future", "!r").at(4000 * DAY)).await;
        desk.inbox.configure(SETTINGS, at(4000 * DAY)).await.unwrap();
        pruned(&desk).await;
        assert_eq!(desk.listed(), ["$old", "$future"]);
        desk.restart();
    }
    desk.mark_read(Read::Everything).await;
    days_pass(&desk, SETTINGS, 0..=31).await;
    assert_eq!(desk.listed(), ["$future"], "once it is right again it is believed");
}

#[tokio::test]
async fn the_number_of_a_deleted_notice_is_not_used_again() {
    let mut desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.mark_read(Read::Everything).await;
    days_pass(&desk, SETTINGS, 0..=41).await;
    assert_eq!(desk.listed(), [""; 0]);
    desk.restart();
    desk.record(message("$2", "!r")).await;
    assert_eq!(desk.notice("$2").id, NoticeId(2));
}

#[tokio::test]
async fn pruning_takes_many_steps_and_passes_times_in_the_future() {
    let desk = Desk::new();
    desk.record(badge(unread(1))).await;
    desk.record(message("$future", "!r").at(3000 * DAY)).await;
    let tasks: Vec<_> = (0..1200)
        .map(|number| {
            let inbox = desk.inbox.clone();
            let push = message(&format!("${number}"), "!r").at(number / 600);
            tokio::spawn(async move { inbox.record(push.delivery()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    desk.mark_read(Read::Everything).await;
    days_pass(&desk, Settings { keep_days: 1, ..SETTINGS }, 0..=1).await;
    assert_eq!(desk.listed().len(), 1 + 600);
    days_pass(&desk, Settings { keep_days: 1, ..SETTINGS }, 2..=2).await;
    assert_eq!(desk.listed(), ["$future"]);
}

#[tokio::test]
async fn without_keep_bodies_texts_are_removed_when_read() {
    let keep_none = Settings { keep_bodies: false, ..SETTINGS };
    let desk = Desk::with(keep_none);
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
async fn turning_keep_bodies_off_removes_the_texts_of_read_notices() {
    let mut desk = Desk::new();
    desk.record(message("$read", "!r")).await;
    desk.mark_read(Read::Everything).await;
    desk.record(message("$unread", "!r")).await;
    let texts = |desk: &Desk| desk.history().iter().map(|notice| notice.content.is_some()).collect::<Vec<_>>();
    desk.inbox.configure(Settings { keep_bodies: false, ..SETTINGS }, at(1)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(texts(&desk), [false, true]);

    // Also of what was kept before a start with another configuration, and again after that.
    desk.restart();
    desk.mark_read(Read::Everything).await;
    desk.inbox.configure(SETTINGS, at(2)).await.unwrap();
    pruned(&desk).await;
    assert_eq!(texts(&desk), [false, true]);
    desk.inbox.configure(Settings { keep_bodies: false, ..SETTINGS }, at(3)).await.unwrap();
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
    assert_eq!(history(&path, 9, &Seals::default(), |_| true).unwrap(), [], "there is none yet");
    assert!(!path.exists());

    let desk = Desk::new();
    for number in 0..3 {
        desk.record(message(&format!("${number}"), "!r")).await;
    }
    let newest_two = |path: &Path| -> Vec<String> {
        history(path, 2, &Seals::default(), |_| true)
            .unwrap()
            .into_iter()
            .filter_map(|notice| notice.event_id)
            .collect()
    };
    assert_eq!(newest_two(&desk.path()), ["$2", "$1"]);
    let path = desk.path();
    let directory = desk.close().await;
    assert!(!path.with_extension("db-wal").exists(), "SQLite removes its log when the last connection is closed");
    assert_eq!(newest_two(&path), ["$2", "$1"]);
    drop(directory);
}

#[tokio::test]
async fn the_file_shrinks_when_many_notices_were_deleted() {
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
    days_pass(&desk, SETTINGS, 0..=41).await;
    assert!(desk.history().len() <= 1);
    assert!(length(&desk) < 2_000_000, "{} bytes", length(&desk));
    desk.record(message("$new", "!r").at(31 * DAY)).await;
    assert_eq!(desk.listed(), ["$new"]);
}
