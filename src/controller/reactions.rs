//! What the person does with popups and tray, and what desktop services say.

use jiff::{Timestamp, Zoned};
use tokio::time::{Duration, Instant};

use super::{
    AppRequest, BACKLOG_ROOMS, Controller, Missing, ProblemKind, WAKE_GATHER, WELCOME, own_popup,
    pause::{self, Pause},
    popups::Subject,
};
use crate::{
    desktop::{Desktop, DesktopEvent, OpenTarget, ServiceState, tray_view::TrayAction},
    inbox::{Read, Shown},
    notice::Notice,
    present::popup::{PopupKey, PopupSerial},
};

/// A popup that the service refused, though it is there, is tried again after so long; twice as long after each refusal
/// in a row.
const REFUSAL_RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(5 * 60));

impl<D: Desktop> Controller<D> {
    pub(super) async fn desktop_said(&mut self, event: DesktopEvent) {
        match event {
            DesktopEvent::Shown(serial) => self.was_shown(serial).await,
            DesktopEvent::NotShown(serial, reason) => self.was_not_shown(serial, reason),
            DesktopEvent::Adopted(keys) => self.adopted(keys).await,
            DesktopEvent::Activated { key, action, token } => self.activated(key, &action, token).await,
            DesktopEvent::Dismissed(key) => self.dismissed(key).await,
            DesktopEvent::PopupService(state) => self.popup_service_is(state).await,
            DesktopEvent::TrayHost(state) => {
                note("tray icon", Some(&self.tray_host), &state);
                self.tray_host = state;
            }
            DesktopEvent::Sound(state) => {
                note("sound", Some(&self.sound), &state);
                self.sound = state;
            }
            DesktopEvent::Tray(action) => self.tray(action).await,
            DesktopEvent::ScreenLock(locked) => {
                self.screen_locked = locked;
                self.draw_tray();
            }
            DesktopEvent::ColorScheme(dark) => {
                self.dark_panel = dark;
                self.draw_tray();
            }
            DesktopEvent::NotOpened(reason) => self.answer_person(own_popup("It could not be opened", &reason)),
            DesktopEvent::SessionReturned => self.parts.desktop.renew(),
            DesktopEvent::Resumed => {
                tracing::info!("the computer woke: what homeservers held back is gathered");
                let now = Instant::now();
                self.parts.wake_window.open();
                self.pause = self.pause.map(|pause| pause.after_sleep(Timestamp::now(), now));
                self.look_again_at(now + WAKE_GATHER);
                self.ask(AppRequest::CatchUp(Missing::Anywhere));
            }
        }
    }

    async fn popup_service_is(&mut self, state: ServiceState) {
        let was_there = self.popup_service.as_ref().is_some_and(|before| before.available);
        let is_back = state.available && !was_there;
        note("popups", self.popup_service.as_ref(), &state);
        self.popup_service = Some(state);
        self.refusal = None;
        if is_back {
            self.gather(BACKLOG_ROOMS);
            self.refresh().await;
        }
    }

    /// What waits has piled up: more rooms than this become one summary.
    pub(super) fn gather(&mut self, rooms: u64) {
        self.backlog = Some(self.backlog.map_or(rooms, |before| before.min(rooms)));
    }

    async fn was_shown(&mut self, serial: PopupSerial) {
        (self.refusals, self.refusal) = (0, None);
        if self.popups.tells_up_to(serial) > self.sounded {
            // What no news have told of would count as shown before it has had its sound.
            self.refresh().await;
        }
        let Some((key, shown)) = self.popups.shown(serial) else { return };
        match shown {
            Some(Shown::Call(call, state)) => self.calls.was_shown(call, state),
            Some(Shown::Room(..) | Shown::Everything(_)) | None => {}
        }
        if let PopupKey::Own(title) = &key
            && self.announcements.get(title).is_some_and(|popup| self.popups.says(popup))
        {
            // What there is to say may have changed while this was on its way: then it is still to be told.
            self.announcements.remove(title);
        }
        self.unwritten.shown.extend(shown);
        if let PopupKey::Room(room) = key {
            self.look_whether_right(room).await;
        }
        // What waited for this answer is presented now.
        self.refresh().await;
    }

    /// Popups of an earlier run are ours again. What was read meanwhile does not stay up.
    async fn adopted(&mut self, keys: Vec<PopupKey>) {
        for key in keys {
            let is_unread = match &key {
                PopupKey::Room(room) => match self.parts.inbox.room_digest(room.clone()).await {
                    Ok(digest) => digest.is_some(),
                    Err(error) => {
                        self.inbox_failed(&error);
                        true
                    }
                },
                PopupKey::Summary => self.last.accounts.iter().any(|account| account.unread > 0),
                PopupKey::Call(_) | PopupKey::Own(_) => true,
            };
            let subject = self.left_up.subject(&key);
            self.popups.adopt(key.clone(), subject);
            if !is_unread {
                self.withdraw(&key);
            }
        }
    }

