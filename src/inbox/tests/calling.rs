//! Calls: ringing, ended, missed.

use super::*;

fn invite(event_id: &str, call_id: &str) -> Push {
    event(event_id, "!r", "m.call.invite", &format!(r#"{{"call_id":"{call_id}","lifetime":30000}}"#))
}

fn over(event_id: &str, kind: &str, call_id: &str) -> Push {
    event(event_id, "!r", kind, &format!(r#"{{"call_id":"{call_id}"}}"#))
}

/// A call as the first protocol of group calls has it, sent at a time.
fn notification(sent_at: i64) -> Push {
    let content =
        format!(r#"{{"notification_type":"ring","lifetime":30000,"sender_ts":{}}}"#, at(sent_at).as_millisecond());
    event("$call", "!r", "m.rtc.notification", &content)
}

/// The states of the calls that the news tell of, and how many are missed.
async fn calls(desk: &Desk, seconds: i64) -> (Vec<CallState>, u64) {
    let snapshot = desk.snapshot_at(seconds).await;
    (snapshot.calls.iter().map(|call| call.state).collect(), snapshot.accounts[0].missed_calls)
}

const RINGING: CallState = CallState::Ringing;
const MISSED: CallState = CallState::Missed;

#[tokio::test]
async fn a_call_rings_until_its_deadline_and_then_is_missed() {
    let desk = Desk::new();
    desk.record(invite("$call", "c")).await;
    let call = desk.snapshot_at(29).await.calls.remove(0);
    assert_eq!((&*call.call_id, call.deadline, call.state), ("c", at(30), RINGING));
    assert_eq!(call.notice, desk.notice("$call"));
    assert_eq!(desk.snapshot_at(29).await.waiting, [], "it has a popup of its own");
    assert_eq!(calls(&desk, 30).await, (vec![MISSED], 1));
}

#[tokio::test]
async fn a_call_without_a_call_id_is_known_by_its_event() {
    let desk = Desk::new();
    desk.record(event("$call", "!r", "m.call.invite", "{}")).await;
    assert_eq!(desk.snapshot().await.calls[0].call_id, "$call");
    desk.record(over("$2", "m.call.answer", "$call")).await;
    assert_eq!(calls(&desk, 0).await, (vec![], 0));
}

#[tokio::test]
async fn a_missed_call_has_a_popup_after_that_of_the_ringing() {
    let desk = Desk::new();
    desk.record(invite("$call", "c")).await;
    let id = desk.snapshot().await.calls[0].notice.id;
    desk.mark_shown(Shown::Call(id, RINGING)).await;
    assert_eq!(desk.snapshot().await.calls[0].notice.presentation, Presentation::Shown);
    desk.record(over("$2", "m.call.hangup", "c")).await;
    // What is told about the ringing popup crosses with the hangup.
    desk.mark_shown(Shown::Call(id, RINGING)).await;
    assert_eq!(calls(&desk, 1).await, (vec![MISSED], 1));
    desk.mark_shown(Shown::Call(id, MISSED)).await;
    assert_eq!(calls(&desk, 1).await, (vec![], 1), "it counts until it is acknowledged");
    desk.mark_read(Read::Call(id)).await;
    assert_eq!(calls(&desk, 1).await, (vec![], 0));
    assert!(desk.notice("$call").read);
}

#[tokio::test]
async fn how_a_call_ends_decides_what_it_becomes() {
    let check = async |kind: &str, sender: &str, missed: bool| {
        let desk = Desk::new();
        desk.record(invite("$call", "c")).await;
        desk.record(over("$other", kind, "another").from(sender)).await;
        let mut elsewhere = over("$room", kind, "c").from(sender);
        elsewhere.notification.room_id = Some("!s".to_owned());
        desk.record(elsewhere).await;
        desk.record(over("$account", kind, "c").from(sender).for_account("b")).await;
        assert_eq!(calls(&desk, 0).await, (vec![RINGING], 0), "{kind} of other calls");
        desk.record(over("$end", kind, "c").from(sender)).await;
        let expected = if missed { (vec![MISSED], 1) } else { (vec![], 0) };
        assert_eq!(calls(&desk, 0).await, expected, "{kind} by {sender}");
        assert_eq!(desk.notice("$call").read, !missed);
        let end = desk.notice("$end");
        assert_eq!((end.presentation, end.read), (Presentation::Settled, true));
        let snapshot = desk.snapshot().await;
        assert_eq!((snapshot.waiting_notices, snapshot.newest.len()), (0, 1));
        assert_eq!(desk.unread("a").await, u64::from(missed));
    };
    check("m.call.answer", "@me:hs", false).await;
    check("m.call.reject", "@me:hs", false).await;
    check("m.call.select_answer", "@bob:hs", false).await;
    check("m.call.hangup", "@me:hs", false).await;
    check("m.call.hangup", "@bob:hs", true).await;
}

#[tokio::test]
async fn a_missed_call_that_was_taken_after_all_is_not_missed() {
    let desk = Desk::new();
    desk.record(invite("$call", "c")).await;
    desk.record(over("$2", "m.call.hangup", "c")).await;
    desk.record(over("$3", "m.call.hangup", "c")).await;
    assert_eq!(calls(&desk, 0).await, (vec![MISSED], 1));
    desk.record(over("$4", "m.call.answer", "c").from("@me:hs")).await;
    assert_eq!(calls(&desk, 0).await, (vec![], 0));
}

#[tokio::test]
async fn where_missed_calls_are_not_derived_a_call_just_ends() {
    let desk = Desk::new();
    desk.record(invite("$1", "c").not_deriving()).await;
    desk.record(invite("$2", "d").not_deriving()).await;
    desk.record(over("$hangup", "m.call.hangup", "c")).await;
    assert_eq!(calls(&desk, 29).await, (vec![RINGING], 0));
    assert_eq!(calls(&desk, 30).await, (vec![], 0));
    desk.record(invite("$3", "e").not_deriving().replayed()).await;
    assert_eq!(calls(&desk, 0).await, (vec![], 0));
    let third = desk.notice("$3");
    assert_eq!((third.presentation, third.read), (Presentation::Settled, true));
    assert_eq!(desk.unread("a").await, 0);
}

#[tokio::test]
async fn a_call_rings_no_longer_than_its_caller_waits() {
    let check = async |sent_at: i64, replayed: bool, expected: Result<i64, &str>| {
        let desk = Desk::new();
        let push = notification(sent_at);
        desk.record(if replayed { push.replayed() } else { push }).await;
        let call = desk.snapshot_at(0).await.calls.remove(0);
        match expected {
            Ok(deadline) => assert_eq!((call.state, call.deadline), (RINGING, at(deadline)), "sent at {sent_at}"),
            Err(why) => {
                assert_eq!((call.state, call.notice.presentation), (MISSED, Presentation::Waiting), "{why}");
                desk.mark_shown(Shown::Call(call.notice.id, call.state)).await;
                assert_eq!(calls(&desk, 0).await, (vec![], 1));
            }
        }
    };
    check(0, false, Ok(30)).await;
    check(-10, false, Ok(20)).await;
    check(3600, false, Ok(30)).await;
    check(-30, false, Ok(20)).await;
    check(-49, false, Ok(1)).await;
    check(-50, false, Err("it stopped ringing long ago")).await;
    check(0, true, Err("it was held back")).await;
}

#[tokio::test]
async fn a_restart_does_not_ring_again_and_misses_what_rang_out_meanwhile() {
    let mut desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(invite("$2", "d").at(100)).await;
    for id in [1, 2] {
        desk.mark_shown(Shown::Call(NoticeId(id), RINGING)).await;
    }
    desk.restart();
    let snapshot = desk.snapshot_at(110).await;
    assert_eq!(snapshot.calls.iter().map(|call| call.state).collect::<Vec<_>>(), [RINGING, MISSED]);
    assert_eq!((snapshot.calls[0].deadline, snapshot.calls[0].notice.presentation), (at(130), Presentation::Shown));
}

#[tokio::test]
async fn a_missed_call_whose_popup_was_not_shown_is_shown_by_the_next_start() {
    let mut desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.mark_shown(Shown::Call(NoticeId(1), RINGING)).await;
    assert_eq!(calls(&desk, 30).await, (vec![MISSED], 1));
    desk.restart();
    assert_eq!(calls(&desk, 31).await, (vec![MISSED], 1));
    desk.mark_shown(Shown::Call(NoticeId(1), MISSED)).await;
    desk.restart();
    assert_eq!(calls(&desk, 31).await, (vec![], 1));
}

#[tokio::test]
async fn calls_end_when_the_number_falls_to_zero() {
    let desk = Desk::new();
    desk.record(invite("$1", "c").counting(unread(1))).await;
    desk.record(invite("$2", "d").replayed()).await;
    desk.record(badge(unread(2))).await;
    assert_eq!(calls(&desk, 0).await, (vec![RINGING, MISSED], 1));
    desk.record(badge(unread(0))).await;
    assert_eq!(calls(&desk, 0).await, (vec![], 0));
    assert!(desk.history().iter().all(|notice| notice.read && notice.presentation == Presentation::Settled));
}

#[tokio::test]
async fn calls_end_with_the_number_of_their_room() {
    let desk = Desk::new();
    desk.record(invite("$1", "c").counting(unread(1)).per_room()).await;
    let mut zero = badge(unread(0)).per_room();
    zero.notification.room_id = Some("!s".to_owned());
    desk.record(zero.clone()).await;
    assert_eq!(calls(&desk, 0).await, (vec![RINGING], 0));
    zero.notification.room_id = Some("!r".to_owned());
    desk.record(zero).await;
    assert_eq!(calls(&desk, 0).await, (vec![], 0));
}

#[tokio::test]
async fn a_call_that_comes_with_zero_rings_all_the_same() {
    let desk = Desk::new();
    desk.record(invite("$1", "c").counting(unread(0))).await;
    assert_eq!(calls(&desk, 0).await, (vec![RINGING], 0));
}

#[tokio::test]
async fn a_call_opened_or_redacted_is_over() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(invite("$2", "d")).await;
    desk.mark_read(Read::Call(NoticeId(1))).await;
    desk.mark_read(Read::Call(NoticeId(77))).await;
    desk.record(event("$3", "!r", "m.room.redaction", r#"{"redacts":"$2"}"#)).await;
    assert_eq!(calls(&desk, 99).await, (vec![], 0));
    assert_eq!(desk.unread("a").await, 0);
    assert!(desk.notice("$2").redacted);
}

#[tokio::test]
async fn a_summary_is_not_about_calls() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(message("$2", "!r")).await;
    desk.show_all().await;
    assert_eq!(desk.notice("$1").presentation, Presentation::Waiting);
    assert_eq!(desk.inbox.totals().await.unwrap().unshown, 1);
}

#[tokio::test]
async fn popups_that_are_off_settle_missed_calls_too() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.mark_shown(Shown::Call(NoticeId(1), RINGING)).await;
    assert_eq!(calls(&desk, 30).await, (vec![MISSED], 1));
    desk.inbox.settle_waiting(NoticeId(i64::MAX)).await.unwrap();
    assert_eq!(calls(&desk, 30).await, (vec![], 1));
}
