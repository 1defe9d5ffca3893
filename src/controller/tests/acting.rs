//! What the buttons of popups do.

use serde_json::{Value, json};

use super::{push::*, *};
use crate::{
    inbox::{Read, Reply as Outgoing},
    present::{
        popup::{Action, OwnPopup, RoomButton},
        words,
    },
};

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
    let actions = vec![RoomButton::Reply, RoomButton::Read, RoomButton::MuteHour];
    bench.configure(|config| config.popup.actions = actions).await;
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
    state.up.last().unwrap().1.buttons.iter().map(|button| words::button(*button)).collect()
}

async fn choose(bench: &mut Bench, key: &PopupKey, action: Action) {
    let choice = bench.screen.action(key, action, None);
    bench.say(choice).await;
}

#[tokio::test(start_paused = true)]
async fn a_room_is_marked_as_read_up_to_its_newest_shown_message() {
    let mut bench = signed_in().await;
    bench.configure(|config| config.popup.actions = vec![RoomButton::Mute, RoomButton::Read]).await;
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
    let expected = Act::Read { event_id: "three".into(), is_public: true };
    assert_eq!(acts(&mut bench).remove(0).act, expected);
}

#[tokio::test(start_paused = true)]
async fn by_hand_there_are_only_buttons_that_work_here() {
    let mut bench = signed_in().await;
    bench.push(message("one", "Kitchen").for_account("work")).await;
    assert_eq!(buttons(&bench), ["Mute for 1 hour"]);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_muted_for_an_hour_is_shown_after_it() {
    let mut bench = signed_in().await;
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
    bench.configure(|config| config.popup.actions = vec![RoomButton::Mute]).await;
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

/// A popup of a call with this content, chosen an action of.
async fn answer_call(event_type: &str, content: &Value, action: Action) -> (Bench, Vec<RoomAct>) {
    let mut bench = signed_in().await;
    bench.push(event("$call", "Kitchen", event_type, content).sound("ring")).await;
    assert_eq!(bench.ringing().len(), 1);
    let key = PopupKey::Call(bench.notice("$call").id);
    choose(&mut bench, &key, action).await;
    assert!(bench.ringing().is_empty() && bench.up().is_empty(), "this desktop is silent at once");
    let acts = acts(&mut bench);
    (bench, acts)
}

#[tokio::test(start_paused = true)]
async fn a_call_is_declined_here_or_answered_in_the_client() {
    let invite = json!({"call_id": "c", "version": "1", "lifetime": 60_000});
    let (bench, acts) = answer_call("m.call.invite", &invite, Action::Decline).await;
    let content = json!({"call_id": "c", "party_id": "D", "version": "1"});
    let declined = RoomAct {
        account: "home".into(),
        room_id: "Kitchen".into(),
        act: Act::Decline { event_type: "m.call.reject", content },
    };
    assert_eq!((acts, bench.opened().len()), (vec![declined], 0));

    let (bench, acts) = answer_call("m.call.invite", &invite, Action::Answer).await;
    assert_eq!((acts, bench.opened().len()), (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_could_be_told_of_is_only_dismissed() {
    let mut bench = signed_in().await;
    let old = json!({"notify_type": "ring", "call_id": "x"});
    bench.push(event("$old", "Kitchen", "org.matrix.msc4075.call.notify", &old)).await;
    assert_eq!(buttons(&bench), ["Answer", "Dismiss"]);
    bench.push(call("c", "Cellar").for_account("work")).await;
    assert_eq!(buttons(&bench), ["Answer", "Dismiss"], "by hand");
    bench.push(call("c", "Attic")).await;
    assert_eq!(buttons(&bench), ["Answer", "Decline"]);
    bench.handle(Event::NotDone("Your other devices may go on ringing.".into())).await;
    assert_eq!(bench.up().last().unwrap().1, "Your other devices may go on ringing.");
}

fn invite(event_id: &str, room: &str) -> Push {
    event(event_id, room, "m.room.member", &json!({"membership": "invite"}))
}

#[tokio::test(start_paused = true)]
async fn an_invite_is_accepted_or_declined() {
    for (action, act) in [(Action::Accept, Act::Join), (Action::Reject, Act::Leave)] {
        let mut bench = signed_in().await;
        bench.push(invite("i", "Kitchen")).await;
        assert_eq!(buttons(&bench), ["Accept", "Decline"]);
        choose(&mut bench, &room("Kitchen"), action).await;
        assert_eq!(acts(&mut bench), [RoomAct { account: "home".into(), room_id: "Kitchen".into(), act }]);
        assert!(bench.up().is_empty() && bench.notice("i").read);
        bench.push(invite("j", "Kitchen").for_account("work")).await;
        assert_eq!(buttons(&bench), [""; 0], "by hand nobody can be told");
    }
}

/// The person writes this into the popup of the room.
async fn write(bench: &mut Bench, text: &str) {
    let key = room("Kitchen");
    let activation =
        crate::desktop::Activation { key: Action::Reply.key().to_owned(), text: Some(text.to_owned()), token: None };
    let id = bench.screen.id(&key);
    bench.say(DesktopEvent::Popup(crate::desktop::PopupEvent::Activated { id, activation })).await;
}

/// Signed in, with a service that takes texts.
async fn with_replies() -> Bench {
    let mut bench = signed_in().await;
    bench.service(Service::TakesTexts).await;
    bench
}

async fn replies(bench: &Bench) -> Vec<Outgoing> {
    bench.inbox.replies().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_kept_to_be_sent_and_the_room_is_read() {
    let mut bench = with_replies().await;
    let thread = json!({"body": "one", "m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}});
    bench.push(event("one", "Kitchen", "m.room.message", &thread)).await;
    assert_eq!(buttons(&bench), ["Reply", "Mark as read", "Mute for 1 hour"]);
    write(&mut bench, "  On my way.\n").await;
    let [reply] = replies(&bench).await.try_into().unwrap();
    assert_eq!((&*reply.account, &*reply.device_id, &*reply.room_id), ("home", "D", "Kitchen"));
    let content: Value = serde_json::from_str(reply.content.as_deref().unwrap()).unwrap();
    assert_eq!((&content["body"], &content["m.relates_to"]["event_id"]), (&json!("On my way."), &json!("$root")));
    let mut requests = std::iter::from_fn(|| bench.requests.try_recv().ok());
    assert!(requests.any(|request| request == AppRequest::SendReplies));
    assert!(requests.any(|request| matches!(request, AppRequest::Act(RoomAct { act: Act::Read { .. }, .. }))));
    assert!(bench.up().is_empty() && bench.notice("one").read);

    bench.push(message("two", "Kitchen")).await;
    write(&mut bench, " ").await;
    assert_eq!(replies(&bench).await.len(), 1, "nothing was written");
}

#[tokio::test(start_paused = true)]
async fn no_reply_is_offered_or_taken_before_a_locked_screen() {
    let mut bench = with_replies().await;
    bench.push(message("one", "Kitchen")).await;
    bench.say(DesktopEvent::ScreenLock(Some(true))).await;
    write(&mut bench, "by whom?").await;
    assert_eq!((replies(&bench).await, bench.up()), (vec![], vec![]));
    bench.push(message("two", "Kitchen")).await;
    assert_eq!(buttons(&bench), ["Mark as read", "Mute for 1 hour"]);
    bench.dismiss(&room("Kitchen")).await;
    bench.say(DesktopEvent::ScreenLock(Some(false))).await;
    let (title, text) = bench.up().pop().unwrap();
    assert_eq!(title, "A reply may not have been sent");
    assert_eq!(text, "It was not sent: the screen was locked:\nby whom?");
    bench.configure(|config| config.popup.preview = Preview::Never).await;
    bench.push(message("three", "Kitchen")).await;
    assert_eq!(buttons(&bench), ["Mark as read", "Mute for 1 hour"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_text_field_a_reply_is_written_in_the_client() {
    let mut bench = signed_in().await;
    bench.push(message("one", "Kitchen")).await;
    assert_eq!(buttons(&bench)[0], "Reply");
    choose(&mut bench, &room("Kitchen"), Action::ReplyThere).await;
    assert_eq!((bench.opened().len(), replies(&bench).await.len()), (1, 0));
    bench.push(message("one", "Kitchen").for_account("work")).await;
    assert_eq!(buttons(&bench), ["Mute for 1 hour"], "by hand");
}

#[tokio::test(start_paused = true)]
async fn texts_that_were_not_sent_are_given_back_until_they_are_seen() {
    let mut bench = Bench::without_service().await;
    let not_sent =
        |text: &str| Event::NotSent { reason: "It may have been sent (no answer)".into(), text: text.to_owned() };
    bench.handle(not_sent("first")).await;
    bench.handle(not_sent("second \u{202e}")).await;
    bench.service(Service::Shows).await;
    let text = "It may have been sent (no answer):\nfirst\n\nIt may have been sent (no answer):\nsecond";
    assert_eq!(bench.up(), [("A reply may not have been sent".to_owned(), text.to_owned())]);
    bench.dismiss(&PopupKey::Own(OwnPopup::NotSent)).await;
    bench.handle(not_sent("third")).await;
    assert_eq!(bench.up()[0].1, "It may have been sent (no answer):\nthird");
}

#[tokio::test(start_paused = true)]
async fn a_falling_count_makes_the_homeserver_be_asked_what_was_read() {
    let mut bench = signed_in().await;
    let asked = |bench: &mut Bench| {
        std::iter::from_fn(|| bench.requests.try_recv().ok())
            .filter(|request| *request == AppRequest::LookForRead { account: "home".into() })
            .count()
    };
    bench.push(message("one", "Kitchen").unread(2)).await;
    bench.push(message("two", "Cellar").unread(3)).await;
    assert_eq!(asked(&mut bench), 0);
    bench.push(badge(2)).await;
    assert_eq!(asked(&mut bench), 1);
    bench.push(badge(0)).await;
    assert_eq!(asked(&mut bench), 0, "all of it was");
    bench.push(message("three", "Kitchen").unread(3)).await;
    bench.dismiss(&room("Kitchen")).await;
    bench.push(message("four", "Kitchen").for_account("work").unread(3)).await;
    bench.push(badge(2)).await;
    bench.push(badge(2).for_account("work")).await;
    assert_eq!(asked(&mut bench), 0, "nothing of this account is up, and of the other nobody can be asked");
}

#[tokio::test(start_paused = true)]
async fn what_the_menu_lists_is_marked_as_read_and_nothing_else() {
    let mut bench = signed_in().await;
    bench.push(message("one", "Kitchen")).await;
    bench.push(message("two", "Kitchen")).await;
    bench.push(invite("i", "Attic")).await;
    bench.push(message("three", "Cellar").for_account("work")).await;
    let ids = ["one", "two", "i", "three"].map(|event| bench.notice(event).id).to_vec();
    bench.push(message("late", "Garden")).await;
    acts(&mut bench);
    bench.tray(TrayAction::Read(ids)).await;
    let act = Act::Read { event_id: "two".into(), is_public: false };
    assert_eq!(acts(&mut bench), [RoomAct { account: "home".into(), room_id: "Kitchen".into(), act }]);
    assert_eq!(bench.up(), [("Bob in Garden".to_owned(), "late".to_owned())]);
    assert!(bench.notice("one").read && bench.notice("three").read && bench.notice("i").read);
    assert!(bench.opened().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_falling_count_makes_an_invite_be_checked() {
    let mut bench = signed_in().await;
    bench.push(invite("i", "Kitchen").unread(2)).await;
    bench.push(message("one", "Cellar").unread(2)).await;
    bench.push(badge(2)).await;
    assert_eq!(acts(&mut bench), []);
    bench.push(badge(1)).await;
    let id = bench.notice("i").id;
    let look = RoomAct { account: "home".into(), room_id: "Kitchen".into(), act: Act::LookAtInvite(id) };
    assert_eq!(acts(&mut bench), [look]);
    bench.inbox.mark_read(Read::Room(RoomKey::with_id("home", "Kitchen"), id)).await.unwrap();
    bench.settle().await;
    assert_eq!(bench.up(), [("Bob in Cellar".to_owned(), "one".to_owned())]);
}
