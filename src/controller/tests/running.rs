//! `run`: events, news and timers by themselves.

use super::{push::*, screen::Service, *};

/// Waits, in real time, until this is true.
async fn until(what: impl Fn() -> bool) {
    let limit = Instant::now() + 20 * SECOND;
    while !what() {
        assert!(Instant::now() < limit, "it never came");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn it_presents_what_comes_by_itself_and_ends_with_the_program() {
    let bench = Bench::new().await;
    let (app, app_events) = mpsc::unbounded_channel();
    let (desktop, desktop_events) = mpsc::unbounded_channel();
    let (commands, waiting_commands) = mpsc::channel(1);
    let Bench { controller, inbox, screen, .. } = bench;
    let running =
        tokio::spawn(controller.run(Inputs { app: app_events, desktop: desktop_events, commands: waiting_commands }));
    let events = || {
        while let Some(event) = screen.next_event() {
            desktop.send(event).unwrap();
        }
    };
    screen.service(Service::Shows);
    for number in 0..5 {
        inbox.record(message(&format!("{number}"), "Kitchen").delivery(false)).await.unwrap();
    }
    until(|| {
        events();
        screen.state().up.iter().any(|(_, popup)| popup.text == "4 more\n4")
    })
    .await;
    // A timer of its own: the pause ends.
    app.send(Event::Problem(ProblemKind::Listen, Some("one".into()))).unwrap();
    until(|| screen.state().up.len() == 2).await;
    events();
    let pause = crate::control::Request::Pause { until: Some(Timestamp::now() + Duration::from_millis(300)) };
    let (reply, answer) = tokio::sync::oneshot::channel();
    commands.send((pause, reply)).await.unwrap();
    answer.await.unwrap();
    inbox.record(message("late", "Cellar").delivery(false)).await.unwrap();
    until(|| screen.state().up.iter().any(|(_, popup)| popup.text == "late")).await;
    drop(app);
    running.await.unwrap();
    assert!(screen.state().closed);
    assert_eq!(screen.state().up.len(), 3, "popups stay");
}

#[tokio::test(start_paused = true)]
async fn the_read_interval_grows_while_the_inbox_keeps_changing() {
    let mut bench = Bench::new().await;
    bench.pass(SECOND).await;
    let mut read_at = Vec::new();
    for number in 0..400 {
        tokio::time::advance(Duration::from_millis(5)).await;
        bench.arrive(message(&number.to_string(), "Kitchen")).await;
        if futures_lite::future::poll_once(bench.inbox_changes.changed()).await.is_some() {
            bench.controller.inbox_changed().await;
        }
        if bench.controller.next_due().is_some_and(|due| due <= Instant::now()) {
            bench.controller.refresh().await;
        }
        read_at.extend(bench.controller.schedule.read_at.filter(|at| read_at.last() != Some(at)));
    }
    let waits: Vec<_> = read_at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(waits[..6], [5, 10, 20, 40, 80, 160].map(Duration::from_millis));
    assert!(waits[6..].iter().all(|wait| *wait == READ_INTERVAL.1), "{waits:?}");
    bench.pass(SECOND).await;
    bench.arrive(message("late", "Kitchen")).await;
    bench.controller.inbox_changed().await;
    assert_eq!(bench.controller.schedule.read_at, Some(Instant::now()), "after a pause at once");
}

#[tokio::test(start_paused = true)]
async fn what_is_dismissed_at_the_last_moment_is_read() {
    let mut bench = Bench::new().await;
    bench.push(message("one", "Kitchen")).await;
    let (desktop, heard) = mpsc::unbounded_channel();
    desktop.send(bench.screen.dismissed(&room("Kitchen"))).unwrap();
    let Bench { controller, inbox, .. } = bench;
    tokio::time::resume();
    controller.end(heard).await;
    assert_eq!(inbox.newest_unread().await.unwrap(), None);
}
