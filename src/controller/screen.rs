//! Which popups are on the screen, and the calls to the notification service that change it (pure).
//!
//! One call is in flight at a time. Ids are valid only for the service that issued them: with another service all
//! popups are gone. Expiry is ignored: services still list an expired popup, and it can be replaced, closed and
//! clicked.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    desktop::{
        Activation, CloseReason, OpenTarget, PopupCall, PopupEvent,
        popup_services::{PopupNeeds, PopupService},
    },
    notice::{CallState, NoticeId, RoomKey},
    present::popup::{Action, OwnPopup, Popup, PopupKey},
};

/// Popups remembered at most. Services show far fewer at once.
const MAX_POPUPS: usize = 256;
/// Signals kept at most until the call in flight is answered, which tells the id they may refer to.
const MAX_EARLY: usize = 16;

/// The data that a popup is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum About {
    /// The unread notices of a room.
    Room {
        /// The room.
        room: RoomKey,
        /// The newest notice that it shows.
        up_to: NoticeId,
        /// The target of a click.
        target: OpenTarget,
        /// Whether texts are shown.
        show_text: bool,
    },
    /// A call.
    Call {
        /// The call's notice.
        call: NoticeId,
        /// The state at the time the popup was made.
        state: CallState,
        /// The target of a click.
        target: OpenTarget,
    },
    /// The notices of many rooms.
    Summary(Summary),
    /// Pushbell itself.
    Own(OwnPopup),
}

/// The data that a summary is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The oldest notice that it counts.
    pub from: NoticeId,
    /// The newest notice that it counts.
    pub up_to: NoticeId,
    /// The rooms whose highlight it names.
    pub highlights: Vec<RoomKey>,
    /// Whether texts are shown.
    pub show_text: bool,
    /// Whether it says that more was missed than was fetched.
    pub is_cut_short: bool,
    /// It covers popups that were closed to make room for newer ones; newer notices still have popups of their own.
    pub is_folded: bool,
}

impl About {
    /// The key of its popup.
    #[must_use]
    pub fn key(&self) -> PopupKey {
        match self {
            Self::Room { room, .. } => PopupKey::Room(room.clone()),
            Self::Call { call, .. } => PopupKey::Call(*call),
            Self::Summary(_) => PopupKey::Summary,
            Self::Own(own) => PopupKey::Own(*own),
        }
    }

    /// The summary, if it is one.
    #[must_use]
    pub fn summary(&self) -> Option<&Summary> {
        if let Self::Summary(summary) = self { Some(summary) } else { None }
    }

    fn is_pending_call(&self) -> bool {
        matches!(self, Self::Call { state, .. } if state.is_pending())
    }

    /// Whether seeing `other` implies having seen everything in `self`.
    fn is_covered_by(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Room { up_to, .. }, Self::Room { up_to: seen, .. }) => up_to <= seen,
            (Self::Call { .. }, _) => true,
            (Self::Room { .. } | Self::Summary(_) | Self::Own(_), _) => false,
        }
    }
}

/// What is kept of a popup: numbers, identifiers and a hash, but no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PopupRecord {
    /// The data it is made from.
    pub about: About,
    /// See [`Popup::content_hash`].
    pub content_hash: u64,
    /// The actions it offers besides a click on the popup itself.
    actions: Vec<Action>,
}

/// The popups that stay up when the program ends. The next run can replace and close them and handle their clicks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PersistedPopups {
    /// The service that issued the ids.
    service: String,
    /// Each with its id.
    popups: Vec<(u32, PopupRecord)>,
}

/// Result of a call or a signal.
#[derive(Debug, Clone, PartialEq)]
pub enum ScreenEvent {
    /// The service shows it.
    Shown(PopupRecord),
    /// The service refused it, with the reason. It is not retried automatically.
    NotShown(About, String),
    /// The person chose an action that the popup offers. The popup is closed.
    Activated {
        /// The popup's data.
        about: About,
        /// The chosen action.
        action: Action,
        /// The text that was entered.
        text: Option<String>,
        /// The activation token (Wayland) that came with it.
        token: Option<String>,
    },
    /// The person dismissed it.
    Dismissed(About),
}

/// A popup: up, waiting to be sent, or both if what is up is about to be replaced.
#[derive(Debug)]
struct Entry {
    key: PopupKey,
    up: Option<(u32, PopupRecord)>,
    waiting: Option<(Popup, PopupRecord)>,
}

