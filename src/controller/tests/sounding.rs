//! Sounds: what is new is heard once.

use super::{push::*, *};

#[tokio::test(start_paused = true)]
async fn of_what_arrives_together_the_newest_sound_is_heard() {
    let mut bench = Bench::new().await;
    bench.arrive(message("one", "Kitchen").sound("one")).await;
    bench.arrive(message("two", "Cellar").sound("two")).await;
    bench.arrive(message("three", "Attic")).await;
    bench.settle().await;
    assert_eq!(bench.sounds(), ["two"]);
}

#[tokio::test(start_paused = true)]
async fn a_sound_of_what_a_popup_tells_before_the_news_do_is_heard() {
    let mut bench = Bench::new().await;
    bench.arrive(message("one", "Kitchen")).await;
    let snapshot = bench.snapshot().await;
    bench.arrive(message("two", "Kitchen").sound("bing")).await;
    bench.present_snapshot(snapshot).await;
    assert_eq!(bench.up()[0].1, "1 more\ntwo");
    assert_eq!((bench.shows().len(), bench.sounds().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn mute_silences_sounds_and_rings_and_outlives_a_restart() {
    let mut bench = Bench::new().await;
    bench.push(call("c", "Kitchen")).await;
    assert_eq!(bench.ringing().len(), 1);
    bench.tray(TrayAction::ToggleMute).await;
    assert_eq!(bench.ringing().len(), 0);
    bench.restart().await;
    bench.push(message("one", "Kitchen").sound("bing")).await;
    bench.push(call("d", "Cellar")).await;
    assert_eq!((bench.sounds().len(), bench.rings()), (0, 0));
    assert_eq!(bench.shows(), ["Bob in Kitchen", "Bob is calling"]);
    bench.tray(TrayAction::ToggleMute).await;
    bench.push(message("two", "Kitchen").sound("bing")).await;
    assert_eq!(bench.sounds(), ["bing"]);
}

#[tokio::test(start_paused = true)]
async fn sounds_that_are_off_are_not_made_up_for() {
    let mut bench = Bench::new().await;
    bench.configure(|config| config.sound.enabled = false).await;
    bench.push(message("one", "Kitchen").sound("bing")).await;
    bench.configure(|config| config.sound.enabled = true).await;
    assert_eq!(bench.sounds().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_earlier_messages_are_settled_is_heard() {
    let mut bench = Bench::new().await;
    bench.configure(|config| config.popup.enabled = false).await;
    bench.arrive(message("one", "Kitchen")).await;
    let snapshot = bench.snapshot().await;
    bench.arrive(message("two", "Kitchen").sound("bing")).await;
    bench.present_snapshot(snapshot).await;
    assert_eq!(bench.sounds(), ["bing"]);
    assert_eq!(bench.inbox.totals().await.unwrap().unshown, 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_heard_however_many_rooms_wait_for_a_service() {
    let mut bench = Bench::without_service().await;
    for number in 0..=Snapshot::MAX_ROOMS {
        bench.arrive(message(&format!("{number}"), &format!("room {number}")).sound("before")).await;
    }
    bench.settle().await;
    bench.sounds();
    bench.push(message("late", "Kitchen").sound("bing")).await;
    assert_eq!(bench.sounds(), ["bing"]);
}

#[tokio::test(start_paused = true)]
async fn under_do_not_disturb_nothing_sounds_or_rings_or_is_urgent() {
    let mut bench = Bench::on("dunst").await;
    bench.screen.state().do_not_disturb = true;
    bench.push(message("one", "Kitchen").sound("bing").highlight()).await;
    bench.push(call("c", "Cellar")).await;
    assert_eq!((bench.sounds().len(), bench.rings()), (0, 0));
    let urgency = |bench: &Bench| bench.screen.state().shows.iter().map(|popup| popup.urgency).collect::<Vec<_>>();
    assert_eq!(urgency(&bench), [popup::Urgency::Normal, popup::Urgency::Critical]);
    bench.shows();

    bench.screen.state().do_not_disturb = false;
    bench.push(message("two", "Kitchen").sound("bing").highlight()).await;
    bench.push(call("d", "Attic")).await;
    assert_eq!((bench.sounds().len(), bench.rings()), (1, 1), "what was silenced is not made up for");
    assert_eq!(urgency(&bench), [popup::Urgency::Critical, popup::Urgency::Critical]);

    bench.screen.state().do_not_disturb = true;
    bench.configure(|config| config.quiet.follow_desktop = false).await;
    bench.push(message("three", "Kitchen").sound("bing")).await;
    assert_eq!(bench.sounds().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn do_not_disturb_is_asked_for_once_and_when_it_matters() {
    let mut bench = Bench::on("dunst").await;
    let asked = |bench: &Bench| bench.screen.state().asked_for_do_not_disturb;
    bench.push(message("one", "Kitchen")).await;
    bench.push(badge(3)).await;
    bench.pass(600 * SECOND).await;
    assert_eq!(asked(&bench), 0);
    bench.push(message("two", "Kitchen").sound("bing").highlight()).await;
    assert_eq!(asked(&bench), 1);
}

#[tokio::test(start_paused = true)]
async fn only_urgent_popups_and_sounds_wait_for_do_not_disturb() {
    let mut bench = Bench::on("dunst").await;
    bench.screen.answers(false);
    bench.push(message("one", "Kitchen").sound("first").highlight()).await;
    bench.push(message("two", "Cellar").sound("second").unread(2)).await;
    bench.push(call("c", "Attic")).await;
    bench.push(call("d", "Garden")).await;
    assert_eq!(bench.badge().0, 2, "it goes on meanwhile");
    assert_eq!(bench.shows(), ["Bob is calling", "Bob is calling"]);
    assert_eq!((bench.sounds().len(), bench.rings(), bench.screen.state().asked_for_do_not_disturb), (0, 0, 1));

    bench.push(answer_of_call("c", "Attic")).await;
    bench.screen.answers(true);
    bench.settle().await;
    assert_eq!((bench.sounds(), bench.ringing()), (vec!["second".to_owned()], vec![bench.notice("call d").id]));
    let mut shows = bench.shows();
    shows.sort();
    assert_eq!(shows, ["A highlight from Bob in Kitchen", "Bob in Cellar"]);
    assert_eq!(bench.screen.state().asked_for_do_not_disturb, 1);
}

#[tokio::test(start_paused = true)]
async fn what_ended_before_the_answer_makes_no_sound_after_it() {
    let mut bench = Bench::on("dunst").await;
    bench.screen.answers(false);
    bench.push(call("c", "Attic")).await;
    bench.dismiss(&PopupKey::Call(bench.notice("call c").id)).await;
    bench.screen.answers(true);
    bench.settle().await;
    assert_eq!(bench.rings(), 0);

    bench.screen.answers(false);
    bench.push(message("one", "Kitchen").sound("bing")).await;
    bench.push(call("d", "Cellar")).await;
    bench.tray(TrayAction::ToggleMute).await;
    bench.screen.answers(true);
    bench.settle().await;
    assert_eq!((bench.sounds().len(), bench.rings()), (0, 0));

    bench.tray(TrayAction::ToggleMute).await;
    bench.push(message("two", "Kitchen").sound("bong")).await;
    assert_eq!((bench.sounds(), bench.rings()), (vec!["bong".to_owned()], 0), "it is not made up for");
}

#[tokio::test(start_paused = true)]
async fn an_answer_counts_for_what_waited_for_it_alone() {
    let mut bench = Bench::on("dunst").await;
    bench.screen.answers(false);
    bench.push(message("one", "Kitchen").highlight()).await;
    bench.screen.state().do_not_disturb = true;
    bench.screen.answers(true);
    bench.settle().await;
    bench.screen.state().do_not_disturb = false;
    bench.push(message("two", "Cellar").highlight()).await;
    bench.push(edit("e", "Cellar", "two", "too")).await;
    let urgency = |(_, popup): &(u32, Popup)| popup.urgency;
    let up: Vec<_> = bench.screen.state().up.iter().map(urgency).collect();
    assert_eq!(up, [popup::Urgency::Normal, popup::Urgency::Critical]);
    assert_eq!(bench.up()[1].1, "too");
    assert_eq!(bench.screen.state().asked_for_do_not_disturb, 3);
}
