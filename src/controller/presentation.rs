//! From news to the desktop: what is shown, rings, sounds and goes away.

use super::*;

impl<D: Desktop> Controller<D> {
    /// Asks the inbox what is new and presents it.
    pub(super) async fn refresh(&mut self) {
        let now = Instant::now();
        self.due.asked_at = Some(now);
        self.due.news = None;
        let news = match self.parts.inbox.news(self.calls.wall_clock(Timestamp::now(), now)).await {
            Ok(news) => news,
            Err(error) => return self.inbox_failed(&error),
        };
        if self.problems.remove(&Topic::Inbox).is_some() {
            self.parts.desktop.withdraw(&PopupKey::Own(Topic::Inbox.title()));
        }
        for zeroed in &news.zeroed {
            self.withdraw_zeroed(zeroed, &news);
        }
        self.ring(&news, now);
        self.sound(&news);
        for room in &news.changed_rooms {
            let key = PopupKey::Room(room.clone());
            if self.popups.is_under_way(&key) {
                self.outdated.insert(room.clone());
            } else if self.popups.is_open(&key) {
                self.show_room(room.clone(), None).await;
            }
        }
        self.last = news;
        self.present().await;
        self.draw_tray();
    }

    pub(super) fn withdraw_zeroed(&mut self, zeroed: &Zeroed, news: &News) {
        let nothing_unread = news.accounts.iter().all(|account| account.unread == 0);
        let gone = self.popups.forget(|key, subject| match (subject, zeroed) {
            (Some(subject), Zeroed::Account(account)) => subject.room.account == *account,
            (Some(subject), Zeroed::Room(room)) => subject.room == *room,
            (None, _) => *key == PopupKey::Summary && nothing_unread,
        });
        for key in gone {
            if key == PopupKey::Summary {
                self.planner.summary_is_over();
            }
            self.parts.desktop.withdraw(&key);
        }
    }

    /// Calls: those that begin to ring, those that were missed, those that are over.
    pub(super) fn ring(&mut self, news: &News, now: Instant) {
        let changes = self.calls.update(&news.calls, Timestamp::now(), now);
        for call in changes.ended {
            self.parts.desktop.stop_ringing(call);
        }
        for call in changes.over {
            if self.popups.forget_key(&PopupKey::Call(call)) {
                self.parts.desktop.withdraw(&PopupKey::Call(call));
            }
        }
        for (call, sound) in changes.begun {
            if !self.silent() {
                self.parts.desktop.ring(call, &sound);
            }
        }
        self.due.call = self.calls.next_deadline();
    }

    /// One sound for all that is new.
    pub(super) fn sound(&mut self, news: &News) {
        let newest = news
            .waiting
            .iter()
            .filter_map(|room| room.newest_sound.as_ref())
            .filter(|(id, _)| *id > self.sounded)
            .max_by_key(|(id, _)| *id);
        if let Some((_, sound)) = newest
            && !self.silent()
        {
            self.parts.desktop.play(sound);
        }
        if news.waiting_notices > 0 {
            self.sounded = self.sounded.max(news.waiting_up_to);
        }
    }

    /// Shows what waits, as far as it can be shown now.
    pub(super) async fn present(&mut self) {
        self.due.plan = None;
        if !self.parts.config.popup.enabled {
            if (self.last.waiting_notices > 0 || self.last.calls.iter().any(|call| !self.calls.is_shown(call)))
                && let Err(error) = self.parts.inbox.settle_waiting().await
            {
                self.inbox_failed(&error);
            }
            return;
        }
        if self.paused() || !self.popup_service.as_ref().is_some_and(|service| service.available) {
            return;
        }
        self.show_calls();
        let under_way: HashSet<RoomKey> = self.popups.rooms_under_way();
        let popups = &self.popups;
        let Plan { steps, again_at } = self.planner.plan(
            &self.last,
            &Situation {
                now: Instant::now(),
                backlog: self.backlog,
                is_open: &|room| popups.is_open(&PopupKey::Room(room.clone())),
                under_way: &under_way,
                summary_under_way: popups.is_under_way(&PopupKey::Summary),
            },
        );
        self.due.plan = again_at;
        for step in steps {
            match step {
                Step::Room(room, up_to) => self.show_room(room, Some(up_to)).await,
                Step::Summary { from, up_to, highlights } => self.show_summary(from, up_to, highlights).await,
            }
        }
        if self.last.waiting_rooms == 0 && !self.parts.wake_window.is_open() {
            self.backlog = None;
        }
    }

