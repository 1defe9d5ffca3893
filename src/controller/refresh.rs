//! From a snapshot of the inbox to the desktop: which popups are shown and withdrawn, what rings and sounds.

use jiff::{Timestamp, Zoned};
use tokio::time::Instant;

use super::{
    AppRequest, Controller, Missing, RingingCall,
    gathering::resumed,
    pending_writes::{MUTED, PAUSED_UNTIL},
    plan::{PlanInput, Step},
    screen::{About, PopupRecord, Summary},
};
use crate::{
    desktop::{
        Desktop, OpenTarget,
        tray_view::{Badge, MenuNotice, MenuRoom, TrayState, TrayView},
    },
    inbox::{InboxError, Incident, MutedRoom, OnScreen, Snapshot, Tally},
    notice::{Call, CallState, Notice, NoticeId, Presentation, RoomDigest, RoomKey},
    present::{
        self, RenderOptions,
        popup::{Popup, PopupKey, ProblemKind, Urgency},
        words,
    },
};

/// How a popup appears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Banner {
    /// With a banner.
    Shown,
    /// Only listed, because the service shows no banner for low urgency: the person has already seen its content.
    Omitted,
}

/// Popups that are up and outdated.
#[derive(Debug, Default)]
struct Outdated {
    rooms: Vec<RoomKey>,
    summary: bool,
    /// One of them is urgent.
    is_urgent: bool,
    /// Calls that no longer ring: their popup is replaced by that of the missed call.
    calls: Vec<NoticeId>,
}

impl<D: Desktop> Controller<D> {
    /// Takes a snapshot and presents it.
    pub(super) async fn refresh(&mut self) {
        let now = Instant::now();
        self.schedule.begin_read(now);
        self.inbox_works = true;
        if !self.is_restored
            && let Err(error) = self.restore().await
        {
            self.inbox_failed(&error);
        }
        if self.pause.is_some_and(|pause| pause.is_over(Timestamp::now(), now)) {
            self.unpause();
        }
        // Does not depend on the inbox.
        self.calls.expired(now).into_iter().for_each(|call| self.stop_ringing(call));
        if !self.wants_popups() {
            self.screen.drop_notices();
        }
        self.show_announcements();
        if self.is_restored
            && let Err(error) = self.update(now).await
        {
            self.inbox_failed(&error);
        }
        if self.inbox_works && self.problems.open.contains_key(&ProblemKind::Inbox) {
            self.solved(ProblemKind::Inbox);
            // Pushes were refused while the inbox was unusable.
            self.request(AppRequest::CatchUp(Missing::Anywhere));
        }
        self.draw_tray();
    }

    async fn update(&mut self, now: Instant) -> Result<(), InboxError> {
        while let Some(incident) = self.parts.inbox.take_incident().await? {
            self.inbox_was_damaged(&incident);
        }
        self.pending.write(&self.parts.inbox).await?;
        self.parts.inbox.expire_calls(self.calls.wall_clock(Timestamp::now(), now)).await?;
        let snapshot = self.parts.inbox.snapshot(self.on_screen()).await?;
        self.present_snapshot(snapshot, now).await
    }

    /// Presents a snapshot that was taken with [`Controller::on_screen`].
    pub(super) async fn present_snapshot(&mut self, snapshot: Snapshot, now: Instant) -> Result<(), InboxError> {
        for account in resumed(&self.snapshot.accounts, &snapshot.accounts) {
            self.request(AppRequest::CatchUp(Missing::After { account }));
        }
        self.check_read_elsewhere(&snapshot);
        self.snapshot = snapshot;
        self.answer_waiting_for_push();
        self.ring(now);
        self.watch_calls();
        self.sound();
        let outdated = self.check_screen().await?;
        self.present(outdated, now).await?;
        if let Some(deadline) = self.calls.next_deadline() {
            self.schedule.read_again_at(deadline);
        }
        Ok(())
    }

