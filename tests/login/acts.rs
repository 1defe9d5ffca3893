//! Popup buttons, and their effects on the homeserver.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    rig::{Clock, SOON, fake_service::FakeNotifications, wait_for, wait_until},
    scene::{SYNAPSE, Scene, losing_answers},
};

/// Alice signed in, with the running app and a notification service that shows buttons.
fn signed_in(config: &str) -> (Scene, FakeNotifications) {
    signed_in_to(Scene::new(), config)
}

fn signed_in_to(mut scene: Scene, config: &str) -> (Scene, FakeNotifications) {
    scene.pushbell.configure(&format!("{config}[log]\nlevel = \"debug\"\n"));
    let fake = scene.desktop.fake_notifier(&["actions", "body", "inline-reply"]);
    scene.pushbell.run();
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 3, "{login:#?}");
    (scene, fake)
}

impl Scene {
    /// The ID of the popup with this text.
    #[track_caller]
    fn popup(&self, text: &str) -> u32 {
        let says =
            |notify: &crate::rig::notifications::Notify| format!("{} {}", notify.summary, notify.body).contains(text);
        self.desktop.notifications().wait_for_notify(text, says).id()
    }

    /// An initial sync for Alice. Synapse caches the answer to the same request for two minutes.
    fn sync(&self) -> Value {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let timeout = NUMBER.fetch_add(1, Ordering::Relaxed);
        self.alice.request(&Method::GET, &format!("sync?timeout={timeout}"), &Value::Null)
    }

    /// The path of each request by which Alice has sent something.
    fn sends(&self) -> Vec<String> {
        let of_alice = format!("{{{}}}", self.alice.id);
        let is_send = |line: &&str| {
            line.contains("Processed request")
                && line.contains("\"PUT ")
                && line.contains("/send/")
                && line.contains(&of_alice)
        };
        let log = SYNAPSE.log();
        log.lines()
            .filter(is_send)
            .filter_map(|line| Some(line.split("\"PUT ").nth(1)?.split(' ').next()?.into()))
            .collect()
    }

    /// The number of replies waiting to be sent.
    fn waiting(&self) -> i64 {
        let database = rusqlite::Connection::open(self.pushbell.database()).unwrap();
        database.query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap()
    }

    /// Alice's account data of this type in the room.
    fn room_data(&self, name: &str) -> Value {
        let sync = self.sync();
        let events = sync["rooms"]["join"][&self.room]["account_data"]["events"].as_array().cloned();
        let found = events.into_iter().flatten().find(|event| event["type"] == name);
        found.map_or(Value::Null, |event| event["content"].clone())
    }

    /// Alice's receipts in the room: kind and event ID.
    fn receipts(&self) -> Vec<(String, String)> {
        let sync = self.sync();
        let events = sync["rooms"]["join"][&self.room]["ephemeral"]["events"].as_array().cloned().unwrap_or_default();
        let receipts = events.iter().filter(|event| event["type"] == "m.receipt");
        let mut found = Vec::new();
        for (event, kinds) in receipts.filter_map(|event| event["content"].as_object()).flatten() {
            for (kind, users) in kinds.as_object().into_iter().flatten() {
                if users.get(&self.alice.id).is_some_and(|receipt| receipt.get("thread_id").is_none()) {
                    found.push((kind.clone(), event.clone()));
                }
            }
        }
        found
    }

    /// The room's newest events of this type, newest first, each with its sender.
    fn events(&self, event_type: &str) -> Vec<(String, Value)> {
        let path = format!("rooms/{}/messages?dir=b&limit=30", self.room);
        let page = self.bob.request(&Method::GET, &path, &Value::Null);
        let events = page["chunk"].as_array().cloned().unwrap_or_default().into_iter();
        let of_type = events.filter(|event| event["type"] == event_type);
        of_type.map(|event| (event["sender"].as_str().unwrap().to_owned(), event["content"].clone())).collect()
    }

