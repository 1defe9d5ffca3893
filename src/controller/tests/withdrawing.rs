//! What goes away or changes: read elsewhere, edited, redacted.

use super::{push::*, screen::Service, *};
use crate::{accounts::AccountsFile, desktop::tray_view::PauseLength};

#[tokio::test(start_paused = true)]
async fn zero_withdraws_the_popups_of_the_account_and_no_other() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.push(message("two", "Cellar").unread(2)).await;
    bench.push(message("three", "Office").for_account("work").unread(1)).await;
    bench.push(badge(0)).await;
    assert_eq!(bench.up(), [("Bob in Office".to_owned(), "three".to_owned())]);
    assert_eq!(bench.badge(), (1, 0));
    bench.shows();
    bench.push(badge(0)).await;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn zero_of_a_room_withdraws_the_popup_of_that_room() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1).per_room()).await;
    bench.push(message("two", "Cellar").unread(1).per_room()).await;
    bench.push(badge(0).of_room("Kitchen").per_room()).await;
    assert_eq!(bench.up(), [("Bob in Cellar".to_owned(), "two".to_owned())]);
    assert_eq!(bench.badge(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_summary_is_withdrawn_when_nothing_is_unread_any_more() {
    let mut bench = Bench::without_service().await;
    for number in 0..4 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).unread(number + 1)).await;
    }
    bench.push(message("five", "Office").for_account("work").unread(1)).await;
    bench.service(Service::Shows).await;
    bench.push(badge(0)).await;
    assert_eq!(bench.up().len(), 1, "work is unread");
    bench.push(badge(0).for_account("work")).await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn zero_and_a_new_message_together_leave_the_new_message() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.arrive(badge(0)).await;
    bench.arrive(message("two", "Kitchen").unread(1)).await;
    bench.settle().await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "two".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_edit_changes_the_popup_and_makes_no_sound() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").sound("bing")).await;
    bench.push(edit("e", "Kitchen", "one", "won").sound("bing")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "won".to_owned())]);
    assert_eq!(bench.sounds(), ["bing"]);
    bench.push(edit("f", "Cellar", "one", "not of this room")).await;
    assert_eq!(bench.up()[0].1, "won");
}

#[tokio::test(start_paused = true)]
async fn many_edits_change_the_popup_few_times_and_end_right() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    for number in 0..100 {
        bench.push(edit(&format!("e{number}"), "Kitchen", "one", &format!("version {number}"))).await;
    }
    bench.pass(10 * SECOND).await;
    assert!(bench.shows().len() <= 30);
    assert_eq!(bench.up()[0].1, "version 99");
    assert_eq!(bench.controller.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_redaction_withdraws_the_popup_or_takes_its_text_out() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.push(redaction("r", "Kitchen", "two")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "one".to_owned())]);
    bench.push(redaction("s", "Kitchen", "one")).await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn a_redaction_during_a_pause_withdraws_and_shows_nothing() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    bench.shows();
    bench.push(redaction("r", "Kitchen", "two")).await;
    assert_eq!((bench.up().len(), bench.shows().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_taken_back_goes_from_a_summary_too() {
    let mut bench = Bench::without_service().await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}"))).await;
    }
    bench.push(message("secret", "Marked").highlight()).await;
    bench.push(message("other", "Marked")).await;
    bench.service(Service::Shows).await;
    let summary = |bench: &Bench| match &bench.up()[..] {
        [(title, text)] => format!("{title}: {text}"),
        other => panic!("{other:?}"),
    };
    assert!(summary(&bench).contains("secret"), "{}", summary(&bench));
    bench.push(edit("e", "Marked", "secret", "changed")).await;
    assert!(summary(&bench).contains("changed"), "{}", summary(&bench));
    bench.shows();
    bench.push(edit("f", "Marked", "other", "not named")).await;
    bench.push(edit("g", "room 0", "0", "nor is this")).await;
    assert_eq!(bench.shows(), [""; 0], "it would say the same again");
    bench.push(redaction("r", "Marked", "secret")).await;
    assert!(!summary(&bench).contains("changed") && summary(&bench).starts_with("6 messages in 6 rooms"));
    assert_eq!(bench.controller.next_due(), None);

    bench.push(redaction("r2", "Marked", "other")).await;
    for number in 0..5 {
        bench.push(redaction(&format!("r {number}"), &format!("room {number}"), &format!("{number}"))).await;
    }
    assert_eq!(bench.up(), [], "nothing is left of what it tells");
}

