//! Makes the bundled sounds: `cargo run --example synthesise-sounds` rewrites `assets/sounds/*.ogg`.
//!
//! Additive synthesis: each note is a sum of decaying partials with a soft attack. The result depends on nothing but
//! this file and on the encoder (`oggenc` of vorbis-tools), whose stream serial is fixed, so that a run with the same
//! encoder yields the same bytes. With a directory as argument, WAV files are written there instead, for listening
//! and for pictures (`sox x.wav -n spectrogram`).

use std::{
    f32::consts::{PI, TAU},
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

const SAMPLE_RATE: u32 = 48_000;
/// -3 dBFS.
const PEAK: f32 = 0.708;
/// Seconds of silence before the first note, where the encoder's pre-echo is lost.
const LEAD: f32 = 0.01;
/// Fade at the very end, so that no decay is cut off with a click.
const RELEASE: f32 = 0.04;

/// One sine of a note.
struct Partial {
    /// Frequency, as a multiple of the note's.
    ratio: f32,
    /// Amplitude, relative to the note's.
    level: f32,
    /// Seconds until it has fallen to 37 %.
    decay: f32,
}

/// The timbre of a note.
struct Instrument {
    /// Seconds of the raised-cosine attack.
    attack: f32,
    partials: &'static [Partial],
}

struct Note {
    /// Seconds from the beginning.
    start: f32,
    /// Hz.
    frequency: f32,
    level: f32,
}

struct Sound {
    name: &'static str,
    /// Seconds, silence at the end included.
    length: f32,
    /// Seconds after which everything has faded out.
    sounding: f32,
    instrument: Instrument,
    notes: &'static [Note],
}

const fn partial(ratio: f32, level: f32, decay: f32) -> Partial {
    Partial { ratio, level, decay }
}

const fn note(start: f32, frequency: f32, level: f32) -> Note {
    Note { start, frequency, level }
}

// Pitches in Hz. The dominant one of each sound differs clearly, so that a recording tells which one was played.
const D5: f32 = 587.33;
const F_SHARP5: f32 = 739.99;
const G5: f32 = 783.99;
const A5: f32 = 880.0;
const C6: f32 = 1046.5;
const A6: f32 = 1760.0;

const SOUNDS: [Sound; 3] = [
    // A rising fourth that rests on its second note: 1047 Hz.
    Sound {
        name: "default",
        length: 0.9,
        sounding: 0.9,
        instrument: Instrument {
            attack: 0.006,
            partials: &[
                partial(1.0, 1.0, 0.20),
                partial(2.0, 0.22, 0.11),
                partial(3.0, 0.10, 0.06),
                partial(4.02, 0.04, 0.03),
            ],
        },
        notes: &[note(0.0, G5, 0.6), note(0.13, C6, 1.0)],
    },
    // A small bell with the inharmonic partials of a struck bar: 1760 Hz.
    Sound {
        name: "bing",
        length: 1.2,
        sounding: 1.2,
        instrument: Instrument {
            attack: 0.004,
            partials: &[
                partial(1.0, 1.0, 0.30),
                partial(1.003, 0.3, 0.26),
                partial(2.756, 0.30, 0.12),
                partial(5.404, 0.12, 0.05),
            ],
        },
        notes: &[note(0.0, A6, 1.0)],
    },
    // A marimba figure over a repeated root, then a rest, to be repeated: 587 Hz.
    Sound {
        name: "ring",
        length: 3.0,
        sounding: 2.1,
        instrument: Instrument {
            attack: 0.005,
            partials: &[partial(1.0, 1.0, 0.24), partial(2.0, 0.12, 0.10), partial(3.9, 0.16, 0.06)],
        },
        notes: &[
            note(0.00, D5, 1.0),
            note(0.15, A5, 0.55),
            note(0.30, F_SHARP5, 0.55),
            note(0.45, A5, 0.55),
            note(0.60, D5, 1.0),
            note(0.75, A5, 0.55),
            note(0.90, F_SHARP5, 0.55),
            note(1.20, D5, 1.0),
        ],
    },
];

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few seconds of samples, far below the limits of f32 and usize"
)]
fn synthesise(sound: &Sound) -> Vec<f32> {
    let rate = SAMPLE_RATE as f32;
    let mut samples = vec![0.0; (sound.length * rate).round() as usize];
    for note in sound.notes {
        let first = ((LEAD + note.start) * rate) as usize;
        for (offset, sample) in samples.iter_mut().skip(first).enumerate() {
            let t = offset as f32 / rate;
            let attack = (t / sound.instrument.attack).min(1.0);
            let attack = 0.5 - 0.5 * (PI * attack).cos();
            let wave: f32 = sound
                .instrument
                .partials
                .iter()
                .map(|partial| {
                    partial.level * (-t / partial.decay).exp() * (TAU * note.frequency * partial.ratio * t).sin()
                })
                .sum();
            *sample += note.level * attack * wave;
        }
    }
    for (index, sample) in samples.iter_mut().enumerate() {
        let left = ((sound.sounding - index as f32 / rate) / RELEASE).clamp(0.0, 1.0);
        *sample *= 0.5 - 0.5 * (PI * left).cos();
    }
    let peak = samples.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    samples.iter().map(|sample| sample * PEAK / peak).collect()
}

/// 16 bit, mono.
#[expect(clippy::cast_possible_truncation, reason = "a few seconds of samples between -1 and 1")]
fn wav(samples: &[f32]) -> Vec<u8> {
    let data = samples.iter().flat_map(|sample| ((sample * 32767.0).round() as i16).to_le_bytes()).collect::<Vec<_>>();
    let length = data.len() as u32;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(SAMPLE_RATE.to_le_bytes());
    file.extend((SAMPLE_RATE * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

fn encode(wav: &[u8], serial: usize, target: &Path) -> io::Result<()> {
    let mut oggenc = Command::new("oggenc")
        .args(["--quiet", "--quality", "5", "--serial", &serial.to_string(), "--output"])
        .arg(target)
        .arg("-")
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|error| io::Error::new(error.kind(), format!("oggenc (package vorbis-tools): {error}")))?;
    if let Some(mut stdin) = oggenc.stdin.take() {
        stdin.write_all(wav)?;
    }
    let status = oggenc.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("oggenc: {status}"))) }
}

fn main() -> io::Result<()> {
    let wav_directory = std::env::args_os().nth(1);
    for (index, sound) in SOUNDS.iter().enumerate() {
        let wav = wav(&synthesise(sound));
        if let Some(directory) = &wav_directory {
            std::fs::write(Path::new(directory).join(format!("{}.wav", sound.name)), wav)?;
        } else {
            let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds");
            encode(&wav, index + 1, &assets.join(format!("{}.ogg", sound.name)))?;
        }
    }
    Ok(())
}
