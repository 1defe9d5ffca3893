//! Taking over what a held sync or a relay has brought: what the homeserver lists since then, and what it does not list.
//!
//! Where it lists nothing, the newest events of each room are asked for, one by one, and judged by the account's push
//! rules. What there is beyond these is told by its number alone.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use super::{
    reading::Reading,
    run::{Check, CheckError},
};
use crate::{
    controller::Event,
    encryption::{Brought, Gap, Judge, RoomNews},
    homeserver::{HomeserverClient, HomeserverError, HomeserverKind},
    inbox::{MissedEvent, Verdict},
    present::{self, popup::OwnPopup},
    push::{
        listed::{EventRef, RoomEvent},
        notify::{Notification, SoundTweak, Tweaks},
    },
};

/// Entries that are asked for at a time.
const HEARD_PAGE: usize = 20;
/// Events that are fetched one by one at most.
const MAX_FETCHED: usize = 60;
/// Events of a room that a sync has left out are asked for up to this number.
const MAX_LEFT_OUT: usize = 100;

/// What held syncs or a relay have brought.
pub(super) struct Heard {
    pub(super) brought: Brought,
    pub(super) judge: Arc<Mutex<Judge>>,
    /// An event that the homeserver fails to give is kept with its ids alone: else nothing after it would ever come.
    pub(super) is_last_try: bool,
}

/// What held syncs have brought, as one.
pub(super) fn merged(all: impl IntoIterator<Item = Brought>) -> Brought {
    let all = all.into_iter().reduce(|mut all, more| {
        all.lists_new |= more.lists_new;
        all.may_be_read |= more.may_be_read;
        all.is_live &= more.is_live;
        all.unjudged.extend(more.unjudged);
        all.pushed.extend(more.pushed);
        all.gaps.extend(more.gaps);
        all.read.extend(more.read);
        for news in more.rooms {
            match all.rooms.iter_mut().find(|room| room.room_id == news.room_id) {
                Some(room) => {
                    room.event_ids.extend(news.event_ids);
                    room.is_limited |= news.is_limited;
                    (room.unread, room.highlights) = (news.unread, news.highlights);
                }
                None => all.rooms.push(news),
            }
        }
        all
    });
    all.unwrap_or_default()
}

/// What was fetched.
struct Fetched {
    missed: Vec<MissedEvent>,
    /// So many events may still be asked for.
    left: usize,
    is_last_try: bool,
}

impl Check {
    pub(super) async fn take_heard(&self, client: &HomeserverClient) -> Result<(), CheckError> {
        let Some(Heard { brought: heard, judge, is_last_try }) = &self.heard else { return Ok(()) };
        let kind = HomeserverKind::named(&self.sign_in.server);
        let mut standing = self.shared.inbox.catch_up_state(Arc::clone(&self.account.name)).await?;
        if heard.may_be_read {
            self.leave_out_unlisted(client, &mut standing).await?;
        }
        let at = Timestamp::now();
        let mut reading = if heard.may_be_read {
            Reading::new(standing, self.account.created_at, at)
        } else {
            Reading::of_new(&standing, self.account.created_at, at)
        };
        let mut is_listed = false;
        if heard.lists_new {
            (reading, is_listed) = self.read_back(client, reading, HEARD_PAGE).await?;
            is_listed &= !reading.is_empty();
        }
        let mut found = reading.finish(heard.may_be_read && kind.unlists_read(), at);
        let mut fetched =
            Fetched { missed: std::mem::take(&mut found.missed), left: MAX_FETCHED, is_last_try: *is_last_try };
        let mut is_all_told = true;
        let mut counted = Vec::new();
        for room in &heard.rooms {
            let is_whole = is_listed || self.fetch_room(client, room, judge, &mut fetched).await?;
            match room.unread {
                _ if is_whole && !room.is_limited => {}
                Some(unread) => counted.push((room.room_id.clone(), unread)),
                None => is_all_told = false,
            }
        }
        for gap in &heard.gaps {
            is_all_told &= self.fetch_left_out(client, gap, &mut fetched.missed).await?;
        }
        let pushed = heard.pushed.iter().filter(|_| !is_listed);
        let named: Vec<_> = pushed.chain(&heard.unjudged).collect();
        is_all_told &= named.len() <= fetched.left;
        // The newest are the last of each room.
        for event in &named[named.len().saturating_sub(fetched.left)..] {
            let is_known = |missed: &MissedEvent| missed.notification.event_id.as_ref() == Some(&event.event_id);
            if !fetched.missed.iter().any(is_known)
                && let Some(notification) = self.fetch_new(client, event, *is_last_try).await?
            {
                fetched.missed.push(missed(notification, Tweaks::default()));
            }
        }
        found.missed = fetched.missed;
        found.is_whole = (found.is_whole || !is_listed) && is_all_told;
        self.take_over(client, &kind, found, at, Some(heard)).await?;
        self.tell_of_counts(counted).await
    }

