//! Calls: ringing, ended, missed.

use super::*;
use crate::push::event::CallEnding;

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

/// The states of the calls in a snapshot, and how many are missed.
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
    // The report that the ringing popup was shown comes after the hangup.
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
    let desk = Desk::with(Settings { derive_missed_calls: false, ..SETTINGS });
    desk.record(invite("$1", "c")).await;
    desk.record(invite("$2", "d").from("@carol:hs")).await;
    desk.record(over("$hangup", "m.call.hangup", "c")).await;
    assert_eq!(calls(&desk, 29).await, (vec![RINGING], 0));
    assert_eq!(calls(&desk, 30).await, (vec![], 0));
    desk.record(invite("$3", "e").replayed()).await;
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
async fn after_a_restart_a_call_whose_deadline_has_passed_is_missed() {
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
async fn a_missed_call_that_was_not_shown_is_shown_after_a_restart() {
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
    desk.record(invite("$2", "d").from("@carol:hs")).await;
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

#[tokio::test]
async fn a_caller_who_dials_again_is_the_same_call_until_it_ends() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(invite("$2", "d").at(20)).await;
    desk.record(invite("$2", "d").at(21)).await;
    let [call] = &desk.snapshot_at(31).await.calls[..] else { panic!("one call") };
    assert_eq!((call.notice.id, &*call.call_id, call.deadline, call.state), (NoticeId(1), "d", at(50), RINGING));
    assert_eq!((desk.listed(), desk.unread("a").await), (vec!["$1".to_owned()], 1));
    // The end of the first ring comes late.
    desk.record(over("$3", "m.call.hangup", "c")).await;
    assert_eq!(calls(&desk, 49).await, (vec![RINGING], 0));
    assert_eq!(calls(&desk, 50).await, (vec![MISSED], 1), "one missed call");
    desk.record(invite("$4", "e").at(51)).await;
    assert_eq!(calls(&desk, 52).await, (vec![RINGING, MISSED], 1), "it is a new one after the end");
}

#[tokio::test]
async fn a_shorter_ring_does_not_make_a_call_end_sooner() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(event("$2", "!r", "m.call.invite", r#"{"call_id":"d","lifetime":1000}"#)).await;
    assert_eq!(desk.snapshot().await.calls[0].deadline, at(30));
}

#[tokio::test]
async fn a_call_of_another_caller_room_or_account_is_another() {
    let desk = Desk::new();
    desk.record(invite("$1", "c")).await;
    desk.record(invite("$2", "d").from("@carol:hs")).await;
    desk.record(event("$3", "!s", "m.call.invite", "{}")).await;
    desk.record(invite("$4", "c").for_account("b")).await;
    for number in [5, 6] {
        let mut nobody = invite(&format!("${number}"), "n");
        nobody.notification.sender = None;
        desk.record(nobody).await;
    }
    desk.record(invite("$7", "c").replayed()).await;
    assert_eq!(desk.snapshot().await.calls.len(), 7);
}

#[tokio::test]
async fn after_a_decline_or_a_dismissal_a_call_is_a_new_one() {
    for decline in [true, false] {
        let desk = Desk::new();
        desk.record(invite("$1", "c")).await;
        if decline {
            desk.record(over("$2", "m.call.reject", "c").from("@me:hs")).await;
        } else {
            desk.mark_read(Read::Call(NoticeId(1))).await;
        }
        desk.record(invite("$3", "d").at(5)).await;
        let calls = desk.snapshot().await.calls;
        let found: Vec<_> = calls.iter().map(|call| (call.notice.event_id.as_deref(), call.state)).collect();
        assert_eq!(found, [(Some("$3"), RINGING)], "decline: {decline}");
    }
}

#[tokio::test]
async fn a_call_to_somebody_else_is_history_and_does_not_ring() {
    let to_carol = |event_id: &str| {
        event(event_id, "!r", "m.call.invite", r#"{"call_id":"c","invitee":"@carol:hs"}"#)
            .sound(SoundTweak::Named("ring".to_owned()))
    };
    let desk = Desk::new();
    let mut signed_in = to_carol("$1").counting(unread(1));
    signed_in.recipients[0].user_id = Some("@me:hs".to_owned());
    desk.record(signed_in).await;
    assert_eq!(calls(&desk, 99).await, (vec![], 0));
    let snapshot = desk.snapshot().await;
    assert_eq!((snapshot.waiting_notices, snapshot.newest_sound), (0, None));
    let notice = desk.notice("$1");
    assert_eq!((notice.read, notice.presentation), (true, Presentation::Settled));
    assert_eq!(desk.listed(), ["$1"]);
    let mut mine = event("$2", "!s", "m.call.invite", r#"{"invitee":"@me:hs"}"#);
    mine.recipients[0].user_id = Some("@me:hs".to_owned());
    desk.record(mine).await;
    desk.record(to_carol("$3").for_account("b")).await;
    assert_eq!(calls(&desk, 0).await, (vec![RINGING, RINGING], 0), "by hand nobody knows who the user is");
}

/// The state of the call "$call".
fn state_of(desk: &Desk) -> Option<CallState> {
    desk.notice("$call").call_state
}

#[tokio::test]
async fn a_number_that_a_call_raised_and_that_falls_silences_it() {
    let desk = Desk::new();
    desk.record(badge(unread(2))).await;
    desk.record(invite("$call", "c").counting(unread(3))).await;
    desk.record(message("$2", "!s").counting(unread(4))).await;
    desk.record(badge(unread(3))).await;
    assert_eq!(state_of(&desk), Some(RINGING), "the message was read");
    desk.record(badge(unread(2))).await;
    assert_eq!(calls(&desk, 29).await, (vec![CallState::Silenced], 0));
    assert_eq!(calls(&desk, 30).await, (vec![], 0));
    let call = desk.notice("$call");
    assert_eq!((call.call_state, call.read), (Some(CallState::PerhapsTaken), false));
    assert_eq!(desk.inbox.totals().await.unwrap().unshown, 1, "but the message");
    desk.record(badge(unread(1))).await;
    assert_eq!(state_of(&desk), Some(CallState::PerhapsTaken));
    desk.record(badge(unread(0))).await;
    let call = desk.notice("$call");
    assert_eq!((call.call_state, call.read), (Some(CallState::Over), true), "only zero takes it away");
}

#[tokio::test]
async fn a_number_that_no_call_raised_silences_none() {
    let desk = Desk::new();
    desk.record(badge(unread(3))).await;
    desk.record(invite("$call", "c").counting(unread(3))).await;
    desk.record(badge(unread(1))).await;
    assert_eq!(state_of(&desk), Some(RINGING), "it did not raise it");

    let desk = Desk::new();
    let mut signed_in = invite("$call", "c").counting(unread(3));
    signed_in.recipients[0].user_id = Some("@me:hs".to_owned());
    let mut fallen = badge(unread(1));
    fallen.recipients = signed_in.recipients.clone();
    desk.record(signed_in).await;
    desk.record(fallen).await;
    assert_eq!(state_of(&desk), Some(RINGING), "it is watched");

    let desk = Desk::new();
    let room = |push: Push, room: &str| {
        let mut push = push.per_room();
        push.notification.room_id = Some(room.to_owned());
        push
    };
    desk.record(room(badge(unread(5)), "!s")).await;
    desk.record(invite("$call", "c").counting(unread(2)).per_room()).await;
    desk.record(room(badge(unread(1)), "!s")).await;
    assert_eq!(state_of(&desk), Some(RINGING), "it was another room's");
    desk.record(room(badge(unread(1)), "!r")).await;
    assert_eq!(state_of(&desk), Some(CallState::Silenced));
}

#[tokio::test]
async fn a_silenced_call_can_end_ring_again_or_be_acknowledged() {
    let silenced = async || {
        let desk = Desk::new();
        desk.record(badge(unread(2))).await;
        desk.record(invite("$call", "c").counting(unread(3))).await;
        desk.record(badge(unread(2))).await;
        assert_eq!(state_of(&desk), Some(CallState::Silenced));
        desk
    };
    let desk = silenced().await;
    desk.record(over("$2", "m.call.hangup", "c")).await;
    assert_eq!((state_of(&desk), calls(&desk, 0).await), (Some(CallState::PerhapsTaken), (vec![], 0)));
    desk.mark_read(Read::Call(NoticeId(1))).await;
    assert_eq!(state_of(&desk), Some(CallState::Over));

    let desk = silenced().await;
    desk.record(over("$2", "m.call.answer", "c")).await;
    assert_eq!(state_of(&desk), Some(CallState::Over));

    let desk = silenced().await;
    desk.record(invite("$2", "d").at(9).counting(unread(3))).await;
    assert_eq!(calls(&desk, 38).await, (vec![RINGING], 0), "the caller dials again");
    desk.record(badge(unread(2))).await;
    assert_eq!(state_of(&desk), Some(CallState::Silenced));
}

#[tokio::test]
async fn a_call_ends_as_its_room_says() {
    let desk = Desk::new();
    for (event_id, caller) in [("$1", "@bob:hs"), ("$2", "@carol:hs")] {
        desk.record(invite(event_id, "c").from(caller)).await;
    }
    desk.snapshot().await;
    assert!(desk.has_changed());
    desk.inbox.end_call(NoticeId(1), CallEnding::Hangup).await.unwrap();
    assert!(desk.has_changed());
    desk.inbox.end_call(NoticeId(2), CallEnding::Taken).await.unwrap();
    assert_eq!(calls(&desk, 0).await, (vec![MISSED], 1));
    assert!(desk.notice("$2").read);
    desk.inbox.end_call(NoticeId(1), CallEnding::Taken).await.unwrap();
    assert_eq!(calls(&desk, 0).await, (vec![], 0), "it was answered after all");
    desk.has_changed();
    desk.inbox.end_call(NoticeId(1), CallEnding::Hangup).await.unwrap();
    desk.inbox.end_call(NoticeId(9), CallEnding::Hangup).await.unwrap();
    assert_eq!((calls(&desk, 0).await, desk.has_changed()), ((vec![], 0), false), "what is over stays so");
}
