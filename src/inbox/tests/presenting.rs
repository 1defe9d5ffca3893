//! What waits to be shown, what was shown, what a popup is made from.

use super::*;

#[tokio::test]
async fn waiting_rooms_are_listed_oldest_first() {
    let mut desk = Desk::new();
    let bing = SoundTweak::Named("bing".to_owned());
    desk.record(message("$1", "!s").sound(bing.clone())).await;
    desk.record(message("$2", "!r").highlight()).await;
    desk.record(message("$3", "!s").highlight()).await;
    desk.record(message("$4", "!s")).await;
    assert!(desk.has_changed());
    desk.restart();
    let snapshot = desk.snapshot().await;
    let room = |room_id, count, newest| WaitingRoom {
        room: key("a", room_id),
        count,
        newest: NoticeId(newest),
        newest_highlight: None,
    };
    assert_eq!(
        snapshot.waiting,
        [
            WaitingRoom { newest_highlight: Some(NoticeId(3)), ..room("!s", 3, 4) },
            WaitingRoom { newest_highlight: Some(NoticeId(2)), ..room("!r", 1, 2) },
        ]
    );
    assert_eq!(snapshot.newest_sound, Some((NoticeId(1), bing)));
    assert_eq!((snapshot.waiting_notices, snapshot.waiting_rooms), (4, 2));

    desk.mark_shown(Shown::Room(key("a", "!s"), NoticeId(3))).await;
    assert_eq!(
        desk.snapshot().await.waiting,
        [WaitingRoom { newest_highlight: Some(NoticeId(2)), ..room("!r", 1, 2) }, room("!s", 1, 4)]
    );
    desk.mark_shown(Shown::Room(key("nobody", "!s"), NoticeId(9))).await;
    desk.mark_shown(Shown::Everything(NoticeId(3))).await;
    assert_eq!(desk.snapshot().await.waiting, [room("!s", 1, 4)]);
    let shown: Vec<_> = desk.history().iter().map(|notice| notice.presentation).collect();
    assert_eq!(shown, [Presentation::Shown, Presentation::Shown, Presentation::Shown, Presentation::Waiting]);
}

#[tokio::test]
async fn a_room_with_a_highlight_is_listed_before_others() {
    let desk = Desk::new();
    for number in 0..100 {
        let push = message(&format!("${number}"), &format!("!{number}"));
        desk.record(if number % 40 == 39 { push.highlight() } else { push }).await;
    }
    let waiting = desk.snapshot().await.waiting;
    let rooms: Vec<_> = waiting.iter().map(|waiting| waiting.room.room.id().unwrap().to_owned()).collect();
    let others = (0..63).filter(|number| *number != 39);
    let expected: Vec<_> = [39, 79].into_iter().chain(others).map(|number| format!("!{number}")).collect();
    assert_eq!(rooms, expected);
    assert_eq!(waiting.iter().filter(|waiting| waiting.newest_highlight.is_some()).count(), 2);
}

#[tokio::test]
async fn a_snapshot_is_bounded() {
    let desk = Desk::new();
    for number in 0..Snapshot::MAX_ROOMS + 6 {
        desk.record(message(&format!("${number}"), &format!("!{number}"))).await;
        let call = event(&format!("$c{number}"), "!c", "m.call.invite", "{}");
        desk.record(call.from(&format!("@{number}:hs"))).await;
    }
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting.len(), snapshot.waiting_notices, snapshot.waiting_rooms), (64, 70, 70));
    assert_eq!(snapshot.waiting[0].room, key("a", "!0"));
    assert_eq!((snapshot.calls.len(), snapshot.newest.len()), (32, 5));
    assert_eq!(desk.inbox.totals().await.unwrap(), Totals { notices: 140, unshown: 140 });
}

