//! What the person does with popups and tray, and what desktop services say.

use super::*;

impl<D: Desktop> Controller<D> {
    pub(super) async fn desktop_said(&mut self, event: DesktopEvent) {
        match event {
            DesktopEvent::Shown(serial) => {
                self.calls.answered(serial, true);
                if let Some((key, shown)) = self.popups.shown(serial) {
                    self.was_shown(key, shown).await;
                }
            }
            DesktopEvent::NotShown(serial, reason) => {
                tracing::debug!("a popup was not shown: {reason}");
                self.calls.answered(serial, false);
                if self.popups.not_shown(serial) {
                    self.due.plan.get_or_insert(Instant::now() + REFUSAL_RETRY);
                }
            }
            DesktopEvent::Activated { key, action, token } => self.activated(key, &action, token).await,
            DesktopEvent::Dismissed(key) => {
                let subject = self.popups.subject(&key);
                self.popups.forget_key(&key);
                self.acknowledge(&key, subject).await;
            }
            DesktopEvent::PopupService(state) => {
                let back = state.available && !self.popup_service.as_ref().is_some_and(|before| before.available);
                note("popups", self.popup_service.as_ref(), &state);
                self.popup_service = Some(state);
                if back {
                    self.backlog = Some(self.backlog.map_or(BACKLOG_ROOMS, |rooms| rooms.min(BACKLOG_ROOMS)));
                    self.refresh().await;
                }
            }
            DesktopEvent::TrayHost(state) => {
                note("tray icon", Some(&self.tray_host), &state);
                self.tray_host = state;
            }
            DesktopEvent::Sound(state) => {
                note("sound", Some(&self.sound), &state);
                self.sound = state;
            }
            DesktopEvent::Tray(action) => self.tray(action).await,
            DesktopEvent::ScreenLock(locked) => self.screen_locked = locked,
            DesktopEvent::ColorScheme(dark) => {
                self.dark_panel = dark;
                self.draw_tray();
            }
            DesktopEvent::NotOpened(reason) => self.announce(own_popup("It could not be opened", &reason)),
            DesktopEvent::SessionReturned => self.parts.desktop.renew(),
            DesktopEvent::Resumed => {
                tracing::info!("the computer woke: what homeservers held back is gathered");
                self.parts.wake_window.open();
                self.backlog = Some(BACKLOG_ROOMS);
                self.due.news = Some(Instant::now() + WAKE_GATHER);
                if let Some(until) = self.paused_until {
                    self.pause_until(Some(until));
                }
            }
        }
    }

    pub(super) async fn was_shown(&mut self, key: PopupKey, shown: Vec<Shown>) {
        if !shown.is_empty() {
            if let Err(error) = self.parts.inbox.mark_shown(shown).await {
                return self.inbox_failed(&error);
            }
            self.refresh().await;
        }
        if let PopupKey::Room(room) = key
            && self.outdated.remove(&room)
        {
            self.show_room(room, None).await;
        }
    }

    pub(super) async fn activated(&mut self, key: PopupKey, action: &str, token: Option<String>) {
        let subject = self.popups.subject(&key);
        self.popups.forget_key(&key);
        match &key {
            PopupKey::Room(_) | PopupKey::Call(_) if action != "ignore" => {
                self.open(subject.as_ref().map(|subject| subject.target.clone()), token);
            }
            PopupKey::Room(_) | PopupKey::Call(_) => {}
            PopupKey::Summary => self.open_newest(token).await,
            PopupKey::Own(title) if *title == WELCOME => self.ask(Ask::Connect { token }),
            PopupKey::Own(title) if *title == Topic::Accounts.title() || *title == Topic::Inbox.title() => {}
            PopupKey::Own(_) => self.ask(Ask::OpenConfiguration { token }),
        }
        // Services that keep a popup after its action are told to close it.
        self.parts.desktop.withdraw(&key);
        self.acknowledge(&key, subject).await;
    }

