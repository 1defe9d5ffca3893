//! What becomes of popups (pure): which call to the notification service comes next, and what its answers and signals mean.
//!
//! One call is in flight at a time, and none is ever abandoned while its service may still obey it: when a call is
//! overdue the service counts as hung until that very call is answered. So a popup is neither lost nor shown twice.
//! An id belongs to the service that gave it: all are forgotten when the name org.freedesktop.Notifications changes hands.

use std::time::Duration;

use super::{
    call::{Abilities, Answer, Call, Failure},
    queue::{Queue, Task},
    shown::{Shown, Signal},
};
use crate::desktop::{DesktopEvent, ServiceState};
use crate::present::popup::{Popup, PopupKey, PopupSerial};

/// Popups that may wait to be sent.
pub(super) const MAX_WAITING: usize = 256;

/// Signals kept until the answer to the call in flight says whose they are.
const MAX_EARLY: usize = 16;

const FIRST_REST: Duration = Duration::from_secs(1);
const LAST_REST: Duration = Duration::from_secs(30);

/// A call that has not been answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum InFlight {
    Start,
    Describe,
    AskAbilities,
    Notify { serial: PopupSerial, key: PopupKey },
    Close,
    Rest,
}

/// The owner of the name org.freedesktop.Notifications.
#[derive(Debug)]
struct Service {
    owner: String,
    name: Option<String>,
    abilities: Option<Abilities>,
}

/// Why popups are turned down.
#[derive(Debug)]
enum Trouble {
    /// There is no session bus.
    NoBus(String),
    /// Nobody shows popups, and nobody can be started to.
    NoService(String),
    /// The call in flight is overdue. `alive`: a later call was answered all the same.
    Hung { alive: bool },
    /// A popup seems to have been too much for the service: it is left alone for a while.
    Resting,
}

/// The state of popups.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The bus has said who owns the name.
    known: bool,
    service: Option<Service>,
    /// The bus can start a service.
    activatable: bool,
    trouble: Option<Trouble>,
    /// How often in a row a service failed over a popup.
    failures: u32,
    in_flight: Option<InFlight>,
    waiting: Queue,
    shown: Shown,
    early: Vec<Signal>,
    published: Option<ServiceState>,
    events: Vec<DesktopEvent>,
}

impl Desk {
    /// What happened since it was last asked.
    pub(super) fn take_events(&mut self) -> Vec<DesktopEvent> {
        std::mem::take(&mut self.events)
    }