    pub(super) fn show_calls(&mut self) {
        let wording = self.wording();
        for call in &self.last.calls {
            let key = PopupKey::Call(call.notice.id);
            if self.calls.is_shown(call) || self.popups.is_under_way(&key) {
                continue;
            }
            let shown = vec![Shown::Call(call.notice.id, call.state)];
            let serial = self.popups.ask(key, shown, Some(Subject::from(&call.notice)));
            self.calls.asked(serial, call);
            self.parts.desktop.show(serial, present::call_popup(call, wording));
        }
    }

    pub(super) async fn show_room(&mut self, room: RoomKey, up_to: Option<NoticeId>) {
        let digest = match self.parts.inbox.room_digest(room.clone()).await {
            Ok(Some(digest)) => digest,
            Ok(None) => {
                // Its last message was redacted, or it was read meanwhile: nothing is left to show.
                if self.popups.forget_key(&PopupKey::Room(room.clone())) {
                    self.parts.desktop.withdraw(&PopupKey::Room(room));
                }
                return;
            }
            Err(error) => return self.inbox_failed(&error),
        };
        // The digest may be newer than the plan: it tells of everything up to its newest.
        let up_to = up_to.map(|planned| planned.max(digest.newest.id));
        let shown = up_to.map(|up_to| Shown::Room(room.clone(), up_to));
        let subject = Subject::from(&digest.newest);
        let serial = self.popups.ask(PopupKey::Room(room), shown.into_iter().collect(), Some(subject));
        self.parts.desktop.show(serial, present::room_popup(&digest, self.wording()));
    }

    pub(super) async fn show_summary(&mut self, from: NoticeId, up_to: NoticeId, highlights: Vec<RoomKey>) {
        let wording = self.wording();
        let tally = match self.parts.inbox.tally(from, up_to).await {
            Ok(tally) => tally,
            Err(error) => return self.inbox_failed(&error),
        };
        let mut named = Vec::new();
        for room in highlights {
            match self.parts.inbox.room_digest(room).await {
                Ok(digest) => named.extend(digest.and_then(|digest| digest.highlight)),
                Err(error) => return self.inbox_failed(&error),
            }
        }
        let popup = present::summary_popup(tally.notices, tally.rooms, &named, wording);
        let serial = self.popups.ask(PopupKey::Summary, vec![Shown::Everything(up_to)], None);
        self.parts.desktop.show(serial, popup);
    }

    pub(super) fn badge(&self) -> Badge {
        Badge {
            unread: self.last.accounts.iter().map(|account| account.unread).sum(),
            missed_calls: self.last.accounts.iter().map(|account| account.missed_calls).sum(),
        }
    }

    pub(super) fn draw_tray(&mut self) {
        let wording = self.wording();
        let now = Zoned::now();
        let view = TrayView::new(&TrayState {
            badge: self.badge(),
            paused_until: self.paused_until,
            muted: self.muted,
            newest: self.last.newest.iter().map(|notice| (notice.id, present::menu_line(notice, wording))).collect(),
            connected: self.last.accounts.iter().any(|account| account.last_push.is_some()),
            style: self.parts.config.tray.style,
            dark_panel: self.dark_panel,
            now: now.timestamp(),
            time_zone: now.time_zone().clone(),
        });
        self.parts.desktop.set_tray(view);
    }
}
