//! What the buttons of popups do.

use super::{push::*, *};
use crate::present::popup::Action;

/// "home" is signed in, "work" by hand.
async fn signed_in() -> Bench {
    let mut bench = Bench::new().await;
    let path = bench.directory.path().join("accounts.toml");
    let sign_in = r#"sign_in = { user_id = "@alice:hs", device_id = "D", homeserver = "https://hs", method = "sso", server = "" }"#;
    let (home, work) = ACCOUNTS.split_once("\n[[account]]\nname = \"work\"").unwrap();
    fs::write(&path, format!("{home}{sign_in}\n\n[[account]]\nname = \"work\"{work}")).unwrap();
    bench.accounts = Arc::new(Accounts::read(&path).unwrap());
    let accounts = Arc::clone(&bench.accounts);
    bench.handle(Event::Accounts(accounts)).await;
    bench
}

/// What the program is asked to do.
fn acts(bench: &mut Bench) -> Vec<RoomAct> {
    std::iter::from_fn(|| bench.requests.try_recv().ok())
        .filter_map(|request| if let AppRequest::Act(act) = request { Some(act) } else { None })
        .collect()
}

fn buttons(bench: &Bench) -> Vec<&'static str> {
    let state = bench.screen.state();
    state.up.last().unwrap().1.buttons.iter().map(|button| button.label).collect()
}

async fn choose(bench: &mut Bench, key: &PopupKey, action: Action) {
    let choice = bench.screen.action(key, action, None);
    bench.say(choice).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_is_marked_as_read_up_to_its_newest_shown_message() {
    let mut bench = signed_in().await;
    bench.configure(|config| config.popup.actions = vec![Action::Mute, Action::Read]).await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    assert_eq!(buttons(&bench), ["Mute", "Mark as read"], "as they are configured");
    choose(&mut bench, &room("Kitchen"), Action::Read).await;
    let read = |is_public| RoomAct {
        account: "home".into(),
        room_id: "Kitchen".into(),
        act: Act::Read { event_id: "two".into(), is_public },
    };
    assert_eq!(acts(&mut bench), [read(false)]);
    assert!(bench.up().is_empty() && bench.notice("one").read && bench.opened().is_empty());

    bench.configure(|config| config.popup.public_receipts = true).await;
    bench.push(message("two", "Kitchen")).await;
    bench.push(message("three", "Kitchen")).await;
    choose(&mut bench, &room("Kitchen"), Action::Read).await;
    let Act::Read { event_id, is_public } = acts(&mut bench).remove(0).act;
    assert_eq!((event_id.as_str(), is_public), ("three", true));
}

#[tokio::test(start_paused = true)]
async fn by_hand_there_are_only_buttons_that_work_here() {
    let mut bench = signed_in().await;
    bench.push(message("one", "Kitchen").for_account("work")).await;
    assert_eq!(buttons(&bench), ["Mute for 1 hour"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_muted_for_an_hour_is_shown_after_it() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen").unread(1)).await;
    choose(&mut bench, &room("Kitchen"), Action::MuteHour).await;
    bench.shows();
    bench.push(message("two", "Kitchen").sound("bing").highlight().unread(2)).await;
    assert_eq!((bench.shows(), bench.sounds(), bench.badge().0), (vec![], vec![], 2));
    let muted = bench.controller.answer(Request::Status).await;
    let Reply::Status(status) = muted else { panic!("{muted:?}") };
    let [room] = status.muted_rooms.as_slice() else { panic!("{status:?}") };
    let left = room.until.unwrap().duration_since(Timestamp::now()).as_secs();
    assert!(room.name == "Kitchen" && (3500..=3600).contains(&left), "{room:?}");
    let later = Timestamp::now() + jiff::SignedDuration::from_mins(61);
    bench.push(message("three", "Kitchen").received_at(later)).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "three".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_muted_room_stays_so_over_a_restart_until_the_menu_ends_it() {
    let mut bench = Bench::new().await;
    bench.configure(|config| config.popup.actions = vec![Action::Mute]).await;
    bench.push(message("one", "Kitchen")).await;
    let other = bench.lock_inbox();
    choose(&mut bench, &room("Kitchen"), Action::Mute).await;
    drop(other);
    bench.pass(10 * SECOND).await;
    bench.end_and_start().await;
    bench.service(Service::Shows).await;
    bench.push(message("two", "Kitchen")).await;
    assert_eq!(bench.up(), []);
    bench.tray(TrayAction::Unmute(Some(RoomKey::with_id("home", "Kitchen")))).await;
    bench.push(message("three", "Kitchen")).await;
    assert_eq!(bench.up(), [("Bob in Kitchen".to_owned(), "three".to_owned())], "what came meanwhile stays muted");
}
