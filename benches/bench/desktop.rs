//! What Pushbell takes of a desktop: memory, wake-ups, time to a popup, time to start, disk.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{self, Plan},
    rig::{
        Desktop, DesktopOptions, SOON,
        notifications::Traffic,
        process::{TempDir, run},
    },
    servers::{Server, prepare, start},
    table::{Target::AtMost, figure, median, not_measured, note},
};

const MB: f64 = 1e6;

/// Memory and wake-ups with nothing to do, with bus, notification service, tray and sound.
pub(crate) fn idle(runs: usize) {
    let (mut changed, mut unchanged, mut wakes) = (Vec::new(), Vec::new(), Vec::new());
    // Each takes over a minute.
    for _ in 0..runs.min(3) {
        let desktop = Desktop::start(DesktopOptions::default());
        let server = Server::on_desktop(&desktop);
        load::put(&server, Plan { connections: 10, pushes: 2_000, seconds: 60.0, sound: true });
        server.rest();
        // Delayed work, such as giving back memory, is done by then.
        thread::sleep(Duration::from_secs(12));
        let before = server.waits();
        thread::sleep(Duration::from_secs(60));
        wakes.push(woken(&before, &server.waits()) as f64);
        let (dirty, clean) = server.private_memory();
        changed.push(dirty as f64 / MB);
        unchanged.push(clean as f64 / MB);
    }
    figure("idle: private memory, MB", median(changed), AtMost(4.0));
    note("beside it unchanged pages of files, which the system can take back, MB", median(unchanged));
    figure("idle: wake-ups a minute", median(wakes), AtMost(0.0));
}

pub(crate) fn woken(before: &[(u32, String, u64)], after: &[(u32, String, u64)]) -> u64 {
    let mut sum = 0;
    for (task, name, count) in after {
        let woken = count - before.iter().find(|(other, ..)| other == task).map_or(0, |(.., count)| *count);
        if woken > 0 {
            eprintln!("{name} woke {woken} times");
        }
        sum += woken;
    }
    sum
}

/// From the first byte of a push to the bus's delivery of `Notify`.
pub(crate) fn popup(runs: usize) {
    /// A popup that is up changes at most four times a second: slower pushes are not held back.
    const PAUSE: Duration = Duration::from_millis(350);
    let desktop = Desktop::start(DesktopOptions::BARE);
    let _service = desktop.fake_notifier(&["actions", "body"]);
    let server = Server::on_desktop(&desktop);
    let limit = Server::limit();
    let (mut delays, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..runs * 20 {
        thread::sleep(PAUSE);
        let mark = desktop.notifications().len();
        let sent = load::send_one(&server).expect("it is answered with 200");
        let shown = desktop.notifications().wait_since(mark, "its popup", SOON, |traffic| match traffic {
            Traffic::Notify(notify) => Some(notify.at),
            _ => None,
        });
        delays.push(shown.saturating_duration_since(sent).as_secs_f64() * 1e3);
        thread::sleep(PAUSE);
        let sent = Instant::now();
        load::send_one(&limit).expect("it is answered with 200");
        answers.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    figure("a popup after the push's first byte, without the service's own time, ms", median(delays), AtMost(2.0));
    note("beside it the limit's answer, at the same pace: a disk that rests takes longer to sync, ms", median(answers));
}

/// From the start of the process to the first 200, files in the cache; and the program on disk.
pub(crate) fn starting(runs: usize) {
    let desktop = Desktop::start(DesktopOptions::default());
    let mut pushbell = prepare(&desktop);
    // The first start makes the files.
    start(&mut pushbell, &["run"]);
    let times = (0..runs * 2).map(|_| {
        pushbell.terminate();
        start(&mut pushbell, &["run"]).as_secs_f64() * 1e3
    });
    figure("start to the first 200, ms", median(times.collect::<Vec<_>>()), AtMost(50.0));
    // Cargo keeps the symbols of what it builds for a benchmark; what `make release` builds has none.
    let directory = TempDir::new();
    let stripped = directory.path().join("pushbell").display().to_string();
    run("strip", &["-o", &stripped, env!("CARGO_BIN_EXE_pushbell")], &std::env::vars().collect::<Vec<_>>());
    let size = std::fs::metadata(&stripped).expect("it was written").len();
    figure("size of the program, MB", size as f64 / MB, AtMost(30.0));
    not_measured("`make run`, first time, on two cores", "≤ 6 minutes", "it would build everything again");
}
