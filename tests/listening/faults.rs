//! A proxy answers in place of the homeserver, or the session ends: nothing is lost, and nothing is shown twice.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use crate::{
    rig::{Proxy, ProxyAction, SOON, proxy::answer, wait_until},
    scene::{BLOCKED, SYNC, Scene},
};

const PORTAL: &str = "<html>Sign in to use this network.</html>";

fn wait_for_one_connection(scene: &mut Scene, proxy: &Proxy) {
    wait_until("there is one connection", SOON, || scene.pushbell.connections_to(proxy.port) == 1);
}

#[test]
fn refusals_and_nonsense_back_off_and_lose_nothing() {
    let proxy = Proxy::forwarding(BLOCKED.port);
    let mut scene = Scene::listening_behind(&BLOCKED, proxy.port);
    wait_for_one_connection(&mut scene, &proxy);
    let limited = r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too many requests"}"#;
    // Each answer with the minimum delay until the next request.
    let answers = [
        (answer(429, "", limited), 0.35),
        (answer(429, "Retry-After: 3\r\n", limited), 3.0),
        (answer(504, "", "<html>Gateway Time-out</html>"), 0.35),
        (answer(200, "Content-Type: text/html\r\n", PORTAL), 0.35),
        (answer(302, "Location: http://portal.test/\r\n", PORTAL), 0.35),
    ];
    let mut events = Vec::new();
    for (answer, shortest) in answers {
        let title = answer.lines().next().unwrap().to_owned();
        let before = proxy.request_times(SYNC).len();
        proxy.set_behavior(move |_, _| ProxyAction::Answer(answer.clone()));
        proxy.cut();
        events.push(scene.bob.send(&scene.room, &format!("While it answers {title}.")));
        wait_until("it is tried again, and again", SOON, || proxy.request_times(SYNC).len() >= before + 3);
        let times = proxy.request_times(SYNC)[before..].to_vec();
        let pauses = [times[1] - times[0], times[2] - times[1]];
        // With jitter, each delay is at least three quarters of twice the previous one.
        let shortest = [shortest, f64::max(shortest, 0.7)].map(Duration::from_secs_f64);
        assert!(pauses[0] >= shortest[0] && pauses[1] >= shortest[1], "{title}: {pauses:?}");
        proxy.set_behavior(|_, _| ProxyAction::Pass);
        scene.knows_once(&events);
        wait_for_one_connection(&mut scene, &proxy);
        scene.wait_until_it_listens();
    }
    scene.knows_once(&events);
}

#[test]
fn a_start_behind_a_captive_portal_catches_up_afterwards() {
    let proxy = Proxy::forwarding(BLOCKED.port);
    let mut scene = Scene::listening_behind(&BLOCKED, proxy.port);
    let mut events = Vec::new();
    for portal in [answer(302, "Location: http://portal.test/\r\n", PORTAL), answer(403, "", PORTAL)] {
        scene.pushbell.terminate();
        let before = proxy.request_times("").len();
        proxy.set_behavior(move |_, _| ProxyAction::Answer(portal.clone()));
        events.push(scene.bob.send(&scene.room, "While it does not run."));
        scene.pushbell.run();
        wait_until("it has tried", SOON, || proxy.request_times("").len() >= before + 4);
        events.push(scene.bob.send(&scene.room, "Behind the portal."));
        proxy.set_behavior(|_, _| ProxyAction::Pass);
        scene.wait_until_it_listens();
        let mark = scene.mark();
        events.push(scene.bob.send(&scene.room, "Afterwards."));
        scene.popup(mark, "Afterwards.");
        scene.knows_once(&events);
        wait_for_one_connection(&mut scene, &proxy);
    }
}

#[test]
fn a_session_ended_elsewhere_is_reported_at_once() {
    let mut scene = Scene::listening();
    let mut events = vec![scene.bob.send(&scene.room, "Before.")];
    scene.knows_once(&events);
    let devices = scene.alice.request(&Method::GET, "devices", &json!(null));
    let devices = devices["devices"].as_array().unwrap().iter();
    let ours = devices.filter(|device| device["display_name"].is_string()).map(|device| device["device_id"].clone());
    let identifier = json!({"type": "m.id.user", "user": scene.alice.id});
    let password = json!({"type": "m.login.password", "identifier": identifier, "password": "secret"});
    let end = json!({"devices": ours.collect::<Vec<_>>(), "auth": password});
    let mark = scene.mark();
    scene.alice.request(&Method::POST, "delete_devices", &end);
    scene.popup(mark, "the homeserver has ended the session");
    scene.account("it says so", |account| {
        account["signed_in"].as_str().is_some_and(|says| says.starts_with("signed out: "))
            && account["way_now"] != "listening"
    });
    wait_until("nothing is connected", SOON, || scene.pushbell.connections_to(BLOCKED.port) == 0);
    events.push(scene.bob.send(&scene.room, "Meanwhile."));
    let began = Instant::now();
    let login = scene.login(&["--listen"]);
    assert_eq!(login.code, 0, "{login:#?}");
    scene.wait_until_it_listens();
    eprintln!("signed in again after {:?}", began.elapsed());
    events.push(scene.bob.send(&scene.room, "Afterwards."));
    scene.knows_once(&events);
    wait_until("there is one connection", SOON, || scene.pushbell.connections_to(BLOCKED.port) == 1);
}
