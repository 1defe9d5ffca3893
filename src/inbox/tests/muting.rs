//! Rooms whose messages are not shown.

use super::*;

fn muted(room: &str, until: Option<i64>) -> MutedRoom {
    MutedRoom { room: key("a", room), name: format!("name of {room}"), until: until.map(at) }
}

#[tokio::test]
async fn a_muted_room_counts_and_is_neither_shown_nor_heard() {
    let mut desk = Desk::new();
    let bing = SoundTweak::Named("bing".to_owned());
    desk.record(message("$1", "!s").sound(bing.clone())).await;
    desk.inbox.mute(muted("!s", None), at(0)).await.unwrap();
    assert!(desk.has_changed());
    desk.restart();
    desk.record(message("$2", "!s").sound(bing).highlight()).await;
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.newest_sound), (0, None));
    assert_eq!(snapshot.muted, [muted("!s", None)]);
    assert_eq!(desk.unread("a").await, 2, "numbers stay");
    assert_eq!(desk.digest(key("a", "!s")).await, None);
    desk.record(event("$3", "!s", "m.call.invite", r#"{"call_id":"c"}"#)).await;
    assert_eq!(desk.snapshot().await.calls.len(), 1, "calls are no messages");
    // Elsewhere nothing has changed.
    desk.record(message("$4", "!r")).await;
    desk.record(message("$5", "!s").for_account("b")).await;
    assert_eq!(desk.snapshot().await.waiting_rooms, 2);

    desk.inbox.unmute(Some(key("a", "!s"))).await.unwrap();
    desk.record(message("$6", "!s")).await;
    let digest = desk.digest(key("a", "!s")).await.unwrap();
    assert_eq!((digest.count, desk.snapshot().await.muted), (1, vec![]), "what was muted stays so");
}

#[tokio::test]
async fn a_mute_ends_by_the_clock_and_is_forgotten_then() {
    let desk = Desk::new();
    desk.record(message("$1", "!s")).await;
    desk.inbox.mute(muted("!s", Some(3600)), at(0)).await.unwrap();
    desk.record(message("$2", "!s").at(3599)).await;
    assert_eq!(desk.snapshot().await.waiting_notices, 0);
    desk.record(message("$3", "!s").at(3600)).await;
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.waiting_notices, 1);
    assert!(snapshot.muted[0].is_muted_at(at(3599)) && !snapshot.muted[0].is_muted_at(at(3600)));

    desk.inbox.mute(muted("!r", None), at(3600)).await.unwrap();
    desk.inbox.mute(muted("!r", Some(9000)), at(3600)).await.unwrap();
    assert_eq!(desk.snapshot().await.muted, [muted("!r", Some(9000))]);
    desk.inbox.unmute(None).await.unwrap();
    assert_eq!(desk.snapshot().await.muted, []);
}

#[tokio::test]
async fn muted_rooms_are_bounded_and_go_with_their_account() {
    let desk = Desk::new();
    desk.record(message("$1", "!s")).await;
    desk.inbox.mute(muted("!first", Some(1)), at(0)).await.unwrap();
    desk.inbox.mute(muted("!endless", None), at(0)).await.unwrap();
    for number in 2..300 {
        desk.inbox.mute(muted(&format!("!{number}"), Some(number)), at(0)).await.unwrap();
    }
    let rooms = desk.snapshot().await.muted;
    assert_eq!(rooms.len(), 256);
    assert!(rooms.contains(&muted("!endless", None)) && !rooms.contains(&muted("!first", Some(1))));
    desk.inbox.retain_accounts(vec!["b".to_owned()]).await.unwrap();
    assert_eq!(desk.snapshot().await.muted, []);
}

#[tokio::test]
async fn room_was_read_sets_the_count_of_a_room_to_zero() {
    let desk = Desk::new();
    desk.record(message("$1", "!s").per_room().counting(unread(2))).await;
    desk.record(message("$2", "!r").per_room().counting(unread(3))).await;
    desk.inbox.room_was_read(key("a", "!s")).await.unwrap();
    assert_eq!(desk.unread("a").await, 3);
    desk.record(message("$3", "!s").for_account("b").counting(unread(4))).await;
    desk.inbox.room_was_read(key("b", "!s")).await.unwrap();
    assert_eq!(desk.unread("b").await, 4, "of the account only its homeserver knows");
}
