//! Plays one sound, from loading the file to closing the device, on a thread of its own: every call here may block.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use rodio::{
    ChannelCount, SampleRate, Source,
    cpal::{self, ErrorKind},
};

use super::{
    clip::{Clip, MAX_ONCE, MAX_RING},
    lookup::Places,
    output,
    schedule::{Fault, Job},
};

/// How late a device may consume the samples before it counts as stalled.
const STALL_TIMEOUT: Duration = Duration::from_secs(4);
/// Time that the device's buffers take to drain after the last sample.
const DRAIN: Duration = Duration::from_millis(350);
/// Fade-out time of a sound that is stopped, to avoid a click.
const FADE: Duration = Duration::from_millis(20);
/// Minimum time between two starts of a repeated sound.
const MIN_LAP: Duration = Duration::from_secs(2);

/// What happens to a sound while it plays.
#[derive(Debug)]
pub(super) enum Signal {
    /// A repeated sound starts again.
    Lap,
    /// The device has received the last sample.
    Ended,
    /// The sound is no longer wanted.
    Stop,
    /// The device has failed.
    Broken(cpal::Error),
}

/// The phase of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The file is found and decoded.
    Loading,
    /// The device is being opened.
    Opening,
    /// The sound plays, on this host.
    Playing(&'static str),
    /// The device is being closed.
    Closing,
    /// The session has ended.
    Over(Result<Outcome, Fault>),
}

/// The result of a session that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The sound was played, to its end or until it was stopped.
    Played,
    /// It was stopped before it began.
    Stopped,
}

/// The task of a session.
pub(super) struct Task {
    pub(super) job: Job,
    pub(super) places: Places,
    pub(super) volume: f32,
    pub(super) signals: Sender<Signal>,
    pub(super) inbox: Receiver<Signal>,
}

/// Plays one sound. `phase` is called at the beginning of each phase but [`Phase::Over`].
pub(super) fn run(task: Task, phase: &dyn Fn(Phase)) -> Result<Outcome, Fault> {
    phase(Phase::Loading);
    let longest = if task.job.repeat { MAX_RING } else { MAX_ONCE };
    let Some(choice) = task.places.choose(&task.job.sound) else { return Ok(Outcome::Stopped) };
    let clip =
        Clip::load(&choice, longest).map_err(|error| Fault::NoDevice(format!("no sound can be decoded: {error}")))?;
    if matches!(task.inbox.try_recv(), Ok(Signal::Stop)) {
        return Ok(Outcome::Stopped);
    }
    phase(Phase::Opening);
    let (sink, host) = output::open(first_fatal_error(task.signals.clone()))?;
    phase(Phase::Playing(host));
    let fading = Arc::new(AtomicBool::new(false));
    let clip = clip.mixed_for(sink.config().channel_count());
    let source = Playback::new(clip, &task.job, task.volume, Arc::clone(&fading), task.signals);
    let lap = source.lap();
    sink.mixer().add(source);
    let result = listen(&task.inbox, lap, &fading);
    phase(Phase::Closing);
    drop(sink);
    result.map(|()| Outcome::Played)
}

/// Waits until the sound has been heard, or cannot be.
fn listen(inbox: &Receiver<Signal>, lap: Duration, fading: &AtomicBool) -> Result<(), Fault> {
    loop {
        match inbox.recv_timeout(lap + STALL_TIMEOUT) {
            Ok(Signal::Lap) => {}
            Ok(Signal::Stop) => fading.store(true, Ordering::Relaxed),
            Ok(Signal::Ended) => break,
            Ok(Signal::Broken(error)) => {
                return Err(Fault::NoDevice(format!("the sound device went away while it played ({error})")));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Err(Fault::NoAnswer("the sound server takes no more sound: restart it".to_owned()));
            }
        }
    }
    let drained = Instant::now() + DRAIN;
    while let Ok(_late) = inbox.recv_timeout(drained.saturating_duration_since(Instant::now())) {}
    Ok(())
}

/// Sends the first error that is fatal for a stream; a host may report it millions of times.
fn first_fatal_error(signals: Sender<Signal>) -> impl FnMut(cpal::Error) + Clone + Send + 'static {
    let reported = Arc::new(AtomicBool::new(false));
    move |error: cpal::Error| {
        let passing = matches!(error.kind(), ErrorKind::Xrun | ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied);
        if !passing && !reported.swap(true, Ordering::Relaxed) {
            // A closed channel means that the session has ended.
            let _ = signals.send(Signal::Broken(error));
        }
    }
}

/// The samples of a clip, once or repeatedly, with volume, and with a fade-out if it is cut short.
struct Playback {
    clip: Clip,
    repeat: bool,
    volume: f32,
    /// In samples, like the following fields.
    position: usize,
    lap: usize,
    fade: usize,
    fade_left: Option<usize>,
    fading: Arc<AtomicBool>,
    signals: Sender<Signal>,
    ended: bool,
}

