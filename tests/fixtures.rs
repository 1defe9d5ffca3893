//! Checks that every push in `tests/fixtures` is parsed and presented as `expected.txt` there states, and that what is
//! `right` about each of `tests/cases` holds.
//!
//! The files are named after their sender. Those of "Synapse 1.163.2" are captures; the others say that they were
//! written by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../fuzz/notice.rs"]
mod notice;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    path::Path,
};

use self::notice::notice_of;
use jiff::Timestamp;
use pushbell::{
    notice::{Call, CallState, Notice, NoticeId, Presentation, RoomDigest},
    present::{
        RenderOptions, body, call_popup,
        popup::{Popup, Urgency},
        room_popup,
    },
    push::{
        event::{CallEnding, Meaning, meaning},
        notify::{Device, Notification, Priority, SoundTweak},
    },
};
use serde_json::{Map, Value as Json, json, value::RawValue};

#[test]
fn every_fixture_is_read_and_put_into_words_as_stated() {
    let mut stated = stated();
    for (file, bodies) in fixtures() {
        let expected = stated.remove(file.as_str()).unwrap_or_else(|| panic!("nothing is stated about {file}"));
        let found: Vec<_> = bodies
            .iter()
            .map(|body| {
                let push = Notification::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{file}: {error}"));
                let heard: Vec<_> = push.devices.iter().map(sound).collect();
                [
                    format!("  read:  {}", summary(&push)),
                    format!("  shown: {}", show(&push).replace('\n', "\\n")),
                    format!("  heard: {}", heard.join(" ")),
                ]
                .join("\n")
            })
            .collect();
        assert_eq!(found.join("\n"), expected.join("\n"), "{file}");
    }
    assert!(stated.is_empty(), "no such fixture: {stated:?}");
}

/// Pushes, each a plain message with the given fields replaced, and the expected results.
#[derive(serde::Deserialize)]
struct Case {
    /// Account and pushkey of each.
    #[serde(default)]
    accounts: Vec<(String, String)>,
    pushes: Vec<Map<String, Json>>,
    checks: Vec<(String, Json)>,
}

#[test]
fn what_is_right_about_each_case_holds() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let case: Case = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let (popups, history) = present(&case);
        let shown: Vec<String> = popups.iter().map(|popup| format!("{}\n{}\n", popup.title, popup.text)).collect();
        let (shown, history) = (shown.concat(), history.join("\n"));
        for (check, value) in &case.checks {
            let text = value.as_str().unwrap_or_default();
            let holds = match check.as_str() {
                "popup_has" => shown.contains(text),
                "popup_hasnt" => !shown.contains(text),
                "history_has" => history.contains(text),
                "history_hasnt" => !history.lines().any(|line| line == text),
                "blank_rows_max" => {
                    history.lines().filter(|line| line.is_empty()).count() as u64 <= value.as_u64().unwrap()
                }
                "last_urgency" => popups.last().map(|popup| popup.urgency as u64) == value.as_u64(),
                "distinct_titles" => {
                    popups.iter().map(|popup| &popup.title).collect::<HashSet<_>>().len() == popups.len()
                }
                _ => panic!("{path:?}: an unknown check {check}"),
            };
            assert!(holds, "{path:?}: {check} {value}; popups:\n{shown}\nhistory:\n{history}");
        }
    }
}

/// The popup after each push, and the lines of the history.
fn present(case: &Case) -> (Vec<Popup>, Vec<String>) {
    let mut notices: Vec<Notice> = Vec::new();
    let mut popups = Vec::new();
    for (fields, number) in case.pushes.iter().zip(1..) {
        let mut notification = Map::from_iter([
            ("event_id".to_owned(), format!("$e{number}").into()),
            ("room_id".to_owned(), "!r:x".into()),
            ("type".to_owned(), "m.room.message".into()),
            ("sender".to_owned(), "@bob:x".into()),
            ("sender_display_name".to_owned(), "Bob".into()),
            ("room_name".to_owned(), "Mission Control".into()),
            ("content".to_owned(), json!({ "msgtype": "m.text", "body": "hello" })),
        ]);
        let pushkey = fields.get("__key").and_then(Json::as_str).unwrap_or("key-1");
        let tweaks = fields.get("tweaks").cloned().unwrap_or_default();
        notification.extend(fields.clone().into_iter().filter(|(key, _)| !key.starts_with("__") && key != "tweaks"));
        notification.insert("devices".to_owned(), json!([{ "app_id": "a", "pushkey": pushkey, "tweaks": tweaks }]));
        let push = Notification::parse(json!({ "notification": notification }).to_string().as_bytes()).unwrap();
        let account = case.accounts.iter().find(|(_, key)| key == pushkey).map_or("home", |(name, _)| name);
        let notice = notice_of(&push, &push.devices[0].tweaks, account, NoticeId(number));
        let edited = match meaning(notice.event_type.as_deref(), notice.content.as_deref()) {
            Meaning::Edit { event_id, new_content } => {
                notices.iter_mut().find(|other| other.event_id.as_ref() == Some(&event_id)).map(|other| {
                    other.content = Some(new_content);
                    other.room()
                })
            }
            Meaning::Message | Meaning::Ringing { .. } | Meaning::CallOver { .. } | Meaning::Redaction { .. } => None,
        };
        let room = edited.clone().unwrap_or_else(|| notice.room());
        if edited.is_none() {
            notices.push(notice);
        }
        let lines: Vec<Notice> = notices.iter().filter(|notice| notice.room() == room).cloned().collect();
        let highlight = lines.iter().rfind(|notice| notice.highlight).cloned();
        let digest = RoomDigest {
            count: lines.len() as u64,
            oldest: lines[0].id,
            newest: lines.last().unwrap().clone(),
            highlight,
            lines,
        };
        let options = RenderOptions { names_account: case.accounts.len() > 1, ..RenderOptions::default() };
        popups.push(room_popup(&digest, Some("@al:x"), options));
        for notice in &mut notices {
            notice.presentation = Presentation::Shown;
        }
    }
    (popups, notices.iter().map(body).collect())
}

