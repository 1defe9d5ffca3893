//! Sounds on real components: a player in a process of its own, a private PulseAudio with a null sink, and a recording
//! of its output.

#![cfg(target_os = "linux")]

#[cfg(test)]
#[path = "sounds/rig.rs"]
mod rig;

use std::{fs, os::unix::fs::symlink, process::Command, time::Duration};

use pushbell::{config, desktop::DesktopEvent, notice::NoticeId, push::notify::SoundTweak, sound::Player};
use rig::{HeardSound, Rig, run};

const DEFAULT: u32 = 1047;
const BING: u32 = 1760;
const RING: u32 = 587;

/// The process under test: a player controlled by lines on its standard input.
#[test]
#[ignore = "started by the other tests, as a process of its own"]
fn player_process() {
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _runtime = runtime.enter();
    let settings = config::Sound { enabled: true, volume: 1.0, directory: None, tweaks: [].into() };
    let sounds = std::env::var_os("RIG_SOUNDS").expect("not to be run by itself");
    let player = Player::start(settings.clone(), sounds.into(), sender);
    std::thread::spawn(move || {
        while let Some(event) = events.blocking_recv() {
            let DesktopEvent::Sound(state) = event else { panic!("{event:?}") };
            println!("\n> {} {}", state.available, state.reason.unwrap_or_default());
        }
    });
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words = line.splitn(3, ' ').collect::<Vec<_>>();
        let sound = |name: &str| SoundTweak::Named(name.to_owned());
        match words[..] {
            ["play", name] => player.play(&sound(name)),
            ["silent"] => player.play(&SoundTweak::Silent),
            ["unusable"] => player.play(&SoundTweak::Unusable),
            ["ring", call, name] => player.ring(NoticeId(call.parse().unwrap()), &sound(name)),
            ["stop", call] => player.stop_ringing(NoticeId(call.parse().unwrap())),
            ["stop-all"] => player.stop_all(),
            ["volume", volume] => {
                player.configure(config::Sound { volume: volume.parse().unwrap(), ..settings.clone() });
            }
            ["off"] => player.configure(config::Sound { enabled: false, ..settings.clone() }),
            _ => panic!("{line:?}"),
        }
        println!("\n> done");
    }
}

fn frequencies(sounded: &[HeardSound]) -> Vec<u32> {
    sounded.iter().map(|sound| sound.frequency).collect()
}

#[track_caller]
fn assert_heard(sounded: &[HeardSound], expected: &[u32]) {
    let near = sounded.len() == expected.len()
        && sounded.iter().zip(expected).all(|(sound, expected)| sound.frequency.abs_diff(*expected) <= 8);
    assert!(near, "expected {expected:?} Hz, heard {sounded:?}");
}

#[test]
fn each_bundled_sound_is_heard_once_and_leaves_nothing_behind() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    for (name, frequency, milliseconds) in [
        ("play default", DEFAULT, 700..1450),
        ("play bing", BING, 700..1750),
        ("play bing.wav", BING, 700..1750),
        ("play ring", RING, 1700..2700),
        ("unusable", DEFAULT, 700..1450),
    ] {
        let sounded = rig.hear(name);
        assert_heard(&sounded, &[frequency]);
        assert!(milliseconds.contains(&sounded[0].milliseconds), "{name}: {sounded:?}");
        assert!((0.65..0.74).contains(&sounded[0].peak), "{name}: {sounded:?}");
    }
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
    rig.wait_until("no connection is left", |rig| !rig.pactl(&["list", "clients"]).contains("cpal"));
    assert_eq!(rig.events(), ["true PulseAudio"], "said once");
    assert_eq!(rig.errors(), "");
}

#[test]
fn a_burst_sounds_once_and_the_next_sound_is_heard_again() {
    let mut rig = Rig::start();
    rig.send("silent");
    for _ in 0..25 {
        rig.send("play bing");
    }
    rig.wait_until("it is heard", Rig::is_playing);
    for _ in 0..25 {
        rig.send("play default");
    }
    assert_heard(&rig.heard(), &[BING]);
    assert_heard(&rig.hear("play default"), &[DEFAULT]);
}