    /// Reports the damage to the person, and writes to the new inbox what is only known in memory.
    pub(super) fn inbox_was_damaged(&mut self, incident: &Incident) {
        self.problem(ProblemKind::Damage, incident.to_string());
        self.pending.inbox_is_new();
        if let Some(pause) = self.pause {
            self.pending.set(PAUSED_UNTIL, Some(pause.until().to_string()));
        }
        if self.muted {
            self.pending.set(MUTED, Some("yes".into()));
        }
    }

    /// Starts and stops the ringing of calls.
    fn ring(&mut self, now: Instant) {
        let changes = self.calls.update(&self.snapshot.calls, Timestamp::now(), now);
        changes.ended.into_iter().for_each(|call| self.stop_ringing(call));
        changes.begun.into_iter().for_each(|(call, sound)| self.begin_ringing(call, sound));
    }

    /// Requests that the rooms of ringing calls of signed-in accounts are watched: the end of a call is not pushed.
    fn watch_calls(&mut self) {
        let calls = self.snapshot.calls.iter().filter(|call| call.state == CallState::Ringing);
        let watched: Vec<_> = calls
            .filter_map(|call| {
                let notice = &call.notice;
                self.user_of(notice)?;
                Some(RingingCall {
                    notice: notice.id,
                    account: notice.account.clone(),
                    room_id: notice.room_id.clone()?,
                    event_id: notice.event_id.clone()?,
                    call_id: call.call_id.clone(),
                    caller: notice.sender.clone()?,
                })
            })
            .collect();
        if self.watched != watched {
            self.watched.clone_from(&watched);
            self.request(AppRequest::WatchCalls(watched));
        }
    }

    /// Plays one sound for all new notices. Notices from before this run had theirs.
    pub(super) fn sound(&mut self) {
        let newest = self.snapshot.waiting_up_to;
        let undecided = std::mem::replace(&mut self.undecided, self.snapshot.undecided.clone());
        let Some(sounded) = self.sounded else {
            self.sounded = Some(newest);
            return;
        };
        // Notices that were decrypted meanwhile are older than `sounded`.
        let is_new = |id: &NoticeId| *id > sounded || undecided.contains(id);
        if let Some((_, sound)) = self.snapshot.newest_sound.clone().filter(|(id, _)| is_new(id)) {
            self.play(sound);
        }
        if self.snapshot.waiting_notices > 0 {
            self.sounded = Some(sounded.max(newest));
        }
    }

    /// What the snapshot has to say about popups that are up, in the order of
    /// [`Screen::current`](super::screen::Screen::current).
    pub(super) fn on_screen(&self) -> OnScreen {
        let mut on_screen = OnScreen { lines: self.parts.config.popup.lines, ..OnScreen::default() };
        for about in self.screen.current() {
            match about {
                About::Room { room, up_to, .. } => on_screen.rooms.push((room.clone(), *up_to)),
                About::Call { call, .. } => on_screen.calls.push(*call),
                About::Summary(Summary { up_to, highlights, .. }) => {
                    on_screen.rooms.extend(highlights.iter().map(|room| (room.clone(), *up_to)));
                }
                About::Own(_) => {}
            }
        }
        on_screen
    }