/// The lines of `expected.txt` for each file.
fn stated() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut stated = BTreeMap::<_, Vec<_>>::new();
    let mut file = "";
    for line in include_str!("fixtures/expected.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        if line.starts_with(' ') {
            stated.entry(file).or_default().push(line);
        } else {
            file = line;
        }
    }
    stated
}

/// The bodies of each file, byte for byte. A file is one push, or contains many as `bodies`.
fn fixtures() -> Vec<(String, Vec<String>)> {
    #[derive(serde::Deserialize)]
    struct Wrapper {
        bodies: Vec<Box<RawValue>>,
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let bodies = match serde_json::from_str::<Wrapper>(&text) {
            Ok(wrapper) => wrapper.bodies.into_iter().map(|body| body.get().to_owned()).collect(),
            Err(_) => vec![text],
        };
        fixtures.push((path.file_name().unwrap().to_string_lossy().into_owned(), bodies));
    }
    fixtures
}

/// Event, room, type, sender, priority, counts and pushkeys; IDs by their first five characters.
fn summary(push: &Notification) -> String {
    let short = |id: &Option<String>| id.as_deref().map_or("-".to_owned(), |id| id.chars().take(5).collect());
    let prio = match push.prio {
        Priority::High => "high",
        Priority::Low => "low",
    };
    let counts = push.counts.map_or("no counts".to_owned(), |counts| {
        let missed = counts.missed_calls.map(|missed| format!(" missed {missed}")).unwrap_or_default();
        format!("unread {}{missed}", counts.unread)
    });
    let keys: Vec<_> = push.devices.iter().map(|device| device.pushkey.as_str()).collect();
    format!(
        "{} {} {} {} {prio} {counts} for {}",
        short(&push.event_id.clone().or_else(|| push.id.clone())),
        short(&push.room_id),
        push.event_type.as_deref().unwrap_or("-"),
        push.sender.as_deref().unwrap_or("-"),
        keys.join(" ")
    )
}

/// Urgency, category, title and text of the popup on the first device, or what the event means instead.
fn show(push: &Notification) -> String {
    if !push.is_event() {
        return "no event".to_owned();
    }
    let newest = notice_of(push, &push.devices[0].tweaks, "home", NoticeId(1));
    let in_room = |newest: Notice| {
        let highlight = newest.highlight.then(|| newest.clone());
        let lines = vec![newest.clone()];
        in_words(&room_popup(
            &RoomDigest { count: 1, oldest: newest.id, newest, highlight, lines },
            None,
            RenderOptions::default(),
        ))
    };
    match meaning(newest.event_type.as_deref(), newest.content.as_deref()) {
        Meaning::Message => in_room(newest),
        Meaning::Edit { event_id, .. } => format!("edit of {event_id}; {}", in_room(newest)),
        Meaning::Redaction { event_id } => format!("redaction of {}", event_id.as_deref().unwrap_or("-")),
        Meaning::CallOver { call_id, ending: CallEnding::Taken } => format!("call {call_id} taken"),
        Meaning::CallOver { call_id, ending: CallEnding::Hangup } => format!("call {call_id} hung up"),
        Meaning::Ringing { .. } => {
            let deadline = Timestamp::UNIX_EPOCH;
            let call = Call { notice: newest, call_id: "c".to_owned(), deadline, state: CallState::Ringing };
            in_words(&call_popup(&call, RenderOptions::default()))
        }
    }
}

fn in_words(popup: &Popup) -> String {
    let text = if popup.text.is_empty() { String::new() } else { format!(" | {}", popup.text) };
    format!("{} {} | {}{text}", urgency(popup.urgency), popup.category, popup.title)
}

fn urgency(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Low => "Low",
        Urgency::Normal => "Normal",
        Urgency::Critical => "Critical",
    }
}

fn sound(device: &Device) -> &str {
    match &device.tweaks.sound {
        SoundTweak::Silent => "silent",
        SoundTweak::Named(name) => name,
        SoundTweak::Unusable => "unusable",
    }
}
