//! The app with a real homeserver: Synapse from the Python Package Index.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod rig;

use std::{path::Path, time::Duration};

use rig::{
    Desktop, DesktopOptions, Notify, Pushbell, Recording, SOON, Synapse,
    recording::{Burst, same_sound},
    synapse::User,
    wait_for, wait_until,
};
use serde_json::{Value, json};

/// A desktop with the app, a recording and the bundled sounds as recorded.
struct Scene {
    desktop: Desktop,
    pushbell: Pushbell,
    recording: Recording,
    default: Vec<Burst>,
    bing: Vec<Burst>,
    ring: Vec<Burst>,
}

/// The positions in the notification traffic and in the recording when a step begins.
struct Mark {
    shown: usize,
    heard: Duration,
}

impl Scene {
    fn start() -> Self {
        let desktop = Desktop::start(DesktopOptions::default());
        // Popups stay until they are withdrawn, so that withdrawals can be seen.
        let pushbell = Pushbell::start(&desktop, "[popup]\ntimeout = \"never\"\n");
        let recording = Recording::start(&desktop);
        let sounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds");
        let [default, bing, ring] = ["default", "bing", "ring"]
            .map(|name| recording.reference(&desktop, &sounds.join(name).with_extension("ogg")));
        Self { desktop, pushbell, recording, default, bing, ring }
    }

    fn mark(&self) -> Mark {
        Mark { shown: self.desktop.notifications().len(), heard: self.recording.length() }
    }

    #[track_caller]
    fn popup(&self, mark: &Mark, title: &str, text: &str) -> Notify {
        let what = format!("a popup {title:?}: {text:?}");
        self.desktop.notifications().wait_for_notify_since(mark.shown, &what, |notify| {
            notify.summary.contains(title) && notify.body.contains(text)
        })
    }

    #[track_caller]
    fn sounds(&self, mark: &Mark, sound: &[Burst]) {
        let heard = self.recording.wait_for_bursts(mark.heard, sound.len());
        let status = self.pushbell.status();
        assert!(same_sound(&heard, sound), "heard {heard:#?} instead of {sound:#?} through {}", status["sound"]);
    }

    #[track_caller]
    fn silence(&self, mark: &Mark) {
        self.recording.listen(Duration::from_secs(1));
        assert_eq!(self.recording.bursts_since(mark.heard), []);
    }

    #[track_caller]
    fn counts(&self, unread: u64, missed_calls: u64) {
        let what = format!("{unread} unread, {missed_calls} missed calls");
        self.pushbell
            .wait_for_status(&what, |status| status["unread"] == unread && status["missed_calls"] == missed_calls);
        let words = match (unread, missed_calls) {
            (0, 0) => String::new(),
            (_, 0) => format!("{unread} unread"),
            (_, 1) => format!("{unread} unread, 1 missed call"),
            _ => format!("{unread} unread, {missed_calls} missed calls"),
        };
        let item = self.desktop.tray_item();
        wait_until(&format!("the tooltip says {words:?}"), SOON, || {
            let (title, text) = item.tooltip();
            format!("{title} {text}").contains(&words)
        });
    }

    /// Bob calls in the room, and it rings; returns its popup.
    #[track_caller]
    fn rings(&self, bob: &User, room: &str, call_id: &str) -> Notify {
        let mark = self.mark();
        bob.send_event(room, "m.call.invite", &call(call_id, 60_000));
        let popup = self.popup(&mark, "Bob is calling", "");
        self.recording.wait_for_bursts(mark.heard, 1);
        popup
    }

    #[track_caller]
    fn wait_for_silence(&self) {
        wait_until("it is silent", SOON, || self.recording.silence() > Duration::from_millis(1200));
    }

    #[track_caller]
    fn newest(&self) -> Value {
        self.pushbell.history().into_iter().next().expect("there is history")
    }
}

/// The content of an `m.call.invite`.
fn call(call_id: &str, lifetime: u64) -> Value {
    json!({"call_id": call_id, "version": 0, "lifetime": lifetime, "offer": {"type": "offer", "sdp": "v=0"}})
}

