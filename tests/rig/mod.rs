//! A real desktop for tests, headless: X server, session bus, window manager, notification service, tray host and sound
//! server, all private to one test, with the app on it.
//!
//! Everything is in a temporary directory, on a free display and free ports, in process groups of its own. The caller's
//! environment is not inherited. Whatever was started ends when its value is dropped (so also on panic), by process ID;
//! if the test process itself is killed, a watchdog ends it (see [`process`]).
//!
//! Nothing is skipped: a missing program is a failure that names it. `make test` installs all of them.

#![allow(dead_code, reason = "each test program uses a part of the rig")]
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

pub(crate) mod bus;
pub(crate) mod clock;
pub(crate) mod desktop;
pub(crate) mod fake_service;
pub(crate) mod fake_session;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod keyring;
pub(crate) mod network;
pub(crate) mod notifications;
pub(crate) mod panel;
pub(crate) mod plasma;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod pushbell;
pub(crate) mod recording;
pub(crate) mod screen;
pub(crate) mod small_disk;
pub(crate) mod synapse;
pub(crate) mod terminal;
pub(crate) mod tray_item;

#[allow(unused_imports, reason = "each test program uses a part of the rig")]
pub(crate) use self::{
    clock::Clock,
    desktop::{Desktop, DesktopOptions, Notifier, Sound, TrayHost},
    fake_service::{FakeNotifications, OnNotify},
    fake_session::{FakeLogind, FakeScreenSaver},
    home::Home,
    network::Cable,
    notifications::{Notifications, Notify},
    proxy::{Proxy, ProxyAction, Stage},
    pushbell::Pushbell,
    recording::Recording,
    synapse::Synapse,
    terminal::Terminal,
};

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen soon: generous, for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Waits until the condition holds; panics with `what` on timeout.
#[track_caller]
pub(crate) fn wait_until(what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, timeout, || condition().then_some(()));
}

/// Waits until there is a value, and returns it; panics with `what` on timeout.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, timeout: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < timeout, "waited {timeout:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Panics if the condition holds at any time within this duration: for what must not happen.
#[track_caller]
pub(crate) fn never_within(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < time {
        assert!(!condition(), "after {:?}: {what}", start.elapsed());
        std::thread::sleep(Duration::from_millis(10));
    }
}
