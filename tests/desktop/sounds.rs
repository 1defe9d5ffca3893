//! Playback: the right sound, once, and nothing when there should be silence.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    app::App,
    listener::{SoundListener, WITH_SOUND, on_sound_server},
};
use crate::rig::{
    DesktopOptions, SOON,
    pushbell::message,
    recording::{Burst, wav},
    wait_until,
};

/// A message whose device has this sound tweak.
fn sounding(event: &str, sound: impl Into<Value>) -> Value {
    let mut push = message(event, "room", "text");
    push["devices"] = json!([{"tweaks": {"sound": sound.into()}}]);
    push
}

#[test]
fn every_tweak_plays_its_sound_and_leaves_no_stream_behind() {
    let app = App::start(
        WITH_SOUND,
        "[sound]\nvolume = 0.8\n[sound.tweaks]\n\"bing.wav\" = \"bing\"\n\"chosen\" = \"own.wav\"\n",
    );
    let listener = SoundListener::on(&app);
    let sounds = app.pushbell.data_directory().join("sounds");
    fs::create_dir_all(sounds.join("directory.wav")).expect("the home is writable");
    fs::write(sounds.join("own.wav"), wav(440.0, 0.5)).expect("the home is writable");
    fs::write(sounds.join("broken.ogg"), "no sound").expect("the home is writable");
    symlink("/dev/zero", sounds.join("endless.wav")).expect("the home is writable");
    fs::write(app.pushbell.home().join("secret.wav"), wav(3000.0, 0.5)).expect("the home is writable");
    let own = [Burst { start: Duration::ZERO, length: Duration::from_millis(500), frequency: 440.0, peak: 0.4 }];
    let path = app.pushbell.home().join("secret.wav").display().to_string();
    let played: [(&str, Value, &[Burst]); 15] = [
        ("default", "default".into(), &listener.default),
        ("from the table", "bing.wav".into(), &listener.bing),
        ("bundled", "bing".into(), &listener.bing),
        ("a ring for a message", "ring".into(), &listener.ring),
        ("own file", "own".into(), &own),
        ("own file by the table", "chosen".into(), &own),
        ("unknown", "no such sound".into(), &listener.default),
        ("true", true.into(), &listener.default),
        ("object", json!({}), &listener.default),
        ("path", path.into(), &listener.default),
        ("relative path", "../../../secret".into(), &listener.default),
        ("4 KB", "x".repeat(4096).into(), &listener.default),
        ("directory", "directory".into(), &listener.default),
        ("broken", "broken".into(), &listener.default),
        ("endless", "endless".into(), &listener.default),
    ];
    for (what, tweak, sound) in played {
        let heard = listener.mark();
        app.push(sounding(what, tweak));
        println!("{what}");
        listener.hears(&app, heard, sound);
    }
    let heard = listener.mark();
    for (what, silent) in [("null", Value::Null), ("false", false.into()), ("empty", "".into())] {
        app.push(sounding(what, silent));
    }
    app.message("no tweaks", "room", "text");
    listener.hears_nothing(heard);
    let status = app.pushbell.status();
    assert_eq!(status["sound"]["available"], true, "{status}");
    // The app has no connection to the sound server: only the recorder and this query have.
    let clients = on_sound_server(&app, "clients");
    assert!(clients.iter().all(|client| client.contains("pacat") || client.contains("pactl")), "{clients:#?}");
}

#[test]
fn a_burst_is_heard_once() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    for number in 0..50 {
        app.push(sounding(&number.to_string(), "default"));
    }
    listener.hears_once(&app, heard, &listener.default);
    app.counts(1);
}

#[test]
fn the_volume_is_the_configured_one() {
    let app = App::start(WITH_SOUND, "[sound]\nvolume = 0.25\n");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.push(sounding("1", "default"));
    let sound = listener.recording.wait_for_bursts(heard, listener.default.len());
    let ratio = sound[0].peak / listener.default[0].peak;
    assert!((0.2..0.3).contains(&ratio), "{ratio}");
}

#[test]
fn nothing_sounds_while_paused_or_with_sounds_off() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    app.pushbell.ok(&["pause"]);
    app.push(sounding("1", "default"));
    listener.hears_nothing(heard);
    app.pushbell.ok(&["resume"]);
    app.shows(0, "text");
    app.pushbell.configure("[sound]\nenabled = false\n");
    wait_until("the change is taken up", SOON, || app.pushbell.log().contains("the configuration has changed"));
    app.push(sounding("2", "default"));
    app.shows(0, "text\ntext");
    listener.hears_nothing(heard);
}

#[test]
fn a_pause_ends_a_ring() {
    let app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    let heard = listener.mark();
    let mut call = sounding("1", "ring");
    call["type"] = "m.call.invite".into();
    call["content"] = json!({"call_id": "c", "lifetime": 60_000});
    app.push(call);
    listener.hears_ring_begin(heard);
    app.pushbell.ok(&["pause", "30m"]);
    listener.wait_for_silence();
}

#[test]
fn without_a_sound_server_the_rest_works_and_status_says_why() {
    let app = App::start(DesktopOptions { sound: None, ..WITH_SOUND }, "");
    app.push(sounding("1", "default"));
    app.shows(0, "text");
    app.counts(1);
    let status = app.pushbell.wait_for_status("the app has noticed", |status| status["sound"]["available"] == false);
    assert!(status["sound"]["reason"].as_str().is_some_and(|reason| reason.contains("sound server")), "{status}");
    assert_eq!(app.pushbell.ok(&["status"]).matches("not available: no sound device").count(), 1);
    assert!(!app.pushbell.log().contains("ALSA lib"), "{}", app.pushbell.log());
}

#[test]
fn a_sound_server_that_hangs_or_dies_delays_nothing() {
    let mut app = App::start(WITH_SOUND, "");
    app.desktop.sound().freeze();
    for number in 1..=3 {
        let start = Instant::now();
        app.push(sounding(&number.to_string(), "default"));
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    }
    app.notifications().wait_for_notify("popups come all the same", |shown| shown.body == "text\ntext\ntext");
    app.desktop.sound().kill();
    app.push(sounding("4", "default"));
    app.shows(0, "1 more\ntext\ntext\ntext");
    app.pushbell.wait_for_status("the app has noticed", |status| status["sound"]["available"] == false);
    assert_eq!(app.pushbell.terminate(), Some(0));
}

#[test]
fn a_sound_plays_where_the_service_says_nothing_about_sounds() {
    let mut app = App::start(WITH_SOUND, "");
    let listener = SoundListener::on(&app);
    app.pushbell.wait_for_status("the service is known", |status| status["popup"]["available"] == true);
    app.desktop.notifier().freeze();
    let mark = listener.mark();
    app.push(sounding("1", "default"));
    listener.hears(&app, mark, &listener.default);
    app.desktop.notifier().thaw();
}