    fn was_not_shown(&mut self, serial: PopupSerial, reason: String) {
        tracing::debug!("a popup was not shown: {reason}");
        if self.popups.not_shown(serial) {
            let (first, longest) = REFUSAL_RETRY;
            let retry = first.saturating_mul(1 << self.refusals.min(16)).min(longest);
            self.refusals = self.refusals.saturating_add(1);
            self.refusal = Some(reason);
            self.look_again_at(Instant::now() + retry);
        }
    }

    async fn dismissed(&mut self, key: PopupKey) {
        let subject = self.popups.dismissed(&key);
        let is_settled = subject.as_ref().is_some_and(|subject| self.popups.brings_nothing_newer(&key, subject));
        if is_settled || matches!(key, PopupKey::Call(_)) {
            // Whatever is on its way about this call, or makes right what is gone, does not matter any more.
            self.popups.forget_key(&key);
            self.parts.desktop.withdraw(&key);
        }
        self.acknowledge(key, subject).await;
    }

    async fn activated(&mut self, key: PopupKey, action: &str, token: Option<String>) {
        let subject = self.popups.subject(&key);
        self.popups.forget_key(&key);
        // Services that keep a popup after its action are told to close it.
        self.parts.desktop.withdraw(&key);
        match &key {
            PopupKey::Room(_) | PopupKey::Call(_) => {
                if let Some(subject) = subject.as_ref().filter(|_| action != "ignore") {
                    self.open(subject.target.clone(), token);
                }
            }
            PopupKey::Summary => self.open_newest(token).await,
            PopupKey::Own(title) if *title == WELCOME => self.ask(AppRequest::Connect { token }),
            PopupKey::Own(title)
                if [ProblemKind::Accounts, ProblemKind::Inbox, ProblemKind::Damage, ProblemKind::SignIn]
                    .map(ProblemKind::title)
                    .contains(title) => {}
            PopupKey::Own(_) => self.ask(AppRequest::OpenConfiguration { token }),
        }
        self.acknowledge(key, subject).await;
    }

    /// The person has seen what the popup told of.
    async fn acknowledge(&mut self, key: PopupKey, subject: Option<Subject>) {
        match key {
            PopupKey::Call(call) => self.parts.desktop.stop_ringing(call),
            PopupKey::Summary => self.planner.summary_is_over(),
            PopupKey::Room(_) | PopupKey::Own(_) => {}
        }
        self.read(seen(&key, subject.as_ref())).await;
    }

    /// Has the inbox note what was read, as soon as it can, and looks what that means.
    async fn read(&mut self, read: impl IntoIterator<Item = Read>) {
        for read in read {
            if !self.unwritten.reads.contains(&read) {
                self.unwritten.reads.push(read);
            }
        }
        self.refresh().await;
    }

    /// Has the inbox note what was read and not noted yet. Whether it has.
    pub(super) async fn write_reads(&mut self) -> bool {
        while let Some(read) = self.unwritten.reads.first() {
            if let Err(error) = self.parts.inbox.mark_read(read.clone()).await {
                self.inbox_failed(&error);
                return false;
            }
            self.unwritten.reads.remove(0);
        }
        true
    }

    pub(super) fn open(&mut self, target: OpenTarget, token: Option<String>) {
        self.parts.desktop.open(target, &self.parts.config.popup.open, token);
    }

    async fn open_newest(&mut self, token: Option<String>) {
        match self.parts.inbox.newest_unread().await {
            Ok(Some(notice)) => self.open_notice(&notice, token).await,
            Ok(None) => {}
            Err(error) => self.inbox_failed(&error),
        }
    }

    /// Opens a message or a call, and takes with it what its room's popup tells.
    async fn open_notice(&mut self, notice: &Notice, token: Option<String>) {
        let Subject { room, newest, target, .. } = Subject::from(notice);
        self.open(target, token);
        let key = PopupKey::Room(room.clone());
        let seen = self.popups.subject(&key).map_or(newest, |subject| subject.newest.max(newest));
        self.withdraw(&key);
        self.withdraw(&PopupKey::Call(newest));
        self.parts.desktop.stop_ringing(newest);
        self.read([Read::Call(newest), Read::Room(room, seen)]).await;
    }

