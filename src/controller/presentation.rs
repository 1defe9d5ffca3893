//! From news to the desktop: what is shown, rings, sounds and goes away.

use jiff::{Timestamp, Zoned};
use tokio::time::Instant;

use super::{
    Ask, BACKLOG_ROOMS, Controller, LONGEST_NEWS_INTERVAL, Missing, NEWS_INTERVAL, Topic,
    plan::{Situation, Step},
    popups::Subject,
};
use crate::{
    desktop::{
        Desktop,
        popup::PopupKey,
        tray_view::{Badge, TrayState, TrayView},
    },
    inbox::{Incident, News, Shown, Zeroed},
    notice::{Notice, NoticeId, RoomKey},
    push::present,
};

impl<D: Desktop> Controller<D> {
    /// Looks into the inbox, and presents what is new there and what is due.
    pub(super) async fn refresh(&mut self) {
        let now = Instant::now();
        let was_asked = self.asked_at.replace(now);
        let keeps_coming = was_asked.is_some_and(|at| now < at + 2 * self.news_interval);
        self.news_interval =
            if keeps_coming { LONGEST_NEWS_INTERVAL.min(2 * self.news_interval) } else { NEWS_INTERVAL };
        self.due = None;
        self.gathering = None;
        self.inbox_works = true;
        if !self.is_restored {
            self.restore().await;
        }
        if self.pause.is_some_and(|pause| pause.is_over(Timestamp::now(), now)) {
            self.end_pause().await;
        }
        // Whatever the inbox answers.
        self.calls.rung_out(now).into_iter().for_each(|call| self.parts.desktop.stop_ringing(call));
        self.show_announcements();
        self.write_settings().await;
        self.retain_accounts().await;
        if self.is_restored && self.write_shown().await && self.write_reads().await {
            match self.parts.inbox.news(self.calls.wall_clock(Timestamp::now(), now)).await {
                Ok(news) => self.tell(news, now).await,
                Err(error) => self.inbox_failed(&error),
            }
        }
        if self.inbox_works && self.problems.contains_key(&Topic::Inbox) {
            self.solved(Topic::Inbox);
            // Pushes were refused meanwhile.
            self.ask(Ask::CatchUp(Missing::Anywhere));
        }
        self.draw_tray();
    }

    /// Has the inbox note what was shown. Whether it has.
    pub(super) async fn write_shown(&mut self) -> bool {
        if self.unwritten.shown.is_empty() {
            return true;
        }
        match self.parts.inbox.mark_shown(self.unwritten.shown.clone()).await {
            Ok(()) => {
                self.unwritten.shown.clear();
                true
            }
            Err(error) => {
                self.inbox_failed(&error);
                false
            }
        }
    }

    pub(super) async fn tell(&mut self, news: News, now: Instant) {
        if let Some(incident) = &news.incident {
            self.inbox_was_damaged(incident).await;
        }
        self.catch_up(&news, now);
        for zeroed in &news.zeroed {
            self.withdraw_zeroed(zeroed, &news);
        }
        self.ring(&news, now);
        self.sound(&news);
        for room in &news.changed_rooms {
            self.popups.outdate(&PopupKey::Room(room.clone()));
            if self.planner.summary_names(room) {
                self.popups.outdate(&PopupKey::Summary);
            }
        }
        self.last = news;
        self.tell_of_pushes();
        self.present(now).await;
        if let Some(deadline) = self.calls.next_deadline() {
            self.look_again_at(deadline);
        }
    }

    /// The person is told, and the new inbox what only the old one knew.
    async fn inbox_was_damaged(&mut self, incident: &Incident) {
        self.problem(Topic::Damage, incident.to_string());
        self.unwritten.shown.clear();
        self.unwritten.reads.clear();
        if let Some(pause) = self.pause {
            self.remember("paused_until", Some(pause.until().to_string())).await;
        }
        if self.muted {
            self.remember("muted", Some("yes".into())).await;
        }
    }

    fn withdraw_zeroed(&mut self, zeroed: &Zeroed, news: &News) {
        let nothing_unread = news.accounts.iter().all(|account| account.unread == 0);
        // A popup may tell of what came after the zero and before its news: taken away, it would come up once more.
        let came_later = |subject: &Subject| {
            news.waiting.iter().any(|waiting| waiting.room == subject.room && waiting.newest == subject.newest)
        };
        let gone = self.popups.forget(|key, subject| {
            let is_room = matches!(key, PopupKey::Room(_));
            let is_told_of = match zeroed {
                _ if is_room && subject.is_some_and(came_later) => false,
                Zeroed::Room(room) => matches!(key, PopupKey::Room(of) if of == room),
                Zeroed::Call(call) => *key == PopupKey::Call(*call),
            };
            is_told_of || (*key == PopupKey::Summary && nothing_unread)
        });
        for key in gone {
            if key == PopupKey::Summary {
                self.planner.summary_is_over();
            }
            self.parts.desktop.withdraw(&key);
        }
    }

