//! The sounds that the app plays, as recorded.

use std::{path::Path, sync::OnceLock, time::Duration};

use super::app::App;
use crate::rig::{DesktopOptions, Notifier, Recording, Sound, process, recording::Burst};

/// dunst and sound, no tray.
pub(crate) const WITH_SOUND: DesktopOptions =
    DesktopOptions { notifier: Some(Notifier::Dunst), sound: Some(Sound::Pulse), ..DesktopOptions::BARE };

/// Frequencies of the bundled ring, in hertz; no other sound contains them.
const RING_NOTES: [f32; 2] = [587.0, 880.0];

/// A recording, and the bundled sounds as they appear in it.
pub(crate) struct SoundListener {
    pub(crate) recording: Recording,
    pub(crate) default: Vec<Burst>,
    pub(crate) bing: Vec<Burst>,
    pub(crate) ring: Vec<Burst>,
}

impl SoundListener {
    pub(crate) fn on(app: &App) -> Self {
        // The bundled sounds are always recorded alike: one recording for all tests.
        static BUNDLED: OnceLock<[Vec<Burst>; 3]> = OnceLock::new();
        let recording = Recording::start(&app.desktop);
        let sounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds");
        let recorded = |name: &str| recording.reference(&app.desktop, &sounds.join(name).with_extension("ogg"));
        let bundled = BUNDLED.get_or_init(|| ["default", "bing", "ring"].map(recorded));
        let [default, bing, ring] = bundled.clone();
        Self { recording, default, bing, ring }
    }

    pub(crate) fn mark(&self) -> Duration {
        self.recording.length()
    }

    /// Waits until this sound, and no other, has been played to its end since the mark.
    #[track_caller]
    pub(crate) fn hears(&self, app: &App, mark: Duration, sound: &[Burst]) {
        let span = self.hears_for(app, mark, sound);
        assert!(span < played_for(sound) + 3.0, "{span} s");
    }

    /// Waits until this sound has been played once since the mark.
    #[track_caller]
    pub(crate) fn hears_once(&self, app: &App, mark: Duration, sound: &[Burst]) {
        // A repetition could start a second later at the earliest.
        let span = self.hears_for(app, mark, sound);
        assert!(span < played_for(sound) + 0.9, "{span} s");
    }

    /// Seconds from the beginning to the end: a busy machine may break a sound up.
    #[track_caller]
    fn hears_for(&self, app: &App, mark: Duration, sound: &[Burst]) -> f32 {
        let something = || !self.recording.bursts_since(mark).is_empty();
        crate::rig::wait_until("something sounds", crate::rig::SOON, something);
        device_is_closed(app);
        self.recording.listen(Duration::from_millis(300));
        let all = self.recording.bursts_since(mark);
        assert!((all[0].frequency - sound[0].frequency).abs() <= 10.0, "{all:#?} instead of {sound:#?}");
        let span = played_for(&all);
        assert!(span > played_for(sound) - 0.15, "{all:#?} instead of {sound:#?}");
        span
    }

    /// Waits until the ring has started since the mark.
    #[track_caller]
    pub(crate) fn hears_ring_begin(&self, mark: Duration) {
        let first = crate::rig::wait_for("something sounds", crate::rig::SOON, || {
            self.recording.bursts_since(mark).into_iter().find(|burst| burst.length > Duration::from_millis(200))
        });
        // On a busy machine the first of its notes may be too short to be recognized.
        let is_note = RING_NOTES.iter().any(|note| (first.frequency - note).abs() <= 15.0);
        assert!(is_note, "{first:?} is no {:?}", self.ring[0]);
    }

    /// Waits until there is silence for longer than the pause within the ring.
    #[track_caller]
    pub(crate) fn wait_for_silence(&self) {
        let rest = Duration::from_millis(1200);
        crate::rig::wait_until("it is silent", crate::rig::SOON, || self.recording.silence() > rest);
    }

    /// Checks that there was silence since the mark, and that it lasts for another second.
    #[track_caller]
    pub(crate) fn hears_nothing(&self, mark: Duration) {
        self.recording.listen(Duration::from_secs(1));
        assert_eq!(self.recording.bursts_since(mark), []);
    }
}

/// Seconds from the beginning of the first to the end of the last.
fn played_for(bursts: &[Burst]) -> f32 {
    let end = bursts.last().map_or(Duration::ZERO, |last| last.start + last.length);
    end.saturating_sub(bursts[0].start).as_secs_f32()
}

/// The sound server's objects of this type, "sink-inputs" or "clients", one per line.
pub(crate) fn on_sound_server(app: &App, what: &str) -> Vec<String> {
    let listed = process::run("pactl", &["list", "short", what], app.desktop.env());
    listed.lines().map(str::to_owned).collect()
}

/// Waits until the app has closed the sound device.
#[track_caller]
pub(crate) fn device_is_closed(app: &App) {
    let what = "the sound device is closed";
    crate::rig::wait_until(what, crate::rig::SOON, || on_sound_server(app, "sink-inputs").is_empty());
}
