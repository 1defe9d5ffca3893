//! The first start, the contents of the log, and an idle app.

use std::{fs, time::Duration};

use pushbell::app_info;
use serde_json::json;

use super::{
    app::App,
    listener::{SoundListener, WITH_SOUND},
};
use crate::rig::{
    Desktop, DesktopOptions, OnNotify, Pushbell, Recording, SOON, TrayHost, pushbell::message, wait_for, wait_until,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pushbell");

const WHOLE: DesktopOptions = DesktopOptions { tray: Some(TrayHost::Xfce4Panel), ..WITH_SOUND };

#[test]
fn the_first_start_on_a_bare_home() {
    let desktop = Desktop::start(WHOLE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    fs::remove_dir_all(pushbell.home()).expect("it is ours");
    fs::create_dir(pushbell.home()).expect("it is ours");
    pushbell.port = app_info::DEFAULT_PORT;
    pushbell.run();

    // The commented default configuration exists and is valid.
    let config = fs::read_to_string(pushbell.config_file()).expect("the configuration was written");
    assert!(
        config.contains("# what a click opens") && config.contains(&app_info::DEFAULT_PORT.to_string()),
        "{config}"
    );
    pushbell.ok(&["check-config"]);

    // The registration instructions were printed, not logged.
    let account = pushbell.account_named("home");
    let (printed, logged) = (pushbell.app().stdout(), pushbell.app().stderr());
    for told in [&account.app_id, &account.pushkey, &pushbell.url()] {
        assert!(printed.contains(told), "{told} is not in: {printed}");
    }
    assert!(printed.contains("pushers/set"), "{printed}");
    assert!(!logged.contains(&account.pushkey[..8]), "{logged}");

    // Everything that it has created is private.
    let mut directories = vec![pushbell.home()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).expect("readable").flatten() {
            let metadata = entry.metadata().expect("readable");
            let others = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077;
            let ours = entry.path().display().to_string().contains(app_info::DIRECTORY_NAME);
            assert!(!ours || others == 0, "{}: {others:o}", entry.path().display());
            if metadata.is_dir() {
                directories.push(entry.path());
            }
        }
    }

    // A popup, the icon, and how to connect a homeserver.
    let welcome = desktop.notifications().wait_for_notify("the welcome", |shown| shown.summary == "Pushbell is ready");
    assert!(welcome.answer.is_some(), "{welcome:?}");
    desktop.dunst("NotificationAction", Some(0));
    let opened = wait_for("the page opens at the set-up", SOON, || pushbell.opened().pop());
    assert!(opened.0.contains("/enter?to=setup&token="), "{opened:?}");
    let item = desktop.tray_item();
    assert!(item.menu_labels().contains(&"Connect a homeserver…".to_owned()));

    // A test push shows a popup, plays a sound and counts.
    let recording = Recording::start(&desktop);
    let sounds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds");
    let default = recording.reference(&desktop, &sounds.join("default.ogg"));
    let mark = recording.length();
    pushbell.ok(&["test"]);
    desktop.notifications().wait_for_notify("the test", |shown| {
        shown.summary == "Major Tom in Mission Control" && shown.body == "This is a test message."
    });
    let heard = recording.wait_for_bursts(mark, 1);
    assert!((heard[0].frequency - default[0].frequency).abs() <= 10.0, "{heard:#?}");
    pushbell.wait_for_status("it counts", |status| status["unread"] == 1);
    wait_until("the menu counts", SOON, || item.menu_labels()[0] == "1 unread");
    assert!(item.menu_labels().contains(&"Connect a homeserver…".to_owned()), "a test is no homeserver's push");

    // The second start prints none of that.
    assert_eq!(pushbell.terminate(), Some(0));
    let before = pushbell.log().matches(&account.pushkey).count();
    pushbell.run();
    assert_eq!(pushbell.account_named("home"), account);
    assert_eq!(pushbell.log().matches(&account.pushkey).count(), before);
}

#[test]
fn a_first_start_tells_the_journal_no_pushkey() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let journal = r#"exec 3>&1; JOURNAL_STREAM=$(stat -L -c %d:%i /dev/fd/3) exec "$0" "$@""#;
    pushbell.launch_under(&["/bin/sh", "-c", journal], &["run"]);
    pushbell.wait_until_ready();
    let (pushkey, log) = (pushbell.account_named("home").pushkey, pushbell.log());
    assert!(log.contains(&format!("`{PROGRAM} account show home` says how")), "{log}");
    assert!(!log.contains(&pushkey), "{log}");
}

