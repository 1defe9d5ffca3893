//! What waits to be shown, what was shown, what a popup is made from.

use super::*;

#[tokio::test]
async fn what_waits_is_told_by_room_oldest_first() {
    let mut desk = Desk::new();
    let bing = SoundTweak::Named("bing".to_owned());
    desk.record(message("$1", "!s").sound(bing.clone())).await;
    desk.record(message("$2", "!r").highlight()).await;
    desk.record(message("$3", "!s").highlight()).await;
    desk.record(message("$4", "!s")).await;
    assert!(desk.had_news().await);
    desk.restart();
    let news = desk.news().await;
    let room = |room_id, count, newest| WaitingRoom {
        room: key("a", room_id),
        count,
        newest: NoticeId(newest),
        newest_highlight: None,
    };
    assert_eq!(
        news.waiting,
        [
            WaitingRoom { newest_highlight: Some(NoticeId(3)), ..room("!s", 3, 4) },
            WaitingRoom { newest_highlight: Some(NoticeId(2)), ..room("!r", 1, 2) },
        ]
    );
    assert_eq!(news.newest_sound, Some((NoticeId(1), bing)));
    assert_eq!((news.waiting_notices, news.waiting_rooms), (4, 2));

    desk.mark_shown(Shown::Room(key("a", "!s"), NoticeId(3))).await;
    assert_eq!(
        desk.news().await.waiting,
        [WaitingRoom { newest_highlight: Some(NoticeId(2)), ..room("!r", 1, 2) }, room("!s", 1, 4)]
    );
    desk.mark_shown(Shown::Room(key("nobody", "!s"), NoticeId(9))).await;
    desk.mark_shown(Shown::Everything(NoticeId(3))).await;
    assert_eq!(desk.news().await.waiting, [room("!s", 1, 4)]);
    let shown: Vec<_> = desk.history().iter().map(|notice| notice.presentation).collect();
    assert_eq!(shown, [Presentation::Shown, Presentation::Shown, Presentation::Shown, Presentation::Waiting]);
}

#[tokio::test]
async fn a_highlight_is_news_however_many_rooms_wait_before_it() {
    let desk = Desk::new();
    for number in 0..100 {
        let push = message(&format!("${number}"), &format!("!{number}"));
        desk.record(if number % 40 == 39 { push.highlight() } else { push }).await;
    }
    let waiting = desk.news().await.waiting;
    let rooms: Vec<_> = waiting.iter().map(|waiting| waiting.room.room_id.clone()).collect();
    let others = (0..63).filter(|number| *number != 39);
    let expected: Vec<_> = [39, 79].into_iter().chain(others).map(|number| format!("!{number}")).collect();
    assert_eq!(rooms, expected);
    assert_eq!(waiting.iter().filter(|waiting| waiting.newest_highlight.is_some()).count(), 2);
}

#[tokio::test]
async fn the_news_are_bounded() {
    let desk = Desk::new();
    for number in 0..News::MAX_ROOMS + 6 {
        desk.record(message(&format!("${number}"), &format!("!{number}"))).await;
        desk.record(event(&format!("$c{number}"), "!c", "m.call.invite", "{}")).await;
    }
    let news = desk.news().await;
    assert_eq!((news.waiting.len(), news.waiting_notices, news.waiting_rooms), (64, 70, 70));
    assert_eq!(news.waiting[0].room, key("a", "!0"));
    assert_eq!((news.calls.len(), news.newest.len()), (32, 5));
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
async fn what_is_read_does_not_wait() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(message("$2", "!r")).await;
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(1))).await;
    assert_eq!(desk.notice("$1").presentation, Presentation::Settled);
    assert_eq!(desk.news().await.waiting_notices, 1);
}