#[test]
fn a_ring_repeats_until_it_is_stopped_then_the_next_is_heard() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    rig.send("ring 1 ring");
    rig.send("ring 2 bing");
    rig.send("play default");
    rig.wait_until("the phrase was heard twice, and again", |rig| rig.sounded().len() == 3);
    assert_heard(&rig.sounded()[..2], &[RING, RING]);
    rig.send("stop 1");
    rig.wait_until("the bell rings", |rig| frequencies(&rig.sounded()).last().is_some_and(|last| *last > 1700));
    rig.send("stop 2");
    let sounded = rig.heard();
    assert_heard(&sounded[..2], &[RING, RING]);
    let bells = sounded.iter().filter(|sound| sound.frequency.abs_diff(BING) <= 8).count();
    assert!((1..=3).contains(&bells) && frequencies(&sounded).is_sorted(), "{sounded:?}");
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
}

#[test]
fn a_stopped_ring_falls_silent_at_once_and_without_a_click() {
    let mut rig = Rig::start();
    run(Command::new("sox")
        .args(["-n", "-r", "44100", "-c", "2"])
        .arg(rig.sound("steady.wav"))
        .args(["synth", "60", "sine", "400", "gain", "-3"]));
    rig.send("ring 1 steady");
    rig.wait_until("it is heard", |rig| rig.sounded().first().is_some_and(|sound| sound.milliseconds > 500));
    let before = rig.recorded();
    rig.send("stop 1");
    rig.wait_until("the stream is closed", |rig| !rig.is_playing());
    assert!(rig.recorded().saturating_sub(before) < Duration::from_millis(1500), "it rang on");
    assert_heard(&rig.heard(), &[400]);
    // A sine of 400 Hz at this level moves 0.04 from one sample to the next; a cut would be a jump to zero.
    assert!(rig.largest_final_step() < 0.06, "a click: {}", rig.largest_final_step());
}

#[test]
fn the_persons_own_files_are_played_by_name() {
    let mut rig = Rig::start();
    let tone = |rig: &Rig, name: &str, frequency: &str, rate: &str, channels: &str| {
        run(Command::new("sox")
            .args(["-n", "-b", "16", "-r", rate, "-c", channels])
            .arg(rig.sound(name))
            .args(["synth", "0.8", "sine", frequency, "fade", "t", "0.02", "0", "0.02", "gain", "-6"]));
    };
    tone(&rig, "one.wav", "800", "44100", "2");
    tone(&rig, "two.flac", "1200", "48000", "1");
    tone(&rig, "x.wav", "1500", "32000", "1");
    run(Command::new("oggenc").arg("--quiet").arg(rig.sound("x.wav")).arg("-o").arg(rig.sound("three.ogg")));
    tone(&rig, "x.wav", "2000", "44100", "2");
    run(Command::new("lame").arg("--quiet").arg(rig.sound("x.wav")).arg(rig.sound("four.mp3")));
    tone(&rig, "bing.wav", "2500", "96000", "1");
    for (name, frequency) in
        [("one", 800), ("one.wav", 800), ("two", 1200), ("three", 1500), ("four", 2000), ("bing", 2500)]
    {
        assert_heard(&rig.hear(&format!("play {name}")), &[frequency]);
    }
    assert_eq!(rig.errors(), "");
}

#[test]
fn opus_in_ogg_is_played() {
    let mut rig = Rig::start();
    let wav = rig.sound("x.wav");
    let tone = |frequency: &str, channels: &str| {
        run(Command::new("sox")
            .args(["-n", "-b", "16", "-r", "48000", "-c", channels])
            .arg(&wav)
            .args(["synth", "0.8", "sine", frequency, "fade", "t", "0.02", "0", "0.02", "gain", "-6"]));
    };
    let encode = |rig: &Rig, name: &str, options: &[&str]| {
        run(Command::new("opusenc").arg("--quiet").args(options).arg(&wav).arg(rig.sound(name)));
    };
    tone("800", "2");
    encode(&rig, "music.opus", &["--music"]);
    tone("600", "1");
    encode(&rig, "speech.ogg", &["--speech", "--bitrate", "12"]);
    tone("1200", "6");
    encode(&rig, "surround.opus", &["--bitrate", "256"]);
    for (name, frequency) in [("music", 800), ("speech", 600), ("surround", 1200)] {
        let sounded = rig.hear(&format!("play {name}"));
        assert_heard(&sounded, &[frequency]);
        assert!((700..900).contains(&sounded[0].milliseconds) && sounded[0].peak > 0.1, "{name}: {sounded:?}");
    }
    assert_eq!(rig.errors(), "");
}

