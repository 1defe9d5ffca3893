//! A service that shows one banner at a time and keeps three popups, as GNOME does.

use super::{push::*, *};
use crate::present::{
    popup::{OwnPopup, Urgency},
    words,
};

fn titles(bench: &Bench) -> Vec<String> {
    bench.up().into_iter().map(|(title, _)| title).collect()
}

fn urgencies(bench: &Bench) -> Vec<Urgency> {
    bench.screen.state().up.iter().map(|(_, popup)| popup.urgency).collect()
}

#[tokio::test(start_paused = true)]
async fn while_a_call_rings_nothing_else_is_up() {
    let mut bench = Bench::on("gnome-shell").await;
    bench.screen.state().name = "cinnamon";
    bench.service(Service::Shows).await;
    bench.handle(Event::Problem(ProblemKind::Listen, Some("taken".into()))).await;
    bench.push(message("one", "Kitchen").highlight()).await;
    assert_eq!(bench.up().len(), 2);
    bench.push(call("c", "Cellar")).await;
    assert_eq!(titles(&bench), ["Bob is calling"]);
    bench.push(message("two", "Attic")).await;
    bench.handle(Event::Problem(ProblemKind::Certificate, Some("old".into()))).await;
    assert_eq!(titles(&bench), ["Bob is calling"]);

    bench.push(answer_of_call("c", "Cellar")).await;
    let mut up = titles(&bench);
    up.sort();
    let problems = [ProblemKind::Certificate, ProblemKind::Listen].map(words::problem);
    assert_eq!(up, ["A highlight from Bob in Kitchen", "Bob in Attic", problems[1], problems[0]]);
    let quiet = |key: PopupKey| {
        let state = bench.screen.state();
        state.up.iter().find(|(_, popup)| popup.key == key).map(|(_, popup)| popup.urgency)
    };
    assert_eq!(quiet(room("Kitchen")), Some(Urgency::Low), "it was seen before the call");
    assert_eq!(quiet(room("Attic")), Some(Urgency::Normal));
    assert!(quiet(PopupKey::Own(OwnPopup::Problem(ProblemKind::Listen))).is_some());
    assert_eq!(bench.inbox.totals().await.unwrap().unshown, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_call_has_set_aside_and_was_read_does_not_return() {
    let mut bench = Bench::on("gnome-shell").await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.push(call("c", "Cellar")).await;
    bench.shows();
    bench.push(badge(0)).await;
    assert_eq!((titles(&bench), bench.shows()), (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_a_call_has_set_aside_may_go_into_the_summary() {
    let mut bench = Bench::on("gnome-shell").await;
    for room in ["Kitchen", "Attic", "Garden"] {
        bench.push(message(room, room)).await;
    }
    bench.push(call("c", "Cellar")).await;
    assert_eq!(titles(&bench), ["Bob is calling"]);
    bench.push(message("new", "Garage")).await;
    bench.pass(61 * SECOND).await;
    assert!(bench.up().len() <= 3, "{:?}", bench.up());
    assert_eq!(titles(&bench), ["Missed call from Bob", "3 messages in 3 rooms", "Bob in Garage"]);
}

#[tokio::test(start_paused = true)]
async fn before_a_fourth_popup_the_oldest_go_into_the_summary() {
    let mut bench = Bench::on("gnome-shell").await;
    bench.push(message("one", "Kitchen").highlight()).await;
    for (number, room) in ["Cellar", "Attic", "Garden", "Garage"].into_iter().enumerate() {
        bench.push(message(&format!("{number}"), room)).await;
        assert!(bench.up().len() <= 3, "{:?}", bench.up());
        bench.pass(2 * SECOND).await;
    }
    assert_eq!(titles(&bench), ["Bob in Garden", "3 messages in 3 rooms", "Bob in Garage"]);
    assert!(bench.up()[1].1.contains("Kitchen"), "{:?}", bench.up());
    assert_eq!(urgencies(&bench), [Urgency::Normal, Urgency::Low, Urgency::Normal]);
}