    /// The texts that Alice has sent to the room, newest first.
    fn written(&self) -> Vec<String> {
        let messages = self.events("m.room.message").into_iter().filter(|(sender, _)| *sender == self.alice.id);
        messages.map(|(_, content)| content["body"].as_str().unwrap().to_owned()).collect()
    }

    fn set_room_data(&self, name: &str, content: &Value) {
        let path = format!("user/{}/rooms/{}/account_data/{name}", self.alice.id, self.room);
        self.alice.request(&Method::PUT, &path, content);
    }
}

/// Whether this request line sends an event into a room.
fn is_send(head: &str) -> bool {
    head.starts_with("PUT ") && head.contains("/send/")
}

#[test]
fn a_room_marked_as_read_is_read_on_all_devices() {
    let (scene, fake) = signed_in("");
    scene.bob.send(&scene.room, "Dinner is ready.");
    let shown = scene.bob.send(&scene.room, "Come.");
    let popup = scene.popup("Come.");
    scene.pushbell.wait_for_status("something is unread", |status| status["unread"] == 1);
    scene.set_room_data("m.marked_unread", &json!({"unread": true}));
    fake.invoke_action(popup, "read");

    wait_until("there is a receipt", SOON, || scene.receipts() == [("m.read.private".to_owned(), shown.clone())]);
    wait_until("the marker has moved", SOON, || scene.room_data("m.fully_read")["event_id"] == shown);
    wait_until("the mark is taken away", SOON, || scene.room_data("m.marked_unread") == json!({"unread": false}));
    assert_eq!(scene.room_data("com.famedly.marked_unread"), Value::Null, "nobody has set it");
    scene.pushbell.wait_for_status("the number follows", |status| status["unread"] == 0);
    assert_eq!(scene.pushbell.history()[0]["read"], true);
}

#[test]
fn the_fully_read_marker_never_goes_back() {
    let (scene, fake) = signed_in("[popup]\nreceipts = \"public\"\n");
    let shown = scene.bob.send(&scene.room, "Dinner is ready.");
    let popup = scene.popup("Dinner");
    scene.alice.request(&Method::PUT, &format!("pushrules/global/room/{}", scene.room), &json!({"actions": []}));
    let newer = scene.bob.send(&scene.room, "Nobody is told of this.");
    let markers = format!("rooms/{}/read_markers", scene.room);
    scene.alice.request(&Method::POST, &markers, &json!({"m.fully_read": newer}));
    fake.invoke_action(popup, "read");
    wait_until("there is a receipt", SOON, || scene.receipts() == [("m.read".to_owned(), shown.clone())]);
    wait_for("it has looked for marks", SOON, || {
        let log = SYNAPSE.log();
        let mut lines = log.lines().filter(|line| line.contains(&format!("{{{}}}", scene.alice.id)));
        lines.any(|line| line.contains("account_data/com.famedly.marked_unread")).then_some(())
    });
    assert_eq!(scene.room_data("m.fully_read")["event_id"], newer);
}

#[test]
fn a_declined_call_is_over_for_its_caller() {
    let (scene, fake) = signed_in("");
    let offer = json!({"type": "offer", "sdp": "m=audio"});
    let call = |id: &str, version: Value| json!({"call_id": id, "party_id": "B", "version": version, "lifetime": 60_000, "offer": offer});
    scene.bob.send_event(&scene.room, "m.call.invite", &call("new", json!("1")));
    fake.invoke_action(scene.popup("is calling"), "decline");
    let (sender, reject) = wait_for("the call is rejected", SOON, || scene.events("m.call.reject").into_iter().next());
    assert_eq!(
        (sender.as_str(), &reject["call_id"], &reject["version"]),
        (&*scene.alice.id, &json!("new"), &json!("1"))
    );
    assert!(reject["party_id"].as_str().is_some_and(|party| party.len() > 3), "{reject}");

    let mark = scene.desktop.notifications().len();
    scene.bob.send_event(&scene.room, "m.call.invite", &call("old", json!(0)));
    let ringing = |notify: &crate::rig::notifications::Notify| notify.summary.contains("is calling");
    let popup = scene.desktop.notifications().wait_for_notify_since(mark, "it rings", ringing).id();
    fake.invoke_action(popup, "decline");
    let (_, hangup) = wait_for("the call is hung up", SOON, || scene.events("m.call.hangup").into_iter().next());
    assert_eq!(hangup, json!({"call_id": "old", "version": 0}));
    scene.popup("Your other devices may go on ringing");
}

