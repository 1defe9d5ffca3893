//! Calls: they ring, and end in one of many ways.

use super::{push::*, screen::Service, *};
use crate::desktop::tray_view::PauseLength;

async fn ringing() -> (Bench, PopupKey) {
    let mut bench = Bench::new().await;
    bench.push(call("c", "Kitchen").unread(1)).await;
    assert_eq!(bench.shows(), ["Bob is calling"]);
    let id = bench.notice("call c").id;
    assert_eq!(bench.ringing(), [id]);
    (bench, PopupKey::Call(id))
}

fn is_quiet(bench: &Bench) -> bool {
    bench.ringing().is_empty()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_takes_rings_out_and_is_missed() {
    let (mut bench, _) = ringing().await;
    bench.pass(59 * SECOND).await;
    assert!(!is_quiet(&bench));
    bench.pass(2 * SECOND).await;
    assert!(is_quiet(&bench));
    assert_eq!(bench.up(), [("Missed call from Bob".to_owned(), "Kitchen".to_owned())]);
    assert_eq!(bench.badge(), (1, 1));
    bench.restart().await;
    assert_eq!(bench.shows(), [""; 0]);
    assert_eq!(bench.badge(), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_answered_elsewhere_is_over() {
    let (mut bench, _) = ringing().await;
    bench.push(answer_of_call("c", "Kitchen")).await;
    assert!(is_quiet(&bench));
    assert_eq!((bench.up(), bench.badge().1), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn the_popup_of_a_missed_call_that_is_none_after_all_goes_away() {
    let answered = answer_of_call("c", "Kitchen");
    let redacted = redaction("r", "Kitchen", "call c");
    for over in [answered, redacted] {
        let (mut bench, _) = ringing().await;
        bench.pass(61 * SECOND).await;
        assert_eq!((bench.up().len(), bench.badge().1), (1, 1));
        bench.push(over).await;
        assert_eq!((bench.up(), bench.badge().1), (vec![], 0));
    }
}

#[tokio::test(start_paused = true)]
async fn zero_ends_a_call_and_withdraws_a_missed_one() {
    let (mut bench, _) = ringing().await;
    bench.push(badge(0)).await;
    assert!(is_quiet(&bench) && bench.up().is_empty());
    bench.push(call("d", "Kitchen").unread(1)).await;
    bench.pass(61 * SECOND).await;
    assert_eq!(bench.badge(), (1, 1));
    bench.push(badge(0)).await;
    assert_eq!((bench.up(), bench.badge()), (vec![], (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_or_ignored_call_neither_rings_nor_is_missed() {
    for ignored in [false, true] {
        let (mut bench, key) = ringing().await;
        let event =
            if ignored { bench.screen.action(&key, popup::Action::Ignore, None) } else { bench.screen.dismissed(&key) };
        bench.say(event).await;
        assert!(is_quiet(&bench));
        bench.pass(90 * SECOND).await;
        assert_eq!((bench.shows(), bench.badge().1, bench.opened().len()), (vec![], 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_click_on_a_call_opens_its_room_and_takes_it() {
    let (mut bench, key) = ringing().await;
    bench.click(&key).await;
    assert!(is_quiet(&bench) && bench.up().is_empty());
    let opened = bench.opened().pop().unwrap();
    let OpenTarget::Room { room_id, event_id, user } = opened.0 else { panic!("{opened:?}") };
    assert_eq!((room_id.as_str(), event_id.as_deref(), user.as_deref()), ("Kitchen", Some("call c"), Some("@bob:hs")));
    assert_eq!(opened.1.as_deref(), Some("token"));
    bench.pass(90 * SECOND).await;
    assert_eq!(bench.badge().1, 0);
}

#[tokio::test(start_paused = true)]
async fn a_dismissed_call_withdraws_its_missed_popup_in_flight() {
    let (mut bench, key) = ringing().await;
    bench.service(Service::Waits).await;
    bench.pass(61 * SECOND).await;
    bench.dismiss(&key).await;
    bench.release().await;
    assert_eq!((bench.up(), bench.badge().1), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_ring_and_the_call_is_missed_at_its_time() {
    let (mut bench, _) = ringing().await;
    bench.restart().await;
    assert_eq!((bench.shows(), bench.rings()), (vec![], 0));
    bench.pass(61 * SECOND).await;
    assert_eq!(bench.shows(), ["Missed call from Bob"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_held_back_while_the_computer_slept_is_missed() {
    let mut bench = Bench::new().await;
    bench.say(DesktopEvent::Resumed).await;
    bench.push(call("c", "Kitchen")).await;
    bench.pass(2 * SECOND).await;
    assert_eq!((bench.shows(), bench.rings()), (vec!["Missed call from Bob".into()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_the_ringing_and_its_popup() {
    let (mut bench, _) = ringing().await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    assert!(is_quiet(&bench));
    bench.push(call("d", "Cellar")).await;
    bench.pass(61 * SECOND).await;
    assert_eq!((bench.up(), bench.shows(), bench.rings()), (vec![], vec![], 1));
    assert_eq!(bench.badge().1, 2);
    bench.tray(TrayAction::Resume).await;
    assert_eq!(bench.shows(), ["Missed call from Bob", "Missed call from Bob"]);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_calls_pops_up_slowly() {
    let mut bench = Bench::new().await;
    for number in 0..30 {
        bench.push(call(&number.to_string(), &format!("room {number}"))).await;
    }
    assert_eq!(bench.shows().len(), plan::CALLS as usize);
    bench.pass(10 * SECOND).await;
    assert_eq!(bench.shows().len(), 5);
    bench.pass(600 * SECOND).await;
    assert_eq!(bench.up().len(), 30);
    assert!(is_quiet(&bench));
    assert_eq!(bench.controller.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn ringing_ends_in_time_though_the_inbox_has_failed() {
    let (mut bench, _) = ringing().await;
    let other = rusqlite::Connection::open(bench.directory.path().join("pushbell.db")).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON notice BEGIN SELECT RAISE(FAIL, 'full'); END").unwrap();
    bench.pass(61 * SECOND).await;
    assert!(is_quiet(&bench));
    other.execute_batch("DROP TRIGGER full").unwrap();
    bench.pass(6 * SECOND).await;
    assert_eq!(bench.up().last().unwrap().0, "Missed call from Bob");
}

#[tokio::test(start_paused = true)]
async fn a_call_rings_though_many_missed_ones_could_not_be_shown() {
    let mut bench = Bench::without_service().await;
    for number in 0..40 {
        bench.push(call(&number.to_string(), "Kitchen")).await;
    }
    bench.pass(61 * SECOND).await;
    let before = bench.rings();
    bench.push(call("new", "Cellar")).await;
    assert_eq!(bench.rings(), before + 1);
}
