//! Pauses: nothing comes up and nothing sounds, and all of it ends in one popup.

use jiff::ToSpan;
use tokio::sync::oneshot;

use super::{push::*, screen::Service, *};
use crate::{
    control::{Reply, Request},
    desktop::tray_view::PauseLength,
};

async fn ask(bench: &mut Bench, request: Request) -> Reply {
    let (reply, answer) = oneshot::channel();
    bench.handle(Event::Command((request, reply))).await;
    answer.await.unwrap()
}

async fn receive_five(bench: &mut Bench) {
    for number in 0..5 {
        let push = message(&format!("{number}"), &format!("room {number}"));
        bench.push(push.sound("bing").unread(number + 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_silent_counts_on_and_ends_in_one_summary() {
    let mut bench = Bench::new().await;
    assert_eq!(ask(&mut bench, Request::Pause { until: None }).await, Reply::Done);
    receive_five(&mut bench).await;
    bench.pass(3600 * SECOND).await;
    assert_eq!((bench.asked(), bench.sounds().len(), bench.badge().0), (0, 0, 5));
    assert!(bench.shown_in_tray().paused);
    assert_eq!(bench.controller.next_due(), None, "a pause without end has no timer");
    assert_eq!(ask(&mut bench, Request::Resume).await, Reply::Done);
    assert_eq!((bench.shows(), bench.sounds().len()), (vec!["5 messages in 5 rooms".into()], 0));
    assert!(!bench.shown_in_tray().paused);
}

#[tokio::test(start_paused = true)]
async fn two_rooms_are_one_summary_and_one_is_its_popup() {
    for (rooms, expected) in [(1, "Bob in room 0"), (2, "2 messages in 2 rooms")] {
        let mut bench = Bench::new().await;
        bench.tray(TrayAction::Pause(PauseLength::HalfHour)).await;
        for number in 0..rooms {
            bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
        }
        bench.pass(1801 * SECOND).await;
        assert_eq!(bench.shows(), [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_outlives_a_restart_and_ends_by_its_timer() {
    let mut bench = Bench::new().await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    receive_five(&mut bench).await;
    bench.restart().await;
    assert_eq!(bench.asked(), 0);
    bench.pass(3590 * SECOND).await;
    assert_eq!(bench.asked(), 0);
    bench.pass(20 * SECOND).await;
    assert_eq!(bench.shows(), ["5 messages in 5 rooms"]);
    bench.restart().await;
    assert!(!bench.shown_in_tray().paused);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_ended_while_nobody_looked_ends_at_once() {
    let mut bench = Bench::new().await;
    let until = Timestamp::now() - 1.second();
    assert_eq!(ask(&mut bench, Request::Pause { until: Some(until) }).await, Reply::Done);
    bench.push(message("one", "Kitchen")).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);
    bench.inbox.set_setting("paused_until", Some(until.to_string())).await.unwrap();
    bench.restart().await;
    assert!(!bench.shown_in_tray().paused);
    assert_eq!(bench.inbox.setting("paused_until").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_at_its_time_though_the_computer_slept() {
    let mut bench = Bench::new().await;
    // An hour ago it was two hours long, and the clock that stands still during sleep says that it still is.
    let (wall, now) = (Timestamp::now(), Instant::now());
    bench.controller.pause = Some(Pause::new(wall + 1.hour(), wall - 1.hour(), now));
    bench.say(DesktopEvent::Resumed).await;
    let ends_at = bench.controller.pause.and_then(|pause| pause.ends_at()).unwrap();
    assert!(ends_at <= now + 3600 * SECOND, "{:?}", ends_at - now);
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_end_outlives_a_restart() {
    let mut bench = Bench::new().await;
    ask(&mut bench, Request::Pause { until: None }).await;
    bench.restart().await;
    bench.push(message("one", "Kitchen")).await;
    assert_eq!((bench.shows(), bench.controller.next_due()), (vec![], None));
}

#[tokio::test(start_paused = true)]
async fn resuming_without_a_pause_changes_nothing() {
    let mut bench = Bench::without_service().await;
    for number in 0..2 {
        bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    bench.tray(TrayAction::Resume).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), ["Bob in room 0", "Bob in room 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_ended_without_a_service_is_summarised_later() {
    let mut bench = Bench::without_service().await;
    bench.tray(TrayAction::Pause(PauseLength::HalfHour)).await;
    for number in 0..2 {
        bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    bench.pass(1801 * SECOND).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), ["2 messages in 2 rooms"]);
}

#[tokio::test(start_paused = true)]
async fn popups_are_settled_during_a_pause_if_they_are_off() {
    let mut bench = Bench::new().await;
    bench.configure(|config| config.popup.enabled = false).await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    receive_five(&mut bench).await;
    bench.configure(|config| config.popup.enabled = true).await;
    bench.tray(TrayAction::Resume).await;
    assert_eq!(bench.shows(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn settings_made_while_the_inbox_is_locked_are_kept() {
    let mut bench = Bench::new().await;
    ask(&mut bench, Request::Pause { until: None }).await;
    let other = bench.lock_inbox();
    assert!(matches!(ask(&mut bench, Request::Resume).await, Reply::Failed { .. }));
    bench.tray(TrayAction::ToggleMute).await;
    drop(other);
    bench.pass(6 * SECOND).await;
    assert_eq!(bench.controller.next_due(), None);
    bench.restart().await;
    assert!(!bench.shown_in_tray().paused && bench.controller.muted);
}