#[test]
fn a_day_with_a_homeserver() {
    let synapse = Synapse::start();
    let [alice, bob, carol] =
        [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")].map(|(name, shown)| synapse.register(name, shown));
    let scene = Scene::start();
    let icon_at_rest = wait_for("the icon is on the panel", SOON, || scene.desktop.tray_icon_pixels());
    let account = scene.pushbell.account();
    alice.set_pusher(&scene.pushbell.url(), &account.app_id, &account.pushkey, &json!({}));

    // An invite.
    let mark = scene.mark();
    let room = bob.create_room(&json!({"name": "Mission Control", "invite": [alice.id, carol.id]}));
    scene.popup(&mark, "Bob invites you to Mission Control", "");
    scene.sounds(&mark, &scene.default);
    scene.counts(1, 0);
    assert_eq!(scene.newest()["type"], "m.room.member");
    alice.join(&room);
    carol.join(&room);

    // A message in a room makes no sound.
    let mark = scene.mark();
    let text = "<b>&amp; \"quotes\"</b>";
    bob.send(&room, text);
    let popup = scene.popup(&mark, "Bob in Mission Control", "");
    let shown = popup.body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    assert!(shown.ends_with(text), "{popup:#?}");
    assert_eq!(popup.hints["category"], "im.received");
    scene.silence(&mark);
    scene.counts(1, 0);
    assert_eq!(scene.newest()["body"], text);
    assert_eq!(scene.newest()["shown"], true);
    wait_until("the badge is on the icon", SOON, || {
        scene.desktop.tray_icon_pixels().is_some_and(|icon| icon != icon_at_rest)
    });

    // The next one replaces its popup.
    let mark = scene.mark();
    carol.send(&room, "Ground control?");
    let next = scene.popup(&mark, "Mission Control", "Ground control?");
    assert_eq!((next.replaces_id, next.id()), (popup.id(), popup.id()));
    scene.counts(1, 0);

    // A mention.
    let mark = scene.mark();
    let content =
        json!({"msgtype": "m.text", "body": "Alice: commencing countdown", "m.mentions": {"user_ids": [alice.id]}});
    bob.send_event(&room, "m.room.message", &content);
    let popup = scene.popup(&mark, "", "commencing countdown");
    assert!(format!("{} {}", popup.summary, popup.body).contains("mentioned you"), "{popup:#?}");
    scene.sounds(&mark, &scene.default);
    scene.counts(1, 0);

    // A keyword with a sound of its own.
    let rule = json!({"pattern": "rocket", "actions": ["notify", {"set_tweak": "sound", "value": "bing.wav"}, {"set_tweak": "highlight"}]});
    alice.set_push_rule("content", "rocket", &rule);
    let mark = scene.mark();
    let last_in_room = bob.send(&room, "a rocket");
    scene.popup(&mark, "", "a rocket");
    scene.sounds(&mark, &scene.bing);

    // A direct message.
    let mark = scene.mark();
    let direct = bob.create_room(&json!({"is_direct": true, "invite": [alice.id], "preset": "trusted_private_chat"}));
    scene.popup(&mark, "Bob invites you", "");
    scene.sounds(&mark, &scene.default);
    alice.join(&direct);
    alice.mark_direct(&direct, &bob);
    let mark = scene.mark();
    bob.send(&direct, "only to you");
    let popup = scene.popup(&mark, "Bob", "only to you");
    assert_eq!(popup.summary, "Bob");
    scene.sounds(&mark, &scene.default);
    scene.counts(2, 0);

    // An unanswered call.
    let mark = scene.mark();
    let last_in_direct = bob.send_event(&direct, "m.call.invite", &call("call-1", 4000));
    let popup = scene.popup(&mark, "Bob", "");
    assert_eq!(popup.hints["category"], "call.incoming");
    let missed = scene.popup(&mark, "Missed call from Bob", "");
    assert_eq!(missed.hints["category"], "call.unanswered");
    let heard = scene.recording.wait_for_bursts(mark.heard, scene.ring.len());
    assert!(
        heard.iter().zip(&scene.ring).all(|(heard, ring)| (heard.frequency - ring.frequency).abs() <= 10.0),
        "{heard:#?}"
    );
    let mark = scene.mark();
    scene.silence(&mark);
    scene.counts(2, 1);

    // Reading on another device.
    alice.read(&room, &last_in_room);
    scene.counts(1, 1);
    alice.read(&direct, &last_in_direct);
    scene.counts(0, 0);
    wait_until("all popups of the account are withdrawn", SOON, || {
        let open = scene.desktop.notifications().open();
        !open.values().any(|popup| popup.summary.contains("Bob") || popup.summary.contains("Mission Control"))
    });
    wait_until("the badge is off the icon", SOON, || scene.desktop.tray_icon_pixels().as_ref() == Some(&icon_at_rest));
    assert!(scene.pushbell.history().iter().all(|notice| notice["read"] == true));
    assert_eq!(alice.pushers().len(), 1, "the homeserver still pushes");
}

#[test]
fn a_call_that_ends_elsewhere_stops_ringing_here() {
    let synapse = Synapse::start();
    let [alice, bob, carol] =
        [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")].map(|(name, shown)| synapse.register(name, shown));
    let room = bob.create_room(&json!({"is_direct": true, "invite": [alice.id], "preset": "trusted_private_chat"}));
    alice.join(&room);
    alice.mark_direct(&room, &bob);
    let scene = Scene::start();
    // A session of its own: Alice's other one is her phone.
    let password = scene.pushbell.home().join("password");
    std::fs::write(&password, "secret\n").expect("the home is writable");
    let (homeserver, password) = (format!("http://127.0.0.1:{}", synapse.port), password.display().to_string());
    let login =
        ["login", &alice.id, "--push", "--homeserver", &homeserver, "--password-file", &password, "--wait", "0"];
    let login = scene.pushbell.command(&login);
    assert_eq!(login.code, 3, "{login:#?}");
    let missed_calls = |missed: u64| {
        scene.pushbell.wait_for_status(&format!("{missed} missed calls"), |status| status["missed_calls"] == missed);
    };

    let text = json!({"msgtype": "m.text", "body": "I call you back"});
    let over = |call_id: &str| json!({"call_id": call_id, "version": 0});
    let taken = [("m.call.answer", over("0")), ("m.call.reject", over("1")), ("m.room.message", text)];
    for (number, (event_type, content)) in taken.iter().enumerate() {
        let popup = scene.rings(&bob, &room, &number.to_string());
        alice.send_event(&room, event_type, content);
        wait_until(&format!("{event_type} takes the popup away"), SOON, || {
            !scene.desktop.notifications().open().contains_key(&popup.id())
        });
        scene.wait_for_silence();
        missed_calls(0);
    }

    let (mark, popup) = (scene.mark(), scene.rings(&bob, &room, "hung up"));
    bob.send_event(&room, "m.call.hangup", &over("hung up"));
    assert_eq!(scene.popup(&mark, "Missed call from Bob", "").replaces_id, popup.id());
    scene.wait_for_silence();
    missed_calls(1);

    // A call to another user.
    let mark = scene.mark();
    let mut to_carol = call("to carol", 60_000);
    to_carol["invitee"] = carol.id.clone().into();
    let event = bob.send_event(&room, "m.call.invite", &to_carol);
    bob.send(&room, "after the call");
    scene.popup(&mark, "Bob", "after the call");
    scene.sounds(&mark, &scene.default);
    let shown = scene.desktop.notifications().all_since(mark.shown);
    assert!(!shown.iter().any(|popup| popup.summary.contains("call")), "{shown:#?}");
    missed_calls(1);
    let notice = scene.pushbell.history().into_iter().find(|notice| notice["event_id"] == *event);
    assert_eq!(notice.expect("it is history")["read"], true);
}
