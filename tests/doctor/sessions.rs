//! A signed-in account on a real Synapse.

use std::fs;

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    report::Report,
    rig::{
        Desktop, DesktopOptions, Notifier, Pushbell, SOON, Synapse, http, pushbell::PATH, synapse::User, wait_until,
    },
};

const DUNST: DesktopOptions = DesktopOptions { notifier: Some(Notifier::Dunst), ..DesktopOptions::BARE };

/// Turns the account into a signed-in one, as `pushbell login` writes it.
fn sign_in(pushbell: &Pushbell, homeserver: &str, user: &str, token: &str) {
    let path = pushbell.data_directory().join("accounts.toml");
    let mut text: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
    let mut session = toml::Table::new();
    let fields = [("user_id", user), ("device_id", "DESK"), ("homeserver", homeserver), ("method", "password")];
    for (key, value) in fields.into_iter().chain([("server", "Synapse")]) {
        session.insert(key.to_owned(), value.into());
    }
    session.insert("event_id_only".to_owned(), false.into());
    let accounts = text["account"].as_array_mut().expect("there is an account");
    let account = accounts[0].as_table_mut().unwrap();
    account.insert("sign_in".to_owned(), session.into());
    // An account that listens needs no pushes, so their obstacles are no faults.
    account.insert("way".to_owned(), "push".into());
    fs::write(&path, text.to_string()).unwrap();
    let secrets = json!({ format!("{user} DESK"): {"access_token": token} });
    fs::write(pushbell.data_directory().join("secrets.json"), secrets.to_string()).unwrap();
}

/// Registers a user and logs in on the device of `sign_in`; returns the user and the access token.
fn log_in(synapse: &Synapse, name: &str) -> (User, String) {
    let user = synapse.register(name, name);
    // Encryption keys are uploaded for this device.
    let body = json!({
        "type": "m.login.password", "password": "secret", "identifier": {"type": "m.id.user", "user": name},
        "device_id": "DESK",
    });
    let answer = user.request(&Method::POST, "login", &body);
    (user, answer["access_token"].as_str().expect("there is a token").to_owned())
}

fn as_session(synapse: &Synapse, token: &str, path: &str, body: &Value) {
    let path = format!("/_matrix/client/v3/{path}");
    let answer = http::request(synapse.port, &Method::POST, &path, Some(token), body.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn a_signed_in_account_is_looked_at_on_its_homeserver() {
    let synapse = Synapse::start();
    let desktop = Desktop::start(DUNST);
    let mut pushbell = Pushbell::start(&desktop, "");
    let account = pushbell.account();
    pushbell.terminate();
    let (alice, token) = log_in(&synapse, "alice");
    let homeserver = format!("http://127.0.0.1:{}", synapse.port);
    sign_in(&pushbell, &homeserver, &alice.id, &token);
    pushbell.run();
    let set = |url: &str| {
        let pusher = json!({
            "kind": "http", "app_id": account.app_id, "pushkey": account.pushkey, "app_display_name": "Pushbell",
            "device_display_name": "desk", "lang": "en", "data": {"url": url}, "append": true,
        });
        as_session(&synapse, &token, "pushers/set", &pusher);
    };
    let again = "pushbell login @alice:hs.test";

    // The app sets it when it starts.
    wait_until("the homeserver has the pusher", SOON, || !alice.pushers().is_empty());
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.has("good", "account", &["@alice:hs.test is signed in and has its pusher; no push has come yet"]);
    report.has("warning", "block list", &["which Synapse blocks", "ip_range_whitelist: ['127.0.0.1/32']"]);
    report.has("warning", "waiting", &["an hour"]);
    assert!(!format!("{report:?}").contains(&token) && !format!("{report:?}").contains(&account.pushkey));

    // The address that the homeserver was given is the one that is tested.
    set(&format!("http://127.0.0.1:1{PATH}"));
    let report = Report::of(&pushbell);
    report.faults(&["endpoint"]);
    report.has("fault", "endpoint", &["nothing listens at 127.0.0.1:1"]);
    pushbell.configure(&format!("[server]\npublic_url = \"http://127.0.0.1:{}\"", pushbell.port));
    let report = Report::of(&pushbell);
    report.faults(&["account", "endpoint"]);
    report.has("fault", "account", &["pushes to http://127.0.0.1:1/", "not to server.public_url", again]);
    let gone = json!({"kind": null, "app_id": account.app_id, "pushkey": account.pushkey});
    as_session(&synapse, &token, "pushers/set", &gone);
    let report = Report::of(&pushbell);
    report.faults(&["account"]);
    report.has("fault", "account", &["has no pusher for this desktop", "Restart Pushbell", again]);
    set(&pushbell.url());
    Report::of(&pushbell).faults(&[]);

    // A received push outweighs any guess.
    let (bob, _) = log_in(&synapse, "bob");
    let room = bob.create_room(&json!({"name": "Kitchen", "invite": [alice.id]}));
    pushbell.wait_for_status("a push has come", |status| !status["accounts"][0]["last_push"].is_null());
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.has("good", "account", &["the last push came 20"]);
    report.lacks("block list");
    report.lacks("waiting");
    drop(room);

    as_session(&synapse, &token, "logout", &json!({}));
    let report = Report::of(&pushbell);
    report.faults(&["account"]);
    report.has("fault", "account", &["is signed out", again]);

    fs::remove_file(pushbell.data_directory().join("secrets.json")).unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["account"]);
    // Without a keyring it is unknown whether one holds the token.
    report.has("fault", "account", &["there is no keyring", again]);

    sign_in(&pushbell, &format!("http://127.0.0.1:{}", http::free_port()), &alice.id, &token);
    let report = Report::of(&pushbell);
    report.faults(&["account"]);
    report.has("fault", "account", &["the homeserver cannot be asked", "127.0.0.1"]);
}
