//! A decoded sound: decoded completely before it is played, so that the audio callback never reads a file.

use std::{
    borrow::Cow,
    fs::{self, File},
    io::{self, Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::{Duration, Instant},
};

use rodio::{ChannelCount, SampleRate};
use ropus::OpusMSDecoder;
use symphonia::core::{
    audio::SampleBuffer,
    codecs::{CODEC_TYPE_NULL, CODEC_TYPE_OPUS, CodecParameters, Decoder, DecoderOptions},
    errors::Error,
    formats::{FormatOptions, Packet},
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    probe::Hint,
};

use super::lookup::{Bundled, Choice};

/// Maximum duration of a sound that is played once.
pub(super) const MAX_ONCE: Duration = Duration::from_secs(30);
/// Maximum duration of a repeated sound: no call rings longer.
pub(super) const MAX_RING: Duration = Duration::from_secs(120);
/// Maximum size of a file: more than two minutes of uncompressed stereo.
const MAX_FILE_SIZE: u64 = 32 << 20;
/// Maximum number of samples over all channels (24 MB).
const MAX_SAMPLES: usize = 12_000_000;
/// Time limit for decoding.
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
pub(crate) enum Unplayable {
    /// It is a directory, a pipe or a device.
    #[error("it is no file")]
    NotAFile,
    /// It would use too much memory.
    #[error("it is larger than {} MiB", MAX_FILE_SIZE >> 20)]
    TooLarge,
    /// It exceeds the maximum duration.
    #[error("it is longer than {} s", .0.as_secs())]
    TooLong(Duration),
    /// Its first bytes belong to no supported format.
    #[error("it is no WAV, Ogg Vorbis, Ogg Opus, FLAC or MP3 file")]
    UnknownFormat,
    /// It begins like a supported format, but cannot be decoded.
    #[error("it cannot be decoded: {0}")]
    Broken(String),
    /// It has no samples.
    #[error("there is no sound in it")]
    Empty,
    /// Decoding exceeded the time limit.
    #[error("it takes too long to decode")]
    TooSlow,
    /// It is missing or cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Clip {
    /// The chosen sound, or the bundled `default` if it is unusable or longer than `longest`.
    pub(super) fn load(choice: &Choice, longest: Duration) -> Result<Self, Unplayable> {
        match choice {
            Choice::File(path) => Self::from_file(path, longest).or_else(|error| {
                tracing::warn!("the sound {path:?} is not played, but the bundled default: {error}");
                Self::from_bundled(Bundled::Default)
            }),
            Choice::Bundled(bundled) => Self::from_bundled(*bundled),
        }
    }

    fn from_bundled(bundled: Bundled) -> Result<Self, Unplayable> {
        decode(bundled.bytes().into(), MAX_ONCE)
    }

    pub(super) fn from_file(path: &Path, longest: Duration) -> Result<Self, Unplayable> {
        // Checked before opening, since opening a pipe blocks.
        let metadata = fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(Unplayable::NotAFile);
        }
        if metadata.len() > MAX_FILE_SIZE {
            return Err(Unplayable::TooLarge);
        }
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE_SIZE).read_to_end(&mut bytes)?;
        decode(bytes.into(), longest)
    }

    /// Decodes the content of a file.
    pub(super) fn from_bytes(bytes: Vec<u8>, longest: Duration) -> Result<Self, Unplayable> {
        decode(bytes.into(), longest)
    }

    /// The usual extension of a file with this content; `None` if it begins like no supported format.
    pub(super) fn extension_of(bytes: &[u8]) -> Option<&'static str> {
        match bytes {
            [b'R', b'I', b'F', b'F', ..] => Some("wav"),
            [b'O', b'g', b'g', b'S', ..] => Some("ogg"),
            [b'f', b'L', b'a', b'C', ..] => Some("flac"),
            [b'I', b'D', b'3', ..] | [0xff, 0xe0..=0xff, ..] => Some("mp3"),
            _ => None,
        }
    }

    /// Its duration.
    pub(super) fn duration(&self) -> Duration {
        let frames = self.samples.len() / usize::from(self.channels.get());
        Duration::from_secs(frames as u64) / self.sample_rate.get()
    }

    /// Mixes it down to mono if the device has fewer channels, so that none is lost.
    pub(super) fn mixed_for(mut self, device: ChannelCount) -> Self {
        if self.channels > device {
            let channels = i32::from(self.channels.get());
            let frames = self.samples.chunks_exact(self.channels.get().into());
            let mean = |frame: &[i16]| frame.iter().copied().map(i32::from).sum::<i32>() / channels;
            self.samples = frames.map(|frame| i16::try_from(mean(frame)).unwrap_or_default()).collect();
            self.channels = ChannelCount::MIN;
        }
        self
    }
}

