//! The desktop's do-not-disturb: no sounds, not even for calls, and mentions have normal urgency.

use std::{fs, os::unix::fs::symlink, time::Duration};

use serde_json::json;
use zbus::zvariant::Value;

use super::app::App;
use crate::rig::{
    Desktop, DesktopOptions, Notifier, Notify, Pushbell, Recording, SOON, Sound, bus, process, pushbell::message,
    wait_until,
};

/// Pushes a mention and a call that both request a sound.
fn disturb(app: &App, number: u32) -> u64 {
    let mark = app.mark();
    let shown =
        |what: &str, fits: &dyn Fn(&Notify) -> bool| app.notifications().wait_for_notify_since(mark, what, fits);
    let mut mention = message(&format!("mention-{number}"), "m:hs.test", "you: ready?");
    mention["devices"] = json!([{"tweaks": {"highlight": true, "sound": "default"}}]);
    app.push(mention);
    let mention = shown("the mention is shown", &|notify| notify.body.contains("ready?"));
    let mut call = message(&format!("call-{number}"), "c:hs.test", "");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": format!("call-{number}"), "lifetime": 60_000, "version": 0});
    call["devices"] = json!([{"tweaks": {"sound": "ring"}}]);
    app.push(call);
    shown("the call is shown", &|notify| notify.summary == "Bob is calling");
    mention.hints["urgency"].as_u64().expect("a number")
}

/// Checks that the app follows the desktop. `switch` turns its do-not-disturb on or off.
#[track_caller]
pub(super) fn is_followed(app: &App, switch: &dyn Fn(bool)) {
    let recording = Recording::start(&app.desktop);
    switch(true);
    assert_eq!(disturb(app, 1), 1, "the mention is of normal urgency");
    recording.listen(Duration::from_secs(1));
    assert_eq!(recording.bursts(), []);
    app.unread(0);
    switch(false);
    let heard = recording.length();
    disturb(app, 2);
    wait_until("something sounds", SOON, || !recording.bursts_since(heard).is_empty());
}

/// Makes the app and the desktop's programs share the same settings, in files.
pub(super) fn share_settings(desktop: &Desktop, pushbell: &mut Pushbell) {
    pushbell.set_env("GSETTINGS_BACKEND", "keyfile");
    for name in ["glib-2.0", "lxqt"] {
        let shared = desktop.directory().join("home/.config").join(name);
        fs::create_dir_all(&shared).expect("the home is writable");
        symlink(shared, pushbell.home().join(".config").join(name)).expect("the home is writable");
    }
}

/// Sets a `GSettings` key, as the desktop's own programs do.
pub(super) fn set(desktop: &Desktop, schema: &str, key: &str, value: bool) {
    let mut env = desktop.env().to_vec();
    env.retain(|(name, _)| name != "GSETTINGS_BACKEND");
    env.push(("GSETTINGS_BACKEND".to_owned(), "keyfile".to_owned()));
    process::run("gsettings", &["set", schema, key, if value { "true" } else { "false" }], &env);
}

fn start(notifier: Notifier) -> App {
    let options = DesktopOptions { notifier: Some(notifier), sound: Some(Sound::Pulse), ..DesktopOptions::BARE };
    let desktop = Desktop::start(options);
    let mut pushbell = Pushbell::prepare(&desktop, "");
    share_settings(&desktop, &mut pushbell);
    pushbell.ok(&["account", "add", "home"]);
    pushbell.run();
    let account = pushbell.account_named("home");
    App { pushbell, account, desktop }
}

#[test]
fn dunst_that_is_paused_silences_sounds_and_calls() {
    let app = start(Notifier::Dunst);
    is_followed(&app, &|on| app.desktop.pause_dunst(on));
}

#[test]
fn do_not_disturb_of_xfce_silences_sounds_and_calls() {
    let app = start(Notifier::Xfce4Notifyd);
    let connection = app.desktop.connect();
    let settings = ("org.xfce.Xfconf", "/org/xfce/Xfconf", "org.xfce.Xfconf");
    is_followed(&app, &|on| {
        let value = ("xfce4-notifyd", "/do-not-disturb", Value::Bool(on));
        bus::block_on(bus::call(&connection, settings, "SetProperty", &value)).expect("xfconfd takes it");
    });
}

#[test]
fn do_not_disturb_of_mate_silences_sounds_and_calls() {
    let app = start(Notifier::MateNotificationDaemon);
    is_followed(&app, &|on| set(&app.desktop, "org.mate.NotificationDaemon", "do-not-disturb", on));
}

#[test]
fn do_not_disturb_of_lxqt_silences_sounds_and_calls() {
    let app = start(Notifier::LxqtNotificationd);
    let file = app.desktop.directory().join("home/.config/lxqt/notifications.conf");
    is_followed(&app, &|on| fs::write(&file, format!("[General]\ndoNotDisturb={on}\n")).expect("it is writable"));
}
