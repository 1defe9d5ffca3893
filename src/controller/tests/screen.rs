//! A desktop that notes what it is told, with a notification service that answers as it is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{
    config::{Config, OpenWith},
    desktop::{
        Activation, CloseReason, Desktop, DesktopEvent, OpenTarget, PopupCall, PopupEvent, ServiceState,
        popup_services::{DoNotDisturb, PopupService},
        tray_view::TrayView,
    },
    notice::NoticeId,
    present::popup::{Action, Popup, PopupKey},
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
    /// It shows them, and has a field for texts.
    TakesTexts,
    /// It takes its time, until [`Screen::release`].
    Waits,
}

#[expect(clippy::struct_excessive_bools, reason = "a desktop may be in any of these states at once")]
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) service: Service,
    /// What the service calls itself.
    pub(super) name: &'static str,
    /// How many services there were.
    services: usize,
    last_id: u32,
    /// The call in flight, while the service waits, and what had been recorded then.
    pub(super) waiting: Option<(PopupCall, usize)>,
    /// What has been recorded so far, as the test counts it.
    pub(super) recorded: usize,
    /// For each of `shows`, what had been recorded when it was asked for.
    pub(super) asked_at: Vec<usize>,
    /// What is up, oldest first.
    pub(super) up: Vec<(u32, Popup)>,
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
    pub(super) watches_screen_lock: bool,
    pub(super) closed: bool,
    pub(super) do_not_disturb: bool,
    /// The answer to whether it is so is kept back.
    keeps_answer: bool,
    /// It waits for that.
    pub(super) is_unanswered: bool,
    /// How often it was asked for that.
    pub(super) asked_for_do_not_disturb: usize,
    events: VecDeque<DesktopEvent>,
}

/// The desktop; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(super) struct Screen(Arc<Mutex<State>>);

impl Screen {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The desktop as the next run finds it: its service goes on, and is not heard of before it says so.
    pub(super) fn go_on(&self) -> Self {
        let State { name, services, last_id, recorded, ref up, .. } = *self.state();
        let next = State { name, services, last_id, recorded, up: up.clone(), ..State::default() };
        Self(Arc::new(Mutex::new(next)))
    }

    pub(super) fn next_event(&self) -> Option<DesktopEvent> {
        self.state().events.pop_front()
    }

    /// The service comes, goes or changes its mind.
    pub(super) fn service(&self, service: Service) {
        let mut state = self.state();
        let is_absent = service == Service::Absent;
        if is_absent {
            state.up.clear();
            if state.service != Service::Absent {
                state.services += 1;
            }
            if state.waiting.take().is_some() {
                state.answer(Err("it is gone".into()));
            }
        }
        state.service = service;
        let id = format!("the bus :1.{}", state.services);
        let has_text_input = service == Service::TakesTexts;
        let name = state.name.to_owned();
        let service = (!is_absent).then(|| PopupService { id, name, has_text_input, ..PopupService::default() });
        state.say(PopupEvent::Service { service, state: ServiceState { available: !is_absent, reason: None } });
    }

    /// The service does what waits; then it shows at once.
    pub(super) fn release(&self) {
        let mut state = self.state();
        state.service = Service::Shows;
        if let Some((call, asked_at)) = state.waiting.take() {
            state.perform(call, asked_at);
        }
    }

    /// From now on it says whether the person is not to be disturbed, or keeps that back.
    pub(super) fn answers(&self, answers: bool) {
        let mut state = self.state();
        state.keeps_answer = !answers;
        state.answer_question();
    }

    /// The id of the popup with this key.
    pub(super) fn id(&self, key: &PopupKey) -> u32 {
        self.state().up.iter().find(|(_, popup)| popup.key == *key).unwrap().0
    }

    /// The person dismisses the popup.
    pub(super) fn dismissed(&self, key: &PopupKey) -> DesktopEvent {
        let id = self.id(key);
        self.state().up.retain(|(up, _)| *up != id);
        DesktopEvent::Popup(PopupEvent::Closed { id, reason: CloseReason::Dismissed })
    }

    /// The person chooses an action of the popup, which stays until it is closed.
    pub(super) fn action(&self, key: &PopupKey, action: Action, token: Option<&str>) -> DesktopEvent {
        let activation = Activation { key: action.key().to_owned(), text: None, token: token.map(str::to_owned) };
        DesktopEvent::Popup(PopupEvent::Activated { id: self.id(key), activation })
    }
}

impl State {
    fn say(&mut self, event: PopupEvent) {
        self.events.push_back(DesktopEvent::Popup(event));
    }

    fn answer(&mut self, answer: Result<u32, String>) {
        self.say(PopupEvent::Answer(answer));
    }

    fn answer_question(&mut self) {
        if self.is_unanswered && !self.keeps_answer {
            self.is_unanswered = false;
            self.events.push_back(DesktopEvent::DoNotDisturb(self.do_not_disturb));
        }
    }

    fn perform(&mut self, call: PopupCall, asked_at: usize) {
        match call {
            PopupCall::Show { popup, replaces } => {
                self.asked_at.push(asked_at);
                let id = if replaces == 0 {
                    self.last_id += 1;
                    self.last_id
                } else {
                    replaces
                };
                self.up.retain(|(up, _)| *up != id);
                self.up.push((id, popup.clone()));
                self.shows.push(popup);
                self.answer(Ok(id));
            }
            PopupCall::Close(id) => {
                self.up.retain(|(up, _)| *up != id);
                self.answer(Ok(id));
            }
        }
    }
}

impl Desktop for Screen {
    fn popup(&mut self, call: PopupCall) {
        let mut state = self.state();
        assert!(state.waiting.is_none(), "one call at a time");
        let is_show = matches!(call, PopupCall::Show { .. });
        state.asked += usize::from(is_show);
        let recorded = state.recorded;
        match state.service {
            Service::Shows | Service::TakesTexts => state.perform(call, recorded),
            Service::Refuses if !is_show => state.perform(call, recorded),
            Service::Absent | Service::Refuses => state.answer(Err("no".into())),
            Service::Waits => state.waiting = Some((call, recorded)),
        }
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

    async fn close(self) {
        self.state().closed = true;
    }

    fn configure(&mut self, _config: &Config) {}

    fn watch_screen_lock(&mut self, wanted: bool) {
        self.state().watches_screen_lock = wanted;
    }

    fn ask_do_not_disturb(&mut self, _how: DoNotDisturb) {
        let mut state = self.state();
        assert!(!state.is_unanswered, "one question at a time");
        state.asked_for_do_not_disturb += 1;
        state.is_unanswered = true;
        state.answer_question();
    }
}
