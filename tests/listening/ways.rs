//! Automatic choice of the transport.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    rig::{FakeLogind, SOON, Synapse, wait_until},
    scene::{BLOCKED, CONFIG, Scene},
};

/// A homeserver that may push to this computer.
pub(crate) static PUSHING: LazyLock<Synapse> = LazyLock::new(Synapse::start);

/// The address that homeservers push to: forwards to an endpoint while it is open.
pub(crate) struct Gate {
    pub(crate) port: u16,
    pub(crate) is_open: Arc<AtomicBool>,
}

impl Gate {
    pub(crate) fn to(endpoint: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (port, is_open) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(true)));
        let opened = Arc::clone(&is_open);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if opened.load(Relaxed)
                    && let Ok(inner) = TcpStream::connect(("127.0.0.1", endpoint))
                {
                    let copy = |mut from: TcpStream, mut to: TcpStream| {
                        let opened = Arc::clone(&opened);
                        thread::spawn(move || {
                            let mut bytes = [0; 4096];
                            // A connection kept alive is closed too.
                            while let Ok(count @ 1..) = from.read(&mut bytes)
                                && opened.load(Relaxed)
                                && to.write_all(&bytes[..count]).is_ok()
                            {}
                            drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
                        });
                    };
                    copy(stream.try_clone().unwrap(), inner.try_clone().unwrap());
                    copy(inner, stream);
                }
            }
        });
        Self { port, is_open }
    }
}

#[test]
fn a_login_that_no_push_follows_listens_and_says_why() {
    let scene = Scene::at(&BLOCKED);
    let login = scene.login(&["--wait", "1"]);
    assert_eq!(login.code, 0, "{login:#?}");
    assert!(login.stdout.contains("connected; the first message will be shown"), "{login:#?}");
    assert!(login.stdout.contains("ip_range_whitelist: ['127.0.0.1/32']"), "the line that helps: {login:#?}");
    scene.wait_until_it_listens();
    let account = scene.account("its way", |account| !account["way"].is_null());
    assert_eq!(account["way"], "auto");
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Dinner is ready.");
    scene.popup(mark, "Dinner is ready.");
    assert_eq!(scene.alice.pushers().len(), 1, "it stays for where it works");

    let fixed = scene.login(&["--listen"]);
    assert_eq!(fixed.code, 0, "{fixed:#?}");
    wait_until("the pusher goes", SOON, || scene.alice.pushers().is_empty());
    let mark = scene.mark();
    scene.bob.send(&scene.room, "Again.");
    scene.popup(mark, "Again.");

    let again = scene.login(&["--auto", "--wait", "0"]);
    assert_eq!(again.code, 0, "{again:#?}");
    scene.account("its way", |account| account["way"] == "auto");
    wait_until("the pusher is set", SOON, || scene.alice.pushers().len() == 1);
}

#[test]
fn it_listens_where_no_push_comes_and_lets_go_where_one_does() {
    let mut scene = Scene::prepare(&PUSHING);
    let endpoint = scene.pushbell.url();
    let endpoint = endpoint.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap().parse().unwrap();
    let gate = Gate::to(endpoint);
    let config = format!("{CONFIG}[server]\npublic_url = \"http://127.0.0.1:{}\"\n", gate.port);
    scene.pushbell.configure(&config);
    let logind = FakeLogind::start(&scene.desktop, false);
    scene.pushbell.run();
    let login = scene.login(&["--wait", "0"]);
    assert_eq!(login.code, 0, "{login:#?}");
    let mut events = Vec::new();
    for round in 0..20 {
        let comes = round % 2 == 0;
        gate.is_open.store(comes, Relaxed);
        logind.sleep_and_wake();
        scene.wait_until_it_listens();
        for number in 0..3 {
            events.push(scene.bob.send(&scene.room, &format!("{round} {number}")));
        }
        scene.knows_once(&events);
        if comes {
            // Synapse pushes nothing that it received before the pusher was last set, which a wake does.
            wait_until("a push arrives", SOON, || {
                events.push(scene.bob.send(&scene.room, &format!("{round}, to be pushed")));
                scene.knows_once(&events);
                let account = scene.account("its way", |account| account["way_now"].is_string());
                account["way_now"].as_str().is_some_and(|way| way.starts_with("pushes (the last came"))
            });
        }
    }
    scene.knows_once(&events);
}
