//! Pushes: how many a second, at what CPU time each, after how long each is answered.

use std::time::{Duration, Instant};

use pushbell::inbox;

use crate::{
    LOADS, RUNS,
    load::{self, Outcome, Plan},
    process,
    rig::{Desktop, DesktopOptions, SOON, wait_until},
    servers::{Server, is_healthy, settle},
    table::{
        Target::{AtLeast, AtMost},
        head, judged, median, number, ratio, row,
    },
};

/// For how long one load lasts, and how many pushes it has at most.
const SECONDS: f64 = 1.5;
const PUSHES: u64 = 60_000;

struct Sample {
    outcome: Outcome,
    /// Microseconds of CPU for each push.
    cpu: f64,
}

fn measure(server: &Server, plan: &Plan) -> Sample {
    let before = process::cpu(server.pid);
    let outcome = load::put(server, plan);
    let cpu = process::cpu(server.pid).saturating_sub(before).as_secs_f64() * 1e6 / outcome.pushes as f64;
    Sample { outcome, cpu }
}

/// Measures both in turn, so that whatever else the machine does concerns both.
fn compare(ours: &Server, theirs: &Server, plan: &Plan) -> Vec<(Sample, Sample)> {
    let warm_up = Plan { pushes: 2_000, seconds: 0.3, rate: None, ..plan.clone() };
    for server in [ours, theirs] {
        load::put(server, &warm_up);
    }
    let both = (0..LOADS).map(|run| {
        if run % 2 == 0 {
            let ours = measure(ours, plan);
            (ours, measure(theirs, plan))
        } else {
            let theirs = measure(theirs, plan);
            (measure(ours, plan), theirs)
        }
    });
    both.collect()
}

const COLUMNS: [&str; 10] = [
    "",
    "Pushbell, pushes/s",
    "limit",
    "ratio (≥ 0.8)",
    "CPU, µs/push",
    "limit",
    "ratio (≤ 1.25)",
    "99th percentile, ms",
    "limit",
    "ratio (≤ 1.5)",
];

fn report(what: &str, runs: &[(Sample, Sample)]) {
    let [rate, cpu, p99]: [fn(&Sample) -> f64; 3] =
        [|sample| sample.outcome.rate(), |sample| sample.cpu, |sample| f64::from(sample.outcome.p99) / 1e3];
    let mut cells = vec![what.to_owned()];
    for (figure, target) in [(rate, AtLeast(0.8)), (cpu, AtMost(1.25)), (p99, AtMost(1.5))] {
        cells.push(number(median(runs.iter().map(|(ours, _)| figure(ours)))));
        cells.push(number(median(runs.iter().map(|(_, theirs)| figure(theirs)))));
        cells.push(judged(ratio(runs, figure), target));
    }
    row(&cells);
}

/// As fast as they come.
pub(crate) fn rates() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    head("As many pushes as possible (the endpoint alone)", &COLUMNS);
    for fresh in [false, true] {
        for connections in [1, 10, 100, 1000] {
            let (ours, theirs) = (Server::alone(&desktop), Server::limit());
            let plan = Plan { connections, fresh, pushes: PUSHES, seconds: SECONDS, ..Plan::ONE };
            let runs = compare(&ours, &theirs, &plan);
            let kind = if fresh { "at once, each on a new connection" } else { "kept connections" };
            report(&format!("{connections} {kind}"), &runs);
        }
    }
}

const STEADY: Plan = Plan { connections: 4, pushes: PUSHES, seconds: 3.0, rate: Some(200.0), ..Plan::ONE };

/// 200 a second.
pub(crate) fn steady() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    head("200 pushes a second (the endpoint alone)", &COLUMNS);
    let (ours, theirs) = (Server::alone(&desktop), Server::limit());
    report("4 kept connections", &compare(&ours, &theirs, &STEADY));
}