#[tokio::test]
async fn a_digest_is_about_unread_messages() {
    let desk = Desk::new();
    assert_eq!(desk.digest(key("a", "!r")).await, None);
    desk.record(message("$1", "!r").highlight()).await;
    desk.record(message("$2", "!r").highlight()).await;
    desk.record(message("$3", "!r")).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.record(event("$over", "!r", "m.call.hangup", r#"{"call_id":"x"}"#)).await;
    desk.mark_shown(Shown::Room(key("a", "!r"), NoticeId(1))).await;
    let digest = desk.digest(key("a", "!r")).await.unwrap();
    assert_eq!(digest.count, 3);
    assert_eq!((digest.newest, digest.highlight), (desk.notice("$3"), Some(desk.notice("$2"))));
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(2))).await;
    let digest = desk.digest(key("a", "!r")).await.unwrap();
    assert_eq!((digest.count, digest.newest, digest.highlight), (1, desk.notice("$3"), None));
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(3))).await;
    assert_eq!(desk.digest(key("a", "!r")).await, None);
}

#[tokio::test]
async fn a_read_notice_does_not_wait() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!r")).await;
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(1))).await;
    assert_eq!(desk.notice("$1").presentation, Presentation::Settled);
    assert_eq!(desk.snapshot().await.waiting_notices, 1);
}

#[tokio::test]
async fn a_settled_notice_is_never_shown_and_stays_unread() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.waiting, snapshot.accounts[0].unread), (0, vec![], 2));
    assert_eq!(snapshot.calls[0].notice.presentation, Presentation::Settled);
    assert_eq!(desk.digest(key("a", "!r")).await, None);
    desk.record(message("$2", "!r")).await;
    let digest = desk.digest(key("a", "!r")).await.unwrap();
    assert_eq!((digest.count, digest.newest), (1, desk.notice("$2")));
    assert_eq!(desk.inbox.totals().await.unwrap(), Totals { notices: 3, unshown: 1 });
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(99))).await;
    assert_eq!(desk.unread("a").await, 1, "the call");
}

#[tokio::test]
async fn a_click_on_the_tray_finds_the_newest_unread() {
    let desk = Desk::new();
    let newest = async || desk.inbox.newest_unread().await.unwrap().and_then(|notice| notice.event_id);
    assert_eq!(newest().await, None);
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!s").for_account("b")).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.record(message("$3", "!s").for_account("b")).await;
    for (read, expected) in [
        (Read::Room(key("b", "!none"), NoticeId(99)), Some("$3")),
        (Read::Room(key("b", "!s"), NoticeId(99)), Some("$call")),
        (Read::Call(NoticeId(3)), Some("$1")),
        (Read::Everything, None),
    ] {
        desk.mark_read(read).await;
        assert_eq!(newest().await.as_deref(), expected);
    }
}

#[tokio::test]
async fn only_what_a_snapshot_shows_raises_the_signal() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    assert!(desk.has_changed());
    desk.snapshot().await;
    desk.show_all().await;
    desk.digest(key("a", "!r")).await;
    desk.inbox.set_setting("pause", Some("x".to_owned())).await.unwrap();
    desk.inbox.check().await.unwrap();
    assert!(!desk.has_changed());
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(1))).await;
    assert!(desk.has_changed());
}

#[tokio::test]
async fn the_signal_is_raised_once_until_a_snapshot_is_asked_for() {
    let desk = Desk::new();
    for (event, raised) in [("$1", true), ("$2", false), ("$3", false)] {
        desk.record(message(event, "!r")).await;
        assert_eq!(desk.has_changed(), raised, "{event}");
    }
    assert_eq!(desk.snapshot().await.waiting_notices, 3);
    desk.record(message("$4", "!r")).await;
    assert!(desk.has_changed());
}