#[tokio::test(start_paused = true)]
async fn a_redaction_during_a_pause_withdraws_the_summary() {
    let mut bench = Bench::without_service().await;
    for number in 0..5 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).highlight()).await;
    }
    bench.service(Service::Shows).await;
    assert_eq!(bench.up().len(), 1);
    bench.tray(TrayAction::Pause(PauseLength::Hour)).await;
    bench.push(redaction("r", "room 1", "1")).await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_the_popup_is_on_its_way_is_shown_after_it() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.service(Service::Waits).await;
    bench.push(edit("e", "Kitchen", "one", "won")).await;
    bench.push(redaction("r", "Kitchen", "one")).await;
    bench.release().await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn a_change_before_the_popup_was_up_is_shown_afterwards() {
    for (change, expected) in [
        (edit("e", "Kitchen", "two", "too"), vec!["1 more\ntoo"]),
        (redaction("r", "Kitchen", "two"), vec!["one"]),
        (redaction("r", "Kitchen", "one"), vec!["two"]),
    ] {
        let mut bench = Bench::without_service().await;
        bench.push(message("one", "Kitchen")).await;
        bench.push(message("two", "Kitchen")).await;
        bench.service(Service::Waits).await;
        bench.push(change).await;
        bench.release().await;
        assert_eq!(bench.up().into_iter().map(|(_, text)| text).collect::<Vec<_>>(), expected);
    }
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    bench.push(message("secret", "Kitchen")).await;
    bench.push(redaction("r", "Kitchen", "secret")).await;
    bench.release().await;
    assert_eq!(bench.up(), []);
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_message_not_in_the_popup_changes_nothing() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.shows();
    bench.push(edit("e", "Kitchen", "one", "won")).await;
    assert_eq!(bench.shows(), [""; 0]);
    bench.push(edit("f", "Kitchen", "two", "too")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "1 more\ntoo".to_owned())]);
    assert_eq!(bench.shows().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_cannot_be_read_keep_their_numbers() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(7)).await;
    let error = Accounts::read(&bench.directory.path().join("missing.toml")).err().unwrap();
    bench.accounts = Arc::new(Accounts::unavailable(&error));
    bench.restart().await;
    assert_eq!(bench.badge(), (7, 0));
    assert!(!bench.notice("one").read);
}

#[tokio::test(start_paused = true)]
async fn a_removed_account_takes_its_popups_with_it() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.push(message("two", "Office").for_account("work").unread(1)).await;
    let path = bench.directory.path().join("accounts.toml");
    AccountsFile::new(&path).remove("work").unwrap();
    bench.handle(Event::Accounts(Arc::new(Accounts::read(&path).unwrap()))).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "one".to_owned())]);
    assert_eq!(bench.badge(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_message_pushed_with_a_zero_count_is_shown_once() {
    let mut bench = Bench::new().await;
    bench.arrive(message("one", "Kitchen").unread(1)).await;
    let snapshot = bench.snapshot().await;
    bench.arrive(badge(0)).await;
    bench.arrive(message("two", "Kitchen").unread(1)).await;
    bench.present_snapshot(snapshot).await;
    assert_eq!((bench.shows(), bench.up().len()), (vec!["Bob in Kitchen".into()], 1));
}

#[tokio::test(start_paused = true)]
async fn an_account_removed_while_the_inbox_is_locked_is_forgotten() {
    let mut bench = Bench::new().await;
    bench.push(message("two", "Office").for_account("work").unread(1)).await;
    let path = bench.directory.path().join("accounts.toml");
    AccountsFile::new(&path).remove("work").unwrap();
    let other = bench.lock_inbox();
    bench.handle(Event::Accounts(Arc::new(Accounts::read(&path).unwrap()))).await;
    drop(other);
    bench.pass(6 * SECOND).await;
    assert_eq!((bench.badge().0, bench.up()), (0, vec![]));
}
