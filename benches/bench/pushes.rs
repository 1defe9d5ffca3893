//! Pushes a second and CPU time for each: against the limit, and with many notices kept.

use crate::{
    load::{self, Plan},
    rig::{Desktop, DesktopOptions},
    servers::Server,
    table::{
        Target::{AtLeast, AtMost},
        compared,
    },
};

/// A load as fast as the answers come.
const FULL: Plan = Plan { connections: 100, pushes: 60_000, seconds: 1.5, sound: false };
/// The same for inboxes of different sizes: it should change their sizes little.
const SHORT: Plan = Plan { pushes: 20_000, seconds: 10.0, ..FULL };

/// Pushes a second, and microseconds of CPU for each.
fn measure(server: &Server, plan: Plan) -> (f64, f64) {
    server.rest();
    let before = server.cpu();
    let outcome = load::put(server, plan);
    let (cpu, pushes) = (server.cpu().saturating_sub(before), outcome.pushes as f64);
    (pushes / outcome.seconds, cpu.as_secs_f64() * 1e6 / pushes)
}

pub(crate) fn against_the_limit(runs: usize) {
    let desktop = Desktop::start(DesktopOptions::BARE);
    for connections in [1, 10, 100, 1000] {
        let (ours, limit) = (Server::alone(&desktop), Server::limit());
        let plan = Plan { connections, ..FULL };
        for server in [&ours, &limit] {
            load::put(server, Plan { pushes: 2_000, seconds: 0.3, ..plan });
        }
        let (mut rates, mut cpu) = (Vec::new(), Vec::new());
        for run in 0..runs {
            let (ours, limit) = if run % 2 == 0 {
                let ours = measure(&ours, plan);
                (ours, measure(&limit, plan))
            } else {
                let limit = measure(&limit, plan);
                (measure(&ours, plan), limit)
            };
            rates.push((ours.0, limit.0));
            cpu.push((ours.1, limit.1));
        }
        let over = if connections == 1 { "1 connection".to_owned() } else { format!("{connections} connections") };
        compared(&format!("durable pushes a second over {over}; the limit"), &rates, AtLeast(0.7));
        compared(&format!("CPU a push over {over}, µs; the limit"), &cpu, AtMost(1.5));
    }
}

/// Keeps this many notices more, all of them read.
fn fill(server: &Server, notices: u64) {
    // In parts: what is unread at one time stays as bounded as it is in life.
    const PART: u64 = 50_000;
    for begun in (0..notices).step_by(PART as usize) {
        load::put(server, Plan { pushes: PART.min(notices - begun), seconds: f64::MAX, ..FULL });
        server.rest();
    }
}

pub(crate) fn with_many_kept(runs: usize) {
    let desktop = Desktop::start(DesktopOptions::BARE);
    // A quick run shows that it works, not how fast.
    let part = if runs == 1 { 100 } else { 1 };
    for (many, target) in [(100_000 / part, 0.9), (1_000_000 / part, 0.5)] {
        let full = Server::alone(&desktop);
        fill(&full, many);
        let rates = (0..runs).map(|run| {
            let few = Server::alone(&desktop);
            fill(&few, 1_000);
            if run % 2 == 0 {
                let full = measure(&full, SHORT);
                (full.0, measure(&few, SHORT).0)
            } else {
                let few = measure(&few, SHORT);
                (measure(&full, SHORT).0, few.0)
            }
        });
        let rates: Vec<_> = rates.collect();
        compared(&format!("pushes a second with {many} notices kept; with 1,000"), &rates, AtLeast(target));
    }
}