    async fn tray(&mut self, action: TrayAction) {
        match action {
            TrayAction::OpenNewest => self.open_newest(None).await,
            TrayAction::OpenNotice(id) => {
                if let Some(notice) = self.last.newest.iter().find(|notice| notice.id == id).cloned() {
                    self.open_notice(&notice, None).await;
                }
            }
            TrayAction::Pause(length) => self.pause_until(Some(pause::end_of(length, &Zoned::now()))).await,
            TrayAction::Resume => self.resume().await,
            TrayAction::ToggleMute => {
                self.muted = !self.muted;
                if self.muted {
                    self.stop_ringing();
                }
                self.remember("muted", self.muted.then(|| "yes".into())).await;
                self.draw_tray();
            }
            TrayAction::Clear => self.clear().await,
            TrayAction::Test => self.ask(AppRequest::SendTest { unread: self.badge().unread }),
            TrayAction::OpenConfiguration => self.ask(AppRequest::OpenConfiguration { token: None }),
            TrayAction::Connect => self.ask(AppRequest::Connect { token: None }),
            TrayAction::ToggleAutostart => {
                // Shown at once: the menu ticks what is clicked by itself, and a second click means the contrary.
                let on = !self.autostart.unwrap_or(false);
                self.autostart = Some(on);
                self.draw_tray();
                self.ask(AppRequest::SetAutostart(on));
            }
            TrayAction::Quit => self.ask(AppRequest::Quit),
        }
    }

    pub(super) fn ask(&self, ask: AppRequest) {
        // The program that no longer listens is ending already.
        drop(self.parts.asks.send(ask));
    }

    pub(super) async fn remember(&mut self, name: &'static str, value: Option<String>) {
        self.unwritten.settings.insert(name, value);
        self.write_settings().await;
    }

    /// Has the inbox note the settings that it has not noted yet: a pause that was ended must not come back with the
    /// next start.
    pub(super) async fn write_settings(&mut self) {
        while let Some((name, value)) = self.unwritten.settings.first_key_value() {
            if let Err(error) = self.parts.inbox.set_setting(name, value.clone()).await {
                return self.inbox_failed(&error);
            }
            self.unwritten.settings.pop_first();
        }
    }

    fn stop_ringing(&mut self) {
        for call in self.calls.ringing() {
            self.parts.desktop.stop_ringing(call);
        }
    }

    pub(super) async fn clear(&mut self) {
        self.stop_ringing();
        for key in self.popups.forget(|key, _| !matches!(key, PopupKey::Own(_))) {
            self.parts.desktop.withdraw(&key);
        }
        self.planner.summary_is_over();
        // Now or never: later it would read what has come meanwhile.
        if let Err(error) = self.parts.inbox.mark_read(Read::Everything).await {
            return self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    /// Pauses until then; without an end until resumed.
    pub(super) async fn pause_until(&mut self, until: Option<Timestamp>) {
        let until = until.unwrap_or(Timestamp::MAX);
        self.pause = Some(Pause::new(until, Timestamp::now(), Instant::now()));
        self.stop_ringing();
        self.remember("paused_until", Some(until.to_string())).await;
        self.draw_tray();
    }

    pub(super) async fn resume(&mut self) {
        if self.pause.is_some() {
            self.unpause();
            self.refresh().await;
            self.remember("paused_until", None).await;
        }
    }

    /// The pause has had its time.
    pub(super) async fn end_pause(&mut self) {
        self.unpause();
        self.remember("paused_until", None).await;
    }

    /// What was held back ends in one popup.
    fn unpause(&mut self) {
        self.pause = None;
        self.gather(1);
    }
}

/// What the person has read who has seen this popup, which told of this.
pub(super) fn seen(key: &PopupKey, subject: Option<&Subject>) -> Option<Read> {
    match key {
        PopupKey::Room(room) => subject.map(|subject| Read::Room(room.clone(), subject.newest)),
        PopupKey::Call(call) => Some(Read::Call(*call)),
        PopupKey::Summary | PopupKey::Own(_) => None,
    }
}

/// Logs that a part of the desktop has come or gone, once each time.
fn note(what: &str, before: Option<&ServiceState>, now: &ServiceState) {
    if before == Some(now) {
        return;
    }
    if !now.available {
        tracing::warn!("no {what}: {}", now.reason.as_deref().unwrap_or_default());
    } else if before.is_some_and(|before| !before.available) {
        tracing::info!("{}", back(what, now));
    }
}

/// That a part of the desktop is back, and what is known of it.
fn back(what: &str, state: &ServiceState) -> String {
    match &state.reason {
        Some(reason) => format!("{what}: available, {reason}"),
        None => format!("{what}: available"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_back_is_said_without_a_blank_end() {
        let state = |reason: Option<&str>| ServiceState { available: true, reason: reason.map(str::to_owned) };
        assert_eq!(back("tray icon", &state(None)), "tray icon: available");
        assert_eq!(back("popups", &state(Some("dunst 1.9.0"))), "popups: available, dunst 1.9.0");
    }
}
