//! Events from popups, the tray and desktop services.

use jiff::{Timestamp, Zoned};
use tokio::time::{Duration, Instant};

use super::{
    AppRequest, Controller, Missing,
    gathering::BACKLOG_ROOMS,
    pause::{self, Pause},
    pending_writes::{MUTED, PAUSED_UNTIL},
    refresh::target,
    schedule::WAKE_GATHER,
    screen::{About, ScreenEvent},
};
use crate::{
    backoff::Backoff,
    control::Section,
    desktop::{Desktop, DesktopEvent, OpenTarget, PopupEvent, ServiceState, tray_view::TrayAction},
    inbox::{InboxError, OnScreen, Read},
    notice::Notice,
    present::popup::{OwnPopup, PopupKey, ProblemKind},
};

/// Backoff after popups that the service refused.
pub(super) const REFUSAL_BACKOFF: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5 * 60));

/// State of the desktop's services.
#[derive(Debug)]
pub(super) struct DesktopState {
    pub(super) popups: Option<ServiceState>,
    pub(super) tray_host: Option<ServiceState>,
    pub(super) sound: ServiceState,
    pub(super) screen_locked: Option<bool>,
    pub(super) dark_panel: Option<bool>,
    pub(super) autostart: Option<bool>,
}

impl<D: Desktop> Controller<D> {
    pub(super) async fn handle_desktop_event(&mut self, event: DesktopEvent) {
        match event {
            DesktopEvent::Popup(event) => self.popup_event(event).await,
            DesktopEvent::TrayHost(state) => {
                log_change("tray icon", self.desktop_state.tray_host.as_ref(), &state);
                self.desktop_state.tray_host = Some(state);
            }
            DesktopEvent::Sound(state) => {
                log_change("sound", Some(&self.desktop_state.sound), &state);
                self.desktop_state.sound = state;
            }
            DesktopEvent::Tray(action) => self.handle_tray_action(action).await,
            DesktopEvent::MenuOpened => {
                // The menu lists mutes, and some may have expired.
                self.draw_tray();
                self.request(AppRequest::LookAtSessions);
            }
            DesktopEvent::ScreenLock(locked) => {
                let was_locked = self.desktop_state.screen_locked == Some(true);
                self.desktop_state.screen_locked = locked;
                if was_locked && locked == Some(false) {
                    self.show_unsent();
                    self.request(AppRequest::LookAtSessions);
                }
                self.draw_tray();
            }
            DesktopEvent::ColorScheme(dark) => {
                self.desktop_state.dark_panel = dark;
                self.draw_tray();
            }
            DesktopEvent::DoNotDisturb(is_on) => self.do_not_disturb_is(is_on).await,
            DesktopEvent::NotOpened(reason) => self.answer_person(OwnPopup::NotOpened, &reason),
            DesktopEvent::SessionReturned => self.parts.desktop.renew(),
            DesktopEvent::Resumed => {
                tracing::info!("the computer woke: what homeservers held back is gathered");
                let now = Instant::now();
                self.parts.resume_window.open();
                self.pause = self.pause.map(|pause| pause.after_sleep(Timestamp::now(), now));
                self.schedule.read_again_at(now + WAKE_GATHER);
                self.request(AppRequest::CatchUp(Missing::Anywhere));
            }
        }
    }

    async fn popup_event(&mut self, event: PopupEvent) {
        let mut needs_refresh = false;
        if let PopupEvent::Service { state, .. } = &event {
            let was_there = self.has_popup_service();
            log_change("popups", self.desktop_state.popups.as_ref(), state);
            self.desktop_state.popups = Some(state.clone());
            self.refusal = None;
            if state.available && !was_there {
                self.gathering.begin_backlog(BACKLOG_ROOMS);
                needs_refresh = true;
            }
        }
        for event in self.screen.handle(event) {
            needs_refresh |= !matches!(event, ScreenEvent::NotShown(..));
            self.screen_event(event).await;
        }
        if needs_refresh {
            self.refresh().await;
        }
    }

