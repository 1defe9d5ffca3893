//! The desktop's components: present, missing, and hanging.

use std::net::TcpListener;

use crate::{
    report::Report,
    rig::{Desktop, DesktopOptions, Pushbell, SOON, wait_until},
};

#[test]
fn on_a_desktop_where_all_is_well_there_is_no_fault() {
    let desktop = Desktop::start(DesktopOptions::default());
    let mut pushbell = Pushbell::start(&desktop, "");
    desktop.tray_item();
    desktop.notifications().wait_for_notify_since(0, "the welcome", |_| true);
    pushbell.wait_for_status("it has been shown", |status| status["inbox"]["unshown"] == 0);
    let shown = desktop.notifications().len();
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.is_quiet();
    let good = |part: &str, words: &[&str]| report.has("good", part, words);
    good("config", &["pushbell.toml is good"]);
    good("pushbell", &["runs (process "]);
    good("listening", &[&format!("127.0.0.1:{}", pushbell.port)]);
    good("session bus", &[]);
    good("popups", &["dunst 1.9", "actions", "body-markup"]);
    good("tray", &["a panel shows tray icons"]);
    good("sound", &["PulseAudio"]);
    good("screen lock", &[]);
    good("keyring", &["nobody is signed in"]);
    good("autostart", &["is off", "`pushbell autostart on`"]);
    good("database", &["is sound"]);
    good("disk", &["free"]);
    good("accounts", &["1, of which 0 signed in"]);
    good("pusher URL", &["comes back as it should"]);
    report.has("warning", "account", &["home: no push has ever come", "account show home"]);
    report.has("warning", "block list", &["ip_range_whitelist: ['127.0.0.1/32']"]);
    assert_eq!(pushbell.history().len(), 0, "the doctor's own push is kept nowhere");
    assert_eq!(desktop.notifications().len(), shown, "nor is it shown");

    // The text output, too.
    let output = pushbell.command(&["doctor"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("\ngood    popups        dunst"), "{}", output.stdout);
    assert!(output.stdout.ends_with("\n\nNo faults, 2 warnings.\n"), "{}", output.stdout);
    assert!(!output.stdout.contains('\u{1b}'));

    pushbell.ok(&["autostart", "on"]);
    Report::of(&pushbell).has("good", "autostart", &["is on, by the XDG autostart entry"]);

    // dunst's "do not disturb".
    desktop.pause_dunst(true);
    Report::of(&pushbell).has("warning", "sound", &["do not disturb", "quiet.follow_desktop"]);
    desktop.pause_dunst(false);

    // A sound that cannot be played.
    let sounds = pushbell.data_directory().join("sounds");
    std::fs::create_dir_all(&sounds).unwrap();
    std::fs::write(sounds.join("talk.m4a"), b"\0\0\0\x20ftypM4A ").unwrap();
    Report::of(&pushbell).has("warning", "sound", &["talk.m4a", "it is no WAV"]);
    assert!(pushbell.ok(&["status"]).contains("talk.m4a: it is no WAV"));
    assert!(pushbell.ok(&["status", "--json"]).contains("talk.m4a: it is no WAV"));
    std::fs::remove_file(sounds.join("talk.m4a")).unwrap();

    // Paused, then without the program.
    pushbell.ok(&["pause", "2h"]);
    Report::of(&pushbell).has("warning", "pushbell", &["paused until 20", "`pushbell resume`"]);
    let account = pushbell.account();
    pushbell.terminate();
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.is_quiet();
    report.has("warning", "pushbell", &["not running", "`pushbell`"]);
    report.has("good", "listening", &["is free"]);
    report.has("good", "popups", &["dunst"]);
    report.has("good", "sound", &["PulseAudio"]);
    report.has("good", "database", &["is sound"]);
    report.has("warning", "pusher URL", &["only be tried while"]);
    assert!(!format!("{report:?}").contains(&account.pushkey), "a pushkey is a secret");

    // Another program has bound the port.
    let taken = TcpListener::bind(("127.0.0.1", pushbell.port)).unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["listening"]);
    report.has("fault", "listening", &[" is in use by another program", "server.listen"]);
    drop(taken);

    // Another process holds the lock and does not answer.
    let lock = std::fs::File::open(pushbell.data_directory().join("pushbell.lock")).unwrap();
    lock.lock().unwrap();
    let report = Report::of(&pushbell);
    report.faults(&["pushbell"]);
    report.has("fault", "pushbell", &["pushbell.lock is held by", "End that process"]);
}

#[test]
fn a_part_that_is_not_there_is_named() {
    let mut desktop = Desktop::start(DesktopOptions::BARE);
    let mut pushbell = Pushbell::start(&desktop, "");
    for running in [true, false] {
        if !running {
            pushbell.terminate();
        }
        let report = Report::of(&pushbell);
        report.faults(&["popups"]);
        report.is_quiet();
        report.has("fault", "popups", &["no notification service", "dunst"]);
        report.has("warning", "tray", &["nothing shows the icon", "add a tray to the panel"]);
        report.has("warning", "sound", &["nothing to play on", "PipeWire"]);
    }
    pushbell.set_env("XDG_CURRENT_DESKTOP", "ubuntu:GNOME");
    Report::of(&pushbell).has("warning", "tray", &["GNOME", "gnome-shell-extension-appindicator"]);
    // Disabled features need nothing.
    pushbell.configure("[popup]\nenabled = false\n[sound]\nenabled = false");
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.has("good", "popups", &["turned off"]);
    report.has("good", "sound", &["turned off"]);
    pushbell.configure("[popup]\npreview = \"unlocked\"");
    Report::of(&pushbell).has("warning", "screen lock", &["nobody can say", "popup.preview"]);
    let plain = desktop.fake_notifier(&["body"]);
    let report = Report::of(&pushbell);
    report.faults(&[]);
    report.has("warning", "popups", &["no actions"]);
    drop(plain);

    desktop.kill_bus();
    let report = Report::of(&pushbell);
    report.faults(&["session bus", "popups"]);
    report.has("fault", "session bus", &["there is none", "SSH"]);
    let output = pushbell.command(&["doctor"]);
    assert!(output.stdout.ends_with("Begin with: session bus.\n"), "{}", output.stdout);
}

#[test]
fn a_part_that_hangs_is_a_finding_and_no_wait() {
    let mut desktop = Desktop::start(DesktopOptions::default());
    let mut pushbell = Pushbell::start(&desktop, "");
    desktop.notifier().freeze();
    desktop.tray().freeze();
    desktop.sound().freeze();
    let report = Report::of(&pushbell);
    report.faults(&["popups", "tray", "sound"]);
    report.has("fault", "popups", &["does not answer"]);
    report.has("fault", "tray", &["does not answer", "panel"]);
    report.has("fault", "sound", &["does not answer", "pulse"]);
    report.has("good", "session bus", &[]);
    desktop.notifier().thaw();
    desktop.tray().thaw();
    desktop.sound().thaw();

    desktop.bus().freeze();
    let report = Report::of(&pushbell);
    report.has("fault", "session bus", &["does not answer"]);
    desktop.bus().thaw();

    pushbell.app().freeze();
    let report = Report::of(&pushbell);
    report.has("fault", "pushbell", &["Pushbell runs, but does not answer"]);
    pushbell.app().thaw();
    wait_until("all is well again", SOON, || Report::of(&pushbell).code == 0);
}
