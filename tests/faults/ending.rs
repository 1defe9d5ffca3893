//! Ending by signals and by Quit, with requests in flight.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::load::{integrity, message, recorded};
use crate::{
    app::{App, DUNST},
    rig::{
        DesktopOptions, Notifier, SOON, TrayHost, http,
        pushbell::{PATH, address},
        wait_until,
    },
};

/// With a tray, to see the icon disappear.
const TRAY: DesktopOptions =
    DesktopOptions { notifier: Some(Notifier::Dunst), tray: Some(TrayHost::Xfce4Panel), ..DesktopOptions::BARE };

/// A push that was sent except for its last byte.
struct Unfinished {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Unfinished {
    fn begin(app: &App, event: &str) -> Self {
        let body = address(&app.account, message(event, "room")).to_string();
        let head = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut bytes = (head + body.as_str()).into_bytes();
        let rest = bytes.split_off(bytes.len() - 1);
        let mut stream = TcpStream::connect(("127.0.0.1", app.pushbell.port)).expect("the app listens");
        stream.set_read_timeout(Some(SOON)).expect("it is a socket");
        stream.write_all(&bytes).expect("the app reads");
        Self { stream, rest }
    }

    /// Sends the rest, and returns the answer.
    fn finish(mut self) -> String {
        self.stream.write_all(&self.rest).expect("the app reads");
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).expect("the app answers and closes");
        answer
    }
}

#[test]
fn every_ending_answers_running_requests_and_leaves_nothing() {
    let mut app = App::start(TRAY, "");
    let control = app.desktop.run_directory().join(pushbell::app_info::DIRECTORY_NAME).join("control.sock");
    let log_of_database = app.pushbell.database().with_extension("db-wal");
    let mut expected = Vec::new();
    for end in [Some(Signal::TERM), Some(Signal::INT), Some(Signal::HUP), None] {
        let item = app.desktop.tray_item();
        assert!(control.exists(), "{}", control.display());
        let event = format!("$in flight {end:?}");
        let push = Unfinished::begin(&app, &event);
        // The app has begun to read it once it answers a later request.
        assert!(app.pushbell.is_healthy());
        match end {
            Some(signal) => app.pushbell.app().signal(signal),
            None => item.click_menu("Quit"),
        }
        wait_until("it listens no more", SOON, || TcpStream::connect(("127.0.0.1", app.pushbell.port)).is_err());
        let answer = push.finish();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"rejected":[]}"#), "{end:?}: {answer}");
        assert_eq!(app.pushbell.app().wait(SOON).code(), Some(0), "{end:?}");
        expected.push(event);
        assert!(!control.exists(), "{end:?}");
        assert!(!log_of_database.exists(), "the database is closed: {end:?}");
        wait_until("the icon goes away", SOON, || app.desktop.tray_items() == 0);
        assert_eq!(recorded(&app.pushbell.database()), expected);
        assert_eq!(integrity(&app.pushbell.database()), "ok");
        app.pushbell.run();
    }
}

#[test]
fn requests_at_an_address_that_goes_away_are_still_answered() {
    let mut app = App::start(DesktopOptions::BARE, "");
    let push = Unfinished::begin(&app, "$old address");
    assert!(app.pushbell.is_healthy());
    app.pushbell.port = http::free_port();
    app.pushbell.configure("");
    wait_until("it listens at the new address", SOON, || app.pushbell.is_healthy());

    app.pushbell.app().signal(Signal::TERM);
    wait_until("it listens no more", SOON, || TcpStream::connect(("127.0.0.1", app.pushbell.port)).is_err());

    let answer = push.finish();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"rejected":[]}"#), "{answer}");
    assert_eq!(app.pushbell.app().wait(SOON).code(), Some(0));
    assert_eq!(recorded(&app.pushbell.database()), ["$old address"]);
}

#[test]
fn a_request_that_never_ends_does_not_keep_it_from_ending() {
    let mut app = App::start(DesktopOptions::BARE, "");
    let _push = Unfinished::begin(&app, "$never");
    assert!(app.pushbell.is_healthy());
    let start = Instant::now();
    assert_eq!(app.pushbell.terminate(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert!(recorded(&app.pushbell.database()).is_empty());
}

#[test]
fn what_is_shown_while_it_ends_is_not_shown_again() {
    let mut app = App::start(DUNST, "");
    app.message("0", "room 0", "before");
    app.shows(0, "before");
    app.desktop.notifier().freeze();
    let mark = app.mark();
    for number in 1..=3 {
        app.message(&format!("{number}"), &format!("room {number}"), &format!("text {number}"));
    }
    wait_until("the first is on its way", SOON, || !app.notifications().all_since(mark).is_empty());
    app.pushbell.app().signal(Signal::TERM);
    wait_until("it listens no more", SOON, || TcpStream::connect(("127.0.0.1", app.pushbell.port)).is_err());
    app.desktop.notifier().thaw();
    assert_eq!(app.pushbell.app().wait(SOON).code(), Some(0));
    app.pushbell.run();
    app.pushbell.wait_for_status("everything has been shown", |status| status["inbox"]["unshown"] == 0);

    // No popup of an earlier push can follow that of a later one.
    app.message("4", "room 4", "later");
    app.shows(mark, "later");
    for number in 1..=3 {
        let text = format!("text {number}");
        assert_eq!(app.notifications().all_since(mark).iter().filter(|popup| popup.body == text).count(), 1, "{text}");
    }
}