#[test]
fn the_command_that_a_first_start_prints_can_be_typed() {
    let desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    let types = |pushbell: &Pushbell, command: &str| {
        let mut shell = std::process::Command::new("/bin/sh");
        let output =
            shell.args(["-c", &format!("{command} --version")]).env_clear().envs(pushbell.env().iter().cloned());
        output.output().expect("there is a shell").status.success()
    };
    pushbell.run();
    let printed = wait_for("the welcome is printed", SOON, || {
        let printed = pushbell.app().stdout();
        printed.contains("sends a test push").then_some(printed)
    });
    let command = printed.split('`').find_map(|quoted| quoted.strip_suffix(" login @you:example.org"));
    let command = command.unwrap_or_else(|| panic!("no login is in: {printed}"));
    assert!(types(&pushbell, command) && !types(&pushbell, "pushbell"), "{command}");
}

#[test]
fn every_kind_of_test_push_does_what_it_is_for() {
    let app = App::start(super::app::DUNST, "");
    let test = |kind: &str| {
        let mark = app.mark();
        app.pushbell.ok(&["test", "--kind", kind]);
        mark
    };
    let mark = test("message");
    assert_eq!(app.titled(mark, "Major Tom in Mission Control").hints["urgency"], 1);
    app.counts(1);
    let mark = test("mention");
    assert_eq!(app.titled(mark, "Major Tom mentioned you in Mission Control").hints["urgency"], 2);
    app.counts(2);
    let mark = test("call");
    assert_eq!(app.titled(mark, "Major Tom is calling").hints["category"], "call.incoming");
    app.counts(3);
    let mark = test("invite");
    app.titled(mark, "Major Tom invites you to Secret Plans");
    app.counts(4);
    let mark = test("encrypted");
    app.notifications().wait_for_notify_since(mark, "it is shown", |shown| shown.body.ends_with("Encrypted message"));
    app.counts(5);
    let mark = test("badge");
    app.counts(6);
    app.shows_nothing(mark);
}

#[test]
fn a_test_push_proves_nothing_about_a_homeserver() {
    let app = App::start(super::app::DUNST, "");
    let account = || app.pushbell.status()["accounts"][0].clone();
    for kind in ["message", "mention", "invite", "encrypted", "badge"] {
        app.pushbell.ok(&["test", "--kind", kind]);
    }
    app.counts(5);
    assert_eq!(account()["last_push"], json!(null));
    let doctor = app.pushbell.command(&["doctor"]);
    assert!(doctor.stdout.contains("no push has ever come") && !doctor.stdout.contains("All is well"), "{doctor:?}");
    app.pushbell.ok(&["clear"]);
    app.counts(0);

    // The homeserver is still known to send no `counts`, so the app counts the notices itself.
    let mut uncounted = message("1", "room", "text");
    uncounted["counts"] = json!(null);
    app.push(uncounted);
    app.counts(1);
    assert!(account()["last_push"].is_string());
    // The server's count and a test push.
    app.unread(4);
    app.pushbell.ok(&["test"]);
    app.counts(5);
    app.unread(3);
    app.counts(4);
    app.pushbell.ok(&["clear"]);
    app.counts(0);
    // A push that claims to be a test but lacks the test's number is treated as a homeserver's.
    let mut forged = message("2", "room", "text");
    forged["devices"] = json!([{"data": {"org.pushbell.sample": "a number of nobody's"}}]);
    forged["counts"] = json!({"unread": 7});
    app.push(forged);
    app.counts(7);
}