#[test]
fn an_invite_is_accepted_and_another_declined() {
    let (scene, fake) = signed_in("");
    let membership = |room: &str| {
        let members = scene.bob.request(&Method::GET, &format!("rooms/{room}/members"), &Value::Null);
        let mine = members["chunk"].as_array().unwrap().iter().find(|event| event["state_key"] == scene.alice.id);
        mine.unwrap()["content"]["membership"].as_str().unwrap().to_owned()
    };
    for (name, action, expected) in [("Attic", "accept", "join"), ("Cellar", "reject", "leave")] {
        let room = scene.bob.create_room(&json!({"name": name, "invite": [scene.alice.id]}));
        fake.invoke_action(scene.popup(&format!("invites you to {name}")), action);
        wait_until("the homeserver knows", SOON, || membership(&room) == expected);
    }
    let room = scene.bob.create_room(&json!({"name": "Shed", "invite": [scene.alice.id]}));
    let popup = scene.popup("invites you to Shed");
    scene.bob.request(&Method::POST, &format!("rooms/{room}/kick"), &json!({"user_id": scene.alice.id}));
    fake.invoke_action(popup, "accept");
    scene.popup("The invite could not be accepted");
}

#[test]
fn a_reply_goes_to_the_room_and_into_its_thread() {
    let (scene, fake) = signed_in("");
    let root = scene.bob.send(&scene.room, "Dinner?");
    fake.reply(scene.popup("Dinner?"), "Yes, <b>please</b> & soon");
    wait_until("the reply is there", SOON, || scene.written() == ["Yes, <b>please</b> & soon"]);
    wait_until("the room is read", SOON, || scene.receipts() == [("m.read.private".to_owned(), root.clone())]);
    let thread = json!({"rel_type": "m.thread", "event_id": root, "is_falling_back": true});
    let answer = json!({"msgtype": "m.text", "body": "When?", "m.relates_to": thread});
    let newest = scene.bob.send_event(&scene.room, "m.room.message", &answer);
    fake.reply(scene.popup("Bob in a thread in Kitchen When?"), "At eight");
    wait_until("the reply is there", SOON, || scene.written().len() == 2);
    let (_, reply) = scene.events("m.room.message").remove(0);
    let expected = json!({"rel_type": "m.thread", "event_id": root, "is_falling_back": true, "m.in_reply_to": {"event_id": newest}});
    assert_eq!(reply["m.relates_to"], expected);
}

#[test]
fn a_reply_is_sent_once_despite_lost_answers_and_kills() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    static IS_KILLED: AtomicBool = AtomicBool::new(false);
    let tried = || TRIES.load(Ordering::Relaxed);
    let scene = Scene::new();
    let homeserver = losing_answers(move |head| {
        if !is_send(head) {
            return false;
        }
        let number = TRIES.fetch_add(1, Ordering::Relaxed);
        // The first answer comes too late for the client, the others not at all.
        if number == 0 {
            wait_until("it is tried again", SOON, || tried() > 1);
        }
        number > 0 && !IS_KILLED.load(Ordering::Relaxed)
    });
    let (mut scene, fake) = signed_in_to(scene.at(homeserver), "");
    scene.bob.send(&scene.room, "Dinner?");
    fake.reply(scene.popup("Dinner?"), "Yes");
    wait_until("it was tried more than twice", 2 * SOON, || scene.sends().len() > 2);
    assert_eq!(scene.waiting(), 1);
    scene.pushbell.kill9();
    IS_KILLED.store(true, Ordering::Relaxed);
    let before = scene.sends().len();
    scene.pushbell.run();
    wait_until("it is confirmed", SOON, || scene.waiting() == 0);
    let sends = scene.sends();
    assert!(sends.len() > before && sends.iter().all(|path| *path == sends[0]), "{sends:#?}");
    assert_eq!(scene.written(), ["Yes"]);
}

