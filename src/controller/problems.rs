//! Popups about Pushbell itself: the welcome, and problems.

use std::collections::BTreeMap;

use super::{Controller, screen::About};
use crate::{
    control::EncryptionStatus,
    desktop::Desktop,
    present::{
        MAX_BODY_CHARS, MAX_BODY_LINES, own_popup,
        popup::{OwnPopup, Popup, PopupKey, ProblemKind},
        words,
    },
    push::text,
};

/// Unsent replies that one popup returns at most.
const MAX_UNSENT: usize = 5;

/// Current problems, and the popups about Pushbell that have not been shown yet.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) open: BTreeMap<ProblemKind, String>,
    unshown: BTreeMap<OwnPopup, Popup>,
    /// Replies that failed or may have failed, with the reason, until the person has seen them.
    pub(super) unsent: Vec<String>,
    /// The last version shown of each popup.
    shown: BTreeMap<OwnPopup, Popup>,
}

impl Problems {
    /// Marks a popup as shown, unless its text has changed while it was being sent.
    pub(super) fn was_shown(&mut self, own: OwnPopup, content_hash: u64) {
        if self.unshown.get(&own).is_some_and(|popup| popup.content_hash() == content_hash)
            && let Some(popup) = self.unshown.remove(&own)
        {
            self.shown.insert(own, popup);
        }
    }

    /// Shows a popup once more.
    pub(super) fn show_again(&mut self, own: OwnPopup) {
        if let Some(popup) = self.shown.remove(&own) {
            self.unshown.entry(own).or_insert(popup);
        }
    }
}

impl<D: Desktop> Controller<D> {
    /// Reports a problem to the person once.
    pub(super) fn problem(&mut self, kind: ProblemKind, reason: String) {
        if self.problems.open.get(&kind) == Some(&reason) {
            return;
        }
        tracing::warn!("{}: {reason}", words::problem(kind));
        self.announce(OwnPopup::Problem(kind), &reason);
        self.problems.open.insert(kind, reason);
    }

    /// A problem is solved.
    pub(super) fn solved(&mut self, kind: ProblemKind) {
        self.problems.open.remove(&kind);
        self.withdraw_own(OwnPopup::Problem(kind));
    }

    /// Withdraws a popup that is no longer true.
    fn withdraw_own(&mut self, own: OwnPopup) {
        self.problems.unshown.remove(&own);
        self.problems.shown.remove(&own);
        self.screen.withdraw(&PopupKey::Own(own));
    }

    /// The encryption state of accounts has changed: withdraws the popups that are no longer true.
    pub(super) fn encryption_changed(&mut self, encryption: BTreeMap<String, EncryptionStatus>) {
        for own in [OwnPopup::Unverified, OwnPopup::VerificationAsked, OwnPopup::BackupReset] {
            let still: Vec<_> = encryption.values().filter_map(|status| status.is_told_by(own)).collect();
            if !still.contains(&true) && (still.contains(&false) || encryption.is_empty()) {
                self.withdraw_own(own);
            }
        }
        self.encryption = encryption;
    }

    /// Shows this to the person as soon as popups can be shown.
    pub(super) fn announce(&mut self, own: OwnPopup, text: &str) {
        self.problems.unshown.insert(own, own_popup(own, text));
        self.show_announcements();
    }

    /// Returns the text of a reply that failed, or may have failed, to the person.
    pub(super) fn not_sent(&mut self, reason: &str, text: &str) {
        let text = text::history(text, MAX_BODY_CHARS, MAX_BODY_LINES);
        let unsent = if text.is_empty() { format!("{reason}.") } else { format!("{reason}:\n{text}") };
        self.problems.unsent.push(unsent);
        let surplus = self.problems.unsent.len().saturating_sub(MAX_UNSENT);
        self.problems.unsent.drain(..surplus);
        self.show_unsent();
    }

    /// Shows the unsent replies; not on a locked screen.
    pub(super) fn show_unsent(&mut self) {
        if !self.problems.unsent.is_empty() && self.desktop_state.screen_locked != Some(true) {
            let text = self.problems.unsent.join("\n\n");
            self.announce(OwnPopup::NotSent, &text);
        }
    }

    /// Shows pending announcements, if popups can be shown.
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

    /// Shows the result of an action right now or not at all, even during a pause.
    pub(super) fn answer_person(&mut self, own: OwnPopup, text: &str) {
        if self.has_popup_service() {
            self.screen.show(own_popup(own, text), About::Own(own));
        }
    }
}