    /// Withdraws popups that are read or covered by the summary, and finds those with outdated text. A popup in flight
    /// is compared once it is up.
    async fn check_screen(&mut self) -> Result<Outdated, InboxError> {
        let mut outdated = Outdated::default();
        let summary = self.screen.up(&PopupKey::Summary).and_then(|record| record.about.summary()).cloned();
        let mut digests = std::mem::take(&mut self.snapshot.rooms).into_iter().map(|(_, digest)| digest);
        for about in self.screen.current().cloned().collect::<Vec<_>>() {
            let key = about.key();
            let is_gone = match about {
                About::Room { room, up_to, show_text, .. } => match digests.next() {
                    Some(Some(digest)) if summary.as_ref().is_some_and(|summary| covers(summary, &digest, up_to)) => {
                        true
                    }
                    Some(Some(digest)) => {
                        let popup = self.room_popup(&digest, show_text);
                        if self.is_outdated(&key, &popup) {
                            outdated.rooms.push(room);
                            outdated.is_urgent |= popup.urgency == Urgency::Critical;
                        }
                        false
                    }
                    Some(None) => true,
                    None => false,
                },
                About::Call { call, state, .. } => {
                    let now = self.snapshot.calls.iter().find(|known| known.notice.id == call);
                    if state.is_pending() && now.is_some_and(|now| !now.state.is_pending()) {
                        self.screen.drop_waiting(&key, |_| true);
                        outdated.calls.push(call);
                    }
                    !self.snapshot.open_calls.contains(&call)
                }
                About::Summary(summary) => {
                    let named = digests.by_ref().take(summary.highlights.len()).collect::<Vec<_>>();
                    let popup = self.summary_popup(&Tally::default(), named.iter().map(Option::as_ref), &summary);
                    outdated.summary = self.is_outdated(&key, &popup);
                    outdated.is_urgent |= outdated.summary && popup.urgency == Urgency::Critical;
                    if !summary.is_folded
                        && self.snapshot.waiting_rooms > 0
                        && self.snapshot.waiting_up_to > summary.up_to
                    {
                        // One that is still waiting may contain newer notices as well.
                        self.screen.drop_waiting(&key, |_| true);
                    }
                    self.nothing_is_unread() && self.parts.inbox.tally(summary.from, summary.up_to).await?.notices == 0
                }
                About::Own(_) => false,
            };
            if is_gone {
                self.screen.withdraw(&key);
            }
        }
        outdated.summary &= self.screen.up(&PopupKey::Summary).is_some();
        Ok(outdated)
    }

    fn nothing_is_unread(&self) -> bool {
        self.snapshot.accounts.iter().all(|account| account.unread == 0)
    }

    /// Whether the popup that is up or waiting differs from this one.
    fn is_outdated(&mut self, key: &PopupKey, popup: &Popup) -> bool {
        let content_hash = popup.content_hash();
        if self.screen.drop_waiting(key, |told| told.content_hash != content_hash) {
            return true;
        }
        let up = self.screen.up(key).filter(|_| !self.screen.is_on_its_way(key));
        up.is_some_and(|told| told.content_hash != content_hash)
    }

    /// Shows what is waiting, as far as it can be shown now.
    async fn present(&mut self, outdated: Outdated, now: Instant) -> Result<(), InboxError> {
        if !self.can_pop_up() {
            outdated.calls.iter().for_each(|call| self.screen.withdraw(&PopupKey::Call(*call)));
        }
        if !self.wants_popups() {
            // Outdated text is withdrawn even though no replacement may be shown.
            outdated.rooms.iter().for_each(|room| self.screen.withdraw(&PopupKey::Room(room.clone())));
            if outdated.summary {
                self.screen.withdraw(&PopupKey::Summary);
            }
        }
        if !self.parts.config.popup.enabled
            && (self.snapshot.waiting_notices > 0 || self.calls_to_show().next().is_some())
        {
            self.parts.inbox.settle_waiting(self.snapshot.waiting_up_to).await?;
        }
        if !self.can_pop_up() {
            return Ok(());
        }
        self.show_calls(now);
        if self.makes_way_for_call() {
            self.set_others_aside();
            return Ok(());
        }
        self.show_again().await?;
        let is_mention = self.snapshot.waiting.iter().any(|waiting| waiting.newest_highlight.is_some());
        let is_urgent = outdated.is_urgent || is_mention && self.options().highlight_urgency == Urgency::Critical;
        if is_urgent && self.may_be_urgent().is_none() {
            return Ok(());
        }
        let (held, next) = self.gathering.held(&self.snapshot, Timestamp::now(), now);
        let screen = &self.screen;
        let on_their_way = screen.current().filter_map(|about| match about {
            About::Room { room, .. } if screen.is_on_its_way(&about.key()) => Some(room.clone()),
            About::Room { .. } | About::Call { .. } | About::Summary(_) | About::Own(_) => None,
        });
        let summary = screen.up(&PopupKey::Summary).and_then(|record| record.about.summary());
        let plan = self.planner.plan(
            &self.snapshot,
            &PlanInput {
                now,
                backlog: self.gathering.backlog(self.parts.resume_window.is_open()),
                is_up: &|room| screen.up(&PopupKey::Room(room.clone())).is_some(),
                outdated: outdated.rooms,
                under_way: on_their_way.chain(held).collect(),
                summary_under_way: screen.is_on_its_way(&PopupKey::Summary),
                summary,
                summary_outdated: outdated.summary,
                most_popups: screen.needs().most_popups,
            },
        );
        [next, plan.again_at].into_iter().flatten().for_each(|at| self.schedule.read_again_at(at));
        self.make_room_for(&plan.steps, now).await?;
        for step in plan.steps {
            match step {
                Step::Room(room) => self.show_room(room, Banner::Shown).await?,
                Step::Summary { from, up_to, highlights } => {
                    self.show_summary((from, up_to, highlights), outdated.summary, Banner::Shown).await?;
                }
            }
        }
        if self.snapshot.waiting_rooms == 0 {
            self.gathering.all_shown();
        }
        Ok(())
    }