    /// The events of a room that the homeserver counts, as the push rules have it; whether all of them.
    async fn fetch_room(
        &self,
        client: &HomeserverClient,
        RoomNews { room_id, event_ids, unread, highlights, .. }: &RoomNews,
        judge: &Mutex<Judge>,
        fetched: &mut Fetched,
    ) -> Result<bool, CheckError> {
        let (mut counted, mut told) = (unread.unwrap_or(u64::MAX), Vec::new());
        for event_id in event_ids.iter().rev() {
            if counted == 0 {
                break;
            }
            let Some(left) = fetched.left.checked_sub(1) else {
                fetched.missed.extend(told.into_iter().rev());
                return Ok(false);
            };
            fetched.left = left;
            let event = EventRef { room_id: room_id.clone(), event_id: event_id.clone() };
            let Some(notification) = self.fetch_new(client, &event, fetched.is_last_try).await? else { continue };
            let tweaks = match judge.lock().await.verdict(room_id, &notification).await {
                Verdict::Notify(tweaks) => tweaks,
                Verdict::Silent => continue,
                // Nobody can say which are counted: the newest, then.
                Verdict::AsPushed if (told.len() as u64) < *highlights => {
                    Tweaks { sound: SoundTweak::Named("default".into()), highlight: true }
                }
                Verdict::AsPushed => Tweaks::default(),
            };
            counted -= 1;
            told.push(missed(notification, tweaks));
        }
        fetched.missed.extend(told.into_iter().rev());
        Ok(true)
    }

    /// What a sync has left out of a room where we judge; whether all of it.
    async fn fetch_left_out(
        &self,
        client: &HomeserverClient,
        Gap { room_id, after, before }: &Gap,
        missed_events: &mut Vec<MissedEvent>,
    ) -> Result<bool, CheckError> {
        let events = match client.events_between(room_id, (after, before), MAX_LEFT_OUT).await {
            Err(error) if error.is_temporary() || error.is_unknown_token() => return Err(error.into()),
            // It gives no more than it has given.
            events => events.unwrap_or_default(),
        };
        let is_all = events.len() < MAX_LEFT_OUT;
        let is_meant = |event: &&RoomEvent| event.is_encrypted() && event.sender != self.sign_in.user_id;
        for event in events.iter().rev().filter(is_meant) {
            let notification = Notification {
                event_id: Some(event.event_id.clone()),
                room_id: Some(room_id.clone()),
                sender: Some(event.sender.clone()),
                event_type: Some(event.event_type.clone()),
                content: RawValue::from_string(event.content.clone()).ok(),
                ..Notification::default()
            };
            missed_events.push(missed(notification, Tweaks::default()));
        }
        Ok(is_all)
    }

    /// An event that a held sync or a relay has named; `None` if the homeserver does not tell.
    async fn fetch_new(
        &self,
        client: &HomeserverClient,
        EventRef { room_id, event_id }: &EventRef,
        is_last_try: bool,
    ) -> Result<Option<Notification>, CheckError> {
        let event = match client.event(&self.sign_in.user_id, room_id, event_id).await {
            Err(HomeserverError::Refused(refusal)) if is_last_try && refusal.status.is_server_error() => {
                let status = refusal.status;
                tracing::warn!(account = &*self.account.name, "an event is kept with its ids alone: {status}");
                Some(Notification::default())
            }
            Err(error) if error.is_temporary() || error.is_unknown_token() => return Err(error.into()),
            // Who has named it may have made it up.
            told => told.ok().flatten(),
        };
        let (event_id, room_id) = (Some(event_id.clone()), Some(room_id.clone()));
        Ok(event.map(|event| Notification { event_id, room_id, ..event }))
    }

    /// Rooms in which the homeserver counts more than was found, each with the number.
    async fn tell_of_counts(&self, counted: Vec<(String, u64)>) -> Result<(), CheckError> {
        let rooms = self.shared.inbox.short_of(Arc::clone(&self.account.name), counted).await?;
        if !rooms.is_empty() {
            self.tell(Event::Announce(OwnPopup::MoreUnread, present::unread_in_rooms(&rooms)));
        }
        Ok(())
    }
}

fn missed(notification: Notification, tweaks: Tweaks) -> MissedEvent {
    MissedEvent { notification: Arc::new(notification), tweaks, read: false }
}
