//! What pops up, and that it does so once.

use super::{push::*, screen::Service, *};
use crate::{config::Preview, notice::Presentation, present::popup::Urgency};

#[tokio::test(start_paused = true)]
async fn a_message_pops_up_once() {
    let mut bench = Bench::new().await;
    bench.push(message("hello", "Kitchen").unread(1)).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "hello".to_owned())]);
    assert_eq!(bench.notice("hello").presentation, Presentation::Shown);
    assert_eq!(bench.badge(), (1, 0));
    bench.pass(600 * SECOND).await;
    assert_eq!(bench.shows(), [""; 0]);
    assert_eq!(bench.controller.next_due(), None, "nothing ticks");
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_restart_show_nothing_again() {
    let mut bench = Bench::new().await;
    bench.push(message("hello", "Kitchen").sound("bing")).await;
    assert_eq!((bench.shows().len(), bench.sounds().len()), (1, 1));
    bench.push(message("hello", "Kitchen").sound("bing")).await;
    bench.restart().await;
    bench.push(message("hello", "Kitchen").sound("bing")).await;
    assert_eq!((bench.shows().len(), bench.sounds().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rooms_popup_is_replaced_as_messages_come() {
    let mut bench = Bench::new().await;
    for body in ["one", "two", "three"] {
        bench.push(message(body, "Kitchen")).await;
    }
    bench.push(message("four", "Cellar")).await;
    assert_eq!(bench.shows().len(), 4);
    let text = |text: &str| text.to_owned();
    assert_eq!(bench.up(), [(text("Bob in Kitchen"), text("2 more\nthree")), (text("Bob in Cellar"), text("four"))]);
}

#[tokio::test(start_paused = true)]
async fn messages_during_a_popups_call_are_shown_after_it() {
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.push(message("three", "Kitchen")).await;
    assert_eq!(bench.asked(), 1, "not a crowd for a slow service");
    bench.release().await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "2 more\nthree".to_owned())]);
    assert_eq!(bench.shows().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_summary_takes_the_place_of_the_popups_that_it_covers() {
    let mut bench = Bench::new().await;
    bench.push(message("old", "Attic")).await;
    bench.pass(60 * SECOND).await;
    bench.push(message("older", "Garden")).await;
    bench.pass(60 * SECOND).await;
    bench.push(message("first", "Kitchen")).await;
    bench.push(message("again", "Garden")).await;
    bench.push(message("mention", "Cellar").highlight()).await;
    for number in 0..20 {
        bench.arrive(message(&number.to_string(), &number.to_string())).await;
    }
    bench.settle().await;
    let mut titles: Vec<_> = bench.up().into_iter().map(|(title, _)| title).collect();
    titles.sort();
    let expected = ["23 messages in 23 rooms", "A highlight from Bob in Cellar", "Bob in Attic", "Bob in Garden"];
    assert_eq!(titles, expected, "what it does not tell, or a mention, stays");
    bench.push(message("new", "Kitchen")).await;
    bench.pass(9 * SECOND).await;
    assert!(bench.up().iter().any(|(title, _)| title == "Bob in Kitchen"), "it is newer");
}

#[tokio::test(start_paused = true)]
async fn a_popup_withdrawn_in_flight_blocks_nothing() {
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    bench.push(call("c", "Kitchen").unread(1)).await;
    bench.push(badge(0)).await;
    bench.push(message("two", "Kitchen").unread(1)).await;
    bench.push(call("d", "Kitchen").unread(1)).await;
    bench.release().await;
    let titles = bench.up().into_iter().map(|(title, _)| title).collect::<Vec<_>>();
    assert_eq!(titles, ["Bob in Kitchen", "Bob is calling"]);
    assert_eq!((bench.up()[0].1.as_str(), bench.shows().len()), ("two", 3), "what was in flight is closed at once");
    for number in 0..20 {
        bench.arrive(message(&number.to_string(), &number.to_string()).unread(2)).await;
    }
    bench.settle().await;
    assert_eq!(bench.shows(), ["21 messages in 21 rooms"], "a summary waits for nothing that never comes");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_comes_while_an_edit_is_on_its_way_is_shown() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    bench.service(Service::Waits).await;
    bench.push(edit("e", "Kitchen", "one", "won")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.release().await;
    assert_eq!(bench.up()[0].1, "1 more\ntwo");
    assert_eq!(bench.notice("two").presentation, Presentation::Shown);
    assert_eq!(bench.shows().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refused_popup_is_tried_again_more_and_more_rarely() {
    let mut bench = Bench::new().await;
    bench.service(Service::Refuses).await;
    bench.push(message("hello", "Kitchen")).await;
    assert_eq!(bench.asked(), 1);
    bench.pass(6 * SECOND).await;
    assert_eq!(bench.asked(), 2);
    bench.pass(3600 * SECOND).await;
    assert!((10..25).contains(&bench.asked()), "{}", bench.asked());
    bench.screen.state().service = Service::Shows;
    bench.pass(301 * SECOND).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen"]);
    assert_eq!(bench.controller.next_due(), None);
}

#[tokio::test(start_paused = true)]
async fn a_flood_is_bounded_and_nothing_of_it_is_lost() {
    let mut bench = Bench::new().await;
    for number in 0..300 {
        bench.arrive(message(&number.to_string(), &format!("room {number}"))).await;
        if number % 7 == 0 {
            bench.settle().await;
        }
    }
    bench.pass(10 * SECOND).await;
    let shows = bench.shows();
    assert!(shows.len() < 30, "{shows:?}");
    assert!(shows.last().unwrap().contains(" messages in "), "{shows:?}");
    assert!(bench.history().iter().all(|notice| notice.presentation == Presentation::Shown));
}

#[tokio::test(start_paused = true)]
async fn highlights_are_never_folded_away_unseen() {
    let mut bench = Bench::new().await;
    for number in 0..40 {
        bench.arrive(message(&format!("plain {number}"), &format!("plain {number}"))).await;
    }
    for number in 0..12 {
        bench.arrive(message(&format!("mention {number}"), &format!("marked {number}")).highlight()).await;
    }
    bench.settle().await;
    bench.pass(60 * SECOND).await;
    let state = bench.screen.state();
    assert!(state.shows.iter().any(|popup| popup.title.contains(" messages in ")), "the rest is one summary");
    for number in 0..12 {
        let room = format!("marked {number}");
        let of_room = |line: &str| line.contains(&format!("{room} ")) || line.ends_with(&room);
        let is_seen = |popup: &Popup| popup.title.contains(&room) || popup.text.lines().any(of_room);
        let popup = state.shows.iter().find(|popup| is_seen(popup)).unwrap_or_else(|| panic!("{room} is missing"));
        assert_eq!(popup.urgency, Urgency::Critical);
    }
}

#[tokio::test(start_paused = true)]
async fn texts_are_hidden_as_the_person_wants() {
    let mut bench = Bench::new().await;
    let check = async |bench: &mut Bench, preview, locked, text: &str| {
        bench.configure(|config| config.popup.preview = preview).await;
        bench.say(DesktopEvent::ScreenLock(locked)).await;
        let id = format!("secret {preview:?} {locked:?}");
        bench.push(message(&id, &id).unread(1)).await;
        assert_eq!(bench.up().last().unwrap().1, text.replace('*', &id));
        let in_menu = format!("{:?}", bench.shown_in_tray().menu);
        assert_eq!(in_menu.contains(": secret "), text == "*", "{in_menu}");
    };
    check(&mut bench, Preview::Always, None, "*").await;
    check(&mut bench, Preview::Never, Some(false), "New message").await;
    check(&mut bench, Preview::Unlocked, None, "New message").await;
    check(&mut bench, Preview::Unlocked, Some(true), "New message").await;
    check(&mut bench, Preview::Unlocked, Some(false), "*").await;
    bench.say(DesktopEvent::ScreenLock(Some(true))).await;
    let in_menu = format!("{:?}", bench.shown_in_tray().menu);
    assert!(!in_menu.contains(": secret "), "the menu follows the lock: {in_menu}");
}

#[tokio::test(start_paused = true)]
async fn without_popups_everything_is_settled_and_sounds_play() {
    let mut bench = Bench::new().await;
    bench.configure(|config| config.popup.enabled = false).await;
    bench.push(message("hello", "Kitchen").sound("bing").unread(1)).await;
    bench.push(call("c", "Kitchen").unread(1)).await;
    assert_eq!(bench.sounds(), ["bing"]);
    assert_eq!(bench.ringing().len(), 1);
    bench.pass(61 * SECOND).await;
    assert_eq!(bench.badge(), (1, 1));
    bench.configure(|config| config.popup.enabled = true).await;
    assert_eq!(bench.shows(), [""; 0], "never shown later");
    assert_eq!(bench.notice("hello").presentation, Presentation::Settled);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_does_not_show_anything_twice() {
    let mut bench = Bench::new().await;
    bench.service(Service::Waits).await;
    bench.push(message("hello", "Kitchen")).await;
    // Somebody holds the database for writing, so that nothing can be noted.
    let other = rusqlite::Connection::open(bench.directory.path().join("pushbell.db")).unwrap();
    other.execute_batch("CREATE TRIGGER full BEFORE UPDATE ON notice BEGIN SELECT RAISE(FAIL, 'full'); END").unwrap();
    bench.release().await;
    bench.pass(60 * SECOND).await;
    assert_eq!(bench.shows(), ["Bob in Kitchen", "The inbox cannot be used"]);
    other.execute_batch("DROP TRIGGER full").unwrap();
    bench.pass(6 * SECOND).await;
    assert_eq!(bench.notice("hello").presentation, Presentation::Shown);
    assert_eq!(bench.shows(), [""; 0]);
    assert_eq!(bench.up().len(), 1, "the problem is solved");
}

#[tokio::test(start_paused = true)]
async fn signed_in_accounts_know_whether_a_mention_is_theirs() {
    let mut bench = Bench::new().await;
    let mention = |event_id: &str, user: &str, account: &str| {
        let content = serde_json::json!({"body": "look", "m.mentions": {"user_ids": [user]}});
        event(event_id, "Kitchen", "m.room.message", &content).for_account(account).highlight()
    };
    let path = bench.directory.path().join("accounts.toml");
    let sign_in = r#"sign_in = { user_id = "@alice:hs", device_id = "D", homeserver = "https://hs", method = "sso", server = "" }"#;
    fs::write(&path, format!("{ACCOUNTS}{sign_in}\n")).unwrap();
    bench.handle(Event::Accounts(Arc::new(Accounts::read(&path).unwrap()))).await;
    bench.push(mention("one", "@carol:hs", "home")).await;
    bench.push(mention("two", "@carol:hs", "work")).await;
    bench.push(mention("three", "@alice:hs", "work")).await;
    let (mine, other) = ("Bob mentioned you in Kitchen", "A highlight from Bob in Kitchen");
    assert_eq!(bench.shows(), [mine, other, mine], "of the first account nobody knows whose it is");
    let menu: Vec<_> =
        bench.controller.snapshot.newest.iter().map(|notice| bench.controller.menu_line(notice)).collect();
    let line = |title: &str, account: &str| format!("{title} ({account}): look");
    assert_eq!(menu, [line(mine, "work"), line(other, "work"), line(mine, "home")]);
}
