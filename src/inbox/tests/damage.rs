//! Damaged values: the inbox keeps working whatever is in its file.

use std::{
    fs,
    io::{Read as _, Seek, SeekFrom, Write as _},
};

use rusqlite::Connection;

use super::*;

/// Values that no column has. The text is longer than what any push brings.
const ODDITIES: [&str; 8] = [
    "NULL",
    "x'ff00fe'",
    "CAST(x'24ff80' AS TEXT)",
    "printf('%.200000c', 'x')",
    "-9223372036854775808",
    "9223372036854775807",
    "1.5",
    "'what'",
];

/// An inbox with something in every table and column.
async fn filled() -> Desk {
    let desk = Desk::new();
    for number in 0..4 {
        let mut push = message(&format!("${number}"), "!r").sound(SoundTweak::Named("bing".to_owned()));
        push.notification.sender_display_name = Some("Bob".to_owned());
        push.notification.room_name = Some("Kitchen".to_owned());
        push.notification.room_alias = Some("#r:hs".to_owned());
        push.notification.membership = Some("join".to_owned());
        desk.record(push.counting(Counts { unread: 3, missed_calls: Some(1) }).per_room().highlight()).await;
    }
    let mut old = message("$push_id", "!s");
    old.notification.event_id = None;
    desk.record(old).await;
    let mut ids = message("$ids", "!r");
    ids.notification.event_type = None;
    ids.notification.content = None;
    ids.recipients[0].fetches_details = true;
    desk.record(ids).await;
    desk.record(event("$ringing", "!r", "m.call.invite", r#"{"call_id":"c"}"#)).await;
    desk.record(event("$missed", "!r", "m.call.invite", r#"{"call_id":"d"}"#).replayed()).await;
    desk.inbox.set_setting("pause", Some("x".to_owned())).await.unwrap();
    desk.inbox.set_logout_notified("a".into(), Some("session".to_owned())).await.unwrap();
    desk
}

/// The tables and their columns.
fn columns(db: &Connection) -> Vec<(String, String)> {
    db.prepare(
        "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table'
        ORDER BY t.name, c.cid",
    )
    .unwrap()
    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
    .unwrap()
    .collect::<Result<_, _>>()
    .unwrap()
}

/// Writes a value over a column of the table's last row, or of all rows, whatever the schema allows there. Whether it
/// could be written.
fn overwrite(path: &Path, table: &str, column: &str, value: &str, everywhere: bool) -> bool {
    let db = Connection::open(path).unwrap();
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    // What forbids such values is taken out of the schema meanwhile.
    let schema = |change: &str| {
        db.execute_batch(&format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = {change} WHERE type = 'table'; PRAGMA writable_schema = RESET"
        ))
        .unwrap();
    };
    schema("replace(sql, 'NOT NULL', '/*T NULL*/')");
    let last = if column == "id" || table == "account" { "id" } else { "rowid" };
    let rows = match (everywhere, table) {
        (false, "notice" | "account") => format!("WHERE {last} = (SELECT max({last}) FROM {table})"),
        _ => String::new(),
    };
    let is_written = db.execute(&format!("UPDATE {table} SET {column} = {value} {rows}"), []).is_ok();
    schema("replace(sql, '/*T NULL*/', 'NOT NULL')");
    is_written
}

/// The inbox keeps working: pushes are recorded, and everything that is asked is answered, after a retry at most.
async fn keeps_working(desk: &Desk, what: &str) {
    for number in 0..3 {
        let push = message(&format!("$new{number}"), "!r").counting(unread(number + 1)).per_room();
        if desk.inbox.record(push.clone().delivery()).await.is_err() {
            desk.inbox.record(push.delivery()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
    let rooms = ["!r", "!s"].map(|room| (key("a", room), NoticeId(i64::MAX)));
    let on_screen = OnScreen { rooms: rooms.into(), calls: vec![NoticeId(1)], lines: 3 };
    let snapshot = desk.inbox.snapshot(on_screen).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(snapshot.waiting_notices > 0, "{what}");
    desk.inbox.expire_calls(at(1000)).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    desk.inbox.totals().await.unwrap();
    desk.inbox.newest_unread().await.unwrap();
    desk.inbox.setting("pause").await.unwrap();
    desk.inbox.tally(NoticeId(0), NoticeId(i64::MAX)).await.unwrap();
    desk.inbox.catch_up_state("a".into()).await.unwrap();
    desk.inbox.is_logout_notified("a".into(), "session".to_owned()).await.unwrap();
    desk.inbox.wanted_details(NoticeId(i64::MAX), 9).await.unwrap();
    let redaction = event("$redaction", "!r", "m.room.redaction", r#"{"redacts":"$1"}"#);
    let over = event("$over", "!r", "m.call.hangup", r#"{"call_id":"d"}"#);
    for push in [redaction, over] {
        desk.inbox.record(push.delivery()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    assert!(
        history(&desk.path(), 99, &Seals::default(), |_| true).unwrap_or_else(|error| panic!("{what}: {error}")).len()
            >= 3,
        "{what}"
    );
    desk.inbox.mark_shown(vec![Shown::Everything(NoticeId(i64::MAX))]).await.unwrap();
    desk.inbox.mark_read(Read::Room(key("a", "!r"), NoticeId(i64::MAX))).await.unwrap();
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    desk.inbox.mark_read(Read::Everything).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    desk.inbox.retain_accounts(Vec::new()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    desk.inbox.configure(Settings { keep_days: 1, keep_bodies: false, ..SETTINGS }, at(1)).await.unwrap();
    while desk.inbox.ask(|worker| Ok(worker.is_pruning())).await.unwrap() {}
    desk.inbox.record(message("$last", "!r").delivery()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
    desk.inbox.check().await.unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[tokio::test]
async fn no_value_in_any_column_stops_the_inbox() {
    let source = filled().await;
    let columns = columns(&Connection::open(source.path()).unwrap());
    assert!(columns.len() > 40, "{columns:?}");
    let path = source.path();
    let _directory = source.close().await;
    let mut written = 0;
    for (table, column) in &columns {
        for value in ODDITIES {
            for everywhere in [false, true] {
                let what = format!("{table}.{column} = {value}, everywhere {everywhere}");
                let directory = TempDir::new().unwrap();
                let damaged = directory.path().join("data/pushbell.db");
                fs::create_dir(damaged.parent().unwrap()).unwrap();
                fs::copy(&path, &damaged).unwrap();
                if !overwrite(&damaged, table, column, value, everywhere) {
                    continue;
                }
                written += 1;
                let inbox = Inbox::open(&damaged, SETTINGS).unwrap();
                keeps_working(&Desk::of(directory, inbox), &what).await;
            }
        }
    }
    assert!(written > columns.len() * ODDITIES.len(), "{written}");
}

#[tokio::test]
async fn a_running_inbox_continues_with_damaged_values() {
    for (column, value) in [("event_id", "x'ff'"), ("sender", "x'ff'"), ("room", "NULL"), ("content", "1.5")] {
        let desk = filled().await;
        desk.snapshot().await;
        assert!(overwrite(&desk.path(), "notice", column, value, false));
        keeps_working(&desk, column).await;
    }
}

#[tokio::test]
async fn flipped_bytes_do_not_stop_the_inbox_for_long() {
    let source = filled().await;
    let path = source.path();
    let _directory = source.close().await;
    let length = fs::metadata(&path).unwrap().len();
    // Spread over the whole file, the header included.
    for step in 0..120_u64 {
        let directory = TempDir::new().unwrap();
        let damaged = directory.path().join("data/pushbell.db");
        fs::create_dir(damaged.parent().unwrap()).unwrap();
        fs::copy(&path, &damaged).unwrap();
        let mut file = fs::File::options().read(true).write(true).open(&damaged).unwrap();
        for flip in 0..8 {
            let offset = (step * 8 + flip) * 7919 % length;
            let mut byte = [0];
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(offset)).unwrap();
            file.write_all(&[byte[0] ^ 0xa5]).unwrap();
        }
        drop(file);
        // What says that it is of a newer version is left alone.
        let Ok(inbox) = Inbox::open(&damaged, SETTINGS) else { continue };
        let desk = Desk::of(directory, inbox);
        let mut answers = Vec::new();
        for number in 0..20 {
            let outcome = desk.inbox.record(message(&format!("$new{number}"), "!r").delivery()).await;
            answers.push(outcome.map_err(|error| error.to_string()));
            // Whoever asks may find the damage first.
            desk.inbox
                .snapshot(OnScreen { rooms: vec![(key("a", "!r"), NoticeId(9))], ..OnScreen::default() })
                .await
                .ok();
            history(&desk.path(), 99, &Seals::default(), |_| true).ok();
        }
        let failed = answers.iter().filter(|answer| answer.is_err()).count();
        assert!(failed <= 2, "{step}: {answers:?}");
        assert!(history(&desk.path(), 99, &Seals::default(), |_| true).is_ok(), "{step}");
    }
}
