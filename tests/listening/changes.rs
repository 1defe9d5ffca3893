//! An account's transport stops working, or a change of it fails.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::atomic::Ordering::Relaxed,
    thread,
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    rig::{FakeLogind, SOON, wait_until},
    scene::{CONFIG, Scene},
    ways::{Gate, PUSHING},
};

#[test]
fn it_listens_by_itself_where_pushes_cease_in_the_same_network() {
    let mut scene = Scene::prepare(&PUSHING);
    let endpoint = scene.pushbell.url();
    let endpoint = endpoint.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap().parse().unwrap();
    let gate = Gate::to(endpoint);
    scene.pushbell.configure(&format!("{CONFIG}[server]\npublic_url = \"http://127.0.0.1:{}\"\n", gate.port));
    let logind = FakeLogind::start(&scene.desktop, true);
    scene.pushbell.run();
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 0, "{login:#?}");
    let pushed = scene.bob.send(&scene.room, "It is pushed.");
    let account = scene.account("pushes come", |account| {
        account["way_now"].as_str().is_some_and(|says| says.starts_with("pushes (the last came"))
    });
    gate.is_open.store(false, Relaxed);
    let last: Timestamp = account["last_push"].as_str().unwrap().parse().unwrap();
    let missing = scene.bob.send(&scene.room, "No push brings it.");
    let is_listed = || scene.alice.notifications().iter().any(|entry| entry["event"]["event_id"] == *missing);
    wait_until("the homeserver lists it, and no push may be under way any more", SOON, || {
        Timestamp::now().duration_since(last) > SignedDuration::from_secs(11) && is_listed()
    });
    assert!(!scene.known().contains_key(&missing));
    let mark = scene.mark();
    // The user returns.
    logind.set_locked(false);
    scene.popup(mark, "No push brings it.");
    scene.wait_until_it_listens();
    let mark = scene.mark();
    let heard = scene.bob.send(&scene.room, "It is heard.");
    scene.popup(mark, "It is heard.");
    scene.knows_once(&[pushed, missing, heard]);
}

/// A proxy before the homeserver that refuses long-polling syncs.
fn refusing_syncs() -> String {
    const REFUSAL: &str = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || {
                let (mut client, mut head) = (BufReader::new(stream), String::new());
                while !head.ends_with("\r\n\r\n") && client.read_line(&mut head).unwrap_or(0) > 0 {}
                let mut lines = head.lines();
                let length = lines.find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                client.read_exact(&mut body).unwrap();
                let answer = if head.contains("/sync?") && !head.contains("timeout=0&") {
                    REFUSAL.as_bytes().to_vec()
                } else {
                    let mut server = TcpStream::connect(("127.0.0.1", PUSHING.port)).unwrap();
                    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
                    server.write_all(&[head.as_bytes(), &body].concat()).unwrap();
                    let mut answer = Vec::new();
                    server.read_to_end(&mut answer).unwrap();
                    answer
                };
                // The waiting client may have disconnected.
                drop(client.get_mut().write_all(&answer));
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

#[test]
fn a_change_that_fails_leaves_the_old_way() {
    let mut scene = Scene::at(&PUSHING);
    let pushed = scene.login(&["--push", "--wait", "0"]);
    assert_eq!(pushed.code, 3, "{pushed:#?}");
    let mark = scene.mark();
    scene.bob.send(&scene.room, "By a push.");
    scene.popup(mark, "By a push.");

    let homeserver = std::mem::replace(&mut scene.homeserver, refusing_syncs());
    let listen = scene.login(&["--listen"]);
    assert!(listen.code == 1 && listen.stderr.contains("listening does not work"), "{listen:#?}");
    scene.account("its way", |account| account["way"] == "push");
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Still by a push.");
    scene.popup(mark, "Still by a push.");
    assert_eq!(scene.alice.pushers().len(), 1);

    scene.homeserver = homeserver;
    let listen = scene.login(&["--listen"]);
    assert_eq!(listen.code, 0, "{listen:#?}");
    wait_until("the pusher goes", SOON, || scene.alice.pushers().is_empty());
    scene.wait_until_it_listens();
    let push = scene.login(&["--push", "--wait", "1"]);
    assert!(push.code == 1 && push.stderr.contains("the way stays \"listen\""), "{push:#?}");
    scene.account("its way", |account| account["way"] == "listen");
    wait_until("the pusher goes", SOON, || scene.alice.pushers().is_empty());
    scene.wait_until_it_listens();
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Over the connection.");
    scene.popup(mark, "Over the connection.");
}