    /// The calls whose popup has not been shown yet.
    fn calls_to_show(&self) -> impl Iterator<Item = &Call> {
        self.snapshot.calls.iter().filter(|call| match call.state {
            CallState::Silenced | CallState::Ringing => call.notice.presentation == Presentation::Waiting,
            CallState::Missed => true,
            CallState::Over | CallState::PerhapsTaken => false,
        })
    }

    fn show_calls(&mut self, now: Instant) {
        for call in self.calls_to_show().cloned().collect::<Vec<_>>() {
            if self.screen.is_on_its_way(&PopupKey::Call(call.notice.id)) {
                continue;
            }
            if let Err(again_at) = self.planner.take_call(now) {
                self.schedule.read_again_at(again_at);
                break;
            }
            let popup = self.call_popup(&call);
            let about = About::Call { call: call.notice.id, state: call.state, target: target(&call.notice) };
            self.screen.show(popup, about);
        }
    }

    pub(super) async fn show_room(&mut self, room: RoomKey, banner: Banner) -> Result<(), InboxError> {
        let key = PopupKey::Room(room.clone());
        let Some(digest) = self.parts.inbox.room_digest(room.clone(), self.parts.config.popup.lines).await? else {
            // Its last message was redacted or read meanwhile.
            self.screen.withdraw(&key);
            return Ok(());
        };
        let show_text = self.options().show_text;
        let popup = self.room_popup(&digest, show_text);
        // It may contain notices that are newer than the snapshot.
        let about = About::Room { room, up_to: digest.newest.id, target: target(&digest.newest), show_text };
        let is_up = |told: &PopupRecord| told.about == about && told.content_hash == popup.content_hash();
        if !self.screen.up(&key).is_some_and(is_up)
            && let Some(popup) = self.with_permitted_urgency(popup, banner)
        {
            self.screen.show(popup, about);
        }
        Ok(())
    }

    pub(super) async fn show_summary(
        &mut self,
        (from, up_to, highlights): (NoticeId, NoticeId, Vec<RoomKey>),
        is_correction: bool,
        banner: Banner,
    ) -> Result<(), InboxError> {
        let tally = self.parts.inbox.tally(from, up_to).await?;
        if tally.notices == 0 {
            // Everything in it was read meanwhile.
            if is_correction {
                self.screen.withdraw(&PopupKey::Summary);
            }
            return Ok(());
        }
        let rooms = highlights.iter().map(|room| (room.clone(), up_to)).collect();
        let named = self.parts.inbox.snapshot(OnScreen { rooms, ..OnScreen::default() }).await?.rooms;
        let says_so = |record: &PopupRecord| record.about.summary().is_some_and(|summary| summary.is_cut_short);
        let is_cut_short =
            self.gathering.is_cut_short() || (is_correction && self.screen.up(&PopupKey::Summary).is_some_and(says_so));
        let summary = Summary {
            from,
            up_to,
            highlights,
            show_text: self.options().show_text,
            is_cut_short,
            is_folded: banner == Banner::Omitted,
        };
        let named = named.iter().map(|(_, digest)| digest.as_ref());
        let popup = self.summary_popup(&tally, named, &summary);
        if let Some(popup) = self.with_permitted_urgency(popup, banner) {
            self.screen.show(popup, About::Summary(summary));
        }
        Ok(())
    }