#[test]
fn an_unconfirmed_reply_is_given_back_after_15_minutes() {
    let mut scene = Scene::new();
    let clock = Clock::of(&mut scene.pushbell);
    let (scene, fake) = signed_in_to(scene.at(losing_answers(is_send)), "");
    scene.bob.send(&scene.room, "Dinner?");
    fake.reply(scene.popup("Dinner?"), "Yes");
    wait_until("it is written down", SOON, || scene.waiting() == 1);
    clock.set("+14m");
    let before = scene.sends().len();
    wait_until("it is still tried", SOON, || scene.sends().len() > before);
    assert_eq!(scene.waiting(), 1);
    let mark = scene.desktop.notifications().len();
    clock.set("+15m");
    let says = |notify: &crate::rig::Notify| {
        notify.summary == "A reply may not have been sent"
            && notify.body.contains("It may have been sent")
            && notify.body.ends_with("\nYes")
    };
    scene.desktop.notifications().wait_for_notify_since(mark, "the text is given back", says);
    wait_until("it is no longer tried", SOON, || scene.waiting() == 0);
    assert_eq!(scene.written(), ["Yes"]);
}

#[test]
fn what_waits_to_be_sent_ends_with_the_session() {
    let scene = Scene::new();
    let (scene, fake) = signed_in_to(scene.at(losing_answers(is_send)), "");
    scene.bob.send(&scene.room, "Dinner?");
    fake.reply(scene.popup("Dinner?"), "Yes");
    wait_until("it was sent", SOON, || scene.written().len() == 1);
    assert_eq!(scene.waiting(), 1);
    let logout = scene.pushbell.command(&["logout", &scene.alice.id]);
    assert_eq!((logout.code, scene.waiting()), (0, 0), "{logout:#?}");
}

#[test]
fn what_was_read_or_answered_elsewhere_goes_and_nothing_else() {
    let (scene, _fake) = signed_in("");
    let room = |name: &str| scene.bob.create_room(&json!({"name": name, "invite": [scene.alice.id]}));
    let (attic, _shed, cellar) = (room("Attic"), room("Shed"), room("Cellar"));
    let (waiting, answered) = (scene.popup("invites you to Shed"), scene.popup("invites you to Cellar"));
    scene.alice.join(&attic);
    scene.bob.send(&attic, "Who is there?");
    let unread = scene.popup("Who is there?");
    let in_kitchen = scene.bob.send(&scene.room, "Dinner?");
    let read = scene.popup("Dinner?");
    scene.pushbell.wait_for_status("all is counted", |status| status["unread"] == 4);
    let lists = || {
        let log = SYNAPSE.log();
        let is_list = |line: &&str| line.contains("Processed request") && line.contains("/v3/notifications?");
        log.lines().filter(|line| line.contains(&format!("{{{}}}", scene.alice.id))).filter(is_list).count()
    };
    let before = lists();
    scene.alice.join(&cellar);
    scene.alice.read(&scene.room, &in_kitchen);
    for popup in [read, answered] {
        assert_eq!(scene.desktop.notifications().wait_for_closed(popup), 3);
    }
    let open = scene.desktop.notifications().open();
    assert!(open.contains_key(&unread) && open.contains_key(&waiting), "{open:#?}");
    assert_eq!(lists(), before + 1);
    let history = scene.pushbell.history();
    let is_read = |text: &str| {
        let mut lines = history.iter().filter(|line| line["body"] == text || line["room_name"] == text);
        lines.next().unwrap()["read"] == true
    };
    assert!(is_read("Dinner?") && is_read("Cellar") && !is_read("Who is there?") && !is_read("Shed"), "{history:#?}");
}
