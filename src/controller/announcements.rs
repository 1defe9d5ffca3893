//! What Pushbell says about itself: its welcome, and what is wrong.

use super::Controller;
use crate::desktop::Desktop;
use crate::present::popup::{Popup, PopupKey, Timeout, Urgency};

/// Title of the popup of the first start: a click on it shows how to connect a homeserver.
pub const WELCOME: &str = "Pushbell is ready";

/// What a problem is about: one at a time for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// `pushbell.toml`
    Configuration,
    /// `accounts.toml`
    Accounts,
    /// The addresses of `server.listen`
    Listen,
    /// The certificate of `server.tls`
    Certificate,
    /// The inbox
    Inbox,
    /// An inbox that was damaged, and put aside
    Damage,
    /// Sessions that are over
    SignIn,
}

impl ProblemKind {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Configuration => "The configuration has a fault",
            Self::Accounts => "The accounts cannot be read",
            Self::Listen => "Not all addresses can be listened on",
            Self::Certificate => "The certificate needs your attention",
            Self::Inbox => "The inbox cannot be used",
            Self::Damage => "The inbox was damaged",
            Self::SignIn => "Signed out by the homeserver",
        }
    }
}

/// A popup about Pushbell itself; one for each title.
#[must_use]
pub fn own_popup(title: &'static str, text: &str) -> Popup {
    Popup {
        key: PopupKey::Own(title),
        title: title.into(),
        text: text.into(),
        urgency: Urgency::Normal,
        category: "device",
        actions: vec![("default", "Open")],
        timeout: Timeout::Default,
    }
}

impl<D: Desktop> Controller<D> {
    /// Tells the person once about something that is wrong.
    pub(super) fn problem(&mut self, topic: ProblemKind, reason: String) {
        if self.problems.get(&topic) == Some(&reason) {
            return;
        }
        tracing::warn!("{}: {reason}", topic.title());
        self.announce(own_popup(topic.title(), &reason));
        self.problems.insert(topic, reason);
    }

    /// It is no longer wrong.
    pub(super) fn solved(&mut self, topic: ProblemKind) {
        self.problems.remove(&topic);
        self.announcements.remove(topic.title());
        self.withdraw(&PopupKey::Own(topic.title()));
    }

    /// Has the person told this as soon as popups can be shown.
    pub(super) fn announce(&mut self, popup: Popup) {
        if let PopupKey::Own(title) = popup.key {
            self.announcements.insert(title, popup);
        }
        self.show_announcements();
    }

    /// Shows what is still to be announced, if popups can be shown.
    pub(super) fn show_announcements(&mut self) {
        if !self.can_pop_up() {
            return;
        }
        for popup in self.announcements.values() {
            if !self.popups.is_under_way(&popup.key) {
                let serial = self.popups.ask_saying(popup, None);
                self.parts.desktop.show(serial, popup.clone());
            }
        }
    }

    /// Answers what the person has just done. That is wanted now or never, also during a pause.
    pub(super) fn answer_person(&mut self, popup: Popup) {
        let serial = self.popups.ask(popup.key.clone(), None, None);
        self.parts.desktop.show(serial, popup);
    }
}