    /// Takes the popup away, also if it is only on its way.
    pub(super) fn withdraw(&mut self, key: &PopupKey) {
        if self.popups.forget_key(key) {
            self.parts.desktop.withdraw(key);
        }
    }

    fn withdraw_summary(&mut self) {
        self.withdraw(&PopupKey::Summary);
        self.planner.summary_is_over();
    }

    /// Calls: those that begin to ring, those that were missed, those that are over.
    fn ring(&mut self, news: &News, now: Instant) {
        let changes = self.calls.update(&news.calls, Timestamp::now(), now);
        for call in changes.ended {
            self.parts.desktop.stop_ringing(call);
            // That of a missed call takes the place of its ringing one, if it may be shown.
            if changes.over.contains(&call) || !self.can_pop_up() {
                self.withdraw(&PopupKey::Call(call));
            }
        }
        for (call, sound) in changes.begun {
            if !self.silent() {
                self.parts.desktop.ring(call, &sound);
            }
        }
    }

    /// One sound for all that is new. What came before this run has had its sound.
    fn sound(&mut self, news: &News) {
        let Some(sounded) = self.sounded else {
            self.sounded = Some(news.waiting_up_to);
            return;
        };
        if let Some((_, sound)) = news.newest_sound.as_ref().filter(|(id, _)| *id > sounded)
            && !self.silent()
        {
            self.parts.desktop.play(sound);
        }
        if news.waiting_notices > 0 {
            self.sounded = Some(sounded.max(news.waiting_up_to));
        }
    }

    /// Shows what waits, as far as it can be shown now.
    async fn present(&mut self, now: Instant) {
        if !self.wants_popups() {
            // A text that has changed does not stay up, and nothing may come up in its place.
            for room in self.popups.outdated() {
                self.withdraw(&PopupKey::Room(room));
            }
            if self.popups.is_summary_outdated() {
                self.withdraw_summary();
            }
        }
        if !self.parts.config.popup.enabled {
            if (self.last.waiting_notices > 0 || self.last.calls.iter().any(|call| !self.calls.is_shown(call)))
                && let Err(error) = self.parts.inbox.settle_waiting(self.last.waiting_up_to).await
            {
                self.inbox_failed(&error);
            }
            return;
        }
        if !self.can_pop_up() {
            return;
        }
        self.show_calls(now);
        let held = self.held_rooms(now);
        let popups = &self.popups;
        let plan = self.planner.plan(
            &self.last,
            &Situation {
                now,
                backlog: if self.parts.wake_window.is_open() {
                    Some(self.backlog.map_or(BACKLOG_ROOMS, |rooms| rooms.min(BACKLOG_ROOMS)))
                } else {
                    self.backlog
                },
                is_up: &|room| popups.is_up(&PopupKey::Room(room.clone())),
                outdated: popups.outdated(),
                under_way: popups.rooms_under_way().into_iter().chain(held).collect(),
                summary_under_way: popups.is_under_way(&PopupKey::Summary),
                summary_outdated: popups.is_summary_outdated(),
            },
        );
        if let Some(again_at) = plan.again_at {
            self.look_again_at(again_at);
        }
        for step in plan.steps {
            match step {
                Step::Room(room) => self.show_room(room).await,
                Step::Summary { from, up_to, highlights } => self.show_summary(from, up_to, highlights).await,
            }
        }
        if self.last.waiting_rooms == 0 {
            self.backlog = None;
            self.catching_up.is_cut_short = false;
        }
    }

    fn show_calls(&mut self, now: Instant) {
        let wording = self.wording();
        for call in &self.last.calls {
            let key = PopupKey::Call(call.notice.id);
            if self.calls.is_shown(call) || self.popups.is_under_way(&key) {
                continue;
            }
            if let Err(again_at) = self.planner.take_call(now) {
                self.look_again_at(again_at);
                break;
            }
            let shown = Shown::Call(call.notice.id, call.state);
            let serial = self.popups.ask(key, Some(shown), Some(Subject::from(&call.notice)));
            self.parts.desktop.show(serial, present::call_popup(call, wording));
        }
    }

