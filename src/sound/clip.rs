//! A sound in memory: decoded as a whole before it is played, so that the audio callback never touches a file.

use std::{
    fs::{self, File},
    io::{self, BufReader, Cursor, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use rodio::{ChannelCount, Decoder, SampleRate, Source as _};

use super::lookup::{Bundled, Choice};

/// The longest sound that is played once.
pub(super) const LONGEST_ONCE: Duration = Duration::from_secs(30);
/// The longest sound that is repeated: nothing rings longer.
pub(super) const LONGEST_RING: Duration = Duration::from_secs(120);
/// The largest file that is opened: two minutes of uncompressed stereo and then some.
const LARGEST_FILE: u64 = 32 << 20;
/// The most samples that are kept (24 MB), however many channels they are spread over.
const MOST_SAMPLES: usize = 12_000_000;
/// The longest that decoding may take.
const DECODING_TIME: Duration = Duration::from_secs(5);

/// A decoded sound.
pub(super) struct Clip {
    pub(super) channels: ChannelCount,
    pub(super) sample_rate: SampleRate,
    /// Interleaved, at least one frame, and whole frames only.
    pub(super) samples: Vec<i16>,
}

/// Why a file is not played.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it is no file")]
    NotAFile,
    #[error("it is larger than {} MiB", LARGEST_FILE >> 20)]
    TooLarge,
    #[error("it is longer than {} s", .0.as_secs())]
    TooLong(Duration),
    #[error("it is no WAV, Ogg Vorbis, FLAC or MP3 file")]
    UnknownFormat,
    #[error("it cannot be decoded: {0}")]
    Broken(String),
    #[error("there is no sound in it")]
    Empty,
    #[error("it takes too long to decode")]
    TooSlow,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Clip {
    /// What was chosen, or the bundled `default` if that is unusable or longer than `longest`.
    pub(super) fn load(choice: &Choice, longest: Duration) -> Result<Self, Unusable> {
        match choice {
            Choice::File(path) => Self::from_file(path, longest).or_else(|error| {
                tracing::warn!("the sound {path:?} is not played, but the bundled default: {error}");
                Self::from_bundled(Bundled::Default)
            }),
            Choice::Bundled(bundled) => Self::from_bundled(*bundled),
        }
    }

    fn from_bundled(bundled: Bundled) -> Result<Self, Unusable> {
        decode(Cursor::new(bundled.bytes()), LONGEST_ONCE)
    }

    fn from_file(path: &Path, longest: Duration) -> Result<Self, Unusable> {
        // Asked before opening: to open a pipe is to wait for its other end.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(Unusable::NotAFile);
        }
        if metadata.len() > LARGEST_FILE {
            return Err(Unusable::TooLarge);
        }
        decode(BufReader::new(File::open(path)?), longest)
    }

    /// How long it lasts.
    pub(super) fn duration(&self) -> Duration {
        let frames = self.samples.len() / usize::from(self.channels.get());
        Duration::from_secs(frames as u64) / self.sample_rate.get()
    }
}

fn decode<R: Read + Seek + Send + Sync + 'static>(mut file: R, longest: Duration) -> Result<Clip, Unusable> {
    let mut magic = [0; 4];
    if file.read_exact(&mut magic).is_err() {
        return Err(Unusable::Empty);
    }
    if !is_sound(magic) {
        return Err(Unusable::UnknownFormat);
    }
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    // The decoders assert what a crafted header can break (a sample rate of zero).
    catch_unwind(AssertUnwindSafe(|| decode_samples(file, length, longest)))
        .unwrap_or_else(|_| Err(Unusable::Broken("the decoder failed".to_owned())))
}

/// Whether a file that begins so is of a supported format. Spares broken files a search for anything that looks like MP3.
fn is_sound(magic: [u8; 4]) -> bool {
    match magic {
        [b'I', b'D', b'3', _] => true,
        [0xff, second, ..] => second & 0xe0 == 0xe0,
        other => [*b"RIFF", *b"OggS", *b"fLaC"].contains(&other),
    }
}

fn decode_samples<R: Read + Seek + Send + Sync + 'static>(
    file: R,
    length: u64,
    longest: Duration,
) -> Result<Clip, Unusable> {
    let started = Instant::now();
    let decoder = Decoder::builder()
        .with_data(file)
        .with_byte_len(length)
        .with_seekable(true)
        .build()
        .map_err(|error| Unusable::Broken(error.to_string()))?;
    if decoder.total_duration().is_some_and(|duration| duration > longest) {
        return Err(Unusable::TooLong(longest));
    }
    let (channels, sample_rate) = (decoder.channels(), decoder.sample_rate());
    let most = most_samples(channels, sample_rate, longest);
    let mut samples = Vec::new();
    for sample in decoder {
        if samples.len() == most {
            return Err(Unusable::TooLong(longest));
        }
        if samples.len().is_multiple_of(1 << 16) && started.elapsed() > DECODING_TIME {
            return Err(Unusable::TooSlow);
        }
        samples.push(quantise(sample));
    }
    samples.truncate(samples.len() - samples.len() % usize::from(channels.get()));
    if samples.is_empty() { Err(Unusable::Empty) } else { Ok(Clip { channels, sample_rate, samples }) }
}

fn most_samples(channels: ChannelCount, sample_rate: SampleRate, longest: Duration) -> usize {
    let samples = u64::from(sample_rate.get()).saturating_mul(channels.get().into()).saturating_mul(longest.as_secs());
    usize::try_from(samples).unwrap_or(usize::MAX).min(MOST_SAMPLES)
}

#[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates, and makes zero of NaN")]
fn quantise(sample: f32) -> i16 {
    (sample * f32::from(i16::MAX)).round() as i16
}

#[cfg(test)]
mod tests;