    /// Unique name of the service.
    pub(super) fn owner(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.owner.as_str())
    }

    /// Whether a call is in flight. When it is not, an earlier one needs no answer any more.
    pub(super) fn is_calling(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Whether popups are turned down.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Whether the call in flight is overdue and nothing has shown yet that the service lives.
    pub(super) fn wants_probe(&self) -> bool {
        matches!(self.trouble, Some(Trouble::Hung { alive: false }))
    }

    /// A popup is to be shown.
    pub(super) fn show(&mut self, serial: PopupSerial, popup: Popup) {
        if let Some(reason) = self.refusal() {
            self.events.push(DesktopEvent::NotShown(serial, reason));
        } else if let Err(reason) = self.waiting.show(serial, popup) {
            self.events.push(DesktopEvent::NotShown(serial, reason));
        }
    }

    /// A popup is to be withdrawn.
    pub(super) fn withdraw(&mut self, key: &PopupKey) {
        self.waiting.forget(key);
        let is_being_shown = matches!(&self.in_flight, Some(InFlight::Notify { key: shown, .. }) if shown == key);
        if is_being_shown || self.shown.contains(key) {
            self.waiting.withdraw(key.clone());
        }
    }

    /// All popups are to be withdrawn.
    pub(super) fn withdraw_all(&mut self) {
        let mut keys = self.waiting.keys();
        keys.extend(self.shown.keys());
        if let Some(InFlight::Notify { key, .. }) = &self.in_flight {
            keys.push(key.clone());
        }
        for key in keys {
            self.withdraw(&key);
        }
    }

    /// The service already shows these, with these ids.
    pub(super) fn adopt(&mut self, popups: Vec<(PopupKey, u32)>) {
        let mut adopted = Vec::new();
        for (key, id) in popups {
            if !self.shown.contains(&key) {
                self.shown.insert(key.clone(), id);
                adopted.push(key);
            }
        }
        self.events.push(DesktopEvent::Adopted(adopted));
    }

    /// The popups that the service shows, or may still list, with their ids.
    pub(super) fn standing(&self) -> Vec<(PopupKey, u32)> {
        self.shown.ids().collect()
    }

    /// There is no bus.
    pub(super) fn disconnected(&mut self, reason: &str) {
        self.lose_service("the session bus ended before the popup was confirmed");
        self.in_flight = None;
        self.known = true;
        self.failures = 0;
        self.turn_down(Trouble::NoBus(reason.to_owned()));
    }

    /// There is a bus: who owns the name, and whether the bus could start a service.
    pub(super) fn connected(&mut self, owner: Option<String>, activatable: bool) {
        self.lose_service("the session bus ended before the popup was confirmed");
        self.in_flight = None;
        self.known = true;
        self.failures = 0;
        self.activatable = activatable;
        self.resume(owner);
    }

    /// The name changed hands.
    pub(super) fn owner_changed(&mut self, owner: Option<String>) {
        if self.owner() == owner.as_deref() {
            return;
        }
        let failed = self.lose_service("the notification service ended before it confirmed the popup");
        if failed {
            self.failures += 1;
        }
        if failed || matches!(self.trouble, Some(Trouble::Resting)) {
            self.service = owner.map(Service::new);
            self.turn_down(Trouble::Resting);
        } else {
            self.resume(owner);
        }
    }

    /// The next call, if there is something to do and no call in flight.
    pub(super) fn next_call(&mut self) -> Option<Call> {
        if self.in_flight.is_some() {
            return None;
        }
        let (in_flight, call) = match (&self.trouble, &self.service) {
            (Some(Trouble::Resting), _) => (InFlight::Rest, Call::Rest(rest_after(self.failures))),
            (None, None) if self.activatable && self.waiting.has_popups() => (InFlight::Start, Call::Start),
            (Some(Trouble::NoBus(_) | Trouble::NoService(_) | Trouble::Hung { .. }), _) | (None, None) => return None,
            (None, Some(Service { name: None, .. })) => (InFlight::Describe, Call::Describe),
            (None, Some(Service { abilities: None, .. })) => (InFlight::AskAbilities, Call::AskAbilities),
            (None, Some(Service { abilities: Some(abilities), .. })) => self.next_task(*abilities)?,
        };
        self.in_flight = Some(in_flight);
        Some(call)
    }

    fn next_task(&mut self, abilities: Abilities) -> Option<(InFlight, Call)> {
        loop {
            match self.waiting.next()? {
                Task::Show(serial, popup) => {
                    let key = popup.key.clone();
                    let replaces = self.shown.id(&key).unwrap_or(0);
                    return Some((InFlight::Notify { serial, key }, Call::Notify { replaces, popup, abilities }));
                }
                Task::Withdraw(key) => {
                    if let Some(id) = self.shown.forget(&key) {
                        return Some((InFlight::Close, Call::Close(id)));
                    }
                }
            }
        }
    }

    /// The call in flight was answered.
    pub(super) fn answered(&mut self, answer: Result<Answer, Failure>) {
        let Some(call) = self.in_flight.take() else { return };
        if matches!(self.trouble, Some(Trouble::Hung { .. } | Trouble::Resting)) {
            self.trouble = None;
        }
        match answer {
            Ok(Answer::Started(Some(owner))) => self.owner_changed(Some(owner)),
            Ok(Answer::Started(None)) => self.not_started("it ended at once"),
            Ok(Answer::Description(name)) => self.described(name),
            Ok(Answer::Abilities(abilities)) => self.has_abilities(abilities),
            Ok(Answer::Id(id)) => self.showed(call, id),
            Ok(Answer::Closed) => {}
            Ok(Answer::Rested) => {
                let owner = self.service.take().map(|service| service.owner);
                self.resume(owner);
            }
            Err(failure) => self.failed(call, failure),
        }
        self.early.clear();
        self.publish();
    }

    fn failed(&mut self, call: InFlight, failure: Failure) {
        match (call, failure) {
            (InFlight::Start, Failure::Refused(reason) | Failure::Gone(reason)) => self.not_started(&reason),
            (InFlight::Describe, Failure::Refused(_)) => self.described("a notification service without a name".into()),
            (InFlight::AskAbilities, Failure::Refused(_)) => self.has_abilities(Abilities::default()),
            (InFlight::Notify { serial, .. }, Failure::Refused(reason)) => {
                self.failures = 0;
                let reason = format!("the notification service refused the popup: {reason}");
                self.events.push(DesktopEvent::NotShown(serial, reason));
            }
            (InFlight::Notify { serial, .. }, Failure::Gone(reason)) => {
                let reason = format!("the notification service was gone: {reason}");
                self.events.push(DesktopEvent::NotShown(serial, reason));
                self.rest();
            }
            (InFlight::Describe | InFlight::AskAbilities, Failure::Gone(_)) => self.rest(),
            (InFlight::Close | InFlight::Rest, Failure::Refused(_) | Failure::Gone(_)) => {}
        }
    }

    /// The call in flight has had its time.
    pub(super) fn overdue(&mut self) {
        match (&self.in_flight, &self.trouble) {
            (None | Some(InFlight::Rest), _) => {}
            (Some(InFlight::Start), _) => {
                self.in_flight = None;
                self.not_started("it takes too long");
                self.publish();
            }
            (
                Some(InFlight::Notify { .. } | InFlight::Describe | InFlight::AskAbilities | InFlight::Close),
                trouble,
            ) => match trouble {
                Some(Trouble::Hung { alive: true }) => self.give_up(),
                Some(Trouble::Hung { alive: false } | Trouble::NoBus(_) | Trouble::NoService(_) | Trouble::Resting)
                | None => self.turn_down(Trouble::Hung { alive: false }),
            },
        }
    }

    /// A hung service answered a later call: the one in flight, which it received before, has one more deadline to be answered.
    pub(super) fn probe_answered(&mut self) {
        if let Some(Trouble::Hung { alive }) = &mut self.trouble {
            *alive = true;
        }
    }

    /// The service lives and has swallowed the call in flight.
    fn give_up(&mut self) {
        if let Some(InFlight::Notify { serial, .. }) = self.in_flight.take() {
            let reason = "the notification service took the popup but never confirmed it";
            self.events.push(DesktopEvent::NotShown(serial, reason.into()));
        }
        self.rest();
    }

    /// A signal of the notification interface.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.shown.knows(&signal) {
            self.events.extend(self.shown.signal(signal));
        } else if matches!(self.in_flight, Some(InFlight::Notify { .. })) && self.early.len() < MAX_EARLY {
            self.early.push(signal);
        }
    }

    fn described(&mut self, name: String) {
        if let Some(service) = &mut self.service {
            service.name = Some(name);
        }
    }

    fn has_abilities(&mut self, abilities: Abilities) {
        if let Some(service) = &mut self.service {
            service.abilities = Some(abilities);
        }
    }

    fn showed(&mut self, call: InFlight, id: u32) {
        if let InFlight::Notify { serial, key } = call {
            self.failures = 0;
            self.shown.insert(key, id);
            self.events.push(DesktopEvent::Shown(serial));
            for signal in std::mem::take(&mut self.early) {
                self.events.extend(self.shown.signal(signal));
            }
        }
    }

    fn not_started(&mut self, reason: &str) {
        let advice = "start it, or install another one";
        self.turn_down(Trouble::NoService(format!(
            "the notification service could not be started ({reason}): {advice}"
        )));
    }

    /// Forgets what the service was told. Whether it was lost over a call that only it could have answered.
    fn lose_service(&mut self, reason: &str) -> bool {
        self.service = None;
        self.shown.clear();
        self.early.clear();
        self.waiting.forget_withdrawals();
        match self.in_flight.take() {
            Some(InFlight::Notify { serial, .. }) => {
                self.events.push(DesktopEvent::NotShown(serial, reason.to_owned()));
                true
            }
            Some(InFlight::Describe | InFlight::AskAbilities) => true,
            Some(InFlight::Rest) => {
                self.in_flight = Some(InFlight::Rest);
                false
            }
            Some(InFlight::Start | InFlight::Close) | None => false,
        }
    }

    /// Begins with this owner, or with none.
    fn resume(&mut self, owner: Option<String>) {
        self.trouble = None;
        self.service = owner.map(Service::new);
        if self.service.is_none() && !self.activatable {
            let reason =
                "no notification service is running: install and start one, for example dunst or xfce4-notifyd";
            self.turn_down(Trouble::NoService(reason.into()));
        }
        self.publish();
    }

    fn rest(&mut self) {
        self.failures += 1;
        self.turn_down(Trouble::Resting);
    }

    fn turn_down(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        if let Some(reason) = self.refusal() {
            let turned_down = self.waiting.take_popups();
            self.events.extend(turned_down.map(|serial| DesktopEvent::NotShown(serial, reason.clone())));
        }
        self.publish();
    }

    fn refusal(&self) -> Option<String> {
        self.trouble.as_ref().map(|trouble| match trouble {
            Trouble::NoBus(reason) => {
                format!("there is no session bus ({reason}): start Pushbell inside a desktop session")
            }
            Trouble::NoService(reason) => reason.clone(),
            Trouble::Hung { .. } => {
                let name = self.service.as_ref().and_then(|service| service.name.as_deref());
                format!("{} does not answer: restart it if that lasts", name.unwrap_or("the notification service"))
            }
            Trouble::Resting => "the notification service failed over a popup and is left alone for a moment".into(),
        })
    }

    fn publish(&mut self) {
        let state = match (self.refusal(), &self.service) {
            (Some(reason), _) => ServiceState { available: false, reason: Some(reason) },
            (None, Some(Service { name, abilities: Some(_), .. })) => {
                ServiceState { available: true, reason: name.clone() }
            }
            (None, None) if self.known && self.activatable => {
                let reason = "a notification service is started when the first popup comes";
                ServiceState { available: true, reason: Some(reason.into()) }
            }
            (None, Some(Service { abilities: None, .. }) | None) => return,
        };
        if self.published.as_ref() != Some(&state) {
            self.events.push(DesktopEvent::PopupService(state.clone()));
            self.published = Some(state);
        }
    }
}

impl Service {
    fn new(owner: String) -> Self {
        Self { owner, name: None, abilities: None }
    }
}

fn rest_after(failures: u32) -> Duration {
    FIRST_REST.saturating_mul(1 << failures.saturating_sub(1).min(8)).min(LAST_REST)
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
