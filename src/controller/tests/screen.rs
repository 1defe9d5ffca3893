//! A desktop that only notes what it is told, and answers as told: the notification service keeps Pushbell's queue of
//! one popup a key, as the real adapter does.

use std::{
    collections::VecDeque,
    mem::take,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    config::{Config, OpenWith},
    desktop::{Desktop, DesktopEvent, OpenTarget, ServiceState, tray_view::TrayView},
    notice::NoticeId,
    present::popup::{Popup, PopupKey, PopupSerial, Standing},
    push::notify::SoundTweak,
};

/// How the notification service takes popups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Service {
    /// There is none.
    #[default]
    Absent,
    /// It shows them.
    Shows,
    /// It is there and refuses them.
    Refuses,
    /// It takes its time, until [`Screen::release`].
    Waits,
}

/// The notification service of [`Screen`].
const SERVICE: &str = "the bus :1.1";

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) service: Service,
    /// What waits while the service does.
    pub(super) waiting: Vec<(PopupSerial, Popup, usize)>,
    /// What has been recorded so far, as the test counts it.
    pub(super) recorded: usize,
    /// For each of `shows`, what had been recorded when it was asked for.
    pub(super) asked_at: Vec<usize>,
    /// What is up, oldest first.
    pub(super) up: Vec<Popup>,
    /// Every popup that came up, those that replace another too.
    pub(super) shows: Vec<Popup>,
    pub(super) asked: usize,
    pub(super) sounds: Vec<String>,
    /// How many calls began to ring.
    pub(super) rings: usize,
    pub(super) ringing: Vec<NoticeId>,
    pub(super) opened: Vec<(OpenTarget, Option<String>)>,
    pub(super) tray: Option<TrayView>,
    pub(super) renewed: usize,
    pub(super) closed: bool,
    pub(super) adopted: Option<Standing>,
    events: VecDeque<DesktopEvent>,
}

/// The desktop; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen(Arc<Mutex<State>>);

impl Screen {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn next_event(&self) -> Option<DesktopEvent> {
        self.state().events.pop_front()
    }

    /// The service comes, goes or changes its mind. What waits is refused if it goes.
    pub(super) fn service(&self, service: Service) {
        let mut state = self.state();
        state.service = service;
        if service == Service::Absent {
            state.up.clear();
            let refused = take(&mut state.waiting);
            let refused = refused.into_iter().map(|(serial, ..)| DesktopEvent::NotShown(serial, "it is gone".into()));
            state.events.extend(refused);
        }
        let available = service != Service::Absent;
        state.events.push_back(DesktopEvent::PopupService(ServiceState { available, reason: None }));
    }

    /// The service shows what waits; then it shows at once.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.service = Service::Shows;
        for (serial, popup, asked_at) in take(&mut state.waiting) {
            state.show(serial, popup, asked_at);
        }
    }
}

impl State {
    fn show(&mut self, serial: PopupSerial, popup: Popup, asked_at: usize) {
        self.asked_at.push(asked_at);
        self.up.retain(|other| other.key != popup.key);
        self.up.push(popup.clone());
        self.shows.push(popup);
        self.events.push_back(DesktopEvent::Shown(serial));
    }
}

impl Desktop for Screen {
    fn show(&mut self, serial: PopupSerial, popup: Popup) {
        let mut state = self.state();
        state.asked += 1;
        let recorded = state.recorded;
        match state.service {
            Service::Shows => state.show(serial, popup, recorded),
            Service::Absent | Service::Refuses => {
                state.events.push_back(DesktopEvent::NotShown(serial, "no".into()));
            }
            Service::Waits => {
                state.waiting.retain(|(_, other, _)| other.key != popup.key);
                state.waiting.push((serial, popup, recorded));
            }
        }
    }

    fn withdraw(&mut self, key: &PopupKey) {
        let mut state = self.state();
        state.up.retain(|popup| popup.key != *key);
        state.waiting.retain(|(_, popup, _)| popup.key != *key);
    }

    fn play(&mut self, sound: &SoundTweak) {
        self.state().sounds.push(sound.as_stored().unwrap_or_default().to_owned());
    }

    fn ring(&mut self, call: NoticeId, _sound: &SoundTweak) {
        let mut state = self.state();
        state.rings += 1;
        state.ringing.push(call);
    }

    fn stop_ringing(&mut self, call: NoticeId) {
        self.state().ringing.retain(|ringing| *ringing != call);
    }

    fn set_tray(&mut self, view: TrayView) {
        self.state().tray = Some(view);
    }

    fn renew(&mut self) {
        self.state().renewed += 1;
    }

    fn open(&mut self, target: OpenTarget, _with: &OpenWith, activation_token: Option<String>) {
        self.state().opened.push((target, activation_token));
    }

    fn adopt(&mut self, standing: Standing) {
        self.state().adopted = Some(standing);
    }

    async fn close(self) -> Option<Standing> {
        let mut state = self.state();
        state.closed = true;
        let popups = state.up.iter().zip(1..).map(|(popup, id)| (popup.key.clone(), id)).collect();
        Some(Standing { service: SERVICE.to_owned(), popups })
    }

    fn configure(&mut self, _config: &Config) {}
}
