//! A homeserver on the Internet behind a default nginx, and a desktop in a network that it cannot reach.

use std::{env, thread, time::Duration, time::Instant};

use crate::{
    authority::{Authority, CertificateFiles},
    links::Nginx,
    rig::{SOON, Terminal, wait_until},
    scene::{BLOCKED, CABLE, Scene},
};

/// Longer than it takes to detect a dead connection: 60 s until the first probe, and 30 s more.
const DETECTION_TIME_LIMIT: Duration = Duration::from_secs(120);

#[test]
fn a_remote_homeserver_is_heard_and_again_after_a_silent_cut() {
    let Some(cable) = &*CABLE else { return };
    let host = format!("{}.1", cable.public);
    let authority = Authority::new();
    let place = CertificateFiles::with(&authority.certify(&host));
    let tls =
        format!("ssl_certificate {};\nssl_certificate_key {};", place.certificate().display(), place.key().display());
    let nginx = Nginx::at(&host, "ssl", &tls);
    let mut scene = Scene::prepare(&BLOCKED);
    std::fs::write(place.path().join("ca.pem"), authority.pem()).unwrap();
    scene.pushbell.set_env("SSL_CERT_FILE", &place.path().join("ca.pem").display().to_string());

    let inside = cable.inside();
    let inside: Vec<_> = inside.iter().map(String::as_str).collect();
    let began = Instant::now();
    scene.pushbell.launch_under(&inside, &["run"]);
    wait_until("the app is there", SOON, || scene.pushbell.command(&["status"]).code == 0);
    let homeserver = format!("https://{host}:{}", nginx.port);
    let login =
        [&inside[1..], &[env!("CARGO_BIN_EXE_pushbell"), "login", &scene.alice.id, "--homeserver", &homeserver]];
    let mut terminal = Terminal::run(inside[0], &login.concat(), scene.pushbell.env());
    terminal.expect("Password of ");
    terminal.type_line("secret");
    let questions = terminal.take_defaults(2 * SOON);
    assert!(questions <= 2, "{}", terminal.screen());
    assert_eq!(terminal.wait(SOON), Some(0), "{}", terminal.screen());
    let mut events = vec![scene.bob.send(&scene.room, "Dinner is ready.")];
    scene.popup(0, "Dinner is ready.");
    eprintln!("from a bare home to the first message: {:?}, {questions} questions", began.elapsed());
    scene.wait_until_it_listens();

    // The length of the outage: two minutes are a long one, and shorter than many.
    let length = env::var("PUSHBELL_CUT_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    wait_until("there is one connection", SOON, || scene.pushbell.connections_to(nginx.port) == 1);
    let cut = Instant::now();
    cable.cut();
    events.push(scene.bob.send(&scene.room, "Into the void."));
    wait_until("it is noticed", DETECTION_TIME_LIMIT, || scene.pushbell.connections_to(nginx.port) == 0);
    eprintln!("the cut is noticed after {:?}", cut.elapsed());
    events.push(scene.bob.send(&scene.room, "Still into the void."));
    thread::sleep(length.unwrap_or_default().saturating_sub(cut.elapsed()));
    cable.reconnect();
    let mended = Instant::now();
    scene.knows_once(&events);
    eprintln!("{:?} after the cut all is known", mended.elapsed());
    scene.wait_until_it_listens();
    wait_until("there is one connection", SOON, || scene.pushbell.connections_to(nginx.port) == 1);

    // nginx closes a request that is idle for a minute.
    let alice = format!("{{{}}}", scene.alice.id);
    let is_held_shorter = || {
        let log = BLOCKED.log();
        // In milliseconds: 50 s, and the delay with which the app noticed the cut.
        log.lines().any(|line| line.contains(&alice) && line.contains("/v3/sync?timeout=50"))
    };
    assert!(!is_held_shorter());
    let mark = scene.mark();
    wait_until("it was cut", 3 * SOON, || nginx.process.output().contains("upstream timed out"));
    events.push(scene.bob.send(&scene.room, "After nginx has cut."));
    scene.popup(mark, "After nginx has cut.");
    events.push(scene.bob.send(&scene.room, "And later."));
    scene.popup(mark, "And later.");
    wait_until("it was held for less than a minute", SOON, is_held_shorter);
    scene.knows_once(&events);
    assert_eq!(scene.pushbell.connections_to(nginx.port), 1);
}