    /// The person has seen what the popup told of.
    pub(super) async fn acknowledge(&mut self, key: &PopupKey, subject: Option<Subject>) {
        let read = match (key, subject) {
            (PopupKey::Room(room), Some(subject)) => Read::Room(room.clone(), subject.newest),
            (PopupKey::Call(call), _) => {
                self.parts.desktop.stop_ringing(*call);
                Read::Call(*call)
            }
            (PopupKey::Summary, _) => return self.planner.summary_is_over(),
            (PopupKey::Room(_) | PopupKey::Own(_), _) => return,
        };
        self.read(read).await;
    }

    pub(super) async fn read(&mut self, read: Read) {
        if let Err(error) = self.parts.inbox.mark_read(read).await {
            return self.inbox_failed(&error);
        }
        self.refresh().await;
    }

    pub(super) fn open(&mut self, target: Option<OpenTarget>, token: Option<String>) {
        if let Some(target) = target {
            self.parts.desktop.open(target, &self.parts.config.popup.open, token);
        }
    }

    pub(super) async fn open_newest(&mut self, token: Option<String>) {
        match self.parts.inbox.newest_unread().await {
            Ok(Some(notice)) => self.open_notice(Subject::from(&notice), token).await,
            Ok(None) => {}
            Err(error) => self.inbox_failed(&error),
        }
    }

    pub(super) async fn open_notice(&mut self, subject: Subject, token: Option<String>) {
        self.open(Some(subject.target), token);
        let key = PopupKey::Room(subject.room.clone());
        if self.popups.forget_key(&key) {
            self.parts.desktop.withdraw(&key);
        }
        self.read(Read::Room(subject.room, subject.newest)).await;
    }

    pub(super) async fn tray(&mut self, action: TrayAction) {
        match action {
            TrayAction::OpenNewest => self.open_newest(None).await,
            TrayAction::OpenNotice(id) => {
                if let Some(notice) = self.last.newest.iter().find(|notice| notice.id == id) {
                    self.open_notice(Subject::from(notice), None).await;
                }
            }
            TrayAction::Pause(length) => self.pause(Some(pause::end_of(length, &Zoned::now()))).await,
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
            TrayAction::Test => self.ask(Ask::SendTest { unread: self.badge().unread }),
            TrayAction::OpenConfiguration => self.ask(Ask::OpenConfiguration { token: None }),
            TrayAction::Connect => self.ask(Ask::Connect { token: None }),
            TrayAction::Quit => self.ask(Ask::Quit),
        }
    }

    pub(super) fn ask(&self, ask: Ask) {
        // The program that no longer listens is ending already.
        drop(self.parts.asks.send(ask));
    }

    pub(super) async fn remember(&mut self, name: &'static str, value: Option<String>) {
        if let Err(error) = self.parts.inbox.set_setting(name, value).await {
            self.inbox_failed(&error);
        }
    }

    pub(super) fn stop_ringing(&mut self) {
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
        self.read(Read::Everything).await;
    }

    pub(super) async fn pause(&mut self, until: Option<Timestamp>) {
        let until = until.unwrap_or(Timestamp::MAX);
        self.pause_until(Some(until));
        self.stop_ringing();
        self.remember("paused_until", Some(until.to_string())).await;
        self.draw_tray();
    }

    pub(super) fn pause_until(&mut self, until: Option<Timestamp>) {
        self.paused_until = until;
        self.due.pause = until.filter(|until| *until != Timestamp::MAX).map(|until| {
            let left = until.duration_since(Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
    }

    pub(super) async fn resume(&mut self) {
        if let Some(until) = self.paused_until.take() {
            tracing::debug!("the pause until {until} has ended");
        }
        self.due.pause = None;
        // What was held back ends in one popup.
        self.backlog = Some(1);
        self.remember("paused_until", None).await;
        self.refresh().await;
    }
}

/// Logs that a part of the desktop has come or gone, once each time.
fn note(what: &str, before: Option<&ServiceState>, now: &ServiceState) {
    let reason = now.reason.as_deref().unwrap_or_default();
    if before == Some(now) {
        return;
    }
    if !now.available {
        tracing::warn!("no {what}: {reason}");
    } else if before.is_some_and(|before| !before.available) {
        tracing::info!("{what}: available {reason}");
    }
}
