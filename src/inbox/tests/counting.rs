//! The numbers of accounts.

use super::*;

fn missed_calls(unread: u64, missed_calls: u64) -> Counts {
    Counts { unread, missed_calls: Some(missed_calls) }
}

#[tokio::test]
async fn counts_set_the_number_and_survive_a_restart() {
    let mut desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(7))).await;
    desk.record(message("$2", "!r")).await;
    assert_eq!(desk.unread("a").await, 7, "no counts change nothing");
    desk.restart();
    assert_eq!(desk.unread("a").await, 7);
    desk.record(badge(unread(3)).for_account("b")).await;
    assert_eq!(desk.numbers().await, BTreeMap::from([("a".to_owned(), (7, 0)), ("b".to_owned(), (3, 0))]));
}

#[tokio::test]
async fn an_account_without_counts_is_counted_by_its_unread_notices() {
    let mut desk = Desk::new();
    for number in 0..5 {
        desk.record(message(&format!("${number}"), if number < 2 { "!r" } else { "!s" })).await;
    }
    desk.record(event("$redaction", "!r", "m.room.redaction", r#"{"redacts":"$unknown"}"#)).await;
    assert_eq!(desk.unread("a").await, 5);
    desk.mark_read(Read::Room(key("a", "!s"), NoticeId(4))).await;
    assert_eq!(desk.unread("a").await, 3, "up to the fourth");
    desk.restart();
    assert_eq!(desk.unread("a").await, 3);
    desk.show_all().await;
    assert_eq!(desk.unread("a").await, 3, "shown is not read");
    desk.record(badge(unread(1))).await;
    assert_eq!(desk.unread("a").await, 1, "from now on its counts count");
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(99))).await;
    assert_eq!(desk.unread("a").await, 1, "what is read here the server does not know");
}

#[tokio::test]
async fn at_zero_everything_is_read_and_withdrawn() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(1))).await;
    desk.record(message("$elsewhere", "!r").for_account("b")).await;
    desk.show_all().await;
    desk.record(message("$2", "!s").counting(unread(2))).await;
    desk.snapshot().await;
    desk.record(badge(unread(0))).await;
    assert!(desk.has_changed());
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.waiting, []);
    let states: Vec<_> = desk.history().iter().map(|notice| (notice.presentation, notice.read)).collect();
    let (shown, settled) = (Presentation::Shown, Presentation::Settled);
    assert_eq!(states, [(shown, true), (shown, false), (settled, true)], "the other account's stays");
    assert_eq!(desk.digest(key("a", "!r")).await, None);
}

#[tokio::test]
async fn an_event_that_comes_with_zero_is_shown_all_the_same() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(1))).await;
    desk.record(message("$2", "!r").counting(unread(0))).await;
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.waiting[0].newest), (1, desk.notice("$2").id));
    assert!(desk.notice("$1").read && !desk.notice("$2").read);
    assert_eq!(desk.unread("a").await, 0);
}

#[tokio::test]
async fn counts_that_stand_for_rooms_add_up() {
    let mut desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(2)).per_room()).await;
    desk.record(message("$2", "!s").counting(unread(5)).per_room()).await;
    assert_eq!(desk.unread("a").await, 7);
    desk.restart();
    desk.record(message("$3", "!r").counting(unread(3)).per_room()).await;
    assert_eq!(desk.unread("a").await, 8);

    let mut read_elsewhere = badge(unread(0)).per_room();
    read_elsewhere.notification.room_id = Some("!r".to_owned());
    desk.record(read_elsewhere).await;
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.accounts[0].unread, 5);
    assert_eq!(snapshot.waiting.iter().map(|room| &room.room).collect::<Vec<_>>(), [&key("a", "!s")]);

    desk.record(badge(unread(9)).per_room()).await;
    assert_eq!(desk.unread("a").await, 9, "without a room it is the account's");
    desk.record(message("$4", "!r").counting(unread(1)).per_room()).await;
    assert_eq!(desk.unread("a").await, 1, "the rooms begin anew");
    desk.record(message("$5", "!s").counting(unread(2)).per_room()).await;
    assert_eq!(desk.unread("a").await, 3, "each of them");
    desk.record(badge(unread(0)).per_room()).await;
    assert_eq!(desk.snapshot().await.waiting, []);
}

