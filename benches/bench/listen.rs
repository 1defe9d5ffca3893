//! What listening takes while nothing happens, and how long a message is on its way.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    desktop::woken,
    rig::{Desktop, DesktopOptions, SOON, Synapse, notifications::Traffic, wait_until},
    servers::Server,
    table::{Target::AtMost, figure, median, note},
};

/// Longer than a sync is held, so that one ends and another begins.
const IDLE: Duration = Duration::from_secs(440);
/// A popup that is up changes at most four times a second: slower messages are not held back.
const PAUSE: Duration = Duration::from_millis(500);

/// Wake-ups and bytes of a connection that is held, and the time from sending a message to its popup.
pub(crate) fn listen(runs: usize) {
    let synapse = Synapse::start();
    let desktop = Desktop::start(DesktopOptions::BARE);
    let _service = desktop.fake_notifier(&["actions", "body"]);
    let (alice, bob) = (synapse.register("alice", "Alice"), synapse.register("bob", "Bob"));
    let room = bob.create_room(&json!({"name": "Kitchen", "invite": [alice.id]}));
    alice.join(&room);
    let (port, bytes) = counted(synapse.port);
    let server = Server::signed_in_at(&desktop, port, &alice, ("--listen", 0));
    let mut delays = Vec::new();
    for number in 0..runs * 10 {
        thread::sleep(PAUSE);
        let mark = desktop.notifications().len();
        let began = Instant::now();
        bob.send(&room, &format!("Message {number}."));
        let sent = began.elapsed();
        let shown = desktop.notifications().wait_since(mark, "its popup", SOON, |traffic| match traffic {
            Traffic::Notify(notify) => Some(notify.at),
            _ => None,
        });
        delays.push(shown.saturating_duration_since(began + sent).as_secs_f64() * 1e3);
    }
    figure("listening: a popup after the message was sent, ms", median(delays), AtMost(300.0));
    let last = bob.send(&room, "The last.");
    alice.read(&room, &last);
    let mut quiet = (bytes.load(Relaxed), Instant::now());
    wait_until("nothing comes any more", 4 * SOON, || {
        let now = bytes.load(Relaxed);
        if now != quiet.0 {
            quiet = (now, Instant::now());
        }
        quiet.1.elapsed() > Duration::from_secs(15)
    });
    let (before, begun) = (server.waits(), bytes.load(Relaxed));
    thread::sleep(IDLE);
    let (wakes, bytes) = (woken(&before, &server.waits()) as f64, (bytes.load(Relaxed) - begun) as f64);
    let seconds = IDLE.as_secs_f64();
    figure("listening: wake-ups a minute", wakes * 60.0 / seconds, AtMost(2.0));
    figure("listening: kB an hour, both ways", bytes * 3600.0 / seconds / 1e3, AtMost(60.0));
    let (dirty, _) = server.private_memory();
    note("beside it private memory, MB", dirty as f64 / 1e6);
}

/// A port that leads to this one, and the bytes that have gone through it, in both directions.
fn counted(to: u16) -> (u16, Arc<AtomicU64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let (port, bytes) = (listener.local_addr().expect("it is bound").port(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&bytes);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(inner) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (Ok(back), Ok(out)) = (stream.try_clone(), inner.try_clone()) else { continue };
            for (mut from, mut to) in [(stream, out), (inner, back)] {
                let counter = Arc::clone(&counter);
                thread::spawn(move || {
                    let mut buffer = [0; 16 * 1024];
                    while let Ok(read @ 1..) = from.read(&mut buffer) {
                        counter.fetch_add(read as u64, Relaxed);
                        if to.write_all(&buffer[..read]).is_err() {
                            break;
                        }
                    }
                    drop(to.shutdown(Shutdown::Both));
                });
            }
        }
    });
    (port, bytes)
}
