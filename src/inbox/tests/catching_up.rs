//! Taking over what a homeserver lists, and details that come later.

use super::*;
use crate::push::listed::EventRef;

fn signed_in() -> Recipient {
    Recipient { user_id: Some("@me:hs".to_owned()), ..recipient("a") }
}

fn caught_up(missed: Vec<MissedEvent>) -> CaughtUp {
    CaughtUp {
        is_live: false,
        read_rooms: Vec::new(),
        recipient: signed_in(),
        counts_rooms: true,
        missed,
        read: Vec::new(),
        listed_unread: Vec::new(),
        is_all: false,
        mark: at(100),
        at: at(101),
    }
}

fn missed(push: Push) -> MissedEvent {
    MissedEvent { notification: push.notification, tweaks: push.recipients[0].tweaks.clone(), read: false }
}

fn listed(event_id: &str, room_id: &str) -> EventRef {
    EventRef { room_id: room_id.to_owned(), event_id: event_id.to_owned() }
}

#[tokio::test]
async fn missed_events_are_recorded_once_together_with_the_mark() {
    let mut desk = Desk::new();
    assert_eq!(desk.inbox.catch_up_state("a".into()).await.unwrap(), CatchUpState::default());
    desk.record(message("$1", "!r")).await;
    let both = || caught_up(vec![missed(message("$1", "!r")), missed(message("$2", "!r"))]);
    assert_eq!(desk.inbox.apply_catch_up(both()).await.unwrap(), 1);
    assert!(desk.has_changed());
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.waiting_notices, 2);
    desk.restart();
    assert_eq!(desk.inbox.apply_catch_up(both()).await.unwrap(), 0);
    let standing = desk.inbox.catch_up_state("a".into()).await.unwrap();
    assert_eq!((standing.mark, standing.completed_at), (Some(at(100)), Some(at(101))));
    let unread: Vec<_> = standing.unread.into_iter().map(|event| event.event_id).collect();
    assert_eq!(unread, ["$2", "$1"]);
    // The push comes after all.
    desk.record(message("$2", "!r").counting(unread_of(1))).await;
    assert_eq!(desk.history().len(), 2);
}

fn unread_of(number: u64) -> Counts {
    Counts { unread: number, missed_calls: None }
}

#[tokio::test]
async fn a_missed_event_is_no_push() {
    let desk = Desk::new();
    desk.inbox.apply_catch_up(caught_up(vec![missed(message("$1", "!r"))])).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.accounts.len(), 1);
    assert_eq!((snapshot.accounts[0].unread, snapshot.accounts[0].last_push), (1, None));
}

#[tokio::test]
async fn events_read_elsewhere_are_read_here() {
    let desk = Desk::new();
    for (event, room) in [("$1", "!a"), ("$2", "!b"), ("$3", "!b")] {
        desk.record(message(event, room).counting(unread_of(2))).await;
    }
    desk.show_all().await;
    let read = ["$1", "$2", "$unknown"].map(ToOwned::to_owned).to_vec();
    let late = MissedEvent { read: true, ..missed(message("$4", "!c")) };
    let found = CaughtUp { read, listed_unread: vec![listed("$3", "!b")], ..caught_up(vec![late]) };
    desk.snapshot().await;
    desk.inbox.apply_catch_up(found).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!((desk.digest(key("a", "!a")).await, desk.digest(key("a", "!c")).await), (None, None));
    let read: Vec<_> = desk.history().into_iter().map(|notice| notice.read).collect();
    assert_eq!(read, [true, true, false, true]);
    assert_eq!(snapshot.waiting_notices, 0);
    assert_eq!(snapshot.accounts[0].unread, 1, "a room, as this homeserver counts");
    assert_eq!(desk.digest(key("a", "!b")).await.unwrap().count, 1);
}

