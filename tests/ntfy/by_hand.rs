//! Without signing in: only that something is new.

use std::{fs, path::Path};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    SYNAPSE,
    relay::{Behavior, Relay},
    rig::{SOON, keyring::Keyring, wait_until},
    scene::Scene,
};

const TOKEN: &str = "tk_sesameopensesameopensesameopen";
const ACCOUNT: &str = "phone";
const REFUSED: &str = "does not let Pushbell read the topic: 403";

fn of_account(status: &Value) -> Value {
    let accounts = status["accounts"].as_array().unwrap();
    accounts.iter().find(|account| account["name"] == ACCOUNT).cloned().unwrap_or_default()
}

fn hints(scene: &Scene) -> Vec<Value> {
    let notices = scene.pushbell.history_of(1000).into_iter().filter(|notice| notice["account"] == ACCOUNT);
    notices.collect()
}

/// Whether any file below the directory contains this.
fn is_in_files(directory: &Path, secret: &str) -> bool {
    fs::read_dir(directory).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_in_files(&path, secret);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    })
}

#[test]
fn hints_say_that_something_is_new_and_their_topic_is_a_secret() {
    let (mut scene, relay) = (Scene::prepare(&SYNAPSE), Relay::start());
    let keyring = Keyring::start(&scene.desktop);
    scene.pushbell.configure("[popup]\ntimeout = \"never\"\n[log]\nlevel = \"trace\"\n");
    scene.pushbell.run();
    relay.set_behavior(Behavior { token: Some(TOKEN), ..Behavior::default() });
    let add = ["account", "add", ACCOUNT, "--ntfy", &relay.url()];
    let refused = scene.pushbell.command(&add);
    assert!(refused.code == 1 && refused.stderr.contains("--ntfy-token-file"), "{refused:#?}");
    let token = scene.desktop.directory().join("token");
    let with_token = [&add[..], &["--ntfy-token-file", token.to_str().unwrap()]].concat();
    fs::write(&token, "tk_another\n").unwrap();
    let refused = scene.pushbell.command(&with_token);
    assert!(refused.code == 1 && refused.stderr.contains("does not let Pushbell read the topic: 401"), "{refused:#?}");
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    let added = scene.pushbell.ok(&with_token);
    assert!(added.contains("Its topic is in the keyring"), "{added}");
    let account = scene.pushbell.account_named(ACCOUNT);
    assert!(account.pushkey.starts_with(&relay.url()), "{account:?}");
    let topic = account.pushkey.rsplit_once('/').unwrap().1.strip_suffix("?up=1").unwrap().to_owned();
    let url = format!("{}/_matrix/push/v1/notify", relay.url());
    assert!(added.contains(&url) && added.contains("\"format\":\"event_id_only\""), "{added}");
    let connected = |status: &Value| {
        of_account(status)["way_now"] == format!("connected to {}", relay.url()).as_str()
            && of_account(status)["way"] == "ntfy"
    };
    scene.pushbell.wait_for_status("it is connected", connected);

    let mark = scene.mark();
    scene.alice.set_pusher(&url, &account.app_id, &account.pushkey, &json!({"format": "event_id_only"}));
    scene.bob.send(&scene.room, "Dinner is ready.");
    let popup = scene.popup(mark, "New message");
    assert_eq!((popup.summary.as_str(), popup.body.as_str()), ("New message (phone)", ""));
    // Anyone who knows the topic can cause no other and no more frequent notices.
    let made_up = (0..30).map(|number| {
        let made_up = json!({"msgtype": "m.text", "body": "Made up."});
        let device = json!({"app_id": account.app_id, "pushkey": account.pushkey, "tweaks": {"sound": "ring"}});
        json!({"notification": {"event_id": format!("$made-up{number}"), "room_id": scene.room, "room_name": "Made up.",
            "sender": scene.bob.id, "type": "m.room.message", "content": made_up, "counts": {"unread": 77},
            "prio": "high", "devices": [device]}})
        .to_string()
    });
    relay.publish_all(made_up);
    wait_until("all of that is told at once", SOON, || hints(&scene).len() == 2);
    let notices = hints(&scene);
    let at = |notice: &Value| notice["received_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    for pair in notices.windows(2) {
        assert!(at(&pair[0]).duration_since(at(&pair[1])) >= SignedDuration::from_secs(10), "{notices:#?}");
    }
    for notice in &notices {
        assert_eq!(notice["sound"], "default", "{notice:#?}");
        for unknown in ["room_id", "room_name", "sender", "body"] {
            assert!(notice[unknown].is_null() || notice[unknown] == "", "{unknown}: {notice:#?}");
        }
    }
    assert_eq!(of_account(&scene.pushbell.status())["unread"], 2, "not what the relay says");

    // Nothing is shown twice, though the relay replays everything, newest first.
    relay.set_behavior(Behavior { token: Some(TOKEN), replays_all: true, ..Behavior::default() });
    scene.pushbell.restart();
    scene.pushbell.wait_for_status("it is connected again", connected);
    let event = scene.bob.send(&scene.room, "Dinner is gone.");
    wait_until("it is told", SOON, || hints(&scene).iter().any(|notice| notice["event_id"] == event.as_str()));
    assert_eq!(hints(&scene).len(), 3);
    let doctor = scene.pushbell.command(&["doctor"]);
    assert!(doctor.stdout.contains(&format!("{ACCOUNT}: {} relays pushes", relay.url())), "{doctor:#?}");
    let refusing = Behavior { to_readers: Some((403, "")), ..Behavior::default() };
    relay.set_behavior(refusing);
    relay.cut();
    let status = scene.pushbell.wait_for_status("it says so", |status| {
        of_account(status)["way_now"].as_str().unwrap_or_default().contains(REFUSED)
    });
    assert!(status["problems"].to_string().contains(REFUSED), "{status:#?}");
    let doctor_again = scene.pushbell.command(&["doctor", "--json"]);
    assert!(doctor_again.stdout.contains(REFUSED), "{doctor_again:#?}");

    let kept = keyring.secrets_of(ACCOUNT);
    assert!(kept.len() == 1 && kept[0].contains(&topic) && kept[0].contains(TOKEN), "{}", kept.len());
    let said = [
        doctor.stdout,
        doctor_again.stdout,
        scene.pushbell.ok(&["status"]),
        scene.pushbell.ok(&["account", "list"]),
        scene.pushbell.ok(&["history", "--json"]),
        status.to_string(),
        scene.pushbell.log(),
    ];
    for secret in [&*topic, TOKEN] {
        for said in &said {
            assert!(!said.contains(secret), "it is a secret: {said}");
        }
        assert!(!is_in_files(&scene.pushbell.data_directory(), secret), "it is in no file");
    }
    let removed = scene.pushbell.ok(&["account", "remove", ACCOUNT]);
    assert!(removed.contains("\"kind\":null") && removed.contains(&account.pushkey), "{removed}");
    assert_eq!(keyring.secrets_of(ACCOUNT), [] as [String; 0]);
}
