//! From a push to its popup, and what a badge costs.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use pushbell::desktop::{
    badge::{Look, draw},
    tray_view::Badge,
};

use crate::{
    RUNS, load,
    rig::{Desktop, DesktopOptions, notifications::Traffic},
    servers::Server,
    table::{head, median, number, ratio, row},
};

/// Popups in one run.
const POPUPS: usize = 20;
/// A popup that is up changes at most four times a second, however fast pushes come: slower pushes are not held back.
const PAUSE: Duration = Duration::from_millis(350);

/// From the first byte of a push to the bus's delivery of `Notify`.
pub(crate) fn latency() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let service = desktop.fake_notifier(&["actions", "body"]);
    let (ours, floor) = (Server::on_desktop(&desktop), Server::floor(&desktop));
    let both = [&ours, &floor].map(|server| delays(&desktop, server, 3));
    drop(both);
    let (mut runs, mut answers) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (delays_of_ours, its_answers) = delays(&desktop, &ours, POPUPS);
        runs.push((delays_of_ours, delays(&desktop, &floor, POPUPS).0));
        answers.extend(its_answers);
    }
    drop(service);
    head(
        "From the first byte of a push to the notification service's receiving `Notify`, ms",
        &["", "Pushbell (synced to disk first)", "floor (parse, `Notify`)", "ratio"],
    );
    let middle = |delays: &Vec<f64>| median(delays.iter().copied());
    row(&[
        "median".to_owned(),
        number(median(runs.iter().map(|(ours, _)| middle(ours)))),
        number(median(runs.iter().map(|(_, floor)| middle(floor)))),
        number(ratio(&runs, middle)),
    ]);
    let on_disk = median(answers);
    row(&["of that until the push is on disk and answered".to_owned(), number(on_disk), String::new(), String::new()]);
    let slowest = |all: Vec<f64>| {
        let mut all = all;
        all.sort_by(f64::total_cmp);
        all[(all.len() * 99 / 100).min(all.len() - 1)]
    };
    let (ours, floor) = (
        slowest(runs.iter().flat_map(|(ours, _)| ours.clone()).collect()),
        slowest(runs.iter().flat_map(|(_, floor)| floor.clone()).collect()),
    );
    row(&[format!("99th percentile of all {}", RUNS * POPUPS), number(ours), number(floor), number(ours / floor)]);
}

/// Milliseconds from sending a push to its `Notify`, and to its answer.
fn delays(desktop: &Desktop, server: &Server, count: usize) -> (Vec<f64>, Vec<f64>) {
    let one = load::One::new(server);
    let delays = (0..count).map(|_| {
        thread::sleep(PAUSE);
        let mark = desktop.notifications().len();
        let sent = one.send();
        let answered = sent.elapsed();
        let at = desktop.notifications().wait_since(mark, "its popup", crate::rig::SOON, |traffic| match traffic {
            Traffic::Notify(notify) => Some(notify.at),
            _ => None,
        });
        (at.saturating_duration_since(sent).as_secs_f64() * 1e3, answered.as_secs_f64() * 1e3)
    });
    delays.unzip()
}

/// Drawing the tray icon with its numbers.
pub(crate) fn badge() {
    head("Drawing the tray icon, µs", &["", "first", "median"]);
    for size in [22, 32, 48, 64] {
        let mut times = Vec::new();
        for unread in 1..=200 {
            let begun = Instant::now();
            black_box(draw(Badge { unread, missed_calls: unread % 3 }, false, Look::Color, black_box(size)));
            times.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        row(&[format!("{size} × {size}"), number(times[0]), number(median(times))]);
    }
}