fn decode(bytes: Cow<'static, [u8]>, longest: Duration) -> Result<Clip, Unplayable> {
    if bytes.is_empty() {
        return Err(Unplayable::Empty);
    }
    // Without this check the decoder would search any file for MP3 frames.
    if Clip::extension_of(&bytes).is_none() {
        return Err(Unplayable::UnknownFormat);
    }
    // Crafted files can make the decoders panic.
    catch_unwind(AssertUnwindSafe(|| decode_samples(bytes, longest)))
        .unwrap_or_else(|_| Err(Unplayable::Broken("the decoder failed".to_owned())))
}

fn decode_samples(mut bytes: Cow<'static, [u8]>, longest: Duration) -> Result<Clip, Unplayable> {
    let started = Instant::now();
    let broken = |error: Error| Unplayable::Broken(error.to_string());
    let was_fixed = bytes.starts_with(b"RIFF") && fix_wav_lengths(bytes.to_mut());
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), MediaSourceStreamOptions::default());
    let (options, metadata) = (FormatOptions::default(), MetadataOptions::default());
    let mut reader = symphonia::default::get_probe().format(&Hint::new(), stream, &options, &metadata);
    let reader = &mut reader.as_mut().map_err(|error| Unplayable::Broken(error.to_string()))?.format;
    let mut tracks = reader.tracks().iter();
    let track = tracks.find(|track| track.codec_params.codec != CODEC_TYPE_NULL).ok_or(Unplayable::Empty)?;
    let (track_id, parameters) = (track.id, track.codec_params.clone());
    let length = parameters.time_base.zip(parameters.n_frames).map(|(base, frames)| base.calc_time(frames));
    if length.is_some_and(|length| Duration::from(length) > longest) && !was_fixed {
        return Err(Unplayable::TooLong(longest));
    }
    let mut packets = Packets::new(&parameters).map_err(broken)?;
    let mut samples = Vec::new();
    let mut format: Option<SampleFormat> = None;
    let ended = loop {
        let packet = match reader.next_packet() {
            Ok(packet) if packet.track_id() == track_id => packet,
            Ok(_) => continue,
            Err(error) => break error,
        };
        if started.elapsed() > DECODING_TIME {
            return Err(Unplayable::TooSlow);
        }
        let before = samples.len();
        match packets.decode(&packet, &mut samples) {
            Ok(found) if *format.get_or_insert(found) != found => {
                samples.truncate(before);
                break Error::ResetRequired;
            }
            Ok(_) => {}
            // A damaged packet is skipped.
            Err(Error::DecodeError(_)) => continue,
            Err(error) => break error,
        }
        let most = format.map_or(MAX_SAMPLES, |format| format.max_samples(longest));
        if samples.len() > most && !was_fixed {
            return Err(Unplayable::TooLong(longest));
        }
        if samples.len() >= most {
            samples.truncate(most);
            break Error::ResetRequired;
        }
    };
    let is_end = matches!(&ended, Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof);
    match format {
        Some(format) => format.clip(samples, packets.delay()),
        None if is_end => Err(Unplayable::Empty),
        None => Err(broken(ended)),
    }
}

/// Corrects the lengths in the header of a WAV file, which a program that writes to a pipe does not know. Returns
/// whether they were wrong.
fn fix_wav_lengths(bytes: &mut [u8]) -> bool {
    let total = bytes.len();
    let mut at = 12;
    while let Some((name, length)) = bytes.get(at..at + 8).and_then(|header| header.split_first_chunk::<4>()) {
        let Some(length) = length.first_chunk().map(|length| u32::from_le_bytes(*length) as usize) else { break };
        let left = total - at - 8;
        if name == b"data" {
            let is_wrong = length == 0 || length > left;
            if is_wrong && let (Ok(left), Ok(rest)) = (u32::try_from(left), u32::try_from(total - 8)) {
                bytes[at + 4..at + 8].copy_from_slice(&left.to_le_bytes());
                bytes[4..8].copy_from_slice(&rest.to_le_bytes());
            }
            return is_wrong;
        }
        at = (at + 8).saturating_add(length).saturating_add(length % 2);
        if at > total {
            break;
        }
    }
    false
}

/// Sample rate in Hz, and number of interleaved channels.
#[derive(Clone, Copy, PartialEq)]
struct SampleFormat {
    rate: u32,
    channels: usize,
}

impl SampleFormat {
    fn max_samples(self, longest: Duration) -> usize {
        let samples = u64::from(self.rate).saturating_mul(self.channels as u64).saturating_mul(longest.as_secs());
        let most = usize::try_from(samples).unwrap_or(usize::MAX).min(MAX_SAMPLES);
        most - most % self.channels.max(1)
    }

