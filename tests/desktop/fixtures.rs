//! Sends every push of `tests/fixtures` to the app, with only its pushkeys replaced, and checks that it is shown and
//! counted as `expected.txt` there states.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use pushbell::push::notify::Notification;
use serde_json::{Value, json, value::RawValue};

use super::app::{App, DUNST};
use crate::rig::{never_within, pushbell::Account};

/// The number of popups that are shown without delay; fewer for highlights.
const IMMEDIATE_POPUPS: usize = 5;

/// The expected result of one push.
struct Expected {
    /// Unread messages and missed calls, if the counts are stated.
    counts: Option<(u64, u64)>,
    /// Urgency, category, title and text; `None` if there is no popup.
    shown: Option<[String; 4]>,
}

#[test]
fn every_fixture_is_shown_and_counted_as_stated() {
    let mut app = App::start(DUNST, "[sound]\nenabled = false\n");
    let mut popups = 0;
    for (file, stated) in stated() {
        let name = file.trim_end_matches(".json");
        let scope = if name.starts_with("conduwuit") { "room" } else { "account" };
        app.pushbell.ok(&["account", "add", name, "--counts", scope]);
        let account = app.pushbell.account_named(name);
        let bodies = bodies(&file);
        assert_eq!(bodies.len(), stated.len(), "{file}");
        // For accounts that count per room, the total is the sum.
        let mut rooms = BTreeMap::new();
        for (number, (body, stated)) in bodies.iter().zip(stated).enumerate() {
            let what = format!("push {number} of {file}");
            if popups == IMMEDIATE_POPUPS {
                app.pushbell.restart();
                popups = 0;
            }
            let mark = app.mark();
            let answer = app.pushbell.post(addressed_to(&account, body));
            assert_eq!((answer.status, answer.json()), (200, json!({"rejected": []})), "{what}");
            if let Some([urgency, category, title, text]) = &stated.shown {
                let seen = app.notifications().wait_for_notify_since(mark, &what, |_| true);
                let hint = |name: &str| seen.hints[name].clone();
                // There are several accounts, so each title ends with the account's name.
                let (who_and_where, _account) = seen.summary.rsplit_once(" (").expect("the account is named");
                assert_eq!((who_and_where, &unescaped(&seen.body)), (title.as_str(), text), "{what}");
                let level = ["Low", "Normal", "Critical"].iter().position(|word| word == urgency);
                assert_eq!(hint("urgency"), json!(level), "{what}");
                assert_eq!(hint("category"), **category, "{what}");
                popups += 1;
            } else {
                never_within(Duration::from_millis(150), &what, || !app.notifications().all_since(mark).is_empty());
            }
            let status = app.pushbell.status();
            let counted = status["accounts"].as_array().expect("accounts").iter().find(|one| one["name"] == name);
            let counted = counted.expect("the account is in the status");
            if let Some((unread, missed_calls)) = stated.counts {
                let room = if scope == "room" { room_of(body) } else { String::new() };
                rooms.insert(room, unread);
                assert_eq!(counted["unread"], rooms.values().sum::<u64>(), "{what}: {status}");
                assert_eq!(counted["missed_calls"], missed_calls, "{what}: {status}");
            } else {
                assert_eq!(counted["unread"], 1, "{what}: counted by its notices");
            }
            // The next push finds no unread message in its room; its own counts remain.
            if stated.shown.is_some() && scope == "account" {
                app.pushbell.ok(&["clear"]);
            }
        }
        app.pushbell.ok(&["clear"]);
        assert_eq!(app.pushbell.status()["unread"], 0, "{file}");
    }
}

/// Reads the expected results of each file's pushes from `expected.txt`.
fn stated() -> BTreeMap<String, Vec<Expected>> {
    let mut stated = BTreeMap::<_, Vec<Expected>>::new();
    let mut file = "";
    for line in include_str!("../fixtures/expected.txt").lines().filter(|line| !line.starts_with('#')) {
        if let Some(read) = line.strip_prefix("  read:  ") {
            let pushes = stated.entry(file.to_owned()).or_default();
            pushes.push(Expected { counts: counts(read), shown: None });
        } else if let Some(shown) = line.strip_prefix("  shown: ") {
            let last = stated.get_mut(file).and_then(|pushes| pushes.last_mut()).expect("read comes first");
            last.shown = popup(shown);
        } else if !line.is_empty() && !line.starts_with(' ') {
            file = line;
        }
    }
    stated
}

/// "… unread 2 missed 1 for …"
fn counts(read: &str) -> Option<(u64, u64)> {
    let words: Vec<_> = read.split(' ').collect();
    let number = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1)?.parse().ok()
    };
    number("unread").map(|unread| (unread, number("missed").unwrap_or(0)))
}

/// "Normal im.received | title | text", also after "edit of $x; ".
fn popup(shown: &str) -> Option<[String; 4]> {
    let shown = shown.split_once("; ").filter(|(edit, _)| edit.starts_with("edit of")).map_or(shown, |(_, rest)| rest);
    let mut parts = shown.splitn(3, " | ");
    let (urgency, category) = parts.next()?.split_once(' ').filter(|(_, category)| category.contains('.'))?;
    let title = parts.next()?;
    let text = parts.next().unwrap_or_default().replace("\\n", "\n");
    Some([urgency.to_owned(), category.to_owned(), title.to_owned(), text])
}

/// The bodies of a file, byte for byte. A file is one push, or contains many as `bodies`.
fn bodies(file: &str) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Wrapper {
        bodies: Vec<Box<RawValue>>,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    let text = fs::read_to_string(path).expect("the fixture is there");
    match serde_json::from_str::<Wrapper>(&text) {
        Ok(wrapper) => wrapper.bodies.into_iter().map(|body| body.get().to_owned()).collect(),
        Err(_) => vec![text],
    }
}

/// The body with the account's pushkeys and the current time; nothing else changes.
fn addressed_to(account: &Account, body: &str) -> String {
    let push = Notification::parse(body.as_bytes()).expect("it is a push");
    let mut body = body.to_owned();
    for device in push.devices {
        for (own, ours) in [(&device.app_id, &account.app_id), (&device.pushkey, &account.pushkey)] {
            body = body.replace(&quoted(own), &quoted(ours));
        }
    }
    if let Some((_, after)) = body.split_once("\"sender_ts\": ") {
        let stated = after.split(',').next().expect("a number").to_owned();
        body = body.replace(&stated, &jiff::Timestamp::now().as_millisecond().to_string());
    }
    body
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn room_of(body: &str) -> String {
    let push = Notification::parse(body.as_bytes()).expect("it is a push");
    push.room_id.unwrap_or_default()
}

/// Decodes the only markup that is sent to dunst here: entities.
fn unescaped(text: &str) -> String {
    assert!(!text.contains(['<', '>']), "{text:?} has tags");
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#39;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, sign)| text.replace(entity, sign))
}
