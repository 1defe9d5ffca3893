//! What it takes of the computer: time to start, memory, threads, wake-ups, disk.

use std::{
    thread,
    time::{Duration, Instant},
};

use futures_lite::StreamExt;
use zbus::{MatchRule, MessageStream};

use crate::{
    RUNS,
    load::{self, Plan},
    process::{self, Memory},
    rig::{
        Desktop, DesktopOptions, SOON, bus,
        process::{TempDir, run},
    },
    servers::{Server, is_healthy, prepare, settle},
    table::{head, median, number, row},
    throughput::wait_until_fast,
};

const MB: f64 = 1e6;
/// After so long nothing follows what has happened.
const REST: Duration = Duration::from_secs(12);
const MINUTE: Duration = Duration::from_secs(60);

fn report(what: &str, samples: impl IntoIterator<Item = f64>, target: &str) {
    row(&[what.to_owned(), number(median(samples)), target.to_owned()]);
}

/// From the start of the process, files in the cache.
pub(crate) fn start() {
    let desktop = Desktop::start(DesktopOptions::default());
    let mut pushbell = prepare(&desktop);
    let port = pushbell.port;
    // The first start makes the files, and brings the program into the cache.
    pushbell.launch(&["run"]);
    wait_until_fast("it answers", || is_healthy(port));
    let (mut health, mut icon) = (Vec::new(), Vec::new());
    for _ in 0..2 * RUNS {
        pushbell.terminate();
        let mut registered = registrations(&desktop);
        let begun = Instant::now();
        pushbell.launch(&["run"]);
        wait_until_fast("it answers", || is_healthy(port));
        health.push(begun.elapsed().as_secs_f64() * 1e3);
        icon.push((registered.next() - begun).as_secs_f64() * 1e3);
    }
    head("Start, with a warm cache", &["", "Pushbell", "target"]);
    report("to the first 200 of `GET /health`, ms", health, "≤ 50");
    report("to the tray icon's registration, ms", icon, "≤ 300");
    report("the program's size on disk, MB", [program_size()], "≤ 12");
}

/// What Cargo builds for a benchmark keeps its symbols; what `cargo build --release` makes has none.
fn program_size() -> f64 {
    let directory = TempDir::new();
    let stripped = directory.path().join("pushbell").display().to_string();
    let environment = std::env::vars().collect::<Vec<_>>();
    run("strip", &["-o", &stripped, env!("CARGO_BIN_EXE_pushbell")], &environment);
    std::fs::metadata(&stripped).expect("it was written").len() as f64 / MB
}

/// Hears of tray icons that are registered.
struct Registrations(std::sync::mpsc::Receiver<Instant>);

impl Registrations {
    fn next(&mut self) -> Instant {
        self.0.recv_timeout(SOON).expect("the tray icon is registered")
    }
}

fn registrations(desktop: &Desktop) -> Registrations {
    let (heard, registrations) = std::sync::mpsc::channel();
    let connection = desktop.connect();
    let mut stream = bus::block_on(async {
        let rule = MatchRule::try_from(
            "type='signal',interface='org.kde.StatusNotifierWatcher',member='StatusNotifierItemRegistered'",
        );
        MessageStream::for_match_rule(rule.expect("a match rule"), &connection, None).await.expect("the bus answers")
    });
    bus::runtime().spawn(async move {
        while let Some(Ok(_)) = stream.next().await {
            if heard.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    Registrations(registrations)
}

/// With nothing to do, and how much memory a flood takes.
pub(crate) fn idle() {
    let desktop = Desktop::start(DesktopOptions::default());
    let (mut fresh, mut memory, mut threads, mut peak) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let server = Server::on_desktop(&desktop);
        settle(server.pid);
        thread::sleep(REST);
        fresh.push(process::memory(server.pid));
        load::put(&server, &Plan { connections: 10, pushes: 2_000, seconds: 60.0, sound: true, ..Plan::ONE });
        settle(server.pid);
        thread::sleep(REST);
        memory.push(process::memory(server.pid));
        threads.push(process::threads(server.pid) as f64);
        load::put(&server, &Plan { connections: 100, pushes: 10_000, seconds: 60.0, ..Plan::ONE });
        settle(server.pid);
        peak.push(process::peak(server.pid) as f64 / MB);
    }
    drop(desktop);
    // A minute each would be long: all at once, after the memory, which they share. Each on a desktop of its own, since
    // popups of others are told to all who are on it.
    let desktops: Vec<_> = (0..RUNS).map(|_| Desktop::start(DesktopOptions::default())).collect();
    let servers: Vec<_> = desktops.iter().map(Server::on_desktop).collect();
    for server in &servers {
        load::put(server, &Plan { connections: 10, pushes: 2_000, seconds: 60.0, sound: true, ..Plan::ONE });
    }
    let waits = waits_in_a_minute(&servers);
    let homeservers: Vec<_> = servers.iter().map(load::One::new).collect();
    for homeserver in &homeservers {
        homeserver.send();
    }
    let waits_connected = waits_in_a_minute(&servers);
    drop((homeservers, servers, desktops));
    head("Idle, with bus, dunst, tray and database", &["", "Pushbell", "target"]);
    let pss = |memory: &Memory| memory.pss as f64 / MB;
    report("PSS after the start, MB", fresh.iter().map(pss), "");
    report("PSS after 2,000 pushes and their sounds, MB", memory.iter().map(pss), "≤ 10, aim 8");
    report("of that not the program's file, MB", memory.iter().map(|memory| memory.anonymous as f64 / MB), "");
    report("threads", threads, "");
    report("wake-ups in 60 s, all threads", waits, "≤ 4");
    report("the same with a homeserver's connection open", waits_connected, "≤ 4");
    report("most memory resident during 10,000 pushes, MB", peak, "≤ 40");
}

/// How often each of them woke, in a minute that begins when the work is done: as with the memory.
fn waits_in_a_minute(servers: &[Server]) -> Vec<f64> {
    for server in servers {
        settle(server.pid);
    }
    thread::sleep(REST);
    let before: Vec<_> = servers.iter().map(|server| process::waits(server.pid)).collect();
    thread::sleep(MINUTE);
    let woken = servers.iter().zip(before).map(|(server, before)| {
        let mut sum = 0;
        for (thread, count) in process::waits(server.pid) {
            let woken = count - before.iter().find(|(other, _)| *other == thread).map_or(0, |(_, count)| *count);
            if woken > 0 {
                eprintln!("{thread} woke {woken} times");
            }
            sum += woken;
        }
        sum as f64
    });
    woken.collect()
}
