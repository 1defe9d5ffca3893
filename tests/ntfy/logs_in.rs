//! `pushbell login --ntfy`.

use hyper::Method;
use serde_json::json;

use crate::{SYNAPSE, prove, relay::Behavior, relay::Relay, rig::pushbell::Output, scene::Scene};

#[track_caller]
fn says(login: &Output, code: i32, words: &str) {
    assert!(login.code == code && format!("{}{}", login.stdout, login.stderr).contains(words), "{words}: {login:#?}");
}

fn sessions(scene: &Scene) -> usize {
    let devices = scene.alice.request(&Method::GET, "devices", &json!({}));
    devices["devices"].as_array().unwrap().len()
}

#[test]
fn a_relay_that_cannot_work_is_named_before_anybody_signs_in() {
    let (scene, relay) = (Scene::at(&SYNAPSE), Relay::start());
    let before = sessions(&scene);
    let login = || scene.login(&["--ntfy", &relay.url()]);
    says(&scene.login(&["--ntfy", "https://a.example/path"]), 2, "is a name alone");
    says(&scene.login(&["--ntfy", "http://127.0.0.1:1"]), 1, "cannot be used");
    let base_url = format!("base-url: {}", relay.url());
    let no_base_url = Some((500, json!({"code": 50_003, "http": 500, "error": "internal server error"})));
    relay.set_behavior(Behavior { to_discovery: no_base_url, ..Behavior::default() });
    says(&login(), 1, &base_url);
    relay.set_behavior(Behavior { to_pushes: Some((200, json!({"rejected": "it"}))), ..Behavior::default() });
    says(&login(), 1, &base_url);
    relay.set_behavior(Behavior { to_discovery: Some((404, json!({}))), ..Behavior::default() });
    says(&login(), 1, "is no ntfy server that takes Matrix pushes");
    for status in [401, 403] {
        relay.set_behavior(Behavior { to_readers: Some((status, "")), ..Behavior::default() });
        says(&login(), 1, "ntfy access everyone 'up*' read-write");
        relay.set_behavior(Behavior { to_pushes: Some((status, json!({"code": 40_301}))), ..Behavior::default() });
        says(&login(), 1, "ntfy access everyone 'up*' read-write");
    }
    relay.set_behavior(Behavior { buffers_answers: true, ..Behavior::default() });
    says(&login(), 1, "proxy_buffering off;");
    assert_eq!(sessions(&scene), before);
    assert!(scene.alice.pushers().is_empty());
}

#[test]
fn a_new_way_that_is_not_proven_leaves_the_old_one() {
    let (scene, relay) = (Scene::at(&SYNAPSE), Relay::start());
    let pushed = scene.login(&["--push", "--wait", "0"]);
    assert_eq!(pushed.code, 3, "{pushed:#?}");
    let url = |scene: &Scene| {
        let pushers = scene.alice.pushers();
        assert_eq!(pushers.len(), 1, "{pushers:#?}");
        pushers[0]["data"]["url"].as_str().unwrap().to_owned()
    };
    let (old, sessions) = (url(&scene), sessions(&scene));
    // Reading the topic requires an access token.
    relay.set_behavior(Behavior { token: Some("tk_sesame"), ..Behavior::default() });
    let token = scene.desktop.directory().join("token").display().to_string();
    std::fs::write(&token, "tk_sesame\n").unwrap();
    says(&scene.login(&["--ntfy", &relay.url(), "--wait", "1"]), 1, "--ntfy-token-file");
    let with_token = ["--ntfy-token-file", &*token];
    let unproven = scene.login(&[&["--ntfy", &relay.url(), "--wait", "1"], &with_token[..]].concat());
    says(&unproven, 1, "the way stays \"push\"");
    assert_eq!((url(&scene), self::sessions(&scene)), (old, sessions));
    scene.account("its way", |account| account["way"] == "push");
    let mark = scene.mark();
    scene.bob.send(&scene.room, "By the old way.");
    scene.popup(mark, "By the old way.");

    prove(&scene, &relay, &with_token);
    assert!(url(&scene).starts_with(&relay.url()));
    let mark = scene.mark();
    scene.bob.send(&scene.room, "By the new way.");
    scene.popup(mark, "By the new way.");

    // Signing in again keeps the topic and the token.
    let pushkey = scene.alice.pushers()[0]["pushkey"].clone();
    let again = scene.login(&["--wait", "0"]);
    assert!([0, 3].contains(&again.code) && again.stdout.contains("relays pushes"), "{again:#?}");
    assert!(scene.alice.pushers().iter().all(|pusher| pusher["pushkey"] == pushkey));
    let connected = format!("connected to {}", relay.url());
    scene.account("it is connected", |account| account["way_now"] == connected.as_str());

    let back = scene.login(&["--listen"]);
    assert_eq!(back.code, 0, "{back:#?}");
    assert!(scene.alice.pushers().is_empty());
}