#[tokio::test]
async fn what_is_settled_is_never_shown_and_stays_unread() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    let news = desk.news().await;
    assert_eq!((news.waiting_notices, news.waiting, news.accounts[0].unread), (0, vec![], 2));
    assert_eq!(news.calls[0].notice.presentation, Presentation::Settled);
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
async fn only_what_is_new_is_news() {
    let desk = Desk::new();
    desk.record(message("$1", "!r")).await;
    assert!(desk.had_news().await);
    desk.news().await;
    desk.show_all().await;
    desk.digest(key("a", "!r")).await;
    desk.inbox.set_setting("pause", Some("x".to_owned())).await.unwrap();
    desk.inbox.check().await.unwrap();
    assert!(!desk.had_news().await);
    desk.mark_read(Read::Room(key("a", "!r"), NoticeId(1))).await;
    assert!(desk.had_news().await);
}

#[tokio::test]
async fn much_that_was_shown_or_read_is_marked_in_steps_between_which_pushes_are_recorded() {
    for read in [false, true] {
        let desk = Desk::new();
        let pushes: Vec<_> = (0..90)
            .map(|number| {
                let inbox = desk.inbox.clone();
                let push = message(&format!("${number}"), &format!("!{}", number % 2));
                tokio::spawn(async move { inbox.record(push.delivery()).await })
            })
            .collect();
        for push in pushes {
            push.await.unwrap().unwrap();
        }
        let waiting = async || desk.news().await.waiting_notices;
        assert_eq!(waiting().await, 90);
        let marking = tokio::spawn({
            let inbox = desk.inbox.clone();
            async move {
                if read {
                    inbox.mark_read(Read::Room(key("a", "!0"), NoticeId(90))).await.unwrap();
                    inbox.mark_read(Read::Room(key("a", "!1"), NoticeId(90))).await
                } else {
                    inbox.mark_shown(vec![Shown::Everything(NoticeId(90))]).await
                }
            }
        });
        let mut seen = Vec::new();
        while seen.last() != Some(&0) {
            seen.push(waiting().await);
            seen.dedup();
        }
        assert!(seen.windows(2).all(|pair| pair[0] - pair[1] <= marks::STEP as u64), "{seen:?}");
        marking.await.unwrap().unwrap();
        desk.record(message("$new", "!0")).await;
        assert_eq!((waiting().await, desk.unread("a").await), (1, if read { 1 } else { 91 }));
        let digest = desk.digest(key("a", "!0")).await.unwrap();
        assert_eq!(digest.count, if read { 1 } else { 46 });
    }
}

