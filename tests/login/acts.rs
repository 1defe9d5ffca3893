//! Buttons of popups, and what the homeserver then knows.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    rig::{SOON, fake_service::FakeNotifications, wait_for, wait_until},
    scene::Scene,
};

/// Alice signed in, her program running, before a service that shows buttons.
pub(crate) fn signed_in(config: &str) -> (Scene, FakeNotifications) {
    let mut scene = Scene::new();
    scene.pushbell.configure(&format!("{config}[log]\nlevel = \"debug\"\n"));
    let fake = scene.desktop.fake_notifier(&["actions", "body", "inline-reply"]);
    scene.pushbell.run();
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 3, "{login:#?}");
    (scene, fake)
}

impl Scene {
    /// The id of the popup that says this.
    #[track_caller]
    fn popup(&self, text: &str) -> u32 {
        let says =
            |notify: &crate::rig::notifications::Notify| format!("{} {}", notify.summary, notify.body).contains(text);
        self.desktop.notifications().wait_for_notify(text, says).id()
    }

    /// What Alice's account data of the room says under this name.
    fn room_data(&self, name: &str) -> Value {
        let filter = r#"{"room":{"timeline":{"limit":1}}}"#;
        let filter = percent_encoding::utf8_percent_encode(filter, percent_encoding::NON_ALPHANUMERIC);
        let sync = self.alice.request(&Method::GET, &format!("sync?filter={filter}"), &Value::Null);
        let events = sync["rooms"]["join"][&self.room]["account_data"]["events"].as_array().cloned();
        let found = events.into_iter().flatten().find(|event| event["type"] == name);
        found.map_or(Value::Null, |event| event["content"].clone())
    }

    /// Alice's receipts in the room: for each kind its event.
    fn receipts(&self) -> Vec<(String, String)> {
        let sync = self.alice.request(&Method::GET, "sync", &Value::Null);
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

    fn set_room_data(&self, name: &str, content: &Value) {
        let path = format!("user/{}/rooms/{}/account_data/{name}", self.alice.id, self.room);
        self.alice.request(&Method::PUT, &path, content);
    }
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
        let log = crate::scene::SYNAPSE.log();
        log.contains("account_data/com.famedly.marked_unread").then_some(())
    });
    assert_eq!(scene.room_data("m.fully_read")["event_id"], newer);
}
