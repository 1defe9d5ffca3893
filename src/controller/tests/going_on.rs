//! What is up when the program ends, the next run goes on with.

use super::{push::*, *};

#[tokio::test(start_paused = true)]
async fn a_popup_of_an_earlier_run_opens_and_reads_its_room() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.end_and_start().await;
    bench.service(Service::Shows).await;
    bench.shows();

    bench.click(&room("Kitchen")).await;

    let target =
        OpenTarget::Room { room_id: "Kitchen".into(), event_id: Some("one".into()), user: Some("@bob:hs".into()) };
    assert_eq!(bench.opened(), [(target, Some("token".into()))]);
    assert!(bench.notice("one").read);
    assert_eq!((bench.up().len(), bench.shows().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_popup_of_an_earlier_run_goes_when_read_elsewhere() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.push(message("two", "Office").for_account("work").unread(1)).await;
    bench.end_and_start().await;
    bench.service(Service::Shows).await;
    bench.push(badge(0)).await;
    assert_eq!(bench.up(), [("Bob in Office".to_owned(), "two".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_before_its_popup_was_known_again_is_withdrawn() {
    let mut bench = Bench::without_service().await;
    for number in 0..4 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).unread(number + 1)).await;
    }
    bench.service(Service::Shows).await;
    bench.push(message("one", "Kitchen").unread(5)).await;
    bench.end_and_start().await;
    bench.push(badge(0)).await;
    bench.service(Service::Shows).await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn a_call_of_an_earlier_run_becomes_missed_in_the_same_popup() {
    let mut bench = Bench::new().await;
    bench.push(call("call", "Kitchen").unread(1)).await;
    bench.end_and_start().await;
    bench.service(Service::Shows).await;
    bench.shows();
    bench.pass(120 * SECOND).await;
    assert_eq!(bench.shows().len(), 1);
    assert_eq!(bench.up().len(), 1);
    assert!(bench.up()[0].0.starts_with("Missed"), "{:?}", bench.up());
}

#[tokio::test(start_paused = true)]
async fn a_correction_replaces_the_popup_of_an_earlier_run() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.end_and_start().await;
    bench.service(Service::Shows).await;
    bench.shows();
    bench.push(edit("e", "Kitchen", "one", "won")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "won".to_owned())]);
    bench.push(badge(0)).await;
    assert_eq!(bench.up(), []);
}
