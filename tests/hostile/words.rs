//! Text that would act, hide or accumulate where it is shown: in popups, in the tray, in a terminal, in JSON and in
//! logs.

use serde_json::{Value, json};

use crate::{
    checks::assert_harmless,
    rig::{DesktopOptions, TrayHost, notifications::Notify, wait_until},
    stage::Stage,
};

/// Each of them is used in every name and every body.
const HOSTILE: &[&str] = &[
    "<b>bold</b><img src=\"file:///etc/passwd\"/><a href='https://evil.example'>x</a>&amp;&lt;script&gt;",
    "\u{1b}[2J\u{1b}[31mred\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\\u{1b}]0;title\u{7}\u{9b}5n",
    "evil\u{202e}gpj.exe\u{2066}\u{2067}\u{200f}\u{61c}",
    "in\u{200b}vis\u{2060}ib\u{ad}le\u{feff}\u{e0041}\u{115f}\u{3164}\u{2800}\u{180e}",
    "one\ntwo\r\nthree\u{2028}four\u{2029}five\u{85}six\u{b}seven\u{c}eight\n\n\n\n\n\n\n\n\n\n\n\nnine",
    "Z\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}\u{30c}\u{30d}\u{30e}\u{30f}\u{310}",
    "\u{915}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}\u{200d}\u{94d}",
    "nul\u{0}del\u{7f}bell\u{7}backspace\u{8}\u{8}\u{8}escape\u{1b}",
    "%s%n{0}{body}$HOME`id`$(id);|&_F_ile",
    "javascript:alert(1) file:///etc/passwd",
];

fn name_of(number: usize) -> &'static str {
    HOSTILE[number % HOSTILE.len()]
}

/// A push with this text in every field that a stranger controls.
fn notification(number: usize, text: &str, kind: &str) -> Value {
    let content = match kind {
        "m.room.member" => json!({"membership": "invite", "reason": text, "displayname": text}),
        "m.call.invite" => json!({"call_id": text, "lifetime": 60_000, "offer": {"sdp": text, "type": text}}),
        _ => json!({"msgtype": text, "body": text, "format": "org.matrix.custom.html", "formatted_body": text}),
    };
    let event_type = if kind == "unknown" { text } else { kind };
    json!({
        "event_id": format!("${number}{text}"), "room_id": format!("!{number}{text}"), "type": event_type,
        "sender": format!("@{text}"), "sender_display_name": text, "room_name": text, "room_alias": text,
        "membership": "invite", "user_is_target": true, "prio": "high", "content": content,
        "counts": {"unread": number}, "devices": [{"tweaks": {"sound": text, "highlight": number.is_multiple_of(2)}}],
    })
}

/// Fuzzing and unit tests cover all kinds; these are the ones whose text takes a separate path to the screen.
const KINDS: &[&str] = &["m.room.message", "m.room.member", "m.call.invite", "unknown"];

#[track_caller]
fn popup_is_harmless(popup: &Notify) {
    assert_harmless(&popup.summary, 180, 1);
    // As the service parses it: only text, no tags. Escaped text is up to six times as long.
    assert_harmless(&popup.body, 6 * 600, 8);
    assert!(!popup.body.contains(['<', '>']), "{popup:#?}");
    for entity in popup.body.split('&').skip(1) {
        let known = ["amp;", "lt;", "gt;"];
        assert!(known.iter().any(|known| entity.starts_with(known)), "{popup:#?}");
    }
    assert!(!popup.app_icon.contains("evil"));
    let hints = serde_json::to_string(&popup.hints).unwrap();
    assert!(!hints.contains("evil") && !hints.contains("passwd"), "{hints}");
    for (action, label) in &popup.actions {
        let ours = [("default", "Open"), ("answer", "Answer"), ("ignore", "Dismiss")];
        assert!(ours.contains(&(&**action, &**label)), "{popup:#?}");
    }
}

