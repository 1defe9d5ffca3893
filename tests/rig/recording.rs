//! A recording of the desktop's sound output.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "samples and seconds are small"
)]

use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use super::{
    Desktop, SOON,
    process::{self, Part, TempDir},
    wait_until,
};

/// Samples per second.
pub(crate) const RATE: u32 = 48_000;
/// Below a thousandth of full scale is silence.
const SILENCE: u16 = 33;
/// Silence of this length ends a burst.
const GAP: Duration = Duration::from_millis(200);

/// A recording in progress.
pub(crate) struct Recording {
    _recorder: Part,
    file: PathBuf,
    _directory: TempDir,
}

/// Sound between two silences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Burst {
    /// Since the start of the recording.
    pub(crate) start: Duration,
    pub(crate) length: Duration,
    /// The dominant frequency of its beginning in hertz, to about 5 Hz.
    pub(crate) frequency: f32,
    /// 0.0 to 1.0.
    pub(crate) peak: f32,
}

impl Recording {
    /// Starts recording and waits until sound arrives: without a reader, PulseAudio's null sink works in blocks of up
    /// to two seconds.
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let directory = TempDir::new();
        let mut command = Command::new("parec");
        command.args(["-d", "rig.monitor", "--format=s16le", "--channels=1", "--latency-msec=20"]);
        command.arg(format!("--rate={RATE}"));
        let recorder = Part::start("recording", command, desktop.env(), directory.path());
        let recording =
            Self { _recorder: recorder, file: directory.path().join("recording.out"), _directory: directory };
        recording.wait_for_more(RATE as usize / 10);
        recording
    }

    /// All samples up to now.
    pub(crate) fn samples(&self) -> Vec<i16> {
        let bytes = std::fs::read(&self.file).expect("the recording is there");
        bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    /// The current length: a mark for [`Recording::bursts_since`].
    pub(crate) fn length(&self) -> Duration {
        at(self.samples().len())
    }

    /// All bursts, in order. The last may still be playing.
    pub(crate) fn bursts(&self) -> Vec<Burst> {
        self.bursts_since(Duration::ZERO)
    }

    /// The bursts that started after the mark.
    pub(crate) fn bursts_since(&self, mark: Duration) -> Vec<Burst> {
        bursts(&self.samples(), mark)
    }

    /// The length of the silence up to now.
    pub(crate) fn silence(&self) -> Duration {
        let samples = self.samples();
        at(samples.iter().rev().take_while(|sample| sample.unsigned_abs() <= SILENCE).count())
    }

    /// Waits until this many bursts have started after the mark and there is silence again; returns the bursts.
    #[track_caller]
    pub(crate) fn wait_for_bursts(&self, mark: Duration, count: usize) -> Vec<Burst> {
        let what = format!("{count} sounds after {mark:?} and then silence");
        let start = Instant::now();
        loop {
            let samples = self.samples();
            let ranges = burst_ranges(&samples);
            let begun = ranges.iter().filter(|range| at(range.start) >= mark).count();
            let silent = ranges.last().is_none_or(|last| at(samples.len() - last.end) > GAP);
            if begun >= count && silent {
                return self.bursts_since(mark);
            }
            assert!(start.elapsed() < SOON, "waited {SOON:?} in vain: {what}; heard {:#?}", self.bursts());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Plays a sound file with another program and returns its bursts, for comparison with the app's.
    #[track_caller]
    pub(crate) fn reference(&self, desktop: &Desktop, file: &Path) -> Vec<Burst> {
        let mark = self.length();
        process::run("paplay", &[&file.display().to_string()], desktop.env());
        self.wait_for_bursts(mark, 1)
    }

    /// Records for this long from now on, to check for silence. Measures the recording, not the wall clock.
    #[track_caller]
    pub(crate) fn listen(&self, time: Duration) {
        self.wait_for_more((time.as_secs_f32() * RATE as f32) as usize);
    }

    #[track_caller]
    fn wait_for_more(&self, samples: usize) {
        let size = || std::fs::metadata(&self.file).map_or(0, |file| file.len());
        let enough = size() + 2 * samples as u64;
        wait_until("the recording grows", SOON + at(samples), || size() >= enough);
    }
}

fn at(sample: usize) -> Duration {
    Duration::from_secs_f64(sample as f64 / f64::from(RATE))
}

fn burst_ranges(samples: &[i16]) -> Vec<Range<usize>> {
    let gap = (GAP.as_secs_f32() * RATE as f32) as usize;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, _) in samples.iter().enumerate().filter(|(_, sample)| sample.unsigned_abs() > SILENCE) {
        match ranges.last_mut() {
            Some(last) if index - last.end < gap => last.end = index + 1,
            _ => ranges.push(index..index + 1),
        }
    }
    ranges
}

fn bursts(samples: &[i16], mark: Duration) -> Vec<Burst> {
    let burst = |range: Range<usize>| {
        let sound = &samples[range.clone()];
        let peak = sound.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        Burst {
            start: at(range.start),
            length: at(range.len()),
            frequency: dominant_frequency(sound),
            peak: f32::from(peak) / 32768.0,
        }
    };
    burst_ranges(samples).into_iter().filter(|range| at(range.start) >= mark).map(burst).collect()
}

/// The frequency with the most energy among 80 to 4000 Hz (Goertzel's algorithm). Only the first 150 ms count: in a
/// phrase of several notes, the strongest one would depend on small differences.
pub(crate) fn dominant_frequency(sound: &[i16]) -> f32 {
    // A quarter of the sample rate suffices for these frequencies; averaging four samples is a simple low-pass filter.
    let reduced = sound
        .chunks_exact(4)
        .take(RATE as usize * 15 / 100 / 4)
        .map(|four| four.iter().map(|sample| f32::from(*sample)).sum::<f32>() / 4.0)
        .collect::<Vec<_>>();
    let energy = |frequency: f32| {
        let factor = 2.0 * (std::f32::consts::TAU * frequency * 4.0 / RATE as f32).cos();
        let (mut last, mut before) = (0.0_f32, 0.0_f32);
        for sample in &reduced {
            (last, before) = (sample + factor * last - before, last);
        }
        last * last + before * before - factor * last * before
    };
    let frequencies = (16..800).map(|step| step as f32 * 5.0);
    frequencies.max_by(|one, other| energy(*one).total_cmp(&energy(*other))).expect("there are frequencies")
}

/// Whether two recordings are of the same sound; the volume may differ.
pub(crate) fn same_sound(one: &[Burst], other: &[Burst]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| {
            (one.frequency - other.frequency).abs() <= 10.0 && one.length.abs_diff(other.length).as_millis() <= 150
        })
}

/// A tone at half of full scale, as 16-bit samples at [`RATE`].
pub(crate) fn tone(frequency: f32, seconds: f32) -> Vec<u8> {
    let sample = |n: usize| ((std::f32::consts::TAU * frequency * n as f32 / RATE as f32).sin() * 16_000.0) as i16;
    (0..(seconds * RATE as f32) as usize).flat_map(|n| sample(n).to_le_bytes()).collect()
}

/// A tone as a WAV file.
pub(crate) fn wav(frequency: f32, seconds: f32) -> Vec<u8> {
    let samples = tone(frequency, seconds);
    let size = u32::try_from(samples.len()).expect("a short tone");
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1, 0, 1, 0]);
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend([2, 0, 16, 0]);
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(samples);
    file
}