#[test]
fn nothing_private_is_logged_however_much_is_logged() {
    let mut app = App::start(WHOLE, "[log]\nlevel = \"trace\"\n[popup]\nopen = [\"no-such-client\", \"{room}\"]\n");
    app.pushbell.terminate();
    app.pushbell.launch(&["--log-level", "trace", "run"]);
    wait_until("it runs", SOON, || app.pushbell.command(&["status"]).code == 0);
    let private = |event: &str, kind: &str, content: serde_json::Value| {
        let mut push = message(event, "Privateroom", "");
        push["type"] = kind.into();
        push["sender"] = "@privatesender:hs.test".into();
        push["sender_display_name"] = "Privatename".into();
        push["content"] = content;
        push["devices"] = json!([{"tweaks": {"sound": "privatesound", "highlight": true}}]);
        push
    };
    app.push(private("1", "m.room.message", json!({"msgtype": "m.text", "body": "privatebody"})));
    app.shows(0, "privatebody");
    app.push(private("2", "m.call.invite", json!({"call_id": "privatecall", "lifetime": 300})));
    app.missed_calls(1);
    app.push(private("3", "m.room.member", json!({"membership": "invite", "reason": "privatereason"})));
    app.push(private("4", "privatetype", json!({"privatekey": ["privatevalue"]})));
    app.push(private("4", "privatetype", json!({"privatekey": ["privatevalue"]})));
    let deep = format!("{{\"body\": {}\"privatedeep\"{}}}", "[".repeat(5000), "]".repeat(5000));
    let body = crate::rig::pushbell::address(&app.account, private("5", "m.room.message", json!("DEEP"))).to_string();
    assert_eq!(app.pushbell.post(body.replace("\"DEEP\"", &deep)).status, 200);
    for broken in ["{\"privatebroken\": ", "[\"privatelist\"]", "{\"notification\": {\"devices\": \"privatedevices\"}}"]
    {
        assert_eq!(app.pushbell.post(broken).status, 400);
    }
    let mut stranger = app.account.clone();
    stranger.pushkey = "privatestranger-with-a-long-key".to_owned();
    app.pushbell.push(&crate::rig::pushbell::address(&stranger, message("6", "Privateroom", "privatebody")));
    crate::rig::http::request(app.pushbell.port, &hyper::Method::POST, "/privatepath?key=privatequery", None, "{}")
        .expect("it answers");
    app.desktop.dunst("NotificationAction", Some(0));
    app.titled(0, "It could not be opened");
    app.desktop.tray_item().activate();
    app.pushbell.ok(&["test"]);
    app.pushbell.ok(&["history"]);
    app.pushbell.ok(&["pause"]);
    app.pushbell.ok(&["resume"]);
    app.pushbell.ok(&["clear"]);
    app.pushbell.write_config("[popup]\nopen = 7\n");
    app.titled(0, "The configuration has a fault");
    app.pushbell.ok(&["account", "add", "Privateaccount"]);
    // A service may quote the popup in its error message.
    app.desktop.kill_notifier();
    let fake = app.desktop.fake_notifier(&["body"]);
    fake.on_notify(OnNotify::Fail("no room for privatebody"));
    app.push(private("7", "m.room.message", json!({"msgtype": "m.text", "body": "privatebody"})));
    wait_until("the refusal is logged", SOON, || app.pushbell.log().contains("refused the popup"));
    app.pushbell.terminate();
    app.pushbell.launch(&["--log-level", "trace", "run"]);
    let log = app.pushbell.log();
    assert!(log.contains("DEBUG"), "it logs much: {log}");
    for line in log.lines() {
        let lower = line.to_lowercase();
        assert!(
            !lower.contains("private") && !lower.contains("major tom") && !lower.contains("test message"),
            "{line}"
        );
        assert!(!line.contains(&app.account.pushkey), "{line}");
    }
}

/// The number of threads and of their voluntary context switches, each of which was a wakeup.
fn switches(pid: u32) -> Option<(usize, u64)> {
    let mut sum = 0;
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        sum += line.trim().parse::<u64>().ok()?;
        threads += 1;
    }
    Some((threads, sum))
}

#[test]
fn an_idle_app_does_not_wake() {
    const TIME: Duration = Duration::from_secs(10);
    let mut app = App::start(WHOLE, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    let mut push = message("1", "room", "text");
    push["devices"] = json!([{"tweaks": {"sound": "default"}}]);
    app.push(push);
    app.shows(0, "text");
    listener.hears(&app, heard, &listener.default);
    let mut call = message("2", "room", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "c", "lifetime": 500});
    call["devices"] = json!([{"tweaks": {"sound": "ring"}}]);
    app.push(call);
    app.missed_calls(1);
    listener.wait_for_silence();
    app.pushbell.ok(&["clear"]);
    let pid = app.pushbell.app().pid();
    // Idle threads of libraries end after some seconds.
    let mut measured = Vec::new();
    let idle = (0..3).any(|_| {
        let before = switches(pid).expect("the app runs");
        // A fixed measuring period, not a wait for a condition.
        std::thread::sleep(TIME);
        let after = switches(pid).expect("the app runs");
        let woke = after.1.saturating_sub(before.1);
        measured.push(format!("{} threads, then {}: {woke} wakings in {TIME:?}", before.0, after.0));
        before.0 == after.0 && woke <= 5
    });
    println!("{measured:#?}");
    assert!(idle, "{measured:#?}");
}