#[tokio::test]
async fn a_redaction_updates_what_waits() {
    for taken_back in 0..5 {
        let desk = Desk::new();
        for number in 0..5 {
            let mut push = message(&format!("${number}"), "!r");
            if number % 2 == 0 {
                push = push.highlight();
            }
            if number > 0 {
                push = push.sound(SoundTweak::Named("bing".to_owned()));
            }
            desk.record(push).await;
        }
        let content = format!(r#"{{"redacts":"${taken_back}"}}"#);
        desk.record(event("$redaction", "!r", "m.room.redaction", &content)).await;
        let left: Vec<i64> = (0..5).filter(|number| *number != taken_back).collect();
        let newest =
            |is_it: &dyn Fn(i64) -> bool| left.iter().rev().find(|number| is_it(**number)).map(|number| number + 1);
        let snapshot = desk.snapshot().await;
        let room = &snapshot.waiting[0];
        assert_eq!(
            (snapshot.waiting_from.0, room.count, Some(room.newest.0)),
            (left[0] + 1, 4, newest(&|_| true)),
            "without ${taken_back}"
        );
        assert_eq!(room.newest_highlight.map(|id| id.0), newest(&|number| number % 2 == 0));
        assert_eq!(snapshot.newest_sound.as_ref().map(|(id, _)| id.0), newest(&|number| number > 0));
    }
}

#[tokio::test]
async fn a_snapshot_says_what_each_popup_is_made_from_now() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!s")).await;
    desk.mark_read(Read::Room(key("a", "!s"), NoticeId(2))).await;
    desk.record(message("$3", "!r")).await;
    desk.record(event("$4", "!r", "m.call.invite", r#"{"call_id":"1","lifetime":60000}"#)).await;
    let rooms = || vec![(key("a", "!r"), NoticeId(1)), (key("a", "!s"), NoticeId(2)), (key("b", "!r"), NoticeId(9))];
    let calls = vec![NoticeId(1), NoticeId(4)];
    let snapshot = desk.inbox.snapshot(OnScreen { rooms: rooms(), calls, lines: 3 }).await.unwrap();
    let digest = |numbers: &[&str]| {
        let lines: Vec<_> = numbers.iter().map(|number| desk.notice(number)).collect();
        RoomDigest {
            count: lines.len() as u64,
            oldest: lines[0].id,
            newest: lines[lines.len() - 1].clone(),
            highlight: None,
            lines,
        }
    };
    let expected: Vec<_> = rooms().into_iter().map(|(room, _)| room).zip([Some(digest(&["$1"])), None, None]).collect();
    assert_eq!(snapshot.rooms, expected, "what came after the given notice is not told of");
    assert_eq!(snapshot.open_calls, [NoticeId(4)]);
    let all = desk.inbox.room_digest(key("a", "!r"), 3).await.unwrap();
    assert_eq!(all, Some(digest(&["$1", "$3"])));
}

/// Which indexes a query reads, as SQLite plans it.
fn plan(db: &rusqlite::Connection, query: &str) -> String {
    let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    // Whatever the parameters are.
    let mut steps = plan.raw_query();
    let mut plan = String::new();
    while let Some(step) = steps.next().unwrap() {
        plan.push_str(&step.get::<_, String>(3).unwrap());
        plan += "\n";
    }
    plan
}

#[tokio::test]
async fn frequent_queries_use_the_indexes() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    let db = rusqlite::Connection::open(desk.path()).unwrap();
    for (query, uses) in [
        (snapshot::WAITING, "notice USING COVERING INDEX notice_unread (kind=? AND presentation=?)"),
        (snapshot::NEWEST_SOUND, "notice USING COVERING INDEX notice_unread (kind=? AND presentation=?)"),
        (
            snapshot::ROOM_DIGEST,
            "notice USING COVERING INDEX notice_unread (kind=? AND presentation=? AND account=? AND room=?)",
        ),
        (codec::EVENT_BY_ID, "notice USING INDEX notice_event (account=? AND event_id=?)"),
        (codec::EVENT_BY_PUSH_ID, "notice USING INDEX notice_push (account=? AND push_id=?)"),
        (read_state::READ_ACCOUNT, "notice USING INDEX notice_unread"),
        (
            read_state::SHOW_ROOM,
            "notice USING COVERING INDEX notice_unread (kind=? AND presentation=? AND account=? AND room=?)",
        ),
    ] {
        let plan = plan(&db, query);
        assert!(plan.contains(uses), "{query}\n{plan}");
    }
}