    /// `delay`: number of frames to skip at the beginning.
    fn clip(self, mut samples: Vec<i16>, delay: usize) -> Result<Clip, Unplayable> {
        let channels = u16::try_from(self.channels).ok().and_then(ChannelCount::new);
        let (Some(channels), Some(sample_rate)) = (channels, SampleRate::new(self.rate)) else {
            return Err(Unplayable::Broken("it has no channels, or no sample rate".to_owned()));
        };
        samples.drain(..(delay * self.channels).min(samples.len()));
        samples.truncate(samples.len() - samples.len() % self.channels);
        if samples.is_empty() { Err(Unplayable::Empty) } else { Ok(Clip { channels, sample_rate, samples }) }
    }
}

/// A decoder of packets.
enum Packets {
    Symphonia(Box<dyn Decoder>),
    Opus(Box<Opus>),
}

impl Packets {
    fn new(parameters: &CodecParameters) -> Result<Self, Error> {
        if parameters.codec == CODEC_TYPE_OPUS {
            let opus = Opus::new(parameters.extra_data.as_deref().unwrap_or_default());
            return opus.map(Box::new).map(Self::Opus).ok_or(Error::DecodeError("opus: an unusable header"));
        }
        symphonia::default::get_codecs().make(parameters, &DecoderOptions::default()).map(Self::Symphonia)
    }

    /// Appends the samples of a packet, and returns their format.
    fn decode(&mut self, packet: &Packet, samples: &mut Vec<i16>) -> Result<SampleFormat, Error> {
        match self {
            Self::Symphonia(decoder) => {
                let audio = decoder.decode(packet)?;
                let spec = *audio.spec();
                let mut buffer = SampleBuffer::<i16>::new(audio.capacity() as u64, spec);
                buffer.copy_interleaved_ref(audio);
                samples.extend_from_slice(buffer.samples());
                Ok(SampleFormat { rate: spec.rate, channels: spec.channels.count() })
            }
            Self::Opus(opus) => opus.decode(packet.buf(), samples),
        }
    }

    fn delay(&self) -> usize {
        match self {
            // Symphonia does not report the delay of MP3 encoders.
            Self::Symphonia(_) => 0,
            Self::Opus(opus) => opus.pre_skip,
        }
    }
}

/// Opus in Ogg (RFC 7845).
struct Opus {
    decoder: OpusMSDecoder,
    pre_skip: usize,
    /// The factor for each sample.
    gain: f32,
    channels: usize,
    frame: Vec<i16>,
}

impl Opus {
    const RATE: u16 = 48_000;
    /// Number of frames of the longest packet, 120 ms.
    const MAX_FRAMES: u16 = 5760;

    /// `head` is the identification header.
    fn new(head: &[u8]) -> Option<Self> {
        let count = *head.get(9)?;
        let channels = usize::from(count);
        let pre_skip = u16::from_le_bytes(*head.get(10..)?.first_chunk()?);
        let gain = i16::from_le_bytes(*head.get(16..)?.first_chunk()?);
        let (streams, coupled, mapping) = match *head.get(18)? {
            0 if channels <= 2 => (1, count.checked_sub(1)?, &[0, 1][..channels]),
            1 if channels <= 8 => (*head.get(19)?, *head.get(20)?, head.get(21..21 + channels)?),
            _ => return None,
        };
        let decoder = OpusMSDecoder::new(Self::RATE.into(), count.into(), streams.into(), coupled.into(), mapping);
        Some(Self {
            decoder: decoder.ok()?,
            pre_skip: pre_skip.into(),
            gain: 10_f32.powf(f32::from(gain) / (20.0 * 256.0)),
            channels,
            frame: vec![0; usize::from(Self::MAX_FRAMES) * channels],
        })
    }

    fn decode(&mut self, packet: &[u8], samples: &mut Vec<i16>) -> Result<SampleFormat, Error> {
        let damaged = || Error::DecodeError("opus: a damaged packet");
        let length = i32::try_from(packet.len()).map_err(|_| damaged())?;
        let frames = self.decoder.decode(Some(packet), length, &mut self.frame, Self::MAX_FRAMES.into(), false);
        let frames = frames.ok().and_then(|frames| usize::try_from(frames).ok()).ok_or_else(damaged)?;
        let decoded = self.frame.iter().take(frames * self.channels);
        #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
        samples.extend(decoded.map(|sample| (f32::from(*sample) * self.gain).round() as i16));
        Ok(SampleFormat { rate: Self::RATE.into(), channels: self.channels })
    }
}

#[cfg(test)]
mod tests;
