//! The log at level `trace` after everything has happened: no text, no name, no token, no complete pushkey.

use serde_json::{Value, json};

use crate::{
    rig::{DesktopOptions, TrayHost, pushbell::message, wait_until},
    stage::Stage,
};

/// Words that occur in every body, name and token of this test, and nowhere else.
const SECRETS: &[&str] = &[
    "SecretBody",
    "SecretCaption",
    "SecretSender",
    "SecretRoom",
    "SecretAlias",
    "secret.user",
    "SecretReason",
    "SecretTopic",
    "SecretReaction",
    "SecretToken",
    "SecretSound",
    "SecretEdit",
    "SecretQuestion",
    "SecretNonsense",
    "SecretStranger",
    "SecretDamage",
    "SecretHeader",
    "SecretQuery",
];

fn secret(event: &str, event_type: &str, content: &Value) -> Value {
    json!({
        "event_id": format!("${event}"), "room_id": "!room:hs.test", "type": event_type, "prio": "high",
        "sender": "@secret.user:hs.test", "sender_display_name": "SecretSender", "room_name": "SecretRoom",
        "room_alias": "#SecretAlias:hs.test", "membership": "invite", "user_is_target": true, "content": content,
        "counts": {"unread": 3, "missed_calls": 1},
        "devices": [{"tweaks": {"sound": "SecretSound", "highlight": true}, "data": {"token": "SecretToken"}}],
    })
}

#[test]
fn the_log_keeps_every_secret_even_at_trace() {
    let options = DesktopOptions { tray: Some(TrayHost::Xfce4Panel), ..DesktopOptions::BARE };
    let mut stage =
        Stage::with("[popup]\npreview = \"always\"\n[log]\nlevel = \"trace\"\n", options, &["--log-level", "trace"]);
    let app = &stage.app;
    let relation = json!({"rel_type": "m.replace", "event_id": "$text"});
    let events = [
        ("text", "m.room.message", json!({"msgtype": "m.text", "body": "SecretBody"})),
        (
            "image",
            "m.room.message",
            json!({"msgtype": "m.image", "body": "SecretCaption", "filename": "SecretBody.png"}),
        ),
        (
            "edit",
            "m.room.message",
            json!({"body": "SecretEdit", "m.relates_to": relation, "m.new_content": {"body": "SecretEdit"}}),
        ),
        ("invite", "m.room.member", json!({"membership": "invite", "reason": "SecretReason"})),
        ("topic", "m.room.topic", json!({"topic": "SecretTopic"})),
        ("reaction", "m.reaction", json!({"m.relates_to": {"event_id": "$text", "key": "SecretReaction"}})),
        ("poll", "m.poll.start", json!({"m.poll": {"question": {"m.text": [{"body": "SecretQuestion"}]}}})),
        ("call", "m.call.invite", json!({"call_id": "SecretToken", "lifetime": 60_000})),
        ("hangup", "m.call.hangup", json!({"call_id": "SecretToken"})),
        ("redaction", "m.room.redaction", json!({"redacts": "$text", "reason": "SecretReason"})),
        ("unknown", "SecretNonsense.event", json!({"body": "SecretBody"})),
    ];
    for (event, event_type, content) in events {
        app.notify(&stage.account, secret(event, event_type, &content));
        app.notify(&stage.account, secret(event, event_type, &content));
    }
    app.wait_for_status("all are shown", |status| status["inbox"]["unshown"] == 0);
    let popup =
        stage.desktop.notifications().wait_for_notify("a room's popup", |popup| popup.summary.contains("SecretRoom"));
    stage.service.invoke_action_with_token(popup.id(), "default", "SecretToken");
    wait_until("the room is opened", crate::rig::SOON, || !app.opened().is_empty());
    assert!(app.opened().iter().any(|(_, token)| token == "SecretToken"), "{:?}", app.opened());

    // Rejected requests.
    for body in [
        "SecretNonsense",
        r#"{"notification":"SecretNonsense"}"#,
        r#"{"SecretNonsense":[}"#,
        r#"{"notification":{"devices":[{"app_id":"SecretNonsense"}]}}"#,
    ] {
        assert_eq!(app.post(body).status, 400);
    }
    let stranger = json!({"app_id": stage.account.app_id, "pushkey": "SecretStranger"});
    assert_eq!(app.push(&json!({"notification": {"id": "$x", "devices": [stranger]}})).0, 200);
    let get =
        |path: &str| crate::rig::http::request(app.port, &hyper::Method::GET, path, Some("SecretHeader"), "SecretBody");
    for path in ["/?SecretQuery", "/SecretQuery", "/health?SecretQuery"] {
        get(path).unwrap();
    }

    // Creating, changing, damaging and repairing things while the app runs.
    app.ok(&["test"]);
    app.ok(&["test", "--kind", "call"]);
    app.ok(&["pause", "1h"]);
    app.ok(&["resume"]);
    app.ok(&["account", "add", "other", "--pushkey", "SecretStranger"]);
    app.ok(&["account", "remove", "other"]);
    let accounts = app.data_directory().join("accounts.toml");
    let good = std::fs::read_to_string(&accounts).unwrap();
    for damage in [
        good.replace("pushkey = ", "pushkey = SecretDamage "),
        good.replace("pushkey = \"", "pushkey = \"\u{1}"),
        format!("{good}\n[[account]]\nname = \"SecretDamage\npushkey = \"{}\"", stage.account.pushkey),
        good.replace("app_id", "SecretDamage"),
        good.replace("created_at = ", "created_at = 7 # SecretDamage "),
    ] {
        assert_ne!(damage, good);
        std::fs::write(&accounts, damage).unwrap();
        let status = app.wait_for_status("the damage is told", |status| {
            status["problems"].as_array().is_some_and(|problems| !problems.is_empty())
        });
        let (status, key) = (status.to_string(), &stage.account.pushkey);
        assert!(!status.contains(&**key) && !status.contains(&key[4..24]), "{status}");
        std::fs::write(&accounts, &good).unwrap();
        app.wait_for_status("the repair is seen", |status| status["problems"] == json!([]));
    }
    app.notify(&stage.account, message("last", "SecretRoom", "SecretBody"));
    app.wait_for_status("it is shown", |status| status["inbox"]["unshown"] == 0);
    stage.app.terminate();

    let log = stage.app.log();
    assert!(log.lines().count() > 30 && log.contains("DEBUG"), "it logs at trace:\n{log}");
    for secret in SECRETS {
        let told = log.lines().filter(|line| line.to_lowercase().contains(&secret.to_lowercase())).collect::<Vec<_>>();
        assert!(told.is_empty(), "{secret}: {told:#?}");
    }
    // Nor a part of the pushkey that would help to guess it.
    let pushkey = &stage.account.pushkey;
    for start in 0..pushkey.len() - 12 {
        assert!(!log.contains(&pushkey[start..start + 12]), "a piece of the pushkey is in the log");
    }
}