#[test]
fn a_wav_file_from_a_pipe_is_played_as_far_as_it_goes() {
    let mut rig = Rig::start();
    let whole = rig.sound("whole.wav");
    run(Command::new("sox").args(["-n", "-b", "16", "-r", "44100"]).arg(&whole).args(["synth", "0.8", "sine", "900"]));
    let mut bytes = fs::read(&whole).unwrap();
    for (name, length) in [("unknown", u32::MAX), ("zero", 0), ("cut", 80_000)] {
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        fs::write(rig.sound(&format!("{name}.wav")), &bytes).unwrap();
        assert_heard(&rig.hear(&format!("play {name}")), &[900]);
    }
}

#[test]
fn channels_that_the_device_lacks_are_heard() {
    let mut rig = Rig::start();
    // Only one of six channels contains sound, each at a different frequency.
    for (channel, frequency) in [(1, "500"), (2, "700"), (3, "900"), (4, "1100"), (5, "1300"), (6, "1500")] {
        let mix: Vec<_> = (1..=6).map(|other| if other == channel { "1" } else { "0" }).collect();
        run(Command::new("sox")
            .args(["-n", "-b", "16", "-r", "48000"])
            .arg(rig.sound(&format!("c{channel}.wav")))
            .args(["synth", "0.6", "sine", frequency, "gain", "-3", "remix"])
            .args(mix));
        assert_heard(&rig.hear(&format!("play c{channel}")), &[frequency.parse().unwrap()]);
    }
}

#[test]
fn the_desktops_sound_theme_is_the_last_resort() {
    let mut rig = Rig::start();
    let theme = rig.home().join("share/sounds/freedesktop/stereo");
    fs::create_dir_all(&theme).unwrap();
    let wav = rig.sound("x.wav");
    run(Command::new("sox").args(["-n", "-b", "16", "-r", "44100"]).arg(&wav).args(["synth", "0.8", "sine", "900"]));
    run(Command::new("oggenc").arg("--quiet").arg(wav).arg("-o").arg(theme.join("bell.oga")));
    assert_heard(&rig.hear("play bell"), &[900]);
}

#[test]
fn whatever_cannot_be_played_is_heard_as_the_default() {
    let mut rig = Rig::start();
    fs::create_dir(rig.sound("folder")).unwrap();
    fs::create_dir(rig.sound("folder2.wav")).unwrap();
    run(Command::new("mkfifo").arg(rig.sound("pipe")));
    run(Command::new("sox")
        .args(["-n", "-r", "8000", "-b", "8"])
        .arg(rig.sound("hours.flac"))
        .args(["synth", "7200", "sine", "400"]));
    let sparse = fs::File::create(rig.sound("sparse.wav")).unwrap();
    sparse.set_len(2 * 60 * 60 * 48_000 * 4).unwrap();
    fs::write(rig.sound("broken.wav"), b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\0\0\0\0").unwrap();
    fs::write(rig.sound("talk.wav"), b"\0\0\0\x20ftypM4A isomiso2").unwrap();
    fs::write(rig.sound("text.ogg"), "To be or not to be, that is the question.").unwrap();
    symlink("/dev/zero", rig.sound("endless")).unwrap();
    symlink("round.wav", rig.sound("round.wav")).unwrap();
    // A regular file whose beginning not even root can read.
    symlink("/proc/self/mem", rig.sound("unreadable.wav")).unwrap();
    assert!(fs::metadata(rig.sound("hours.flac")).unwrap().len() < 32 << 20, "refused for its length, not its size");
    for name in [
        "folder",
        "folder2",
        "pipe",
        "hours",
        "sparse",
        "talk",
        "broken",
        "text",
        "endless",
        "round",
        "unreadable",
        "missing",
        "../outside",
    ] {
        assert_heard(&rig.hear(&format!("play {name}")), &[DEFAULT]);
    }
    assert_eq!(rig.events(), ["true PulseAudio"]);
}

#[test]
fn the_volume_is_obeyed_and_off_is_off() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    rig.send("volume 0.25");
    let sounded = rig.hear("play default");
    assert_heard(&sounded, &[DEFAULT]);
    assert!((0.16..0.19).contains(&sounded[0].peak), "{sounded:?}");
    rig.send("ring 1 ring");
    rig.wait_until("it rings", Rig::is_playing);
    rig.send("off");
    rig.wait_until("it is silent", |rig| !rig.is_playing() && rig.threads() == idle);
    rig.send("ring 2 ring");
    rig.send("play bing");
    assert_eq!(rig.threads(), idle, "nothing is even tried");
}