    async fn show_room(&mut self, room: RoomKey) {
        let key = PopupKey::Room(room.clone());
        let digest = match self.parts.inbox.room_digest(room.clone()).await {
            Ok(Some(digest)) => digest,
            // Its last message was redacted, or it was read meanwhile: nothing is left to show.
            Ok(None) => return self.withdraw(&key),
            Err(error) => return self.inbox_failed(&error),
        };
        let popup = present::room_popup(&digest, self.user_of(&digest.newest), self.wording());
        let subject = Subject::from(&digest.newest).said_by(&popup);
        if self.popups.tells_already(&key, &subject) {
            // A change of a message that it does not name: services would bring up the same once more.
            return;
        }
        // It may tell of what came after the news that led here.
        let shown = Shown::Room(room, digest.newest.id);
        let serial = self.popups.ask(key, Some(shown), Some(subject));
        self.parts.desktop.show(serial, popup);
    }

    /// Much may have happened while a room's popup was on its way: the inbox tells only of changes to what it knows as
    /// shown, and a text that was taken back must not stay up.
    pub(super) async fn look_whether_right(&mut self, room: RoomKey) {
        let key = PopupKey::Room(room.clone());
        let Some(told) = self.popups.subject(&key) else { return };
        let is_right = match self.parts.inbox.room_digest(room.clone()).await {
            // What is newer hides whether this has changed. It waits, and replaces this unless a summary tells of it.
            Ok(Some(digest)) if digest.newest.id > told.newest => true,
            Ok(Some(digest)) => {
                let popup = present::room_popup(&digest, self.user_of(&digest.newest), self.wording());
                told == Subject::from(&digest.newest).said_by(&popup)
            }
            Ok(None) => false,
            Err(error) => {
                self.inbox_failed(&error);
                false
            }
        };
        if !is_right {
            self.popups.outdate(&key);
        }
    }

    async fn show_summary(&mut self, from: NoticeId, up_to: NoticeId, highlights: Vec<RoomKey>) {
        let tally = match self.parts.inbox.tally(from, up_to).await {
            Ok(tally) => tally,
            Err(error) => return self.inbox_failed(&error),
        };
        if tally.notices == 0 {
            // All of it was read meanwhile.
            if self.popups.is_summary_outdated() {
                self.withdraw(&PopupKey::Summary);
            }
            return self.planner.summary_is_over();
        }
        let mut named = Vec::new();
        for room in highlights {
            match self.parts.inbox.room_digest(room).await {
                Ok(digest) => {
                    named.extend(digest.and_then(|digest| digest.highlight).map(|notice| self.menu_line(&notice)));
                }
                Err(error) => return self.inbox_failed(&error),
            }
        }
        let mut popup = present::summary_popup(tally.notices, tally.rooms, &named, self.wording());
        if self.catching_up.is_cut_short {
            popup.text = format!("There were more than are read back.\n{}", popup.text);
        }
        if self.popups.is_summary_outdated() && self.popups.summary_says_already(&popup) {
            return;
        }
        let serial = self.popups.ask_saying(&popup, Some(Shown::Everything(up_to)));
        self.parts.desktop.show(serial, popup);
    }

    /// The user of the notice's account, where the account is signed in.
    fn user_of(&self, notice: &Notice) -> Option<&str> {
        self.parts.accounts.find(&notice.account)?.sign_in.as_ref().map(|sign_in| sign_in.user_id.as_str())
    }

    pub(super) fn menu_line(&self, notice: &Notice) -> String {
        present::menu_line(notice, self.user_of(notice), self.wording())
    }

    pub(super) fn badge(&self) -> Badge {
        Badge {
            unread: self.last.accounts.iter().map(|account| account.unread).sum(),
            missed_calls: self.last.accounts.iter().map(|account| account.missed_calls).sum(),
        }
    }

    pub(super) fn draw_tray(&mut self) {
        let now = Zoned::now();
        let view = TrayView::new(&TrayState {
            badge: self.badge(),
            paused_until: self.pause.map(|pause| pause.until()),
            muted: self.muted,
            newest: self.last.newest.iter().map(|notice| (notice.id, self.menu_line(notice))).collect(),
            connected: self.last.accounts.iter().any(|account| account.last_push.is_some()),
            style: self.parts.config.tray.style,
            dark_panel: self.dark_panel,
            autostart: self.autostart,
            now: now.timestamp(),
            time_zone: now.time_zone().clone(),
        });
        self.parts.desktop.set_tray(view);
    }
}