#[test]
fn nothing_that_a_stranger_writes_acts_where_it_is_shown() {
    let options = DesktopOptions { tray: Some(TrayHost::Xfce4Panel), ..DesktopOptions::BARE };
    let stage = Stage::with("[sound]\nenabled = true\n", options, &["--log-level", "trace"]);
    let item = stage.desktop.tray_item();
    let mut pushed = 0;
    for kind in KINDS {
        for text in HOSTILE {
            stage.app.notify(&stage.account, notification(pushed, text, kind));
            pushed += 1;
        }
        stage.app.wait_for_status("all are shown", |status| status["inbox"]["unshown"] == 0);
        for text in [item.text("Title"), item.text("Id"), item.tooltip().0, item.tooltip().1] {
            assert_harmless(&text, 200, 1);
        }
        let labels = item.menu_labels();
        for label in &labels {
            assert_harmless(label, 100, 1);
        }
        assert!(labels.len() > 8, "the newest are in the menu: {labels:#?}");
        let status = stage.app.ok(&["status"]);
        assert_harmless(&status, usize::MAX, usize::MAX);
        if kind != &"m.call.invite" {
            stage.app.ok(&["clear"]);
        }
    }
    stage.serves("afterwards");

    let popups = stage.desktop.notifications().all();
    assert!(popups.len() >= 10, "{} popups", popups.len());
    popups.iter().for_each(popup_is_harmless);

    let history = stage.app.ok(&["history", "--limit", "1000"]);
    assert_harmless(&history, usize::MAX, usize::MAX);
    assert_eq!(history.lines().count(), pushed + 2, "one line each, a heading, and the last");
    let json = stage.app.ok(&["history", "--json", "--limit", "1000"]);
    for line in json.lines() {
        assert_harmless(line, 64 * 1024, 1);
        assert!(!line.contains(['\u{200c}', '\u{200d}']), "what is invisible is escaped: {line}");
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(json.lines().count(), pushed + 1);
    assert_harmless(&stage.app.log(), usize::MAX, usize::MAX);
    drop(stage.service);
}

#[test]
fn what_is_opened_is_a_link_or_one_argument() {
    let stage = Stage::set("[popup]\nopen = \"https://client.example/#/room/{room}/{event}?{user}\"\n");
    for (number, text) in HOSTILE.iter().enumerate() {
        let room = format!("click {number}");
        let mut push = notification(number, text, "m.room.message");
        push["room_name"] = room.clone().into();
        stage.app.notify(&stage.account, push);
        let fits = |popup: &Notify| popup.summary.contains(&room);
        let popup = stage.desktop.notifications().wait_for_notify("it is shown", fits);
        stage.service.invoke_action(popup.id(), "default");
        stage.app.wait_for_status("the room is read", |status| status["inbox"]["unshown"] == 0);
        stage.app.ok(&["clear"]);
    }
    let mut push = notification(99, name_of(0), "m.room.message");
    push["room_id"] = "!good:hs.test".into();
    push["room_name"] = "good".into();
    stage.app.notify(&stage.account, push);
    let popup = stage.desktop.notifications().wait_for_notify("it is shown", |popup| popup.summary.contains("good"));
    stage.service.invoke_action(popup.id(), "default");
    wait_until("the room is opened", crate::rig::SOON, || {
        stage.app.opened().iter().any(|(what, _)| what.contains("good"))
    });
    for (opened, _) in stage.app.opened() {
        let rest =
            opened.strip_prefix("https://client.example/#/room/").expect("only the configured address is opened");
        assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'`\\ ".contains(&byte)), "{opened}");
    }
    assert!(!stage.app.log().contains("panicked"));
}

#[test]
fn foreign_accounts_and_configurations_are_harmless_to_print() {
    let stage = Stage::set("");
    for text in HOSTILE {
        let output =
            stage.app.command(&["account", "add", &text.replace('\0', ""), "--app-id", &text.replace('\0', "")]);
        assert_harmless(&output.stdout, usize::MAX, usize::MAX);
        assert_harmless(&output.stderr, usize::MAX, usize::MAX);
        let output = stage.app.command(&["account", "show", &text.replace('\0', "")]);
        assert_harmless(&(output.stdout + output.stderr.as_str()), usize::MAX, usize::MAX);
        let quoted = serde_json::to_string(text).unwrap().replace("\\u0000", "");
        for config in [
            format!("[popup]\nopen = {quoted}\n"),
            format!("[popup]\n{quoted} = 1\n"),
            format!(
                "[popup]\npreview = '''{}'''\n",
                text.replace(['\0', '\u{1b}', '\u{7}', '\u{8}', '\u{7f}', '\u{b}', '\u{c}', '\r'], "")
            ),
            format!("[popup]\n{text} = 1\n"),
        ] {
            stage.app.write_config(&config);
            let output = stage.app.command(&["check-config"]);
            assert_harmless(&(output.stdout + output.stderr.as_str()), usize::MAX, usize::MAX);
        }
    }
    let list = stage.app.ok(&["account", "list"]);
    assert_harmless(&list, usize::MAX, usize::MAX);
    let status = stage.app.ok(&["status"]);
    assert_harmless(&status, usize::MAX, usize::MAX);
    assert_harmless(&stage.app.ok(&["status", "--json"]), usize::MAX, usize::MAX);
    assert_harmless(&stage.app.log(), usize::MAX, usize::MAX);
}