#[test]
fn without_a_sound_server_it_says_why_until_there_is_one() {
    let mut rig = Rig::start();
    rig.kill_server();
    let idle = rig.threads();
    rig.send("play default");
    let event = rig.next_event();
    assert!(event.starts_with("false no sound device: start a sound server"), "{event}");
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
    assert!(rig.errors().lines().count() <= 30, "{}", rig.errors());
    rig.start_server();
    rig.wait_until("it is heard", |rig| {
        rig.send("play bing");
        rig.is_playing()
    });
    assert_heard(&rig.heard(), &[BING]);
    assert_eq!(rig.next_event(), "true PulseAudio");
}

#[test]
fn a_sound_server_that_dies_takes_nothing_with_it() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    rig.send("ring 1 ring");
    rig.wait_until("it rings", Rig::is_playing);
    assert_eq!(rig.next_event(), "true PulseAudio");
    rig.kill_server();
    let event = rig.next_event();
    assert!(event.starts_with("false the sound device went away while it played"), "{event}");
    rig.start_server();
    rig.wait_until("it rings again", Rig::is_playing);
    rig.send("stop 1");
    assert!(!rig.heard().is_empty());
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
    assert!(rig.errors().lines().count() <= 30, "{}", rig.errors());
}

#[test]
fn without_pulseaudio_it_plays_through_alsa() {
    let mut rig = Rig::start_with_alsa();
    let idle = rig.threads();
    assert_heard(&rig.hear("play bing"), &[BING]);
    assert_eq!(rig.next_event(), "true ALSA");
    rig.send("ring 1 ring");
    rig.wait_until("it rings", Rig::is_playing);
    rig.kill_server();
    let event = rig.next_event();
    assert!(event.starts_with("false "), "{event}");
    rig.send("stop 1");
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
    assert!(rig.errors().lines().count() <= 30, "{}", rig.errors());
}

#[test]
fn a_sound_server_that_hangs_is_used_again_when_it_answers() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    rig.signal_server("STOP");
    rig.send("play default");
    let event = rig.next_event();
    assert!(event.starts_with("false ") && event.contains("does not answer"), "{event}");
    for _ in 0..20 {
        rig.send("play default");
    }
    assert!(rig.threads() <= idle + 2, "{} threads, {idle} when idle", rig.threads());
    rig.signal_server("CONT");
    rig.wait_until("it is heard again", |rig| {
        rig.send("play bing");
        rig.is_playing()
    });
    // Playback may break up while it catches up.
    assert_heard(&rig.heard()[..1], &[BING]);
}

#[test]
fn a_sound_server_that_hangs_in_mid_play_is_given_up() {
    let mut rig = Rig::start();
    let idle = rig.threads();
    rig.send("ring 1 ring");
    rig.wait_until("it rings", Rig::is_playing);
    assert_eq!(rig.next_event(), "true PulseAudio");
    rig.signal_server("STOP");
    rig.send("stop 1");
    let event = rig.next_event();
    assert!(event.starts_with("false the sound server"), "{event}");
    rig.signal_server("CONT");
    rig.wait_until("no thread is left", |rig| rig.threads() == idle);
}
