//! Verifying the session on the page.

use hyper::Method;
use serde_json::json;

use crate::{
    client::Client,
    rig::{SOON, wait_for},
    scene::{SYNAPSE, Scene},
    visit::Visit,
};

/// Answers the question that contains this text, once it is asked.
#[track_caller]
fn answer(visit: &Visit, question: &str, answer: &str) {
    let number = wait_for(question, SOON, || {
        let page = visit.get("/setup").body;
        let (_, number) = page.contains(question).then(|| page.split_once("name=\"question\" value=\""))??;
        number.split('"').next().map(str::to_owned)
    });
    visit.post("/setup/answer", &[("question", &number), ("answer", answer)]);
}

#[track_caller]
fn shows(visit: &Visit, what: &str) -> String {
    wait_for(what, SOON, || Some(visit.get("/setup").body).filter(|page| page.contains(what)))
}

#[test]
fn the_recovery_key_is_asked_for_when_signing_in() {
    let mut scene = Scene::new();
    let recovery_key = Client::new(&SYNAPSE, &scene.alice).set_up_identity();
    scene.bob.set_up_identity();
    scene.bob.excludes_insecure_devices = true;
    let visit = Visit::begin(&scene.pushbell, "setup");
    let fields = [("user", scene.alice.id.as_str()), ("homeserver", &scene.homeserver), ("way", "listen")];
    visit.post("/setup/begin", &fields);
    answer(&visit, "Password of", "secret");
    answer(&visit, "Compare emoji with another session", "no");
    answer(&visit, "Recovery key or passphrase", "EsTc 5rr1 4Cfd 1yTu");
    shows(&visit, "That is not it.");
    answer(&visit, "Recovery key or passphrase", &recovery_key);
    answer(&visit, "Read the account's key backup too", "no");
    let page = shows(&visit, "You are connected");
    assert!(page.contains("Encrypted messages are read.") && !page.contains(&recovery_key), "{page}");
    scene.account("it is verified", |account| account["verified"] == true);
    let event = scene.bob.write(&scene.room, &scene.alice, "For verified sessions.");
    scene.says(&event, "For verified sessions.");
}

#[test]
fn emoji_are_compared_from_health() {
    let scene = Scene::new();
    let usual = Client::new(&SYNAPSE, &scene.alice);
    usual.set_up_identity();
    scene.login(&[]);
    scene.account("it is not verified", |account| account["verified"] == false);
    let visit = Visit::begin(&scene.pushbell, "health");
    wait_for("the button", SOON, || visit.get("/health").body.contains("Verify this session").then_some(()));
    visit.post("/health/do", &[("do", "verify"), ("account", &scene.alice.id)]);
    answer(&visit, "Compare emoji with another session", "yes");
    shows(&visit, "accept in one of them");
    let sas = usual.exchange_keys(&usual.verification_request());
    let page = shows(&visit, "Do they match?");
    for emoji in sas.emoji().unwrap() {
        assert!(page.contains(emoji.symbol) && page.contains(emoji.description), "{page}");
    }
    answer(&visit, "Do they match?", "yes");
    usual.confirm(&sas);
    answer(&visit, "Read the account", "no");
    shows(&visit, "This session is verified");
    let account = scene.account("it is verified", |account| account["verified"] == true);
    assert_eq!(account["key_backup"], json!(null));

    // Signed out from another client, it can be signed in again on the page.
    let auth = json!({"type": "m.login.password", "password": "secret",
        "identifier": {"type": "m.id.user", "user": scene.alice.id}});
    let device = scene.own_device();
    scene.alice.request(&Method::DELETE, &format!("devices/{device}"), &json!({"auth": auth}));
    visit.post("/health/do", &[]);
    let page = wait_for("it is signed out", SOON, || {
        Some(visit.get("/health").body)
            .filter(|page| page.contains("is signed out: the homeserver has ended the session"))
    });
    assert!(page.contains("Sign in again</button>"), "{page}");
}