/// The call that has not been answered yet.
#[derive(Debug)]
enum InFlight {
    Show {
        told: PopupRecord,
        replaces: u32,
        /// Whether it has not been withdrawn since.
        is_wanted: bool,
    },
    Close,
}

/// State of the popups on the screen.
#[derive(Debug, Default)]
pub struct Screen {
    service: Option<PopupService>,
    is_available: bool,
    /// Popups of the previous run, until it is known whether the same service is running.
    left_over: Option<PersistedPopups>,
    /// At most one for each key; the one shown longest ago first, the order in which services list them.
    entries: Vec<Entry>,
    /// Ids to be closed.
    closing: VecDeque<u32>,
    in_flight: Option<InFlight>,
    early: Vec<PopupEvent>,
}

impl Screen {
    /// Shows a popup in place of the one with the same key. An older version that still waits is dropped.
    pub fn show(&mut self, popup: Popup, about: About) {
        let told = PopupRecord { about, content_hash: popup.content_hash(), actions: popup.buttons.clone() };
        let key = popup.key.clone();
        let up = match self.entries.iter().position(|entry| entry.key == key) {
            Some(index) => self.entries.remove(index).up,
            None => None,
        };
        if self.entries.len() >= MAX_POPUPS {
            let oldest = self.entries.iter().position(|entry| entry.waiting.is_none());
            self.entries.remove(oldest.unwrap_or(0));
        }
        self.entries.push(Entry { key, up, waiting: Some((popup, told)) });
    }

    /// Closes the popup with this key, or drops it if it is waiting or in flight.
    pub fn withdraw(&mut self, key: &PopupKey) {
        let replaced = self.cancel_in_flight(key);
        if let Some(index) = self.entries.iter().position(|entry| entry.key == *key)
            && let Some((id, _)) = self.entries.remove(index).up
            && replaced != Some(id)
        {
            self.close(id);
        }
    }

