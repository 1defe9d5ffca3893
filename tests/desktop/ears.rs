//! What the app is heard to play.

use std::{path::Path, time::Duration};

use super::app::App;
use crate::rig::{DesktopOptions, Notifier, Recording, Sound, recording::Burst};

/// dunst and sound, no tray.
pub(crate) const HEARING: DesktopOptions =
    DesktopOptions { notifier: Some(Notifier::Dunst), sound: Some(Sound::Pulse), ..DesktopOptions::BARE };

/// A recording, and how the bundled sounds sound in it.
pub(crate) struct Ears {
    pub(crate) recording: Recording,
    pub(crate) default: Vec<Burst>,
    pub(crate) bing: Vec<Burst>,
    pub(crate) ring: Vec<Burst>,
}

impl Ears {
    pub(crate) fn on(app: &App) -> Self {
        let recording = Recording::start(&app.desktop);
        let sounds = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sounds");
        let [default, bing, ring] = ["default", "bing", "ring"]
            .map(|name| recording.reference(&app.desktop, &sounds.join(name).with_extension("ogg")));
        Self { recording, default, bing, ring }
    }

    pub(crate) fn mark(&self) -> Duration {
        self.recording.length()
    }

    /// Waits until this has been heard since the mark, once and to its end, and nothing else.
    #[track_caller]
    pub(crate) fn hears(&self, mark: Duration, sound: &[Burst]) {
        crate::rig::wait_until("something sounded, and it is silent again", crate::rig::SOON, || {
            self.recording.silence() > Duration::from_millis(600) && !self.recording.bursts_since(mark).is_empty()
        });
        let heard = self.recording.bursts_since(mark);
        let span = |bursts: &[Burst]| {
            bursts.last().map_or(0.0, |last| (last.start + last.length).as_secs_f32()) - bursts[0].start.as_secs_f32()
        };
        // A busy computer may break it up, and so make it longer.
        let longer = span(&heard) - span(sound);
        assert!(
            (heard[0].frequency - sound[0].frequency).abs() <= 10.0 && (-0.15..0.7).contains(&longer),
            "heard {heard:#?} instead of {sound:#?}"
        );
    }

    /// Waits until the ring has begun since the mark.
    #[track_caller]
    pub(crate) fn hears_ring_begin(&self, mark: Duration) {
        let first = crate::rig::wait_for("something sounds", crate::rig::SOON, || {
            self.recording.bursts_since(mark).into_iter().find(|burst| burst.length > Duration::from_millis(200))
        });
        assert!((first.frequency - self.ring[0].frequency).abs() <= 10.0, "{first:?} is no {:?}", self.ring[0]);
    }

    /// Waits until all is silent and stays so for longer than the rest within the ring.
    #[track_caller]
    pub(crate) fn falls_silent(&self) {
        let rest = Duration::from_millis(1200);
        crate::rig::wait_until("it is silent", crate::rig::SOON, || self.recording.silence() > rest);
    }

    /// Checks that nothing has sounded since the mark, and that nothing does for a second.
    #[track_caller]
    pub(crate) fn hears_nothing(&self, mark: Duration) {
        self.recording.listen(Duration::from_secs(1));
        assert_eq!(self.recording.bursts_since(mark), []);
    }
}
