//! What Pushbell says about itself: its welcome, and what is wrong.

use std::collections::BTreeMap;

use super::{
    Controller,
    screen::{About, words_of},
};
use crate::{
    control::EncryptionStatus,
    desktop::Desktop,
    present::{
        MAX_BODY_CHARS, MAX_BODY_LINES,
        popup::{OwnPopup, Popup, PopupKey, ProblemKind},
    },
    push::text,
};

/// Most replies that are given back in one popup.
const MAX_UNSENT: usize = 5;

/// What is wrong, and the popups about Pushbell that have not been shown yet.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) open: BTreeMap<ProblemKind, String>,
    unshown: BTreeMap<OwnPopup, Popup>,
    /// Replies that were not sent, or perhaps were, each with the reason: until the person has seen them.
    pub(super) unsent: Vec<String>,
    /// Those that were shown last.
    shown: BTreeMap<OwnPopup, Popup>,
}

impl Problems {
    /// A popup was shown. What there is to say may have changed while it was on its way: then it is still to be shown.
    pub(super) fn was_shown(&mut self, own: OwnPopup, words: u64) {
        if self.unshown.get(&own).is_some_and(|popup| words_of(popup) == words)
            && let Some(popup) = self.unshown.remove(&own)
        {
            self.shown.insert(own, popup);
        }
    }

    /// It is to be shown once more.
    pub(super) fn show_again(&mut self, own: OwnPopup) {
        if let Some(popup) = self.shown.remove(&own) {
            self.unshown.entry(own).or_insert(popup);
        }
    }
}

impl<D: Desktop> Controller<D> {
    /// Tells the person once about something that is wrong.
    pub(super) fn problem(&mut self, kind: ProblemKind, reason: String) {
        if self.problems.open.get(&kind) == Some(&reason) {
            return;
        }
        tracing::warn!("{}: {reason}", kind.title());
        self.announce(OwnPopup::Problem(kind), &reason);
        self.problems.open.insert(kind, reason);
    }

    /// It is no longer wrong.
    pub(super) fn solved(&mut self, kind: ProblemKind) {
        self.problems.open.remove(&kind);
        self.take_back(OwnPopup::Problem(kind));
    }

    /// What this popup tells is no longer so.
    fn take_back(&mut self, own: OwnPopup) {
        self.problems.unshown.remove(&own);
        self.problems.shown.remove(&own);
        self.screen.withdraw(&PopupKey::Own(own));
    }

    /// How the accounts' encryption stands has changed: what popups tell of it may no longer be so.
    pub(super) fn encryption_stands(&mut self, encryption: BTreeMap<String, EncryptionStatus>) {
        for own in [OwnPopup::Unverified, OwnPopup::VerificationAsked, OwnPopup::BackupReset] {
            let still: Vec<_> = encryption.values().filter_map(|status| status.is_told_by(own)).collect();
            if !still.contains(&true) && (still.contains(&false) || encryption.is_empty()) {
                self.take_back(own);
            }
        }
        self.encryption = encryption;
    }

    /// Tells the person this as soon as popups can be shown.
    pub(super) fn announce(&mut self, own: OwnPopup, text: &str) {
        self.problems.unshown.insert(own, own.popup(text));
        self.show_announcements();
    }

    /// Gives the text of a reply back to the person: it was not sent, or perhaps was.
    pub(super) fn not_sent(&mut self, reason: &str, text: &str) {
        let text = text::history(text, MAX_BODY_CHARS, MAX_BODY_LINES);
        let unsent = if text.is_empty() { format!("{reason}.") } else { format!("{reason}:\n{text}") };
        self.problems.unsent.push(unsent);
        let surplus = self.problems.unsent.len().saturating_sub(MAX_UNSENT);
        self.problems.unsent.drain(..surplus);
        self.show_unsent();
    }

    /// Shows what was not sent; not on a locked screen.
    pub(super) fn show_unsent(&mut self) {
        if !self.problems.unsent.is_empty() && self.surroundings.screen_locked != Some(true) {
            let text = self.problems.unsent.join("\n\n");
            self.announce(OwnPopup::NotSent, &text);
        }
    }

    /// Shows what is still to be announced, if popups can be shown.
    pub(super) fn show_announcements(&mut self) {
        if !self.can_pop_up() || self.makes_way_for_call() {
            return;
        }
        for (own, popup) in &self.problems.unshown {
            if !self.screen.is_on_its_way(&popup.key) {
                self.screen.show(popup.clone(), About::Own(*own));
            }
        }
    }

    /// Answers what the person has just done. That is wanted now or never, also during a pause.
    pub(super) fn answer_person(&mut self, own: OwnPopup, text: &str) {
        if self.has_popup_service() {
            self.screen.show(own.popup(text), About::Own(own));
        }
    }
}
