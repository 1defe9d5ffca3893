//! `kill -9` at random moments.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::load::{Load, integrity, message, recorded};
use crate::{app::App, rig::DesktopOptions};

const ROUNDS: u32 = 50;

/// Random delays. The seed is printed when the test fails.
struct RandomDelays(u64);

impl RandomDelays {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let seed = u64::from(now.subsec_nanos()) | 1;
        eprintln!("seed of chance: {seed}");
        Self(seed)
    }

    /// A delay of up to this many milliseconds.
    fn milliseconds(&mut self, most: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(self.0 % most)
    }
}

#[test]
fn after_a_kill_what_was_answered_is_kept_and_shown_once() {
    let mut app = App::start(DesktopOptions::BARE, "");
    let service = app.desktop.fake_notifier(&["body"]);
    let database = app.pushbell.database();
    let load = Load::start(4, app.pushbell.port, &app.account, 6);
    let mut chance = RandomDelays::new();
    for round in 0..ROUNDS {
        thread::sleep(chance.milliseconds(250));
        let accepted = load.accepted();
        app.pushbell.kill9();
        let kept: BTreeSet<_> = recorded(&database).into_iter().collect();
        let lost: Vec<_> = accepted.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?} of {} were lost", accepted.len());
        if round % 5 == 0 {
            // Killed again before it serves.
            app.pushbell.launch(&["run"]);
            thread::sleep(chance.milliseconds(120));
            app.pushbell.kill9();
        }
        app.pushbell.run();
    }
    let sent = load.stop();
    let status = app.pushbell.wait_for_status("everything has been shown", |status| status["inbox"]["unshown"] == 0);
    assert_eq!(status["unread"], sent.len());
    assert_eq!(status["inbox"]["notices"], sent.len());

    let kept = recorded(&database);
    assert_eq!(kept.len(), sent.len(), "each is kept once");
    assert_eq!(kept.into_iter().collect::<BTreeSet<_>>(), sent);
    assert_eq!(integrity(&database), "ok");
    assert!(app.pushbell.history().iter().all(|line| line["shown"] == true));
    drop(service);
}

#[test]
fn only_a_kill_between_popup_and_its_record_repeats_a_popup() {
    const ROUNDS: usize = 25;
    let mut app = App::start(DesktopOptions::BARE, "");
    let service = app.desktop.fake_notifier(&["body"]);
    let mut chance = RandomDelays::new();
    for round in 0..ROUNDS {
        for room in ["one", "two"] {
            app.push(message(&format!("${round}-{room}"), room));
            thread::sleep(chance.milliseconds(15));
        }
        thread::sleep(chance.milliseconds(30));
        app.pushbell.kill9();
        app.pushbell.run();
        app.pushbell.wait_for_status("everything has been shown", |status| status["inbox"]["unshown"] == 0);
    }
    // The text of a room's popup contains its newest message.
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for notify in app.notifications().all() {
        if matches!(notify.answer, Some(Ok(_)))
            && let Some((_, event)) = notify.body.split_once('$')
        {
            shown.entry(event.to_owned()).or_default().push(notify.sender);
        }
    }
    assert_eq!(shown.len(), 2 * ROUNDS, "each was shown: {shown:#?}");
    let repeated: Vec<_> = shown.iter().filter(|(_, senders)| senders.len() > 1).collect();
    for (event, senders) in &repeated {
        assert_eq!(senders.len(), 2, "{event} came again and again: {senders:?}");
        assert_ne!(senders[0], senders[1], "one run showed {event} twice");
    }
    eprintln!("{} of {} popups came twice", repeated.len(), shown.len());
    assert!(repeated.len() <= ROUNDS, "at most the one under way: {repeated:#?}");
    drop(service);
}