    /// Lowers a mention to normal urgency while do-not-disturb is on, because critical popups are shown even then.
    /// `None`: the state is not known yet.
    fn with_permitted_urgency(&mut self, popup: Popup, banner: Banner) -> Option<Popup> {
        let urgency = match (banner, popup.urgency) {
            (Banner::Omitted, _) => Urgency::Low,
            (Banner::Shown, Urgency::Critical) if !self.may_be_urgent()? => Urgency::Normal,
            (Banner::Shown, urgency) => urgency,
        };
        Some(Popup { urgency, ..popup })
    }

    fn room_popup(&self, digest: &RoomDigest, show_text: bool) -> Popup {
        let options = RenderOptions { show_text, ..self.options() };
        let buttons = self.room_buttons(&digest.newest);
        Popup { buttons, ..present::room_popup(digest, self.user_of(&digest.newest), options) }
    }

    /// The popup of a summary with the current state of the highlights it names.
    fn summary_popup<'a>(
        &self,
        tally: &Tally,
        named: impl Iterator<Item = Option<&'a RoomDigest>>,
        summary: &Summary,
    ) -> Popup {
        let options = RenderOptions { show_text: summary.show_text, ..self.options() };
        let named = named.filter_map(|digest| digest?.highlight.as_ref());
        let named: Vec<_> = named.map(|notice| present::menu_line(notice, self.user_of(notice), options)).collect();
        let mut popup = present::summary_popup(tally.notices, tally.invites, tally.rooms, &named, options);
        if summary.is_cut_short {
            popup.text = format!("{}\n{}", words::cut_short(), popup.text);
        }
        popup
    }

    /// The user ID of the notice's account, if it is signed in.
    pub(super) fn user_of(&self, notice: &Notice) -> Option<&str> {
        self.parts.accounts.find(&notice.account)?.sign_in.as_ref().map(|sign_in| sign_in.user_id.as_str())
    }

    pub(super) fn menu_line(&self, notice: &Notice) -> String {
        present::menu_line(notice, self.user_of(notice), self.options())
    }

    pub(super) fn draw_tray(&mut self) {
        let now = Zoned::now();
        let view = TrayView::new(&TrayState {
            badge: badge(&self.snapshot),
            paused_until: self.pause.map(|pause| pause.until()),
            muted: self.muted,
            muted_rooms: self.muted_rooms().map(menu_room).collect(),
            newest: (self.snapshot.newest.iter())
                .map(|notice| MenuNotice { id: notice.id, is_unread: !notice.read, line: self.menu_line(notice) })
                .collect(),
            connected: self.snapshot.accounts.iter().any(|account| account.last_push.is_some())
                || self.sessions.values().any(|session| session.listening == Some(true)),
            style: self.parts.config.tray.style,
            dark_panel: self.desktop_state.dark_panel,
            autostart: self.desktop_state.autostart,
            now: now.timestamp(),
            time_zone: now.time_zone().clone(),
        });
        self.parts.desktop.set_tray(view);
    }
}

fn menu_room(MutedRoom { room, name, until }: &MutedRoom) -> MenuRoom {
    MenuRoom { room: room.clone(), name: name.clone(), until: *until }
}

/// Whether a summary covers everything in a room's popup up to this notice, so that no mention disappears into it.
fn covers(summary: &Summary, digest: &RoomDigest, up_to: NoticeId) -> bool {
    summary.from <= digest.oldest && up_to <= summary.up_to && digest.highlight.is_none()
}

/// The counts of all accounts.
pub(super) fn badge(snapshot: &Snapshot) -> Badge {
    Badge {
        unread: snapshot.accounts.iter().map(|account| account.unread).sum(),
        missed_calls: snapshot.accounts.iter().map(|account| account.missed_calls).sum(),
    }
}

/// What a click on a popup with this notice opens.
pub(super) fn target(notice: &Notice) -> OpenTarget {
    OpenTarget::Room {
        room_id: notice.room_id.clone().unwrap_or_default(),
        event_id: notice.event_id.clone(),
        user: notice.sender.clone(),
    }
}
