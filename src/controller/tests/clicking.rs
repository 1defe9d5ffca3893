//! What clicks, dismissals and the tray's menu do.

use super::{push::*, screen::Service, *};
use crate::control::Section;

/// Room, event and activation token of what was opened last.
fn opened(bench: &Bench) -> (String, String, Option<String>) {
    match bench.opened().pop() {
        Some((OpenTarget::Room { room_id, event_id, .. }, token)) => (room_id, event_id.unwrap_or_default(), token),
        other => panic!("{other:?}"),
    }
}

fn said(room: &str, event: &str, token: Option<&str>) -> (String, String, Option<String>) {
    (room.into(), event.into(), token.map(str::to_owned))
}

#[tokio::test(start_paused = true)]
async fn a_click_opens_the_newest_message_and_reads_the_room() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.push(message("three", "Cellar")).await;
    bench.click(&room("Kitchen")).await;
    assert_eq!(opened(&bench), said("Kitchen", "two", Some("token")));
    assert_eq!(bench.up(), [("Bob in Cellar".to_owned(), "three".to_owned())]);
    assert_eq!((bench.badge().0, bench.notice("one").read, bench.notice("three").read), (1, true, false));
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_popup_is_read_and_opens_nothing() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.dismiss(&room("Kitchen")).await;
    assert!(bench.notice("one").read && bench.opened().is_empty());
    bench.push(message("two", "Kitchen")).await;
    assert_eq!(bench.up().last().unwrap().1, "two", "the next popup begins anew");
}

#[tokio::test(start_paused = true)]
async fn acting_on_a_popup_does_not_read_its_replacement_in_flight() {
    for is_click in [true, false] {
        let mut bench = Bench::new().await;
        bench.push(message("one", "Kitchen")).await;
        bench.service(Service::Waits).await;
        bench.push(message("two", "Kitchen")).await;
        let key = room("Kitchen");
        if is_click {
            bench.click(&key).await;
        } else {
            bench.dismiss(&key).await;
        }
        assert!(bench.notice("one").read && !bench.notice("two").read);
        bench.release().await;
        bench.click(&room("Kitchen")).await;
        assert_eq!(opened(&bench), said("Kitchen", "two", Some("token")));
        assert!(bench.notice("two").read);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_popup_does_not_return_for_an_edit_in_flight() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.service(Service::Waits).await;
    bench.push(edit("e", "Kitchen", "one", "won")).await;
    bench.shows();
    bench.dismiss(&room("Kitchen")).await;
    bench.release().await;
    assert_eq!(bench.up(), [], "what the service was asked for already is closed at once");
    bench.push(message("two", "Kitchen")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "two".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_click_on_a_summary_opens_the_newest_message() {
    let mut bench = Bench::without_service().await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    bench.service(Service::Shows).await;
    bench.click(&PopupKey::Summary).await;
    assert_eq!(opened(&bench), said("room 4", "4", Some("token")));
    assert_eq!((bench.up(), bench.badge().0), (vec![], 4));
}

#[tokio::test(start_paused = true)]
async fn a_summary_that_was_seen_is_over_and_the_next_counts_anew() {
    for is_click in [true, false] {
        let mut bench = Bench::without_service().await;
        for number in 0..5 {
            bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
        }
        bench.service(Service::Shows).await;
        let key = PopupKey::Summary;
        if is_click {
            bench.click(&key).await;
        } else {
            bench.dismiss(&key).await;
        }
        bench.shows();
        for number in 10..30 {
            bench.arrive(message(&format!("{number}"), &format!("room {number}"))).await;
        }
        bench.settle().await;
        assert_eq!(bench.shows(), ["20 messages in 20 rooms"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_click_on_the_tray_opens_what_is_unread_one_after_the_other() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(call("c", "Cellar")).await;
    bench.pass(61 * SECOND).await;
    assert_eq!(bench.badge(), (2, 1));
    bench.tray(TrayAction::OpenNewest).await;
    assert_eq!(opened(&bench), said("Cellar", "call c", None));
    assert_eq!(bench.badge(), (1, 0), "a missed call that was opened is missed no more");
    bench.tray(TrayAction::OpenNewest).await;
    assert_eq!(opened(&bench), said("Kitchen", "one", None));
    bench.tray(TrayAction::OpenNewest).await;
    assert!(bench.opened().is_empty() && bench.up().is_empty());
    assert_eq!(bench.badge(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_menu_line_opens_its_message_and_reads_the_rooms_popup() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.tray(TrayAction::OpenNotice(bench.notice("one").id)).await;
    assert_eq!(opened(&bench), said("Kitchen", "one", None));
    assert!(bench.up().is_empty() && bench.notice("two").read);
}

#[tokio::test(start_paused = true)]
async fn clear_withdraws_everything_and_sets_the_badge_to_zero() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(3)).await;
    bench.push(call("c", "Cellar").unread(4)).await;
    bench.service(Service::Waits).await;
    bench.push(message("two", "Attic").unread(5)).await;
    bench.tray(TrayAction::Clear).await;
    bench.release().await;
    assert_eq!((bench.up(), bench.badge()), (vec![], (0, 0)));
    assert!(bench.ringing().is_empty());
    bench.pass(120 * SECOND).await;
    assert_eq!((bench.up(), bench.badge()), (vec![], (0, 0)));
    bench.push(message("three", "Attic").unread(6)).await;
    assert_eq!((bench.up().len(), bench.badge()), (1, (6, 0)), "until the next push says otherwise");
}

#[tokio::test(start_paused = true)]
async fn the_menu_asks_the_program() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(7)).await;
    for (action, expected) in [
        (TrayAction::Test, AppRequest::SendTest),
        (TrayAction::Connect, AppRequest::OpenPage { section: Section::Setup, token: None }),
        (TrayAction::OpenInbox, AppRequest::OpenPage { section: Section::Inbox, token: None }),
        (TrayAction::OpenSettings, AppRequest::OpenPage { section: Section::Settings, token: None }),
        (TrayAction::ToggleAutostart, AppRequest::SetAutostart(true)),
        (TrayAction::ToggleAutostart, AppRequest::SetAutostart(false)),
        (TrayAction::Quit, AppRequest::Quit),
    ] {
        bench.tray(action).await;
        assert_eq!(bench.requests.try_recv(), Ok(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_mark_that_could_not_be_changed_is_redrawn() {
    let mut bench = Bench::new().await;
    bench.handle(Event::Autostart(Ok(false))).await;
    bench.tray(TrayAction::ToggleAutostart).await;
    assert_eq!(bench.renewed(), 0);
    bench.handle(Event::Autostart(Err("the directory is not yours".into()))).await;
    bench.handle(Event::Autostart(Ok(false))).await;
    assert_eq!(bench.renewed(), 1);
    assert_eq!(bench.shows(), ["Starting with the desktop could not be changed"]);
}

#[tokio::test(start_paused = true)]
async fn a_dismissal_while_the_inbox_is_locked_is_recorded_later() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(call("c", "Cellar")).await;
    let call = PopupKey::Call(bench.notice("call c").id);
    let other = bench.lock_inbox();
    bench.dismiss(&room("Kitchen")).await;
    bench.dismiss(&call).await;
    drop(other);
    bench.shows();
    bench.pass(90 * SECOND).await;
    assert_eq!((bench.shows(), bench.badge()), (vec![], (0, 0)), "above all no missed call");
    assert!(bench.notice("one").read);
}