#[tokio::test]
async fn another_setting_for_counts_begins_anew() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(5)).per_room()).await;
    desk.record(message("$2", "!r").counting(unread(6))).await;
    assert_eq!(desk.unread("a").await, 6);
    desk.record(message("$3", "!s").counting(unread(2)).per_room()).await;
    desk.record(message("$4", "!r").counting(unread(1)).per_room()).await;
    assert_eq!(desk.unread("a").await, 3);
}

#[tokio::test]
async fn absurd_counts_do_no_harm() {
    let desk = Desk::new();
    for (number, room) in ["!r", "!s", "!r"].iter().enumerate() {
        desk.record(message(&format!("${number}"), room).counting(missed_calls(u64::MAX, u64::MAX)).per_room()).await;
    }
    assert_eq!(desk.numbers().await["a"], (2 * u64::from(u32::MAX), u64::from(u32::MAX)));
    desk.record(message("$0", "!r").counting(missed_calls(u64::MAX, u64::MAX)).per_room()).await;
    assert_eq!(desk.history().len(), 3);
}

#[tokio::test]
async fn missed_calls_of_the_server_alone_count_once_it_has_sent_them() {
    let mut desk = Desk::new();
    desk.record(event("$call", "!r", "m.call.invite", r#"{"call_id":"c"}"#).replayed().counting(unread(1))).await;
    assert_eq!(desk.missed("a").await, 1);
    desk.record(badge(missed_calls(4, 3))).await;
    assert_eq!(desk.missed("a").await, 3);
    desk.restart();
    desk.record(badge(unread(4))).await;
    assert_eq!(desk.missed("a").await, 0, "left out it means zero");
    desk.record(badge(missed_calls(4, 1))).await;
    assert_eq!(desk.missed("a").await, 1);
    desk.record(message("$2", "!r")).await;
    assert_eq!(desk.missed("a").await, 1, "no counts change nothing");
}

#[tokio::test]
async fn clear_sets_everything_to_zero_until_the_next_push() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(missed_calls(7, 2))).await;
    desk.record(message("$2", "!r").for_account("b")).await;
    desk.record(message("$3", "!r").counting(unread(4)).per_room().for_account("c")).await;
    desk.record(event("$call", "!r", "m.call.invite", r#"{"call_id":"c"}"#).for_account("b")).await;
    desk.snapshot().await;
    desk.mark_read(Read::Everything).await;
    assert!(desk.has_changed());
    let snapshot = desk.snapshot().await;
    assert!(snapshot.accounts.iter().all(|state| (state.unread, state.missed_calls) == (0, 0)));
    assert_eq!((snapshot.waiting, snapshot.calls), (vec![], vec![]));
    assert!(desk.history().iter().all(|notice| notice.read && notice.presentation == Presentation::Settled));
    desk.record(message("$4", "!r").counting(unread(8))).await;
    desk.record(message("$4", "!r").for_account("b")).await;
    desk.record(message("$4", "!s").counting(unread(1)).per_room().for_account("c")).await;
    let expected = [("a", (8, 0)), ("b", (1, 0)), ("c", (1, 0))];
    assert_eq!(desk.numbers().await, expected.map(|(account, numbers)| (account.to_owned(), numbers)).into());
}

#[tokio::test]
async fn a_removed_account_loses_its_numbers_and_keeps_its_notices() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(missed_calls(7, 2))).await;
    desk.record(message("$2", "!r").for_account("b")).await;
    desk.snapshot().await;
    desk.inbox.retain_accounts(vec!["b".to_owned(), "never heard of".to_owned()]).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.accounts.iter().map(|state| &*state.account).collect::<Vec<_>>(), ["b"]);
    assert_eq!(snapshot.waiting_notices, 1);
    assert_eq!(desk.history().len(), 2);
    assert!(desk.notice("$1").read);

    while desk.has_changed() {}
    desk.inbox.retain_accounts(vec!["b".to_owned()]).await.unwrap();
    assert!(!desk.has_changed(), "there is nothing to forget any more");
    desk.record(message("$3", "!r")).await;
    assert_eq!(desk.numbers().await["a"], (1, 0), "the name is as good as new");
}