#[tokio::test]
async fn a_receipt_reads_older_messages_of_its_thread() {
    let desk = Desk::new();
    let reply = |id: &str, root: &str| {
        let content = format!(r#"{{"body":"b","m.relates_to":{{"rel_type":"m.thread","event_id":"{root}"}}}}"#);
        event(id, "!r", "m.room.message", &content)
    };
    for push in [message("$1", "!r"), reply("$2", "$1"), reply("$3", "$0"), message("$4", "!r"), reply("$5", "$1")] {
        desk.record(push).await;
    }
    desk.record(message("$6", "!r")).await;
    desk.record(message("$7", "!other")).await;
    let unread = async |event: &str, thread: Option<&str>| {
        let what = WhatWasRead::UpTo { event_id: event.to_owned(), thread: thread.map(ToOwned::to_owned) };
        let read_rooms = vec![RoomRead { room_id: "!r".to_owned(), what }];
        desk.inbox.apply_catch_up(CaughtUp { read_rooms, ..caught_up(Vec::new()) }).await.unwrap();
        let unread = desk.history().into_iter().filter(|notice| !notice.read);
        let mut unread: Vec<_> = unread.filter_map(|notice| notice.event_id).collect();
        unread.sort();
        unread.concat()
    };
    assert_eq!(unread("$unknown", None).await, "$1$2$3$4$5$6$7");
    assert_eq!(unread("$7", None).await, "$1$2$3$4$5$6$7", "it is of another room");
    assert_eq!(unread("$4", Some("main")).await, "$2$3$5$6$7");
    assert_eq!(unread("$2", Some("$1")).await, "$3$5$6$7");
    assert_eq!(unread("$5", None).await, "$6$7");
}

#[tokio::test]
async fn the_number_is_what_is_unread_here_or_listed_as_unread() {
    async fn check(counts_rooms: bool, is_all: bool, listed_unread: &[EventRef], expected: u64) {
        let desk = Desk::new();
        for (event, room) in [("$1", "!a"), ("$2", "!a"), ("$3", "!b")] {
            desk.record(message(event, room).counting(unread_of(9))).await;
        }
        let found = CaughtUp { counts_rooms, is_all, listed_unread: listed_unread.to_vec(), ..caught_up(Vec::new()) };
        desk.snapshot().await;
        while desk.has_changed() {}
        desk.inbox.apply_catch_up(found).await.unwrap();
        assert_eq!(desk.has_changed(), expected != 9, "a number that has changed is news");
        assert_eq!(desk.unread("a").await, expected, "{counts_rooms} {is_all} {listed_unread:?}");
    }
    check(true, false, &[], 9).await;
    check(true, true, &[], 2).await;
    check(true, true, &[listed("$1", "!a"), listed("$7", "!c"), listed("$8", "!c")], 3).await;
    check(false, true, &[], 3).await;
    check(false, true, &[listed("$1", "!a"), listed("$7", "!c"), listed("$8", "!c")], 5).await;
}

#[tokio::test]
async fn a_call_that_was_missed_does_not_ring() {
    let desk = Desk::new();
    let call = event("$1", "!r", "m.call.invite", r#"{"call_id":"1","lifetime":60000}"#);
    desk.inbox.apply_catch_up(caught_up(vec![missed(call)])).await.unwrap();
    let calls = desk.snapshot().await.calls;
    assert_eq!(calls.iter().map(|call| call.state).collect::<Vec<_>>(), [CallState::Missed]);
    let found = CaughtUp { read: vec!["$1".to_owned()], ..caught_up(Vec::new()) };
    desk.inbox.apply_catch_up(found).await.unwrap();
    assert_eq!(desk.missed("a").await, 0);
}

#[tokio::test]
async fn the_end_of_each_session_is_notified_once() {
    let desk = Desk::new();
    let was_told = async |session: &str| desk.inbox.is_logout_notified("a".into(), session.to_owned()).await.unwrap();
    assert!(!was_told("one").await);
    desk.inbox.set_logout_notified("a".into(), Some("one".to_owned())).await.unwrap();
    assert!(was_told("one").await && !was_told("two").await);
    desk.inbox.set_logout_notified("a".into(), None).await.unwrap();
    assert!(!was_told("one").await);
}

/// A push of nothing but ids.
fn ids(event_id: &str, room_id: &str) -> Push {
    let mut push = message(event_id, room_id);
    push.notification.event_type = None;
    push.notification.sender = None;
    push.notification.content = None;
    push.recipients[0].fetches_details = true;
    push
}

async fn wanted(desk: &Desk) -> Vec<String> {
    let wanted = desk.inbox.wanted_details(NoticeId(i64::MAX), 10).await.unwrap();
    wanted.into_iter().map(|wanted| wanted.event_id).collect()
}

#[tokio::test]
async fn details_are_wanted_for_ids_of_accounts_that_fetch_them() {
    let mut desk = Desk::new();
    desk.record(ids("$1", "!r")).await;
    desk.inbox.details_are_wanted().await;
    desk.record(message("$2", "!r")).await;
    let mut by_hand = ids("$3", "!r");
    by_hand.recipients[0].fetches_details = false;
    desk.record(by_hand).await;
    desk.record(ids("$4", "!r")).await;
    desk.restart();
    assert_eq!(wanted(&desk).await, ["$4", "$1"]);
    let wanting: Vec<_> = desk.snapshot().await.wanting.into_iter().map(|wanting| wanting.room).collect();
    assert_eq!(wanting, [key("a", "!r")]);
    desk.inbox.add_details(NoticeId(1), None, signed_in()).await.unwrap();
    assert_eq!(wanted(&desk).await, ["$4"]);
}

#[tokio::test]
async fn details_change_the_notice_and_its_popup() {
    let desk = Desk::new();
    desk.record(ids("$1", "!r")).await;
    desk.show_all().await;
    desk.snapshot().await;
    let mut details = message("$1", "!r").notification;
    details.sender_display_name = Some("Bob".to_owned());
    desk.inbox.add_details(NoticeId(1), Some(details.clone()), signed_in()).await.unwrap();
    assert!(desk.has_changed());
    assert_eq!(desk.digest(key("a", "!r")).await.unwrap().newest, desk.notice("$1"));
    let notice = desk.notice("$1");
    assert_eq!(notice.sender_display_name.as_deref(), Some("Bob"));
    assert_eq!((notice.id, notice.content.as_deref()), (NoticeId(1), Some(r#"{"body":"hello"}"#)));
    desk.inbox.add_details(NoticeId(1), Some(details), signed_in()).await.unwrap();
    desk.snapshot().await;
    desk.inbox.add_details(NoticeId(1), None, signed_in()).await.unwrap();
    assert!(!desk.has_changed(), "it is not wanted any more");
}

#[tokio::test]
async fn details_of_a_redacted_notice_are_ignored() {
    let desk = Desk::new();
    desk.record(ids("$1", "!r")).await;
    desk.record(event("$2", "!r", "m.room.redaction", r#"{"redacts":"$1"}"#)).await;
    desk.inbox.add_details(NoticeId(1), Some(message("$1", "!r").notification), signed_in()).await.unwrap();
    let notice = desk.notice("$1");
    assert_eq!((notice.redacted, notice.content), (true, None));
    assert!(wanted(&desk).await.is_empty());
}

#[tokio::test]
async fn a_call_known_by_its_details_has_the_sound_of_its_push() {
    let desk = Desk::new();
    let ring = SoundTweak::Named("ring".to_owned());
    desk.record(ids("$call", "!r").sound(ring.clone())).await;
    let call = event("$call", "!r", "m.call.invite", r#"{"call_id":"1"}"#).notification;
    desk.inbox.add_details(NoticeId(1), Some(call), signed_in()).await.unwrap();
    assert_eq!(desk.snapshot().await.calls[0].notice.sound, ring);
}

#[tokio::test]
async fn a_call_known_by_its_details_keeps_counts_and_delay() {
    let desk = Desk::new();
    desk.record(ids("$call", "!r").counting(unread_of(3)).replayed()).await;
    let call = event("$call", "!r", "m.call.invite", r#"{"call_id":"1","lifetime":60000}"#).notification;
    desk.inbox.add_details(NoticeId(1), Some(call), signed_in()).await.unwrap();
    let states: Vec<_> = desk.snapshot().await.calls.iter().map(|call| call.state).collect();
    assert_eq!(states, [CallState::Missed], "it was held back while the computer slept");

    desk.mark_read(Read::Everything).await;
    desk.record(ids("$call", "!r").counting(unread_of(3)).replayed()).await;
    assert_eq!(desk.numbers().await["a"].0, 0, "its retry says nothing new");
}

#[tokio::test]
async fn details_may_make_a_notice_a_call_or_a_redaction() {
    let desk = Desk::new();
    desk.record(message("$said", "!r")).await;
    desk.record(ids("$call", "!r")).await;
    desk.record(ids("$redaction", "!r")).await;
    assert_eq!(desk.snapshot().await.waiting_notices, 3);
    let call = event("$call", "!r", "m.call.invite", r#"{"call_id":"1","lifetime":60000}"#).notification;
    desk.inbox.add_details(NoticeId(2), Some(call), signed_in()).await.unwrap();
    let redaction = event("$redaction", "!r", "m.room.redaction", r#"{"redacts":"$said"}"#).notification;
    desk.inbox.add_details(NoticeId(3), Some(redaction), signed_in()).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.waiting_rooms), (0, 0));
    assert_eq!(snapshot.calls.iter().map(|call| call.state).collect::<Vec<_>>(), [CallState::Ringing]);
    assert!(desk.notice("$said").redacted);
    assert_eq!(desk.history().len(), 3);
    assert_eq!(desk.unread("a").await, 1, "the call");
    assert!(wanted(&desk).await.is_empty());
}

#[tokio::test]
async fn a_read_notice_stays_read_whatever_its_details_are() {
    let edit = r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$before"},"m.new_content":{"body":"new"}}"#;
    for (kind, content) in [("m.call.invite", r#"{"call_id":"1"}"#), ("m.room.message", edit)] {
        let desk = Desk::new();
        desk.record(ids("$1", "!r")).await;
        desk.mark_read(Read::Everything).await;
        desk.inbox
            .add_details(NoticeId(1), Some(event("$1", "!r", kind, content).notification), signed_in())
            .await
            .unwrap();
        let snapshot = desk.snapshot().await;
        assert_eq!((snapshot.waiting_notices, snapshot.calls), (0, vec![]), "{kind}");
        assert_eq!(desk.numbers().await["a"], (0, 0), "{kind}");
        let notice = desk.notice("$1");
        assert_eq!((notice.read, notice.event_type.as_deref()), (true, Some(kind)));
    }
}

#[tokio::test]
async fn details_are_no_push() {
    let desk = Desk::new();
    desk.record(ids("$1", "!r")).await;
    desk.record(message("$2", "!r").at(60)).await;
    let call = event("$1", "!r", "m.call.invite", r#"{"call_id":"1"}"#).notification;
    desk.inbox.add_details(NoticeId(1), Some(call.clone()), signed_in()).await.unwrap();
    assert_eq!(desk.snapshot().await.accounts[0].last_push, Some(at(60)));

    desk.record(ids("$3", "!r").at(61)).await;
    desk.inbox.retain_accounts(Vec::new()).await.unwrap();
    let number = desk.notice("$3").id;
    let call = Notification { event_id: Some("$3".to_owned()), ..call };
    desk.inbox.add_details(number, Some(call), signed_in()).await.unwrap();
    assert_eq!(desk.snapshot().await.accounts, [], "a removed account stays removed");
}

#[tokio::test]
async fn counts_pushed_after_the_list_was_made_take_precedence() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread_of(1)).at(90)).await;
    desk.record(badge(unread_of(0)).at(102)).await;
    let found = CaughtUp { is_all: true, listed_unread: vec![listed("$1", "!r")], ..caught_up(Vec::new()) };
    desk.inbox.apply_catch_up(found).await.unwrap();
    assert_eq!(desk.snapshot().await.accounts[0].unread, 0);
}
