//! What waits for the desktop's do-not-disturb state: sounds, rings and urgent popups.
//!
//! The desktop is queried when one of them is due. The answer arrives as an event and is used only for what was waiting
//! for it.

use super::Controller;
use crate::{
    desktop::{Desktop, popup_services::DoNotDisturb},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// A pending query of the do-not-disturb state and what waits for it.
#[derive(Debug, Default)]
pub(super) struct DoNotDisturbQuery {
    is_asked: bool,
    /// The answer, while what was waiting is processed.
    answer: Option<bool>,
    sound: Option<SoundTweak>,
    rings: Vec<(NoticeId, SoundTweak)>,
    has_popups: bool,
}

impl<D: Desktop> Controller<D> {
    /// Plays this sound unless do-not-disturb is on. Replaces a sound that is still waiting.
    pub(super) fn play(&mut self, sound: SoundTweak) {
        if self.is_silent() {
            return;
        }
        match self.is_do_not_disturb() {
            Some(true) => {}
            Some(false) => self.parts.desktop.play(&sound),
            None => self.do_not_disturb_query.sound = Some(sound),
        }
    }

    /// Starts the ringing of this call unless do-not-disturb is on.
    pub(super) fn begin_ringing(&mut self, call: NoticeId, sound: SoundTweak) {
        if self.is_silent() {
            return;
        }
        match self.is_do_not_disturb() {
            Some(true) => {}
            Some(false) => self.parts.desktop.ring(call, &sound),
            None => self.do_not_disturb_query.rings.push((call, sound)),
        }
    }

    /// Stops the ringing of this call, or cancels it if it is still waiting.
    pub(super) fn stop_ringing(&mut self, call: NoticeId) {
        self.do_not_disturb_query.rings.retain(|(waiting, _)| *waiting != call);
        self.parts.desktop.stop_ringing(call);
    }

    /// Whether urgent popups may be shown as urgent. `None`: not known yet; a refresh follows when it is.
    pub(super) fn may_be_urgent(&mut self) -> Option<bool> {
        let answer = self.is_do_not_disturb();
        self.do_not_disturb_query.has_popups |= answer.is_none();
        answer.map(|is_on| !is_on)
    }

    /// `None`: the query is under way.
    fn is_do_not_disturb(&mut self) -> Option<bool> {
        let how = self.screen.needs().do_not_disturb;
        if !self.parts.config.quiet.follow_desktop || how == DoNotDisturb::Unknown {
            return Some(false);
        }
        if self.do_not_disturb_query.answer.is_none()
            && !std::mem::replace(&mut self.do_not_disturb_query.is_asked, true)
        {
            self.parts.desktop.ask_do_not_disturb(how);
        }
        self.do_not_disturb_query.answer
    }

    /// Handles the answer. What has ended meanwhile is dropped.
    pub(super) async fn do_not_disturb_is(&mut self, is_on: bool) {
        let DoNotDisturbQuery { sound, rings, has_popups, .. } = std::mem::take(&mut self.do_not_disturb_query);
        self.do_not_disturb_query.answer = Some(is_on);
        for (call, sound) in rings {
            self.begin_ringing(call, sound);
        }
        if let Some(sound) = sound {
            self.play(sound);
        }
        if has_popups {
            self.refresh().await;
        }
        self.do_not_disturb_query.answer = None;
    }
}