impl Playback {
    fn new(clip: Clip, job: &Job, volume: f32, fading: Arc<AtomicBool>, signals: Sender<Signal>) -> Self {
        let in_samples = |time: Duration| {
            let frames = time.as_millis() * u128::from(clip.sample_rate.get()) / 1000;
            usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(clip.channels.get().into())
        };
        let lap = if job.repeat { clip.samples.len().max(in_samples(MIN_LAP)) } else { clip.samples.len() };
        let fade = in_samples(FADE).max(1);
        let (position, fade_left, ended) = (0, None, false);
        Self { repeat: job.repeat, volume, position, lap, fade, fade_left, fading, signals, ended, clip }
    }

    /// Length of one repetition.
    fn lap(&self) -> Duration {
        if self.repeat { self.clip.duration().max(MIN_LAP) } else { self.clip.duration() }
    }

    /// The fade may begin only between frames, and so ends between frames.
    fn fade_gain(&mut self) -> Option<f32> {
        if self.fade_left.is_none() && self.is_at_frame() && self.fading.load(Ordering::Relaxed) {
            self.fade_left = Some(self.fade);
        }
        let Some(left) = &mut self.fade_left else { return Some(1.0) };
        *left = left.checked_sub(1)?;
        #[expect(clippy::cast_precision_loss, reason = "some thousand samples")]
        Some(*left as f32 / self.fade as f32)
    }

    fn is_at_frame(&self) -> bool {
        self.position.is_multiple_of(self.clip.channels.get().into())
    }

    fn next_sample(&mut self) -> Option<f32> {
        let gain = self.fade_gain()?;
        if self.position == self.lap {
            if !self.repeat {
                return None;
            }
            self.position = 0;
            let _ = self.signals.send(Signal::Lap);
        }
        let sample = self.clip.samples.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        Some(f32::from(sample) / f32::from(i16::MAX) * self.volume * gain)
    }
}

impl Iterator for Playback {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        if self.ended {
            return None;
        }
        let sample = self.next_sample();
        if sample.is_none() {
            self.ended = true;
            let _ = self.signals.send(Signal::Ended);
        }
        sample
    }
}

impl Source for Playback {
    fn current_span_len(&self) -> Option<usize> {
        None
    }

    fn channels(&self) -> ChannelCount {
        self.clip.channels
    }

    fn sample_rate(&self) -> SampleRate {
        self.clip.sample_rate
    }

    fn total_duration(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        num::NonZero,
        sync::mpsc::{Receiver, channel},
    };

    use super::*;
    use crate::push::notify::SoundTweak;

    fn playback(repeat: bool, volume: f32, samples: Vec<i16>) -> (Playback, Arc<AtomicBool>, Receiver<Signal>) {
        let (channels, sample_rate) = (NonZero::new(2).unwrap(), NonZero::new(1000).unwrap());
        let clip = Clip { channels, sample_rate, samples };
        let job = Job { serial: 1, sound: SoundTweak::Unusable, repeat };
        let (fading, (signals, inbox)) = (Arc::new(AtomicBool::new(false)), channel());
        (Playback::new(clip, &job, volume, Arc::clone(&fading), signals), fading, inbox)
    }

    #[test]
    fn a_sound_is_given_once_at_the_volume_and_ends_once() {
        let (mut playback, _, inbox) = playback(false, 0.5, vec![i16::MAX, 0, -i16::MAX, 0]);
        assert_eq!(playback.by_ref().collect::<Vec<_>>(), [0.5, 0.0, -0.5, 0.0]);
        assert_eq!((playback.next(), playback.next()), (None, None));
        assert!(matches!(inbox.try_recv(), Ok(Signal::Ended)));
        assert!(inbox.try_recv().is_err());
    }

    #[test]
    fn a_short_ring_repeats_after_a_rest() {
        let (playback, _, inbox) = playback(true, 1.0, vec![i16::MAX; 200]);
        assert_eq!(playback.lap(), MIN_LAP);
        let two_laps = playback.take(8000).collect::<Vec<_>>();
        let loud = two_laps.iter().enumerate().filter(|(_, sample)| **sample > 0.9).map(|(index, _)| index);
        assert_eq!(loud.collect::<Vec<_>>(), (0..200).chain(4000..4200).collect::<Vec<_>>());
        assert!(matches!(inbox.try_recv(), Ok(Signal::Lap)));
    }

    #[test]
    fn what_is_stopped_fades_and_ends_between_frames() {
        let (mut playback, fading, inbox) = playback(true, 1.0, vec![i16::MAX; 9000]);
        assert_eq!(playback.by_ref().take(101).count(), 101);
        fading.store(true, Ordering::Relaxed);
        let rest = playback.collect::<Vec<_>>();
        assert_eq!(rest.len(), 1 + 40, "the other half of a frame, then 20 ms");
        assert!(rest[1..].is_sorted_by(|a, b| a > b) && *rest.last().unwrap() < 0.001);
        assert!(matches!(inbox.try_recv(), Ok(Signal::Ended)));
    }
}
