//! What each way takes while nothing happens, and how long a message is on its way to who listens.

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
    relay::Relay,
    rig::{Desktop, DesktopOptions, SOON, Synapse, notifications::Traffic, synapse::User, wait_until},
    servers::Server,
    table::{Target::AtMost, figure, median, note},
};

/// Longer than a sync is held, so that one ends and another begins.
const IDLE: Duration = Duration::from_secs(600);
/// Nothing has come for so long: whatever a start or a message has stirred is done.
const QUIET: Duration = Duration::from_secs(15);
/// A popup that is up changes at most four times a second: slower messages are not held back.
const PAUSE: Duration = Duration::from_millis(500);
/// As an ntfy server has it by default.
const KEEPALIVE: Duration = Duration::from_secs(45);

/// One account by one way, and the bytes of its connections.
struct Way {
    name: &'static str,
    server: Server,
    bytes: Arc<AtomicU64>,
}

/// Wake-ups and bytes of each way, and the time from sending a message to its popup where it is listened for.
pub(crate) fn listen(runs: usize) {
    let synapse = Synapse::start();
    let desktop = Desktop::start(DesktopOptions::BARE);
    let _service = desktop.fake_notifier(&["actions", "body"]);
    let bob = synapse.register("bob", "Bob");
    let relay = Relay::keeping_alive_each(KEEPALIVE);
    let sign_in = |name: &'static str| {
        let user = synapse.register(name, name);
        let room = bob.create_room(&json!({"name": "Kitchen", "invite": [user.id]}));
        user.join(&room);
        let bytes = Arc::<AtomicU64>::default();
        let port = counted(synapse.port, &bytes);
        let server = match name {
            "listening" => Server::signed_in_at(&desktop, port, &user, (&["--listen"], 0)),
            "pushes" => Server::signed_in_at(&desktop, port, &user, (&["--push"], 3)),
            _ => {
                let address = format!("http://127.0.0.1:{}", counted(relay.port, &bytes));
                relay.is_known_as(&address);
                let by_relay = ["--ntfy", &*address];
                thread::scope(|threads| {
                    let login = threads.spawn(|| Server::signed_in_at(&desktop, port, &user, (&by_relay, 0)));
                    wait_until("the homeserver may push", SOON, || has_pusher_at(&user, &address));
                    bob.send(&room, "Does it work?");
                    login.join().expect("it signs in")
                })
            }
        };
        (Way { name, server, bytes }, user, room)
    };
    let (listening, alice, room) = sign_in("listening");
    let delays = (0..runs * 10).map(|number| {
        thread::sleep(PAUSE);
        let mark = desktop.notifications().len();
        bob.send(&room, &format!("Message {number}."));
        let sent = Instant::now();
        let shown = desktop.notifications().wait_since(mark, "its popup", SOON, |traffic| match traffic {
            Traffic::Notify(notify) => Some(notify.at),
            _ => None,
        });
        shown.saturating_duration_since(sent).as_secs_f64() * 1e3
    });
    figure("listening: a popup after the message was sent, ms", median(delays.collect::<Vec<_>>()), AtMost(300.0));
    let last = bob.send(&room, "The last.");
    alice.read(&room, &last);
    let (relayed, carol, kitchen) = sign_in("ntfy");
    let last = bob.send(&kitchen, "The last.");
    carol.read(&kitchen, &last);
    let (pushed, ..) = sign_in("pushes");
    let ways = [listening, relayed, pushed];

    let traffic = || ways.iter().map(|way| way.bytes.load(Relaxed)).sum::<u64>();
    let mut quiet = (traffic(), Instant::now());
    wait_until("nothing comes any more", 8 * SOON, || {
        let now = traffic();
        if now != quiet.0 {
            quiet = (now, Instant::now());
        }
        quiet.1.elapsed() > QUIET
    });
    let before = ways.each_ref().map(|way| (way.server.waits(), way.bytes.load(Relaxed)));
    thread::sleep(IDLE);
    for (way, (waits, begun)) in ways.iter().zip(before) {
        eprintln!("{}:", way.name);
        let wakes = woken(&waits, &way.server.waits()) as f64;
        let bytes = (way.bytes.load(Relaxed) - begun) as f64;
        let (most, per_minute) = (if way.name == "pushes" { 0.0 } else { 2.0 }, wakes * 60.0 / IDLE.as_secs_f64());
        figure(&format!("{}: wake-ups a minute", way.name), per_minute, AtMost(most));
        let per_hour = bytes * 3600.0 / IDLE.as_secs_f64() / 1e3;
        figure(&format!("{}: kB an hour, both ways", way.name), per_hour, AtMost(60.0));
        let (dirty, _) = way.server.private_memory();
        note("beside it private memory, MB", dirty as f64 / 1e6);
    }
}

fn has_pusher_at(user: &User, address: &str) -> bool {
    user.pushers().iter().any(|pusher| pusher["data"]["url"].as_str().is_some_and(|url| url.starts_with(address)))
}

/// A port that leads to this one; what goes through it, in both directions, is added to `bytes`.
fn counted(to: u16, bytes: &Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let (port, bytes) = (listener.local_addr().expect("it is bound").port(), Arc::clone(bytes));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(inner) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (Ok(back), Ok(out)) = (stream.try_clone(), inner.try_clone()) else { continue };
            for (mut from, mut to) in [(stream, out), (inner, back)] {
                let counter = Arc::clone(&bytes);
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
    port
}