#[tokio::test]
async fn much_that_was_read_elsewhere_is_marked_in_steps_between_which_pushes_are_recorded() {
    let mut desk = Desk::new();
    for number in 0..30 {
        desk.record(message(&format!("${number}"), &format!("!{}", number % 2))).await;
    }
    // All of it at once, so that the steps are still under way when the last push comes.
    let pushes = [
        badge(unread(0)),
        message("$new", "!0").counting(unread(1)),
        event("$redaction", "!1", "m.room.redaction", r#"{"redacts":"$29"}"#),
    ];
    for push in pushes {
        let (answer, _) = oneshot::channel();
        desk.inbox.requests.try_send(Request::Record((push.delivery(), answer))).unwrap();
    }
    let news = desk.news().await;
    assert_eq!((news.waiting_notices, news.accounts[0].unread), (1, 1));
    let unread_rows = |desk: &Desk| desk.history().iter().filter(|notice| !notice.read).count();
    assert_eq!(unread_rows(&desk), 1, "whoever asks sees all of it done");
    assert_eq!(desk.digest(key("a", "!0")).await.unwrap().count, 1);
    assert_eq!(desk.digest(key("a", "!1")).await, None);

    // Killed in the middle of it: the next start goes on.
    let other = rusqlite::Connection::open(desk.path()).unwrap();
    other
        .execute_batch(
            "UPDATE notice SET read = 0, presentation = 1 WHERE id BETWEEN 5 AND 20; UPDATE account SET read_up_to = 30",
        )
        .unwrap();
    desk.restart();
    assert_eq!(desk.digest(key("a", "!1")).await, None);
    assert_eq!(unread_rows(&desk), 1);
}

#[tokio::test]
async fn news_are_raised_once_until_they_are_asked_for() {
    let desk = Desk::new();
    for (event, raised) in [("$1", true), ("$2", false), ("$3", false)] {
        desk.record(message(event, "!r")).await;
        assert_eq!(desk.had_news().await, raised, "{event}");
    }
    assert_eq!(desk.news().await.waiting_notices, 3);
    desk.record(message("$4", "!r")).await;
    assert!(desk.had_news().await);
}

#[tokio::test]
async fn a_room_with_much_that_was_read_elsewhere_is_marked_in_steps_too() {
    let mut desk = Desk::new();
    for number in 0..30 {
        let push = message(&format!("${number}"), &format!("!{}", number % 2)).per_room().counting(unread(number));
        desk.record(if number == 6 { push.highlight() } else { push }).await;
    }
    let mut room_is_zero = badge(unread(0)).per_room();
    room_is_zero.notification.room_id = Some("!0".to_owned());
    let pushes = [
        room_is_zero,
        message("$new", "!0").counting(unread(1)).per_room(),
        event("$redaction", "!0", "m.room.redaction", r#"{"redacts":"$28"}"#),
    ];
    for push in pushes {
        let (answer, _) = oneshot::channel();
        desk.inbox.requests.try_send(Request::Record((push.delivery(), answer))).unwrap();
    }
    let news = desk.news().await;
    assert_eq!((news.waiting_notices, news.accounts[0].unread), (16, 30));
    let unread_rows = |desk: &Desk| desk.history().iter().filter(|notice| !notice.read).count();
    assert_eq!(unread_rows(&desk), 16, "whoever asks sees all of it done");
    assert_eq!(desk.digest(key("a", "!0")).await.map(|digest| (digest.count, digest.highlight)), Some((1, None)));

    let other = rusqlite::Connection::open(desk.path()).unwrap();
    other
        .execute_batch(
            "UPDATE notice SET read = 0, presentation = 1 WHERE room = 1 AND id < 28;
            UPDATE room SET read_up_to = 30 WHERE id = 1",
        )
        .unwrap();
    desk.restart();
    assert_eq!(desk.digest(key("a", "!0")).await.unwrap().count, 1);
    assert_eq!(unread_rows(&desk), 16, "killed in the middle of it, the next start goes on");
}

#[tokio::test]
async fn what_waits_is_known_when_any_of_it_is_taken_back() {
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
        let news = desk.news().await;
        let room = &news.waiting[0];
        assert_eq!(
            (news.waiting_from.0, room.count, Some(room.newest.0)),
            (left[0] + 1, 4, newest(&|_| true)),
            "without ${taken_back}"
        );
        assert_eq!(room.newest_highlight.map(|id| id.0), newest(&|number| number % 2 == 0));
        assert_eq!(news.newest_sound.as_ref().map(|(id, _)| id.0), newest(&|number| number > 0));
    }
}

#[tokio::test]
async fn a_room_that_is_read_while_its_account_is_being_read_counts_nothing_twice() {
    let desk = Desk::new();
    let room_badge = |room: &str| {
        let mut push = badge(unread(0)).per_room();
        push.notification.room_id = Some(room.to_owned());
        push
    };
    for number in 0..10 {
        desk.record(message(&format!("${number}"), "!0").counting(unread(1)).per_room()).await;
    }
    let pushes = [
        badge(unread(0)).per_room(),
        message("$new", "!0").counting(unread(1)).per_room(),
        message("$other", "!1").counting(unread(1)).per_room(),
        room_badge("!0"),
    ];
    for push in pushes {
        let (answer, _) = oneshot::channel();
        desk.inbox.requests.try_send(Request::Record((push.delivery(), answer))).unwrap();
    }
    assert_eq!((desk.digest(key("a", "!0")).await, desk.news().await.waiting_notices), (None, 1));
    desk.record(badge(unread(0)).per_room()).await;
    assert_eq!((desk.digest(key("a", "!1")).await, desk.news().await.waiting_notices), (None, 0));
}
