//! What waits until the desktop has said whether the person is not to be disturbed: sounds, rings, urgent popups.
//!
//! The desktop is asked when one of them is due. Its answer is an event, and counts for what waited for it alone.

use super::Controller;
use crate::{
    desktop::{Desktop, popup_services::DoNotDisturb},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// The question, and what waits for its answer.
#[derive(Debug, Default)]
pub(super) struct Question {
    is_asked: bool,
    /// The answer, while what has waited for it is dealt with.
    answer: Option<bool>,
    sound: Option<SoundTweak>,
    rings: Vec<(NoticeId, SoundTweak)>,
    has_popups: bool,
}

impl<D: Desktop> Controller<D> {
    /// Plays this sound, unless the person is not to be disturbed. It takes the place of one that waits.
    pub(super) fn play(&mut self, sound: SoundTweak) {
        if self.is_silent() {
            return;
        }
        match self.is_do_not_disturb() {
            Some(true) => {}
            Some(false) => self.parts.desktop.play(&sound),
            None => self.question.sound = Some(sound),
        }
    }

    /// Has this call ring, unless the person is not to be disturbed.
    pub(super) fn begin_ringing(&mut self, call: NoticeId, sound: SoundTweak) {
        if self.is_silent() {
            return;
        }
        match self.is_do_not_disturb() {
            Some(true) => {}
            Some(false) => self.parts.desktop.ring(call, &sound),
            None => self.question.rings.push((call, sound)),
        }
    }

    /// This call rings no more, and will not.
    pub(super) fn stop_ringing(&mut self, call: NoticeId) {
        self.question.rings.retain(|(waiting, _)| *waiting != call);
        self.parts.desktop.stop_ringing(call);
    }

    /// Whether what is urgent may be shown so. `None`: that is not known yet, and there is a refresh when it is.
    pub(super) fn may_be_urgent(&mut self) -> Option<bool> {
        let answer = self.is_do_not_disturb();
        self.question.has_popups |= answer.is_none();
        answer.map(|is_on| !is_on)
    }

    /// `None`: the desktop has been asked.
    fn is_do_not_disturb(&mut self) -> Option<bool> {
        let how = self.screen.needs().do_not_disturb;
        if !self.parts.config.quiet.follow_desktop || how == DoNotDisturb::Unknown {
            return Some(false);
        }
        if self.question.answer.is_none() && !std::mem::replace(&mut self.question.is_asked, true) {
            self.parts.desktop.ask_do_not_disturb(how);
        }
        self.question.answer
    }

    /// The desktop has answered. What has ended meanwhile waits no more.
    pub(super) async fn do_not_disturb_is(&mut self, is_on: bool) {
        let Question { sound, rings, has_popups, .. } = std::mem::take(&mut self.question);
        self.question.answer = Some(is_on);
        for (call, sound) in rings {
            self.begin_ringing(call, sound);
        }
        if let Some(sound) = sound {
            self.play(sound);
        }
        if has_popups {
            self.refresh().await;
        }
        self.question.answer = None;
    }
}