    async fn screen_event(&mut self, event: ScreenEvent) {
        match event {
            ScreenEvent::Shown(told) => {
                self.refusal = None;
                self.refusal_backoff.reset();
                match &told.about {
                    About::Room { up_to, .. } if Some(*up_to) > self.sounded => {
                        // Otherwise notices that are in no snapshot yet would be shown without their sound.
                        match self.parts.inbox.snapshot(OnScreen::default()).await {
                            Ok(snapshot) => {
                                self.snapshot = snapshot;
                                self.sound();
                            }
                            Err(error) => self.inbox_failed(&error),
                        }
                    }
                    About::Own(own) => self.problems.was_shown(*own, told.content_hash),
                    About::Room { .. } | About::Call { .. } | About::Summary(_) => {}
                }
                self.pending.shown(&told.about);
            }
            ScreenEvent::NotShown(_, reason) => {
                tracing::debug!("a popup was not shown: {reason}");
                self.refusal = Some(reason);
                self.schedule.read_again_at(Instant::now() + self.refusal_backoff.next());
            }
            ScreenEvent::Activated { about, action, text, token } => {
                let outcome = match &about {
                    About::Room { .. } | About::Call { .. } => self.act(&about, action, text, token).await,
                    About::Summary(_) => self.open_newest(token).await,
                    About::Own(own) => {
                        self.own_popup_clicked(*own, token);
                        Ok(())
                    }
                };
                if let Err(error) = outcome {
                    self.inbox_failed(&error);
                }
                self.seen(&about);
            }
            ScreenEvent::Dismissed(about) => self.seen(&about),
        }
    }

    fn own_popup_clicked(&self, own: OwnPopup, token: Option<String>) {
        match own {
            OwnPopup::Welcome => self.open_page(Section::Setup, token),
            OwnPopup::MoreUnread => self.open_page(Section::Inbox, token),
            OwnPopup::Problem(
                ProblemKind::Accounts
                | ProblemKind::Inbox
                | ProblemKind::Damage
                | ProblemKind::SignIn
                | ProblemKind::ControlSocket
                | ProblemKind::Relay,
            )
            | OwnPopup::NotDone
            | OwnPopup::NotSent
            | OwnPopup::Unverified
            | OwnPopup::BackupReset
            | OwnPopup::NewSignIn
            | OwnPopup::VerificationAsked => {}
            OwnPopup::Problem(ProblemKind::Configuration | ProblemKind::Listen | ProblemKind::Certificate)
            | OwnPopup::NotOpened
            | OwnPopup::TestFailed
            | OwnPopup::AutostartFailed => self.request(AppRequest::OpenConfiguration { token }),
        }
    }

    /// Marks what a popup shows as seen.
    fn seen(&mut self, about: &About) {
        match about {
            About::Call { call, .. } => self.stop_ringing(*call),
            About::Own(OwnPopup::NotSent) => self.problems.unsent.clear(),
            About::Room { .. } | About::Summary(_) | About::Own(_) => {}
        }
        self.pending.seen(about);
    }

    pub(super) fn open(&mut self, target: OpenTarget, token: Option<String>) {
        self.parts.desktop.open(target, &self.parts.config.popup.open, token);
    }

    /// Opens the newest unread message or call.
    async fn open_newest(&mut self, token: Option<String>) -> Result<(), InboxError> {
        if let Some(notice) = self.parts.inbox.newest_unread().await? {
            self.open_notice(&notice, token);
        }
        Ok(())
    }

    /// Opens a message or a call, and marks it as read.
    pub(super) fn open_notice(&mut self, notice: &Notice, token: Option<String>) {
        self.open(target(notice), token);
        self.read_notice(notice);
    }

    /// Marks a message or a call, and what its room's popup shows, as read.
    pub(super) fn read_notice(&mut self, notice: &Notice) {
        let room = notice.room();
        let key = PopupKey::Room(room.clone());
        let told = match self.screen.up(&key).map(|told| &told.about) {
            Some(About::Room { up_to, .. }) => notice.id.max(*up_to),
            Some(About::Call { .. } | About::Summary(_) | About::Own(_)) | None => notice.id,
        };
        self.screen.withdraw(&key);
        self.screen.withdraw(&PopupKey::Call(notice.id));
        self.stop_ringing(notice.id);
        self.pending.read(Read::Call(notice.id));
        self.pending.read(Read::Room(room, told));
    }

