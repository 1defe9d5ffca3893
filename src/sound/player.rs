//! Plays sounds without ever letting the caller wait.
//!
//! While something sounds there is a supervising thread, and a session thread for each sound, which makes every call
//! that may block. A session that does not come back in time is abandoned: its thread ends when the call does. An idle
//! player has no thread, and no stream or connection to a sound server.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    lookup::{self, Places},
    output::OpenError,
    schedule::{Fault, Job, Schedule, Wanted},
    session::{self, Heard, Phase, Signal, Task},
};
use crate::{
    config,
    desktop::{DesktopEvent, ServiceState},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// How long a file may take to be found, read and decoded.
const LOADING_TIME: Duration = Duration::from_secs(12);
/// How long a device may take to be opened, or to be closed.
const DEVICE_TIME: Duration = Duration::from_secs(5);
/// The most abandoned sessions; while there are as many, nothing is played.
const MOST_ABANDONED: usize = 2;

/// Plays the sounds of notices and calls. Every method returns at once. Whether sound works arrives as
/// [`DesktopEvent::Sound`] with the first sound, and whenever it changes.
pub struct Player {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Told of every change to the state that a supervising thread waits for.
    changed: Condvar,
    default_directory: PathBuf,
    events: UnboundedSender<DesktopEvent>,
}

struct State {
    settings: config::Sound,
    schedule: Schedule,
    supervised: bool,
    session: Option<Session>,
    next_session: u64,
    abandoned: usize,
    reported: Option<ServiceState>,
}

/// The session that plays now.
struct Session {
    id: u64,
    phase: Phase,
    since: Instant,
    stop: Option<mpsc::Sender<Signal>>,
}

impl Player {
    /// A player that finds the person's sounds in `default_directory`, unless the settings name another one.
    #[must_use]
    pub fn start(settings: config::Sound, default_directory: PathBuf, events: UnboundedSender<DesktopEvent>) -> Self {
        let state = State {
            settings,
            schedule: Schedule::default(),
            supervised: false,
            session: None,
            next_session: 0,
            abandoned: 0,
            reported: None,
        };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Self { shared: Arc::new(Shared { state, changed, default_directory, events }) }
    }

    /// Plays a sound once, unless one began less than a second ago or still sounds.
    pub fn play(&self, sound: &SoundTweak) {
        self.ask(|schedule, now| schedule.play(sound, now));
    }

    /// Repeats a sound until [`Player::stop_ringing`]. Calls that ring at the same time are heard one after the other.
    pub fn ring(&self, call: NoticeId, sound: &SoundTweak) {
        self.ask(|schedule, now| schedule.ring(call, sound, now));
    }

    /// Ends the ringing of this call.
    pub fn stop_ringing(&self, call: NoticeId) {
        let stopped = self.shared.lock().schedule.stop_ringing(call);
        if stopped {
            self.shared.changed.notify_all();
        }
    }

    /// Ends everything that sounds.
    pub fn stop_all(&self) {
        self.shared.lock().schedule.stop_all();
        self.shared.changed.notify_all();
    }

    /// New settings: what sounds is ended if sounds are now off, and goes on as it began if not.
    pub fn configure(&self, settings: config::Sound) {
        let mut state = self.shared.lock();
        state.settings = settings;
        if !state.is_on() {
            state.schedule.stop_all();
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    fn ask(&self, request: impl FnOnce(&mut Schedule, Instant) -> bool) {
        let mut state = self.shared.lock();
        if !state.is_on() || !request(&mut state.schedule, Instant::now()) {
            return;
        }
        if !state.supervised {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("sound".to_owned()).spawn(move || shared.supervise());
            match thread {
                Ok(_) => state.supervised = true,
                Err(error) => {
                    state.schedule.stop_all();
                    self.shared.report(&mut state, Err(no_thread(&error).reason));
                }
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.stop_all();
    }
}

impl State {
    fn is_on(&self) -> bool {
        self.settings.enabled && self.settings.volume > 0.0
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, time: Option<Duration>) -> MutexGuard<'a, State> {
        match time {
            Some(time) => self.changed.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The supervising thread: lives until nothing is wanted any more.
    fn supervise(self: Arc<Self>) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state = match state.schedule.wanted(now) {
                Wanted::Sound(job) => self.sound(state, &job),
                Wanted::NothingUntil(time) => self.wait(state, Some(time.saturating_duration_since(now))),
                Wanted::Nothing => {
                    state.supervised = false;
                    return;
                }
            }
        }
    }

    /// Has a session play this job, and returns when it is over or abandoned.
    fn sound<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, job: &Job) -> MutexGuard<'a, State> {
        if let Err(error) = self.begin(&mut state, job) {
            self.finish(&mut state, job, Err(error));
            return state;
        }
        loop {
            let now = Instant::now();
            let wanted = state.schedule.wanted(now) == Wanted::Sound(job.clone());
            let Some(session) = &mut state.session else { return state };
            if let Phase::Over(result) = &session.phase {
                let result = result.clone();
                self.finish(&mut state, job, result);
                return state;
            }
            if let Some(stop) = session.stop.take_if(|_| !wanted) {
                // It fails when the session is just over, which it then says by itself.
                let _ = stop.send(Signal::Stop);
            }
            let left = session.deadline().map(|deadline| deadline.saturating_duration_since(now));
            if left == Some(Duration::ZERO) {
                let error = session.overdue();
                state.abandoned += 1;
                self.finish(&mut state, job, Err(error));
                return state;
            }
            state = self.wait(state, left);
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, job: &Job) -> Result<(), OpenError> {
        if state.abandoned >= MOST_ABANDONED {
            let reason = "the sound server still does not answer: restart it".to_owned();
            return Err(OpenError { fault: Fault::NoAnswer, reason });
        }
        let (signals, inbox) = mpsc::channel();
        state.next_session += 1;
        let (id, stop) = (state.next_session, Some(signals.clone()));
        let directory = state.settings.directory.clone().unwrap_or_else(|| self.default_directory.clone());
        let places = Places { tweaks: state.settings.tweaks.clone(), directory, themes: lookup::theme_directories() };
        let task = Task { job: job.clone(), places, volume: state.settings.volume.min(1.0), signals, inbox };
        let shared = Arc::clone(self);
        let session = move || {
            let run = AssertUnwindSafe(|| session::run(task, &|phase| shared.post(id, &phase)));
            let result = catch_unwind(run).unwrap_or_else(|_| {
                let reason = "the sound host failed: this is a fault in Pushbell or in its sound library".to_owned();
                Err(OpenError { fault: Fault::NoDevice, reason })
            });
            shared.post(id, &Phase::Over(result));
        };
        thread::Builder::new().name("sound-session".to_owned()).spawn(session).map_err(|error| no_thread(&error))?;
        state.session = Some(Session { id, phase: Phase::Loading, since: Instant::now(), stop });
        Ok(())
    }

    /// A session has come so far. Of an abandoned one only its end matters.
    fn post(&self, id: u64, phase: &Phase) {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some(session) = state.session.as_mut().filter(|session| session.id == id) {
            (session.phase, session.since) = (phase.clone(), Instant::now());
            self.changed.notify_all();
            if let Phase::Playing(host) = phase {
                self.report(state, Ok((*host).to_owned()));
            }
        } else if matches!(phase, Phase::Over(_)) {
            state.abandoned = state.abandoned.saturating_sub(1);
        }
    }

    fn finish(&self, state: &mut State, job: &Job, result: Result<Heard, OpenError>) {
        state.session = None;
        match result {
            Ok(Heard::Yes) => state.schedule.heard(job),
            Ok(Heard::No) => state.schedule.dropped(job),
            Err(error) => {
                state.schedule.failed(job, error.fault, Instant::now());
                self.report(state, Err(error.reason));
            }
        }
    }

    /// Says what sound is played through, or why it is not, if that is news.
    fn report(&self, state: &mut State, result: Result<String, String>) {
        let available = result.is_ok();
        let now = ServiceState { available, reason: Some(result.unwrap_or_else(|reason| reason)) };
        if state.reported.as_ref() != Some(&now) {
            state.reported = Some(now.clone());
            // Nobody listens any more when the program ends.
            let _ = self.events.send(DesktopEvent::Sound(now));
        }
    }
}

impl Session {
    /// When it is to be abandoned. While it plays it minds the time itself.
    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Loading => Some(self.since + LOADING_TIME),
            Phase::Opening | Phase::Closing => Some(self.since + DEVICE_TIME),
            Phase::Playing(_) | Phase::Over(_) => None,
        }
    }

    fn overdue(&self) -> OpenError {
        let reason = match self.phase {
            Phase::Loading => "the sound file cannot be read: the disk does not answer",
            Phase::Opening | Phase::Playing(_) | Phase::Closing | Phase::Over(_) => {
                "the sound server does not answer: restart it"
            }
        };
        OpenError { fault: Fault::NoAnswer, reason: reason.to_owned() }
    }
}

fn no_thread(error: &io::Error) -> OpenError {
    let reason = format!("no thread could be started to play sounds: {error}");
    OpenError { fault: Fault::NoDevice, reason }
}