/// The same with popups, tray and sound up, which the limit does not have.
pub(crate) fn with_desktop() {
    let desktop = Desktop::start(DesktopOptions::default());
    head("With popups and tray (dunst, xfce4-panel), which the limit does not have", &COLUMNS);
    let (ours, theirs) = (Server::on_desktop(&desktop), Server::limit());
    let full = Plan { connections: 100, pushes: PUSHES, seconds: SECONDS, ..Plan::ONE };
    report("100 kept connections", &compare(&ours, &theirs, &full));
    report("200 pushes a second", &compare(&ours, &theirs, &STEADY));
}

/// With a million notices kept.
pub(crate) fn many() {
    const MANY: u64 = 1_000_000;
    let desktop = Desktop::start(DesktopOptions::BARE);
    let send_to = |server: &Server, pushes: u64| {
        load::put(server, &Plan { connections: 200, pushes, seconds: 600.0, ..Plan::ONE })
    };
    let mut full = Server::alone(&desktop);
    send_to(&full, MANY);
    // So much takes longer to read than a command waits.
    wait_until("all is read", Duration::from_secs(300), || full.pushbell().command(&["clear"]).code == 0);
    settle(full.pid);

    let plan = Plan { connections: 100, pushes: 20_000, seconds: 60.0, ..Plan::ONE };
    let runs: Vec<_> = (0..LOADS)
        .map(|run| {
            let mut few = Server::alone(&desktop);
            send_to(&few, 1_000);
            few.pushbell().ok(&["clear"]);
            settle(few.pid);
            if run % 2 == 0 {
                let full = measure(&full, &plan);
                (full, measure(&few, &plan))
            } else {
                let few = measure(&few, &plan);
                (measure(&full, &plan), few)
            }
        })
        .collect();
    head("With 1,000,000 notices kept", &["", "1,000,000", "few", "ratio or difference", "target"]);
    let rate = |sample: &Sample| sample.outcome.rate();
    row(&[
        "pushes/s at 100 connections (few: 1,000)".to_owned(),
        number(median(runs.iter().map(|(full, _)| rate(full)))),
        number(median(runs.iter().map(|(_, few)| rate(few)))),
        judged(ratio(&runs, rate), AtLeast(0.9)),
        "≥ 0.9".to_owned(),
    ]);

    let mut empty = Server::alone(&desktop);
    let starts: Vec<_> = (0..2 * RUNS).map(|_| (restart(&mut full), restart(&mut empty))).collect();
    let (of_full, of_empty) =
        (median(starts.iter().map(|(full, _)| *full)), median(starts.iter().map(|(_, empty)| *empty)));
    row(&[
        "start to GET /health, ms (few: empty)".to_owned(),
        number(of_full),
        number(of_empty),
        format!("+{:.1}", of_full - of_empty),
        "≤ +5 ms".to_owned(),
    ]);

    let newest = |server: &mut Server| {
        let path = server.pushbell().database();
        median((0..101).map(|_| {
            let begun = Instant::now();
            inbox::history(&path, 50).expect("the inbox can be read");
            begun.elapsed().as_secs_f64() * 1e3
        }))
    };
    row(&[
        "newest 50, opening the database included, ms".to_owned(),
        number(newest(&mut full)),
        number(newest(&mut empty)),
        String::new(),
        "< 1 ms".to_owned(),
    ]);
    let bytes = std::fs::metadata(full.pushbell().database()).map_or(0, |file| file.len());
    row(&[
        "size of the database, MB".to_owned(),
        number(bytes as f64 / 1e6),
        String::new(),
        String::new(),
        String::new(),
    ]);
}

/// Milliseconds from the start of the process to its first good answer.
fn restart(server: &mut Server) -> f64 {
    let port = server.port;
    let pushbell = server.pushbell();
    pushbell.terminate();
    let begun = Instant::now();
    pushbell.launch(&["run", "--no-tray"]);
    wait_until_fast("it answers", || is_healthy(port));
    let taken = begun.elapsed().as_secs_f64() * 1e3;
    let pid = pushbell.app().pid();
    server.pid = pid;
    taken
}

/// Looks every quarter of a millisecond.
pub(crate) fn wait_until_fast(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > SOON {
            wait_until(what, Duration::ZERO, || false);
        }
        std::thread::sleep(Duration::from_micros(250));
    }
}
