//! The Windows program, run by wine on a real screen with real sound, and tested from outside.
//!
//! `make windows` builds it, sets its path and runs these tests; without it there is nothing to test here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../rig/mod.rs"]
mod rig;
mod wine;

use std::{fs, path::Path, process::Command};

use rig::{Recording, SOON, pushbell::message, screen::count_color, wait_for, wait_until};
use serde_json::json;
use wine::{HiddenWindow, Wine};

/// The colour of the badge.
const BADGE: (u8, u8, u8) = (0xdc, 0x1f, 0x26);

#[test]
#[ignore = "make windows builds the program for it"]
fn pushes_are_answered_and_kept_over_a_restart() {
    let mut wine = Wine::start("");
    wine.run();
    let account = wine.account();
    wine.notify(&account, message("1", "room", "Ground control"));
    wine.notify(&account, message("1", "room", "Ground control"));
    let (status, rejected) = wine.push(&json!({"notification": {"devices": [{"app_id": "x", "pushkey": "unknown"}]}}));
    assert_eq!((status, rejected), (200, json!({"rejected": ["unknown"]})));
    wine.quit();
    wine.run();
    assert_eq!(wine.history().len(), 1);
    assert_eq!(wine.history()[0]["body"], "Ground control");
    let status = wine.status();
    assert_eq!((&status["unread"], &status["inbox"]["notices"]), (&json!(1), &json!(1)), "{status}");
    wine.quit();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn the_icon_is_in_the_tray_with_its_badge() {
    let mut wine = Wine::start("");
    wine.run();
    wine.wait_for_status("the icon is in the tray", |status| status["tray"]["available"] == true);
    let badge = |wine: &Wine| count_color(&wine.desktop.screenshot(), BADGE, 24);
    assert_eq!(badge(&wine), 0);
    let account = wine.account();
    wine.notify(&account, message("1", "room", "text"));
    let shown = wait_for("the badge is on the screen", SOON, || Some(badge(&wine)).filter(|pixels| *pixels > 20));
    wine.desktop.save_screenshot(&wine.artifact_path("tray.png"));
    wine.command(&["clear"]).ended(0);
    // Wine paints over the old picture: edges remain where the new one is transparent.
    wait_until("the badge is gone", SOON, || badge(&wine) < shown / 2);
    wine.quit();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn a_tweak_is_heard() {
    let mut wine = Wine::start("");
    wine.run();
    let account = wine.account();
    let recording = Recording::start(&wine.desktop);
    let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds/bing.ogg");
    let expected = recording.reference(&wine.desktop, &sound);
    let mark = recording.length();
    wine.notify(&account, message("1", "room", "silent"));
    let mut push = message("2", "room", "text");
    push["devices"] = json!([{"tweaks": {"sound": "bing"}}]);
    wine.notify(&account, push);
    let heard = recording.wait_for_bursts(mark, 1);
    // Wine's own resampling may break a sound up; its beginning is the same.
    assert!((heard[0].frequency - expected[0].frequency).abs() <= 10.0, "{heard:#?} instead of {expected:#?}");
    assert_eq!(wine.status()["sound"]["available"], true);
    wine.quit();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn commands_reach_the_program_through_its_pipe() {
    let mut wine = Wine::start("");
    wine.command(&["status"]).ended(69);
    wine.run();
    let account = wine.account();
    wine.notify(&account, message("1", "room", "text"));
    assert_eq!(wine.status()["unread"], 1);
    wine.command(&["pause", "1h"]).ended(0);
    assert!(wine.status()["paused_until"].is_string());
    wine.command(&["resume"]).ended(0);
    assert!(wine.status()["paused_until"].is_null());
    wine.command(&["clear"]).ended(0);
    assert_eq!(wine.status()["unread"], 0);
    let second = wine.command(&["run"]).ended(0);
    assert!(second.stdout.contains("already running"), "{second:?}");
    wine.quit();
    wine.command(&["clear"]).ended(69);
}

#[test]
#[ignore = "make windows builds the program for it"]
fn without_a_notification_service_the_rest_works() {
    let mut wine = Wine::start("");
    wine.run();
    let account = wine.account();
    wine.notify(&account, message("1", "room", "text"));
    let status = wine.wait_for_status("popups are said to be missing", |status| status["popup"]["available"] == false);
    let reason = status["popup"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("no notification service"), "{status}");
    assert_eq!((&status["unread"], &status["inbox"]["unshown"]), (&json!(1), &json!(1)), "{status}");
    let text = wine.command(&["status"]).ended(0).stdout;
    assert!(text.contains("Popups      not available: this Windows has no notification service"), "{text}");
    wine.quit();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn it_ends_well_however_it_is_told_to() {
    let mut wine = Wine::start("");
    // The last entry of the menu; entries are numbered in order of creation, from 1000 on.
    wine.run();
    wine.wait_for_status("the icon is in the tray", |status| status["tray"]["available"] == true);
    for item in (1000..1060).rev() {
        wine.post(HiddenWindow::Tray, wine::WM_COMMAND, item);
        if wine.has_ended() {
            break;
        }
    }
    wine.ends_successfully();
    // Another program asks its windows to close, as the Task Manager does.
    wine.run();
    wine.wine(&["taskkill", "/IM", "pushbell.exe"]);
    wine.ends_successfully();
    // The user signs out.
    wine.run();
    wine.wine(&["wineboot", "--end-session"]);
    wine.ends_successfully();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn a_call_that_comes_after_waking_does_not_ring() {
    let mut wine = Wine::start("");
    wine.run();
    let account = wine.account();
    let call = |id: &str| {
        json!({
            "event_id": format!("${id}"), "room_id": "!room", "room_name": "room", "type": "m.call.invite",
            "sender": "@bob:hs.test", "sender_display_name": "Bob", "prio": "high",
            "content": {"call_id": id, "lifetime": 60_000, "version": "1", "offer": {"type": "offer", "sdp": ""}},
        })
    };
    wine.notify(&account, call("before"));
    assert_eq!(wine.status()["missed_calls"], 0);
    wine.post(HiddenWindow::SystemEvents, wine::WM_POWERBROADCAST, wine::PBT_APMRESUMEAUTOMATIC);
    let mut number = 0;
    wait_until("calls are replayed ones", SOON, || {
        number += 1;
        wine.notify(&account, call(&number.to_string()));
        wine.status()["missed_calls"] != 0
    });
    wine.quit();
}

#[test]
#[ignore = "make windows builds the program for it"]
fn what_it_prints_goes_where_it_was_redirected() {
    let wine = Wine::start("");
    let version = wine.command(&["--version"]).ended(0).stdout;
    assert_eq!(version.trim_end(), format!("pushbell {}", env!("CARGO_PKG_VERSION")));
    let output = wine.wine(&["cmd", "/c", &format!("{} --version > C:\\version.txt", wine.windows_program_path())]);
    assert_eq!(output, "");
    let written = wine.drive_c().join("version.txt");
    let version =
        wait_for("the file is written", SOON, || fs::read_to_string(&written).ok().filter(|text| text.ends_with('\n')));
    fs::remove_file(&written).expect("it is ours");
    assert_eq!(version.trim_end(), format!("pushbell {}", env!("CARGO_PKG_VERSION")));
}

#[test]
#[ignore = "make windows builds the program for it"]
fn it_writes_to_the_console_that_it_was_started_from() {
    let wine = Wine::start("");
    let screen = wine.on_a_terminal(&format!("wine cmd /c start /wait /b Z:{} --version", wine.program().display()));
    assert!(screen.contains(&format!("pushbell {}", env!("CARGO_PKG_VERSION"))), "{screen:?}");
}

#[test]
#[ignore = "make windows builds the program for it"]
fn the_exe_has_icon_and_version_and_opens_no_console() {
    let wine = Wine::start("");
    let dump = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(wine.program()).output().expect("mingw is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let headers = dump("x86_64-w64-mingw32-objdump", &["-p"]);
    assert!(headers.contains("(Windows GUI)"), "{headers}");
    let libraries: Vec<_> = headers
        .lines()
        .filter_map(|line| line.trim().strip_prefix("DLL Name: "))
        .map(str::to_lowercase)
        .filter(|name| !name.starts_with("api-ms-win-"))
        .collect();
    assert!(!libraries.is_empty());
    for library in &libraries {
        let own = wine.drive_c().join("windows/system32").join(library);
        assert!(own.exists(), "{library} is not Windows' own: {libraries:?}");
    }
    let resources = dump("x86_64-w64-mingw32-windres", &["-O", "rc", "-i"]);
    for word in ["ICON", "VERSIONINFO", env!("CARGO_PKG_VERSION"), "\"Pushbell\"", "PerMonitorV2"] {
        assert!(resources.contains(word), "no {word} among the resources");
    }
}
