//! What is kept of a push, and that a retry is recognised.

use super::*;

#[tokio::test]
async fn everything_that_a_push_says_is_kept() {
    let mut desk = Desk::new();
    let mut push = message("$1", "!r").sound(SoundTweak::Named("bing.wav".to_owned())).highlight().at(7);
    push.notification.sender_display_name = Some("Bob \u{202e} \u{0}".to_owned());
    push.notification.room_name = Some("Room".to_owned());
    push.notification.room_alias = Some("#r:hs".to_owned());
    push.notification.membership = Some("join".to_owned());
    push.notification.user_is_target = true;
    push.notification.prio = Priority::Low;
    desk.record(push).await;
    desk.restart();
    assert_eq!(
        desk.history(),
        [Notice {
            id: NoticeId(1),
            account: "a".to_owned(),
            event_id: Some("$1".to_owned()),
            room_id: Some("!r".to_owned()),
            event_type: Some("m.room.message".to_owned()),
            sender: Some("@bob:hs".to_owned()),
            sender_display_name: Some("Bob \u{202e} \u{0}".to_owned()),
            room_name: Some("Room".to_owned()),
            room_alias: Some("#r:hs".to_owned()),
            membership: Some("join".to_owned()),
            user_is_target: true,
            prio: Priority::Low,
            sound: SoundTweak::Named("bing.wav".to_owned()),
            highlight: true,
            content: Some(r#"{"body":"hello"}"#.to_owned()),
            redacted: false,
            received_at: at(7),
            presentation: Presentation::Waiting,
            read: false,
            sample: false,
            call_state: None,
        }]
    );
}

#[tokio::test]
async fn an_edited_message_stays_in_its_thread() {
    let desk = Desk::new();
    let thread = r#""m.relates_to":{"event_id":"$root","rel_type":"m.thread"}"#;
    desk.record(event("$1", "!r", "m.room.message", &format!(r#"{{"body":"old",{thread}}}"#))).await;
    let edit = r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$1"},"m.new_content":{"body":"new"}}"#;
    desk.record(event("$2", "!r", "m.room.message", edit)).await;
    assert_eq!(desk.notice("$1").content, Some(format!(r#"{{"body":"new",{thread}}}"#)));
}

#[tokio::test]
async fn an_event_without_anything_else_is_a_notice() {
    let desk = Desk::new();
    let mut bare = badge(Counts::default());
    bare.notification = Notification { event_id: Some("$1".to_owned()), ..Notification::default() };
    desk.record(bare.sound(SoundTweak::Unusable)).await;
    let notice = desk.notice("$1");
    assert_eq!((notice.room_id.as_deref(), &notice.sound, &notice.content), (None, &SoundTweak::Unusable, &None));
    assert_eq!(desk.digest(RoomKey { account: "a".to_owned(), room: Room::default() }).await.unwrap().newest, notice);
}

#[tokio::test]
async fn a_push_without_an_event_leaves_no_notice() {
    let desk = Desk::new();
    desk.record(badge(unread(4))).await;
    assert_eq!(desk.history(), []);
    let snapshot = desk.snapshot_at(5).await;
    assert_eq!(
        snapshot.accounts,
        [AccountState { account: "a".to_owned(), unread: 4, missed_calls: 0, last_push: Some(at(0)) }]
    );
}

#[tokio::test]
async fn a_retry_is_recorded_once() {
    let mut desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(1))).await;
    desk.record(message("$2", "!r").counting(unread(2))).await;
    desk.snapshot().await;
    assert!(desk.has_changed());
    for retry in ["$1", "$2"] {
        desk.restart();
        // Other words, a later time: the event is known all the same.
        let counts = unread(if retry == "$1" { 1 } else { 2 });
        desk.record(event(retry, "!other", "m.room.message", "{}").counting(counts).at(99)).await;
    }
    assert!(!desk.has_changed());
    assert_eq!(desk.history().len(), 2);
    assert_eq!(desk.snapshot().await.accounts[0].last_push, Some(at(0)));
    assert_eq!(desk.unread("a").await, 2);
}

#[tokio::test]
async fn a_retry_is_recognised_by_id_where_there_is_no_event_id() {
    let desk = Desk::new();
    let mut old = message("$1", "!r");
    old.notification.event_id = None;
    desk.record(old.clone()).await;
    desk.record(old.clone()).await;
    assert_eq!(desk.history().len(), 1);
    old.notification.id = None;
    desk.record(old.clone()).await;
    desk.record(old).await;
    assert_eq!(desk.history().len(), 3, "without any id every push is new");
}

#[tokio::test]
async fn two_of_the_same_at_once_are_recorded_once() {
    let desk = Desk::new();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let inbox = desk.inbox.clone();
            tokio::spawn(async move { inbox.record(message(&format!("${}", number % 2), "!r").delivery()).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(desk.history().len(), 2);
}

#[tokio::test]
async fn the_same_event_counts_for_each_account() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$1", "!r").for_account("b")).await;
    let mut both = message("$2", "!r");
    both.recipients.push(recipient("b"));
    desk.record(both).await;
    assert_eq!(desk.history().len(), 4);
    assert_eq!((desk.unread("a").await, desk.unread("b").await), (2, 2));
}

#[tokio::test]
async fn fresher_counts_of_a_retry_are_applied_once() {
    let desk = Desk::new();
    desk.record(message("$1", "!r").counting(unread(1))).await;
    desk.record(message("$1", "!r").counting(unread(3))).await;
    assert_eq!((desk.unread("a").await, desk.history().len()), (3, 1));
    desk.record(badge(unread(5))).await;
    desk.record(message("$1", "!r").counting(unread(3))).await;
    assert_eq!(desk.unread("a").await, 5, "this retry says nothing new");
    desk.record(message("$1", "!r")).await;
    assert_eq!(desk.unread("a").await, 5, "a retry without counts neither");
    assert_eq!(desk.snapshot().await.waiting_notices, 1);
    desk.record(message("$1", "!r").counting(unread(0))).await;
    assert_eq!(desk.unread("a").await, 0);
    assert_eq!(desk.notice("$1").presentation, Presentation::Settled, "it was recorded before it was read");
}

#[tokio::test]
async fn an_edit_replaces_the_text_of_its_message() {
    let edit = |id: &str| {
        event(
            id,
            "!r",
            "m.room.message",
            r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$1"},"m.new_content":{"body":"new"}}"#,
        )
        .sound(SoundTweak::Named("bing".to_owned()))
    };
    let content = |desk: &Desk| desk.notice("$1").content.unwrap();
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(edit("$elsewhere").from("@mallory:hs")).await;
    let mut in_other_room = edit("$other room");
    in_other_room.notification.room_id = Some("!s".to_owned());
    desk.record(in_other_room).await;
    assert_eq!(content(&desk), r#"{"body":"hello"}"#, "only its sender edits a message, and where it is");
    desk.record(edit("$2")).await;
    assert_eq!(content(&desk), r#"{"body":"new"}"#);
    let edited = desk.notice("$2");
    assert_eq!((edited.presentation, edited.read, edited.content), (Presentation::Settled, true, None));
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.waiting_notices, 1);
    assert_eq!(desk.digest(key("a", "!r")).await.unwrap().newest.content.as_deref(), Some(r#"{"body":"new"}"#));
    assert_eq!(snapshot.newest.len(), 1);
    assert_eq!(desk.unread("a").await, 1);

    assert_eq!(desk.listed(), ["$1"], "an edit is no row of its own");
}

#[tokio::test]
async fn an_edit_of_an_unknown_message_is_a_silent_message() {
    let desk = Desk::new();
    let content = r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$gone"},"m.new_content":{"body":"new"}}"#;
    desk.record(event("$2", "!r", "m.room.message", content).sound(SoundTweak::Named("bing".to_owned()))).await;
    let notice = desk.notice("$2");
    assert_eq!(notice.content.as_deref(), Some(r#"{"body":"new"}"#));
    assert_eq!((notice.sound, notice.presentation), (SoundTweak::Silent, Presentation::Waiting));
    assert_eq!(desk.snapshot().await.newest_sound, None);
}

#[tokio::test]
async fn a_redaction_takes_the_text_away() {
    let redact = |id: &str, event_id: &str, room: &str| {
        event(id, room, "m.room.redaction", &format!(r#"{{"redacts":"{event_id}"}}"#)).from("@moderator:hs")
    };
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!r").highlight().sound(SoundTweak::Unusable)).await;
    desk.record(redact("$x", "$1", "!other")).await;
    assert!(desk.notice("$1").content.is_some(), "only an event of the same room is redacted");

    desk.record(redact("$3", "$2", "!r")).await;
    let redacted = desk.notice("$2");
    assert_eq!((redacted.content, redacted.redacted), (None, true));
    assert_eq!((redacted.presentation, redacted.read), (Presentation::Settled, true));
    let snapshot = desk.snapshot().await;
    let first = desk.notice("$1");
    assert_eq!(
        snapshot.waiting,
        [WaitingRoom { room: key("a", "!r"), count: 1, newest: first.id, newest_highlight: None }]
    );
    assert_eq!(snapshot.newest, std::slice::from_ref(&first));
    assert_eq!(desk.unread("a").await, 1);

    desk.record(message("$more", "!r")).await;
    desk.show_all().await;
    desk.record(redact("$4", "$1", "!r")).await;
    assert_eq!(desk.digest(key("a", "!r")).await.unwrap().count, 1);
    desk.record(redact("$more gone", "$more", "!r")).await;
    desk.record(redact("$5", "$unknown", "!r")).await;
    desk.record(redact("$6", "$1", "!r")).await;
    let snapshot = desk.snapshot().await;
    assert_eq!(snapshot.newest, []);
    assert_eq!(desk.digest(key("a", "!r")).await, None);
    assert_eq!(desk.notice("$1").presentation, Presentation::Shown);
    assert_eq!(desk.unread("a").await, 0);
    let kinds =
        desk.history().into_iter().map(|notice| notice.event_type.unwrap()).filter(|kind| kind == "m.room.redaction");
    assert_eq!(kinds.count(), 6);
}

#[tokio::test]
async fn a_redaction_that_does_not_say_of_what_is_kept_silently() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    let redaction = event("$2", "!r", "m.room.redaction", r#"{"reason":"spam"}"#);
    desk.record(redaction.highlight().sound(SoundTweak::Unusable)).await;
    let kept = desk.notice("$2");
    assert_eq!((kept.presentation, kept.read, kept.sound), (Presentation::Settled, true, SoundTweak::Silent));
    assert!(desk.notice("$1").content.is_some());
    assert_eq!(desk.unread("a").await, 1);
    let waiting: Vec<_> = desk.snapshot().await.waiting.into_iter().map(|room| (room.count, room.newest)).collect();
    assert_eq!(waiting, [(1, desk.notice("$1").id)]);
}

#[tokio::test]
async fn a_redacted_message_keeps_nothing_of_its_edits() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    let edit = r#"{"m.relates_to":{"rel_type":"m.replace","event_id":"$1"},"m.new_content":{"body":"secret"}}"#;
    desk.record(event("$2", "!r", "m.room.message", edit)).await;
    desk.record(event("$3", "!r", "m.room.redaction", r#"{"redacts":"$1"}"#)).await;
    desk.record(event("$4", "!r", "m.room.message", edit)).await;
    assert!(desk.history().iter().all(|notice| !notice.content.as_deref().unwrap_or_default().contains("secret")));
}

#[tokio::test]
async fn an_id_and_an_event_id_of_the_same_text_are_two_events() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    let mut old = message("$1", "!r");
    old.notification.event_id = None;
    desk.record(old.clone()).await;
    desk.record(old).await;
    desk.record(message("$1", "!r")).await;
    assert_eq!(desk.history().len(), 2);
}

#[tokio::test]
async fn rooms_without_an_id_are_identified_by_alias_name_or_sender() {
    let desk = Desk::new();
    let push = |id: &str, alias: Option<&str>, name: Option<&str>, sender: &str| {
        let mut push = message(id, "").from(sender);
        push.notification.room_id = None;
        push.notification.room_alias = alias.map(ToOwned::to_owned);
        push.notification.room_name = name.map(ToOwned::to_owned);
        push
    };
    desk.record(message("$id", "!x:y")).await;
    desk.record(push("$name", None, Some("!x:y"), "@bob:hs")).await;
    desk.record(push("$alias", Some("!x:y"), Some("Kitchen"), "@bob:hs")).await;
    desk.record(push("$sender", None, None, "!x:y")).await;
    desk.record(push("$again", None, Some("!x:y"), "@carol:hs")).await;
    let room = |kind: &str| Room::from_stored(format!("{kind}!x:y"));
    let rooms = [(room("i"), 1), (room("n"), 2), (room("a"), 1), (room("s"), 1)];
    let waiting = desk.snapshot().await.waiting;
    let found: Vec<_> = waiting.into_iter().map(|waiting| (waiting.room.room, waiting.count)).collect();
    assert_eq!(found, rooms);
    for (room, count) in rooms {
        let digest = desk.digest(RoomKey { account: "a".to_owned(), room: room.clone() }).await.unwrap();
        assert_eq!((digest.count, digest.newest.room().room), (count, room.clone()));
        assert_eq!(digest.newest.room_id.as_deref(), room.id());
    }
    desk.mark_read(Read::Room(RoomKey { account: "a".to_owned(), room: room("n") }, NoticeId(99))).await;
    assert_eq!(desk.unread("a").await, 3);
}
