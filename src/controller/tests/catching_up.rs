//! What was caught up with, what pushes leave out, and when catching up is asked for.

use jiff::ToSpan;

use super::{push::*, screen::Service, *};
use crate::{
    accounts::{
        Account,
        tests::{account, sign_in},
    },
    controller::Missing,
    inbox::{CaughtUp, MissedEvent, Recipient},
    push::notify::Tweaks,
};

async fn details(bench: &mut Bench, event_id: &str, room: &str) {
    let id = bench.notice(event_id).id;
    bench.inbox.add_details(id, Some(message(event_id, room).details()), recipient()).await.unwrap();
    bench.settle().await;
}

async fn catch_up(bench: &mut Bench, missed: Vec<MissedEvent>, is_whole: bool) {
    take_over(bench, CaughtUp { missed, ..caught_up() }, is_whole).await;
}

async fn take_over(bench: &mut Bench, caught_up: CaughtUp, is_whole: bool) {
    bench.handle(Event::CatchingUp(true)).await;
    if bench.inbox.apply_catch_up(caught_up).await.unwrap() > 0 {
        bench.handle(Event::CaughtUp(is_whole)).await;
    }
    bench.settle().await;
}

fn recipient() -> Recipient {
    let account = Account { sign_in: Some(sign_in("@me:hs")), ..account("home", "app", "key") };
    Recipient { decrypts: false, ..Recipient::new(&account, Tweaks::default()) }
}

