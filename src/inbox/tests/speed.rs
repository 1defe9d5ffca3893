//! How fast pushes are recorded. Not part of the tests: `cargo test --release inbox::tests::speed -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

/// Records `count` messages of `tasks` concurrent senders; returns the records per second.
async fn flood(desk: &Desk, first: u32, count: u32, tasks: u32) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let inbox = desk.inbox.clone();
            tokio::spawn(async move {
                for number in (first + task..first + count).step_by(tasks as usize) {
                    let mut push = message(&format!("${number:043}"), &format!("!room{}", number % 50));
                    push.notification.counts = Some(unread(1 + u64::from(number)));
                    push.notification.sender_display_name = Some("Major Tom".to_owned());
                    push.notification.room_name = Some("Mission Control".to_owned());
                    inbox.record(push.delivery()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    f64::from(count) / begun.elapsed().as_secs_f64()
}

#[tokio::test]
#[ignore = "a measurement"]
async fn records_per_second() {
    let desk = Desk::new();
    for (first, count, tasks) in [
        (0, 2_000, 1),
        (10_000, 50_000, 100),
        (100_000, 900_000, 1000),
        (2_000_000, 50_000, 100),
        (3_000_000, 2_000, 1),
    ] {
        let before = thread_time(&desk).await;
        let rate = flood(&desk, first, count, tasks).await;
        let cpu = (thread_time(&desk).await - before) * 1e6 / f64::from(count);
        let begun = Instant::now();
        let waiting = desk.news().await.waiting_notices;
        println!(
            "{tasks} tasks: {rate:.0} records/s, {cpu:.1} us of CPU each; news of {waiting}: {:?}",
            begun.elapsed()
        );
    }
    let begun = Instant::now();
    let showing = tokio::spawn({
        let inbox = desk.inbox.clone();
        async move { inbox.mark_shown(vec![Shown::Everything(NoticeId(i64::MAX))]).await }
    });
    let longest = longest_push(&desk, async || showing.is_finished()).await;
    println!("showing all: {:?}; a push meanwhile takes {longest:?} at most", begun.elapsed());
    let begun = Instant::now();
    desk.record(badge(unread(0))).await;
    let zeroed = begun.elapsed();
    let reading = tokio::spawn({
        let inbox = desk.inbox.clone();
        async move { inbox.totals().await }
    });
    let longest = longest_push(&desk, async || reading.is_finished()).await;
    println!(
        "reading all: {:?}, {zeroed:?} of it for the push; a push meanwhile takes {longest:?} at most",
        begun.elapsed()
    );
    let begun = Instant::now();
    for _ in 0..1000 {
        desk.news().await;
    }
    println!("news of nothing: {:?}", begun.elapsed() / 1000);
    println!("file: {} MB", std::fs::metadata(desk.path()).unwrap().len() / 1_000_000);
}

#[tokio::test]
#[ignore = "a measurement"]
async fn one_room_with_very_many_messages() {
    const MANY: u32 = 200_000;
    let desk = Desk::new();
    let senders = (0..1000).map(|sender| {
        let inbox = desk.inbox.clone();
        tokio::spawn(async move {
            for number in (sender..MANY).step_by(1000) {
                inbox.record(message(&format!("${number}"), "!r").per_room().delivery()).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    for (what, redacted) in [("first", 0), ("newest", MANY - 1), ("any other", MANY / 2)] {
        let content = format!(r#"{{"redacts":"${redacted}"}}"#);
        let begun = Instant::now();
        desk.record(event(&format!("$r{redacted}"), "!r", "m.room.redaction", &content)).await;
        println!("redacting the {what} of {MANY} that wait: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let mut zero = badge(unread(0)).per_room();
    zero.notification.room_id = Some("!r".to_owned());
    desk.record(zero).await;
    let zeroed = begun.elapsed();
    let reading = tokio::spawn({
        let inbox = desk.inbox.clone();
        async move { inbox.totals().await }
    });
    let longest = longest_push(&desk, async || reading.is_finished()).await;
    println!(
        "reading the room: {:?}, {zeroed:?} of it for the push; a push meanwhile takes {longest:?} at most",
        begun.elapsed()
    );
}

/// Records pushes one after the other until something is over; how long the slowest took.
async fn longest_push(desk: &Desk, is_over: impl AsyncFn() -> bool) -> std::time::Duration {
    let mut longest = std::time::Duration::ZERO;
    let mut number = 0;
    while !is_over().await {
        number += 1;
        let begun = Instant::now();
        desk.record(message(&format!("$meanwhile{number}"), "!meanwhile")).await;
        longest = longest.max(begun.elapsed());
    }
    longest
}

/// CPU time that the inbox's thread has used, in seconds.
async fn thread_time(desk: &Desk) -> f64 {
    let text = desk
        .inbox
        .ask(|_| Ok(std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default()))
        .await
        .unwrap();
    text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e9
}