    async fn handle_tray_action(&mut self, action: TrayAction) {
        match action {
            TrayAction::OpenNewest => {
                if let Err(error) = self.open_newest(None).await {
                    return self.inbox_failed(&error);
                }
                self.refresh().await;
            }
            TrayAction::OpenNotice(id) => {
                if let Some(notice) = self.snapshot.newest.iter().find(|notice| notice.id == id).cloned() {
                    self.open_notice(&notice, None);
                    self.refresh().await;
                }
            }
            TrayAction::Read(ids) => {
                let is_listed = |notice: &&Notice| ids.contains(&notice.id);
                let notices: Vec<_> = self.snapshot.newest.iter().filter(is_listed).cloned().collect();
                for (number, notice) in notices.iter().enumerate() {
                    // Newest first: a receipt for it covers the room's older ones.
                    if notices[..number].iter().all(|newer| newer.room() != notice.room()) {
                        self.send_notice_receipt(notice);
                    }
                    self.read_notice(notice);
                }
                self.refresh().await;
            }
            TrayAction::Pause(length) => self.pause_until(Some(pause::end_of(length, &Zoned::now()))).await,
            TrayAction::Resume => self.resume().await,
            TrayAction::ToggleMute => {
                self.muted = !self.muted;
                if self.muted {
                    self.silence_calls();
                }
                self.pending.set(MUTED, self.muted.then(|| "yes".into()));
                self.refresh().await;
            }
            TrayAction::Unmute(room) => self.unmute(room).await,
            TrayAction::Clear => self.clear().await,
            TrayAction::Test => self.request(AppRequest::SendTest),
            TrayAction::Connect => self.open_page(Section::Setup, None),
            TrayAction::OpenInbox => self.open_page(Section::Inbox, None),
            TrayAction::OpenSettings => self.open_page(Section::Settings, None),
            TrayAction::ToggleAutostart => {
                // Updated at once: the menu toggles the check mark by itself, and a second click toggles back.
                let on = !self.desktop_state.autostart.unwrap_or(false);
                self.desktop_state.autostart = Some(on);
                self.draw_tray();
                self.request(AppRequest::SetAutostart(on));
            }
            TrayAction::Quit => self.request(AppRequest::Quit),
        }
    }

    fn open_page(&self, section: Section, token: Option<String>) {
        self.request(AppRequest::OpenPage { section, token });
    }

    pub(super) fn request(&self, request: AppRequest) {
        // A closed channel means that the program is already ending.
        drop(self.parts.requests.send(request));
    }

    fn silence_calls(&mut self) {
        self.calls.ringing().into_iter().for_each(|call| self.stop_ringing(call));
    }

    /// Marks everything as read and withdraws all popups.
    pub(super) async fn clear(&mut self) {
        self.silence_calls();
        let keys = self.screen.current().map(About::key).filter(|key| !matches!(key, PopupKey::Own(_)));
        for key in keys.collect::<Vec<_>>() {
            self.screen.withdraw(&key);
        }
        self.read_now(Read::Everything).await;
    }

    /// Not retried: a later attempt would also mark what has arrived meanwhile.
    pub(super) async fn read_now(&mut self, read: Read) {
        if let Err(error) = self.parts.inbox.mark_read(read).await {
            return self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    /// Pauses until then; `None`: until resumed.
    pub(super) async fn pause_until(&mut self, until: Option<Timestamp>) {
        let until = until.unwrap_or(Timestamp::MAX);
        self.pause = Some(Pause::new(until, Timestamp::now(), Instant::now()));
        self.pending.set(PAUSED_UNTIL, Some(until.to_string()));
        self.silence_calls();
        self.refresh().await;
    }

    pub(super) async fn resume(&mut self) {
        if self.pause.is_some() {
            self.unpause();
            self.refresh().await;
        }
    }

    /// Ends the pause. What was held back is shown in one popup.
    pub(super) fn unpause(&mut self) {
        self.pause = None;
        self.pending.set(PAUSED_UNTIL, None);
        self.gathering.begin_backlog(1);
    }
}

/// Logs once that a part of the desktop has become available or unavailable.
fn log_change(what: &str, before: Option<&ServiceState>, now: &ServiceState) {
    if before == Some(now) {
        return;
    }
    let reason = now.reason.as_deref();
    if !now.available {
        tracing::warn!("no {what}: {}", reason.unwrap_or_default());
    } else if before.is_some_and(|before| !before.available) {
        let reason = reason.map(|reason| format!(", {reason}")).unwrap_or_default();
        tracing::info!("{what}: available{reason}");
    }
}
