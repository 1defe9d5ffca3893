//! What piles up while nothing can be shown.

use super::{push::*, screen::Service, *};

async fn receive(bench: &mut Bench, rooms: usize) {
    for number in 0..rooms {
        bench.push(message(&format!("{number}"), &format!("room {number}")).sound("bing")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_service_messages_are_kept_and_shown_when_it_comes() {
    for (rooms, expected) in
        [(0, vec![]), (2, vec!["Bob in room 0", "Bob in room 1"]), (4, vec!["4 messages in 4 rooms"])]
    {
        let mut bench = Bench::without_service().await;
        receive(&mut bench, rooms).await;
        assert_eq!(bench.asked(), 0);
        assert_eq!(bench.badge().0, rooms as u64);
        assert_eq!(bench.sounds().len(), rooms, "sounds need no service");
        bench.service(Service::Shows).await;
        assert_eq!(bench.shows(), expected);
        assert_eq!(bench.sounds().len(), 0, "they were heard before");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_crashes_is_not_shown_again_what_it_had_shown() {
    let mut bench = Bench::new().await;
    receive(&mut bench, 2).await;
    bench.service(Service::Absent).await;
    receive(&mut bench, 3).await;
    bench.shows();
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), ["Bob in room 2"]);
}

#[tokio::test(start_paused = true)]
async fn a_popup_in_flight_when_the_service_crashed_is_shown_again() {
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    receive(&mut bench, 2).await;
    bench.service(Service::Absent).await;
    bench.pass(100 * SECOND).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), ["Bob in room 0", "Bob in room 1"]);
    assert_eq!(bench.sounds().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_shows_what_waited_without_its_sound() {
    let mut bench = Bench::without_service().await;
    receive(&mut bench, 5).await;
    bench.restart().await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), ["5 messages in 5 rooms"]);
    assert_eq!(bench.sounds().len(), 0);
    receive(&mut bench, 6).await;
    assert_eq!((bench.shows().len(), bench.sounds().len()), (1, 1), "the backlog is over");
}

#[tokio::test(start_paused = true)]
async fn a_backlog_ends_when_all_of_it_was_shown() {
    let mut bench = Bench::without_service().await;
    receive(&mut bench, 5).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows().len(), 1);
    bench.pass(6 * SECOND).await;
    for number in 0..5 {
        bench.arrive(message(&format!("new {number}"), &format!("new {number}"))).await;
    }
    bench.settle().await;
    assert_eq!(bench.shows().len(), 5, "so few pop up by themselves");
}

#[tokio::test(start_paused = true)]
async fn what_was_held_back_while_the_computer_slept_is_one_summary() {
    let mut bench = Bench::new().await;
    bench.say(DesktopEvent::Resumed).await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).sound("bing")).await;
        bench.pass(SECOND / 10).await;
    }
    assert_eq!(bench.shows(), [""; 0], "it is gathered");
    bench.pass(SECOND).await;
    assert_eq!((bench.shows(), bench.sounds()), (vec!["5 messages in 5 rooms".into()], vec!["bing".into()]));
    bench.pass(121 * SECOND).await;
    for number in 5..10 {
        bench.arrive(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    bench.settle().await;
    assert_eq!(bench.shows().len(), 5, "the time after waking is over, for the first messages too");
}

#[tokio::test(start_paused = true)]
async fn delayed_pushes_after_a_sleep_are_gathered() {
    let mut bench = Bench::new().await;
    bench.say(DesktopEvent::Resumed).await;
    bench.pass(SECOND * 9 / 10).await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
        bench.pass(SECOND / 10).await;
    }
    assert_eq!(bench.shows(), [""; 0]);
    bench.pass(SECOND).await;
    assert_eq!(bench.shows(), ["5 messages in 5 rooms"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_a_summary_came_up_is_not_counted_in_one() {
    let mut bench = Bench::without_service().await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).unread(number + 1)).await;
    }
    bench.push(badge(0)).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.shows(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_summary_of_what_was_all_read_just_now_does_not_come_up() {
    let mut bench = Bench::new().await;
    for number in 0..20 {
        bench.arrive(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    let snapshot = bench.snapshot().await;
    bench.arrive(badge(0)).await;
    bench.present_snapshot(snapshot).await;
    assert_eq!(bench.shows(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_highlight_among_many_rooms_is_not_folded_away_unseen() {
    let mut bench = Bench::without_service().await;
    for number in 0..80 {
        bench.push(message(&number.to_string(), &number.to_string())).await;
    }
    bench.push(message("mention", "Marked").highlight()).await;
    bench.service(Service::Shows).await;
    assert!(bench.up().iter().any(|(title, text)| format!("{title}{text}").contains("Marked")), "{:?}", bench.up());
}