    /// Drops the waiting popup with this key if `is_wrong` says so. Returns whether it was dropped.
    pub fn drop_waiting(&mut self, key: &PopupKey, is_wrong: impl FnOnce(&PopupRecord) -> bool) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == *key) else { return false };
        let dropped = entry.waiting.take_if(|(_, told)| is_wrong(told)).is_some();
        self.forget_empty();
        dropped
    }

    /// Drops all waiting popups with notices.
    pub fn drop_notices(&mut self) {
        for entry in &mut self.entries {
            entry.waiting.take_if(|(_, told)| !matches!(told.about, About::Own(_)));
        }
        self.forget_empty();
    }

    /// Takes over popups of the previous run, once it is known that the same service is running.
    pub fn adopt(&mut self, left_over: PersistedPopups) {
        self.left_over = Some(left_over);
        self.adopt_from_service();
    }

    /// The entry of the service in the table of services.
    #[must_use]
    pub fn needs(&self) -> PopupNeeds {
        self.service.as_ref().map(PopupService::needs).unwrap_or_default()
    }

    /// Whether the service has a text field. Systems that report no service have one.
    #[must_use]
    pub fn takes_text(&self) -> bool {
        self.service.as_ref().is_none_or(|service| service.has_text_input)
    }

    /// What the next run can take over.
    #[must_use]
    pub fn persisted(&self) -> Option<PersistedPopups> {
        if let Some(left_over) = &self.left_over {
            // The service was not known before the program ended.
            return Some(left_over.clone());
        }
        // Popups about Pushbell are determined anew by the next run.
        let popups = self.entries.iter().filter_map(|entry| entry.up.clone());
        let popups = popups.filter(|(_, told)| !matches!(told.about, About::Own(_))).collect::<Vec<_>>();
        let service = self.service.as_ref().filter(|_| !popups.is_empty())?;
        Some(PersistedPopups { service: service.id.clone(), popups })
    }

    /// The next call to the service, if there is one and no call is in flight.
    pub fn next_call(&mut self) -> Option<PopupCall> {
        if self.in_flight.is_some() || !self.is_available {
            return None;
        }
        if let Some(id) = self.closing.pop_front() {
            self.in_flight = Some(InFlight::Close);
            return Some(PopupCall::Close(id));
        }
        let closes_calls = self.needs().one_banner;
        let entry = self.entries.iter_mut().find(|entry| entry.waiting.is_some())?;
        if let Some((id, _)) = entry.up.take_if(|(_, told)| closes_calls && told.about.is_pending_call()) {
            self.in_flight = Some(InFlight::Close);
            return Some(PopupCall::Close(id));
        }
        let (popup, told) = entry.waiting.take()?;
        let replaces = entry.up.as_ref().map_or(0, |(id, _)| *id);
        self.in_flight = Some(InFlight::Show { told, replaces, is_wanted: true });
        Some(PopupCall::Show { popup, replaces })
    }

    /// Whether calls are still pending or in flight. False while the service cannot take any.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let waits = || !self.closing.is_empty() || self.entries.iter().any(|entry| entry.waiting.is_some());
        self.is_available && (self.in_flight.is_some() || waits())
    }

    /// Handles an answer or a signal of the service.
    pub fn handle(&mut self, event: PopupEvent) -> Vec<ScreenEvent> {
        match event {
            PopupEvent::Service { service, state } => {
                self.service_is(service, state.available);
                Vec::new()
            }
            PopupEvent::Answer(answer) => self.answered(answer),
            event @ (PopupEvent::Activated { .. } | PopupEvent::Closed { .. }) => {
                self.signal(event).into_iter().collect()
            }
        }
    }

    /// The popups that are up or being sent, each in its newest version.
    pub fn current(&self) -> impl Iterator<Item = &About> {
        let in_flight = self.in_flight_about().filter(|about| self.find(&about.key()).is_none());
        self.entries.iter().filter_map(|entry| self.newest(&entry.key)).chain(in_flight)
    }

    /// The popup with this key in its newest version: the replacement, if one is being sent.
    #[must_use]
    pub fn newest(&self, key: &PopupKey) -> Option<&About> {
        let entry = self.find(key);
        entry
            .and_then(|entry| entry.waiting.as_ref().map(|(_, told)| &told.about))
            .or_else(|| self.in_flight_about().filter(|about| about.key() == *key))
            .or_else(|| self.up(key).map(|told| &told.about))
    }

    /// The popup with this key that is up.
    #[must_use]
    pub fn up(&self, key: &PopupKey) -> Option<&PopupRecord> {
        self.find(key)?.up.as_ref().map(|(_, told)| told)
    }

    /// Whether a popup with this key is waiting or in flight.
    #[must_use]
    pub fn is_on_its_way(&self, key: &PopupKey) -> bool {
        self.find(key).is_some_and(|entry| entry.waiting.is_some())
            || self.in_flight_about().is_some_and(|about| about.key() == *key)
    }

    fn in_flight_about(&self) -> Option<&About> {
        match &self.in_flight {
            Some(InFlight::Show { told, is_wanted: true, .. }) => Some(&told.about),
            Some(InFlight::Show { .. } | InFlight::Close) | None => None,
        }
    }

    fn find(&self, key: &PopupKey) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == *key)
    }

    fn close(&mut self, id: u32) {
        if id != 0 && self.closing.len() < MAX_POPUPS && !self.closing.contains(&id) {
            self.closing.push_back(id);
        }
    }

    /// Marks the call in flight as no longer wanted, if it has this key. Returns the id that it replaces.
    fn cancel_in_flight(&mut self, key: &PopupKey) -> Option<u32> {
        match &mut self.in_flight {
            Some(InFlight::Show { told, replaces, is_wanted }) if told.about.key() == *key => {
                *is_wanted = false;
                Some(*replaces)
            }
            Some(InFlight::Show { .. } | InFlight::Close) | None => None,
        }
    }

    fn service_is(&mut self, service: Option<PopupService>, is_available: bool) {
        if self.service != service {
            self.service = service;
            self.closing.clear();
            self.early.clear();
            self.entries.iter_mut().for_each(|entry| entry.up = None);
            if let Some(InFlight::Show { replaces, .. }) = &mut self.in_flight {
                *replaces = 0;
            }
        }
        self.is_available = is_available;
        if !is_available {
            // Waiting popups are dropped: their notices are still in the inbox and are planned again when a service is
            // available.
            self.entries.iter_mut().for_each(|entry| entry.waiting = None);
        }
        self.forget_empty();
        self.adopt_from_service();
    }

    fn adopt_from_service(&mut self) {
        let Some(service) = &self.service else { return };
        let Some(left_over) = self.left_over.take().filter(|left_over| left_over.service == service.id) else { return };
        for (id, told) in left_over.popups.into_iter().take(MAX_POPUPS) {
            let key = told.about.key();
            match self.entries.iter_mut().find(|entry| entry.key == key) {
                Some(entry) => entry.up = entry.up.take().or(Some((id, told))),
                None => self.entries.push(Entry { key, up: Some((id, told)), waiting: None }),
            }
        }
    }

    fn forget_empty(&mut self) {
        self.entries.retain(|entry| entry.up.is_some() || entry.waiting.is_some());
    }

    fn answered(&mut self, answer: Result<u32, String>) -> Vec<ScreenEvent> {
        let early = std::mem::take(&mut self.early);
        let Some(InFlight::Show { told, replaces, is_wanted }) = self.in_flight.take() else { return Vec::new() };
        match answer {
            Ok(id) if is_wanted => {
                for entry in &mut self.entries {
                    entry.up.take_if(|(other, _)| *other == id);
                }
                let key = told.about.key();
                let up = Some((id, told.clone()));
                match self.entries.iter_mut().find(|entry| entry.key == key) {
                    Some(entry) => entry.up = up,
                    None => self.entries.push(Entry { key, up, waiting: None }),
                }
                self.forget_empty();
                let mut events = vec![ScreenEvent::Shown(told)];
                events.extend(early.into_iter().filter_map(|signal| self.signal(signal)));
                events
            }
            Ok(id) => {
                self.close(id);
                Vec::new()
            }
            Err(reason) => {
                // The popup to replace may have been clicked or withdrawn meanwhile.
                if self.index(replaces).is_none() {
                    self.close(replaces);
                }
                is_wanted.then_some(ScreenEvent::NotShown(told.about, reason)).into_iter().collect()
            }
        }
    }

    /// Handles a signal. A signal with an unknown id may precede the answer that introduces the id.
    fn signal(&mut self, signal: PopupEvent) -> Option<ScreenEvent> {
        match &signal {
            PopupEvent::Activated { id, activation } => {
                if let Some(index) = self.index(*id)
                    && let Some(action) = self.offered(index, &activation.key)
                {
                    let about = self.seen(index)?;
                    if !matches!(self.in_flight, Some(InFlight::Show { replaces, .. }) if replaces == *id) {
                        // Some services keep a popup after its action.
                        self.close(*id);
                    }
                    let Activation { text, token, .. } = activation.clone();
                    return Some(ScreenEvent::Activated { about, action, text, token });
                }
            }
            PopupEvent::Closed { id, reason } => {
                if let Some(index) = self.index(*id) {
                    return match reason {
                        CloseReason::Dismissed => self.seen(index).map(ScreenEvent::Dismissed),
                        CloseReason::Withdrawn => {
                            self.entries[index].up = None;
                            self.forget_empty();
                            None
                        }
                        CloseReason::Expired => None,
                    };
                }
            }
            PopupEvent::Service { .. } | PopupEvent::Answer(_) => {}
        }
        let (PopupEvent::Activated { id, .. } | PopupEvent::Closed { id, .. }) = &signal else { return None };
        // A signal for the id being replaced can only be a duplicate: some services send each signal twice.
        let may_be_new = matches!(self.in_flight, Some(InFlight::Show { replaces, .. }) if replaces != *id);
        if may_be_new && self.early.len() < MAX_EARLY {
            self.early.push(signal);
        }
        None
    }

    fn index(&self, id: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.up.as_ref().is_some_and(|(up, _)| *up == id))
    }

    /// The action with this key, if the popup in this entry offers it.
    fn offered(&self, index: usize, key: &str) -> Option<Action> {
        let (_, told) = self.entries[index].up.as_ref()?;
        // A click on the popup itself is always possible.
        [Action::Open].into_iter().chain(told.actions.iter().copied()).find(|action| action.key() == key)
    }

    /// Removes a popup that the person has seen. A replacement in flight stays wanted only if it contains something
    /// newer.
    fn seen(&mut self, index: usize) -> Option<About> {
        let entry = &mut self.entries[index];
        let (_, PopupRecord { about, .. }) = entry.up.take()?;
        entry.waiting.take_if(|(_, told)| told.about.is_covered_by(&about));
        let key = entry.key.clone();
        if self.in_flight_about().is_some_and(|coming| coming.key() == key && coming.is_covered_by(&about)) {
            self.cancel_in_flight(&key);
        }
        self.forget_empty();
        Some(about)
    }
}

#[cfg(test)]
mod tests;
