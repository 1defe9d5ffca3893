//! Ten thousand pushes at full speed.

use std::{collections::BTreeSet, path::Path, thread, time::Duration};

use hyper::Method;
use serde_json::json;

use super::load::{message, recorded};
use crate::{
    app::App,
    rig::{
        DesktopOptions, Recording, SOON, Sound, http,
        pushbell::{PATH, address},
        wait_until,
    },
};

const PUSHES: usize = 10_000;
const SENDERS: usize = 16;
const ROOMS: usize = 300;

#[test]
fn a_flood_is_recorded_whole_and_shown_in_few_popups() {
    let mut app = App::start(DesktopOptions { sound: Some(Sound::Pulse), ..DesktopOptions::BARE }, "");
    let recording = Recording::start(&app.desktop);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds/default.ogg");
    let sound = recording.reference(&app.desktop, &file);
    let service = app.desktop.fake_notifier(&["body", "actions"]);
    // A message before the flood, so that the flood is not treated as a backlog.
    app.push(message("$before", "room before"));
    app.shows(0, "text $before");
    app.pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    let (mark, silence) = (app.mark(), recording.length());
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let app = &app;
            scope.spawn(move || {
                for number in (sender..PUSHES).step_by(SENDERS) {
                    let mut push = message(&format!("${number}"), &format!("room {}", number % ROOMS));
                    push["devices"] = json!([{"tweaks": {"sound": "default"}}]);
                    if number == PUSHES / 2 {
                        push["devices"] = json!([{"tweaks": {"highlight": true}}]);
                        push["room_name"] = "mentions".into();
                        push["room_id"] = "!mentions".into();
                    } else if number == PUSHES / 2 + 100 {
                        push["type"] = "m.call.invite".into();
                        push["content"] = json!({"call_id": "1", "lifetime": 60_000, "version": "1"});
                        // Its ring tone would overlap the other sounds.
                        push["devices"] = json!([{}]);
                        push["room_name"] = "calls".into();
                        push["room_id"] = "!calls".into();
                    }
                    let body = address(&app.account, push).to_string();
                    let answer = http::request(app.pushbell.port, &Method::POST, PATH, None, body);
                    assert_eq!(answer.map(|answer| answer.status), Ok(200));
                }
            });
        }
    });
    app.pushbell.wait_for_status("all is shown", |status| status["inbox"]["unshown"] == 0);
    let events = recorded(&app.pushbell.database());
    assert_eq!((events.len(), events.iter().collect::<BTreeSet<_>>().len()), (PUSHES + 1, PUSHES + 1));
    app.counts(PUSHES as u64 + 1);

    // The bounds are those of `controller::plan`: 8 rooms in a row and one more per second; a summary that changes once
    // a second; 10 popup changes in a row and four more per second; highlights and calls in addition.
    let popups = app.notifications().all_since(mark);
    let (first, last) = (popups[0].at, popups[popups.len() - 1].at);
    let seconds = usize::try_from((last - first).as_secs()).expect("a short while") + 1;
    let titles = || popups.iter().map(|popup| popup.summary.as_str());
    let summaries = titles().filter(|title| title.contains("messages in") && title.contains("rooms")).count();
    let seen = format!("{} popups, {summaries} of them summaries, in {seconds} s", popups.len());
    eprintln!("{seen}");
    assert!((1..=seconds + 1).contains(&summaries), "{seen}");
    assert!(popups.len() <= 8 + 10 + 5 + 5 + 8 * seconds, "{seen}");
    for start in &popups {
        let window = Duration::from_secs(1);
        let at_once = popups.iter().filter(|popup| popup.at >= start.at && popup.at - start.at < window).count();
        assert!(at_once <= 8 + 10 + 5 + 5 + 7, "{at_once} popups in a second");
    }
    assert!(app.notifications().open().len() <= 8 + seconds + 4, "{} are up", app.notifications().open().len());
    assert!(
        popups.iter().any(|popup| popup.summary.contains("mentions") || popup.body.contains("mentions")),
        "the mention has a popup of its own, or is named by a summary: {popups:#?}"
    );
    assert!(popups.iter().any(|popup| popup.hints["category"] == "call.incoming"), "the call has a popup of its own");
    let summary = popups.iter().rev().find(|popup| popup.summary.contains(" rooms")).expect("there is a summary");
    assert!(summary.summary.contains("messages in"), "{}", summary.summary);

    // At most one sound per second: one that waits for the previous to end may play after the flood.
    wait_until("it is silent", SOON, || recording.silence() > Duration::from_secs(2));
    let heard = recording.bursts_since(silence).len().div_ceil(sound.len());
    eprintln!("{heard} sounds");
    assert!((2..=seconds + 3).contains(&heard), "{heard} sounds in {seconds} s");

    // A debug build needs more than a release build.
    let memory = app.pushbell.app().peak_memory();
    eprintln!("{memory} MiB at most");
    assert!(memory < 30, "{memory} MiB");
    wait_until("it is well", SOON, || app.pushbell.is_healthy());
    drop(service);
}
