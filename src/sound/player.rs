//! Plays sounds without blocking the caller.
//!
//! A task supervises; each sound has a session thread, which makes every call that may block. A session that exceeds
//! its deadline is abandoned: its thread ends when the blocking call returns. An idle player has no thread, no stream
//! and no connection to a sound server.

use std::{
    path::PathBuf,
    sync::{Arc, Weak, mpsc::Sender},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::{
    lookup::{self, Places},
    schedule::{Fault, Job, Schedule, Wanted},
    session::{self, Outcome, Phase, Signal, Task},
};
use crate::{
    config,
    desktop::{DesktopEvent, ServiceState},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// Time limit for finding, reading and decoding a file.
const LOADING_TIME: Duration = Duration::from_secs(12);
/// Time limit for opening and for closing a device.
const DEVICE_TIME: Duration = Duration::from_secs(5);
/// Maximum number of abandoned sessions; while there are as many, nothing is played.
const MAX_ABANDONED: usize = 2;

/// Plays the sounds of notices and calls. Every method returns at once. The state of sound is reported as
/// [`DesktopEvent::Sound`] with the first sound, and whenever it changes.
pub struct Player(UnboundedSender<Request>);

enum Request {
    Play(SoundTweak),
    Ring(NoticeId, SoundTweak),
    StopRinging(NoticeId),
    StopAll,
    Configure(config::Sound),
}

impl Player {
    /// A player that looks for the user's sounds in `default_directory`, unless the settings name another one. Runs on
    /// the tokio runtime of this thread.
    #[must_use]
    pub fn start(settings: config::Sound, default_directory: PathBuf, events: UnboundedSender<DesktopEvent>) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let supervisor = Supervisor {
            requests,
            is_over: false,
            settings,
            default_directory,
            schedule: Schedule::default(),
            abandoned: Vec::new(),
            events,
            reported: None,
        };
        tokio::spawn(supervisor.run());
        Self(sender)
    }

    /// Plays a sound once, unless another started less than a second ago or is still playing.
    pub fn play(&self, sound: &SoundTweak) {
        self.ask(Request::Play(sound.clone()));
    }

    /// Repeats a sound until [`Player::stop_ringing`]. Calls that ring at the same time are heard one after the other.
    pub fn ring(&self, call: NoticeId, sound: &SoundTweak) {
        self.ask(Request::Ring(call, sound.clone()));
    }

    /// Ends the ringing of this call.
    pub fn stop_ringing(&self, call: NoticeId) {
        self.ask(Request::StopRinging(call));
    }

    /// Stops all sounds.
    pub fn stop_all(&self) {
        self.ask(Request::StopAll);
    }

    /// Applies new settings: stops what plays if sounds are now off, otherwise lets it finish.
    pub fn configure(&self, settings: config::Sound) {
        self.ask(Request::Configure(settings));
    }

    fn ask(&self, request: Request) {
        if self.0.send(request).is_err() {
            tracing::error!("sounds have ended");
        }
    }
}

struct Supervisor {
    requests: UnboundedReceiver<Request>,
    /// The player was dropped.
    is_over: bool,
    settings: config::Sound,
    default_directory: PathBuf,
    schedule: Schedule,
    /// Sessions that were abandoned and whose threads are still alive.
    abandoned: Vec<Weak<()>>,
    events: UnboundedSender<DesktopEvent>,
    reported: Option<ServiceState>,
}

impl Supervisor {
    async fn run(mut self) {
        while !self.is_over {
            let wake = match self.schedule.wanted(Instant::now()) {
                Wanted::Sound(job) => {
                    let result = self.play(&job).await;
                    self.finish(&job, result);
                    continue;
                }
                Wanted::NothingUntil(time) => Some(time),
                Wanted::Nothing => None,
            };
            tokio::select! {
                request = self.requests.recv() => self.apply(request),
                () = until(wake) => {}
            }
        }
    }

    fn apply(&mut self, request: Option<Request>) {
        let (is_on, now) = (self.is_on(), Instant::now());
        match request {
            Some(Request::Play(sound)) if is_on => self.schedule.play(&sound, now),
            Some(Request::Ring(call, sound)) if is_on => self.schedule.ring(call, &sound, now),
            Some(Request::Play(_) | Request::Ring(..)) => {}
            Some(Request::StopRinging(call)) => self.schedule.stop_ringing(call),
            Some(Request::StopAll) => self.schedule.stop_all(),
            Some(Request::Configure(settings)) => {
                self.settings = settings;
                if !self.is_on() {
                    self.schedule.stop_all();
                }
            }
            None => {
                self.schedule.stop_all();
                self.is_over = true;
            }
        }
    }

    fn is_on(&self) -> bool {
        self.settings.enabled && self.settings.volume > 0.0
    }

    /// Plays this job in a session, and returns when it has ended or was abandoned.
    async fn play(&mut self, job: &Job) -> Result<Outcome, Fault> {
        self.abandoned.retain(|session| session.strong_count() > 0);
        if self.abandoned.len() >= MAX_ABANDONED {
            return Err(Fault::NoAnswer("the sound server still does not answer: restart it".to_owned()));
        }
        let alive = Arc::new(());
        let session = Arc::downgrade(&alive);
        let (mut phases, stop) = self.start_session(job, alive)?;
        let mut stop = Some(stop);
        let mut phase = Phase::Loading;
        let mut deadline = phase_deadline(&phase);
        loop {
            let is_wanted = self.schedule.wanted(Instant::now()) == Wanted::Sound(job.clone());
            if let Some(stop) = stop.take_if(|_| !is_wanted) {
                // Fails if the session is just ending, which it reports by itself.
                let _ = stop.send(Signal::Stop);
            }
            tokio::select! {
                // Requests that arrive while this plays are handled before its end.
                biased;
                request = self.requests.recv(), if !self.is_over => self.apply(request),
                next = phases.recv() => match next {
                    Some(Phase::Over(result)) => return result,
                    Some(next) => {
                        if let Phase::Playing(host) = next {
                            self.report(Ok(host.to_owned()));
                        }
                        deadline = phase_deadline(&next);
                        phase = next;
                    }
                    // The thread has panicked.
                    None => {
                        let reason = "the sound host failed: this is a fault in Pushbell or in its sound library";
                        return Err(Fault::NoDevice(reason.to_owned()));
                    }
                },
                () = until(deadline) => {
                    self.abandoned.push(session);
                    return Err(overdue(&phase));
                }
            }
        }
    }

    /// Starts a session. Returns its phases and the channel that stops it. `alive` is dropped when its thread ends.
    fn start_session(&self, job: &Job, alive: Arc<()>) -> Result<(UnboundedReceiver<Phase>, Sender<Signal>), Fault> {
        let (signals, inbox) = std::sync::mpsc::channel();
        let stop = signals.clone();
        let directory = self.settings.directory.clone().unwrap_or_else(|| self.default_directory.clone());
        let places = Places { tweaks: self.settings.tweaks.clone(), directory, themes: lookup::theme_directories() };
        let task = Task { job: job.clone(), places, volume: self.settings.volume.min(1.0), signals, inbox };
        let (phases, receiver) = mpsc::unbounded_channel();
        let session = move || {
            // A closed channel means that the session was abandoned.
            let result = session::run(task, &|phase| _ = phases.send(phase));
            let _ = phases.send(Phase::Over(result));
            drop(alive);
        };
        thread::Builder::new()
            .name("sound-session".to_owned())
            .spawn(session)
            .map_err(|error| Fault::NoDevice(format!("no thread could be started to play sounds: {error}")))?;
        Ok((receiver, stop))
    }

    fn finish(&mut self, job: &Job, result: Result<Outcome, Fault>) {
        match result {
            Ok(Outcome::Played) => self.schedule.played(job),
            Ok(Outcome::Stopped) => self.schedule.dropped(job),
            Err(fault) => {
                self.schedule.failed(job, &fault, Instant::now());
                let (Fault::NoDevice(reason) | Fault::NoAnswer(reason)) = fault;
                self.report(Err(reason));
            }
        }
    }

    /// Reports the host that plays, or the fault, if that has changed.
    fn report(&mut self, result: Result<String, String>) {
        let available = result.is_ok();
        let now = ServiceState { available, reason: Some(result.unwrap_or_else(|reason| reason)) };
        if self.reported.as_ref() != Some(&now) {
            self.reported = Some(now.clone());
            // A closed channel means that the program is ending.
            let _ = self.events.send(DesktopEvent::Sound(now));
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

/// When a session in this phase is abandoned. While it plays it checks the time itself.
fn phase_deadline(phase: &Phase) -> Option<Instant> {
    match phase {
        Phase::Loading => Some(Instant::now() + LOADING_TIME),
        Phase::Opening | Phase::Closing => Some(Instant::now() + DEVICE_TIME),
        Phase::Playing(_) | Phase::Over(_) => None,
    }
}

fn overdue(phase: &Phase) -> Fault {
    let reason = if *phase == Phase::Loading {
        "the sound file cannot be read: the disk does not answer"
    } else {
        "the sound server does not answer: restart it"
    };
    Fault::NoAnswer(reason.to_owned())
}