/// With nothing new.
fn caught_up() -> CaughtUp {
    CaughtUp {
        is_live: false,
        read_rooms: Vec::new(),
        recipient: recipient(),
        counts_rooms: true,
        missed: Vec::new(),
        read: Vec::new(),
        listed_unread: Vec::new(),
        is_all: false,
        mark: Timestamp::now(),
        at: Timestamp::now(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_popup_waits_a_moment_for_what_its_push_leaves_out() {
    let mut bench = Bench::new().await;
    bench.push(message("hello", "Kitchen").ids_only()).await;
    assert_eq!(bench.shows(), [""; 0]);
    details(&mut bench, "hello", "Kitchen").await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);
    assert_eq!(bench.controller.next_due(), None, "nothing ticks");
}

#[tokio::test(start_paused = true)]
async fn a_popup_comes_in_any_case_and_changes_when_the_details_come() {
    let mut bench = Bench::new().await;
    bench.push(message("hello", "Kitchen").ids_only()).await;
    bench.pass(2 * SECOND).await;
    assert_eq!(bench.shows().len(), 1);
    assert_eq!(bench.up()[0].0, "New message");
    assert_eq!(bench.controller.next_due(), None, "nothing ticks");
    details(&mut bench, "hello", "Kitchen").await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "hello".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn rooms_do_not_wait_for_each_other_and_a_crowd_for_nobody() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").ids_only()).await;
    bench.push(message("two", "Cellar")).await;
    assert_eq!(bench.shows(), ["Bob in Cellar"]);
    for number in 0..8 {
        bench.push(message(&format!("{number}"), &format!("room {number}")).ids_only()).await;
    }
    assert!(!bench.shows().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_is_one_popup() {
    let mut bench = Bench::new().await;
    bench.push(message("seen", "Attic")).await;
    assert_eq!(bench.shows().len(), 1);
    let missed = vec![message("one", "Kitchen").missed(), message("two", "Cellar").missed()];
    catch_up(&mut bench, missed, true).await;
    bench.handle(Event::CatchingUp(false)).await;
    assert_eq!(bench.shows(), ["2 messages in 2 rooms"]);
    bench.push(message("new", "Kitchen")).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"], "what comes then is shown as ever");
}

#[tokio::test(start_paused = true)]
async fn pushes_while_catching_up_join_the_summary_within_seconds() {
    let mut bench = Bench::new().await;
    bench.handle(Event::CatchingUp(true)).await;
    bench.push(message("pushed", "Attic")).await;
    bench.push(call("one", "Attic")).await;
    assert_eq!(bench.shows(), ["Bob is calling"]);
    catch_up(&mut bench, vec![message("one", "Kitchen").missed()], true).await;
    assert_eq!(bench.shows(), [""; 0]);
    bench.handle(Event::CatchingUp(false)).await;
    assert_eq!(bench.shows(), ["2 messages in 2 rooms"]);
    bench.handle(Event::CatchingUp(true)).await;
    bench.push(message("two", "Cellar")).await;
    assert_eq!(bench.shows(), [""; 0]);
    bench.pass(3 * SECOND).await;
    assert_eq!(bench.shows(), ["Bob in Cellar"], "whatever becomes of it");
}

#[tokio::test(start_paused = true)]
async fn what_was_read_elsewhere_goes_away_and_nothing_else() {
    let mut bench = Bench::new().await;
    bench.push(call("missed", "Kitchen")).await;
    bench.pass(61 * SECOND).await;
    bench.push(call("ringing", "Kitchen")).await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Cellar")).await;
    let titles = |bench: &Bench| bench.up().into_iter().map(|(title, _)| title).collect::<Vec<_>>();
    assert_eq!(titles(&bench), ["Missed call from Bob", "Bob is calling", "Bob in Kitchen", "Bob in Cellar"]);
    take_over(&mut bench, CaughtUp { read: vec!["one".into()], ..caught_up() }, true).await;
    assert_eq!(titles(&bench), ["Missed call from Bob", "Bob is calling", "Bob in Cellar"]);
    take_over(&mut bench, CaughtUp { read: vec!["call missed".into()], ..caught_up() }, true).await;
    assert_eq!(titles(&bench), ["Bob is calling", "Bob in Cellar"]);
    assert_eq!((bench.badge().1, bench.ringing().len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_summary_says_that_there_was_more() {
    let mut bench = Bench::new().await;
    catch_up(&mut bench, vec![message("one", "Kitchen").missed()], false).await;
    bench.handle(Event::CatchingUp(false)).await;
    assert_eq!(bench.shows(), ["1 message in 1 room"]);
    assert!(bench.up()[0].1.starts_with("There were more than are read back."), "{:?}", bench.up());
    catch_up(&mut bench, vec![message("two", "Kitchen").missed()], true).await;
    bench.handle(Event::CatchingUp(false)).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);

    bench.service(Service::Absent).await;
    catch_up(&mut bench, vec![message("three", "Kitchen").missed()], false).await;
    bench.handle(Event::CatchingUp(false)).await;
    bench.controller.refresh().await;
    catch_up(&mut bench, vec![message("four", "Cellar").missed()], true).await;
    bench.handle(Event::CatchingUp(false)).await;
    bench.service(Service::Shows).await;
    bench.pass(SECOND).await;
    assert!(bench.up()[0].1.starts_with("There were more than are read back."), "until it was said: {:?}", bench.up());
}

#[tokio::test(start_paused = true)]
async fn catching_up_begins_after_a_sleep_and_after_a_gap() {
    let mut bench = Bench::new().await;
    bench.say(DesktopEvent::Resumed).await;
    assert_eq!(bench.requests.try_recv(), Ok(AppRequest::CatchUp(Missing::Anywhere)));
    bench.pass(200 * SECOND).await;
    let start = Timestamp::now();
    let mut gap = async |event: &str, minutes: i64| {
        bench.push(message(event, "Kitchen").received_at(start + minutes.minutes())).await;
        bench.requests.try_recv().ok()
    };
    assert_eq!(gap("1", 0).await, None, "the first push of all");
    assert_eq!(gap("2", 29).await, None);
    assert_eq!(gap("3", 59).await, Some(AppRequest::CatchUp(Missing::After { account: "home".into() })));
    assert_eq!(gap("4", 60).await, None);
}

#[tokio::test(start_paused = true)]
async fn opening_the_menu_and_unlocking_have_sessions_looked_at() {
    let mut bench = Bench::new().await;
    bench.say(DesktopEvent::MenuOpened).await;
    assert_eq!(bench.requests.try_recv(), Ok(AppRequest::LookAtSessions));
    for (locked, expected) in
        [(Some(false), false), (Some(true), false), (None, false), (Some(true), false), (Some(false), true)]
    {
        bench.say(DesktopEvent::ScreenLock(locked)).await;
        let asked = bench.requests.try_recv().ok();
        assert_eq!(asked, expected.then_some(AppRequest::LookAtSessions), "{locked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_screen_lock_is_watched_for_signed_in_accounts_alone() {
    let mut bench = Bench::new().await;
    assert!(!bench.screen.state().watches_screen_lock);
    let path = bench.directory.path().join("accounts.toml");
    let sign_in = "[account.sign_in]\nuser_id = \"@a:b\"\ndevice_id = \"\"\nhomeserver = \"https://b\"\n\
        method = \"token\"\nserver = \"\"\n";
    fs::write(&path, ACCOUNTS.trim_end().to_owned() + "\n" + sign_in).unwrap();
    for (accounts, expected) in [(Accounts::read(&path).unwrap(), true), (Accounts::empty(), false)] {
        bench.handle(Event::Accounts(Arc::new(accounts))).await;
        assert_eq!(bench.screen.state().watches_screen_lock, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cleared_account_has_no_popups_and_others_keep_theirs() {
    let mut bench = Bench::new().await;
    bench.push(message("hello", "Kitchen").unread(2)).await;
    bench.push(message("work", "Office").unread(3).for_account("work")).await;
    let answer = bench.controller.answer(Request::ClearAccount { account: "home".to_owned() }).await;
    bench.settle().await;
    assert_eq!(answer, Reply::Done);
    assert_eq!(bench.up().into_iter().map(|(title, _)| title).collect::<Vec<_>>(), ["Bob in Office"]);
    assert_eq!(bench.badge(), (3, 0));
}
