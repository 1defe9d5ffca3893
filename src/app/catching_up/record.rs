//! Records what a held sync or a relay has brought: what the homeserver lists as new, and what it does not list.
//!
//! If it has no list, the newest events of each room are fetched one by one and evaluated by the account's push rules.
//! Of further events only the number is shown.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    reading::Reading,
    run::{Check, CheckError},
};
use crate::{
    controller::Event,
    encryption::{Gap, Incoming, Judge, RoomNews},
    homeserver::{HomeserverClient, HomeserverError, HomeserverKind},
    inbox::{MissedEvent, Verdict},
    present::{self, popup::OwnPopup},
    push::{
        listed::{EventRef, RoomEvent},
        notify::{Notification, SoundTweak, Tweaks},
    },
};

/// Entries requested at a time.
const SMALL_PAGE: usize = 20;
/// Maximum number of events fetched one by one.
const MAX_FETCHED: usize = 60;
/// Maximum number of events fetched for a gap in a room's timeline.
const MAX_LEFT_OUT: usize = 100;

/// What a held sync or a relay has brought.
pub(super) struct Recording {
    pub(super) incoming: Incoming,
    pub(super) judge: Arc<Mutex<Judge>>,
    /// An event that the homeserver fails to return is recorded with its ids alone; else it would block all later ones.
    pub(super) is_last_try: bool,
}

/// Events fetched so far.
struct Fetched {
    missed: Vec<MissedEvent>,
    /// How many more may be fetched.
    left: usize,
    is_last_try: bool,
}

impl Check {
    pub(super) async fn record_incoming(&self, client: &HomeserverClient) -> Result<(), CheckError> {
        let Some(Recording { incoming, judge, is_last_try }) = &self.recording else { return Ok(()) };
        let kind = HomeserverKind::named(&self.sign_in.server);
        let mut state = self.shared.inbox.catch_up_state(Arc::clone(&self.account.name)).await?;
        if incoming.may_be_read {
            self.leave_out_unlisted(client, &mut state).await?;
        } else {
            state.unread.clear();
        }
        let at = Timestamp::now();
        let mut reading = Reading::new(state, self.account.created_at, at);
        let mut is_listed = false;
        if incoming.lists_new {
            (reading, is_listed) = self.read_back(client, reading, SMALL_PAGE).await?;
            is_listed &= !reading.is_empty();
        }
        let mut found = reading.finish(kind.unlists_read(), at);
        let mut fetched =
            Fetched { missed: std::mem::take(&mut found.missed), left: MAX_FETCHED, is_last_try: *is_last_try };
        let mut is_all_told = true;
        let mut counted = Vec::new();
        for room in &incoming.rooms {
            let is_whole = is_listed || self.fetch_room(client, room, judge, &mut fetched).await?;
            match room.unread {
                _ if is_whole && !room.is_limited => {}
                Some(unread) => counted.push((room.room_id.clone(), unread)),
                None => is_all_told = false,
            }
        }
        for gap in &incoming.gaps {
            is_all_told &= self.fetch_left_out(client, gap, &mut fetched.missed).await?;
        }
        let pushed = incoming.pushed.iter().filter(|_| !is_listed);
        let named: Vec<_> = pushed.chain(&incoming.unjudged).collect();
        is_all_told &= named.len() <= fetched.left;
        // The newest of each room are last.
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
        self.take_over(client, &kind, found, at, Some(incoming)).await?;
        self.tell_of_counts(counted).await
    }

    /// Fetches the events of a room that the homeserver counts as unread, with the tweaks of the push rules. Returns whether
    /// all of them were fetched.
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
                // Which events are counted is unknown; the newest are assumed.
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

    /// Fetches the events that a sync has left out, in a room where only we evaluate push rules. Returns whether all of
    /// them were fetched.
    async fn fetch_left_out(
        &self,
        client: &HomeserverClient,
        Gap { room_id, after, before }: &Gap,
        missed_events: &mut Vec<MissedEvent>,
    ) -> Result<bool, CheckError> {
        let events = match client.events_between(room_id, (after, before), MAX_LEFT_OUT).await {
            Err(error) if error.is_temporary() || error.is_unknown_token() => return Err(error.into()),
            // A retry would not return more.
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
                content: Some(event.content.clone()).filter(|content| !content.is_empty()),
                ..Notification::default()
            };
            missed_events.push(missed(notification, Tweaks::default()));
        }
        Ok(is_all)
    }

    /// Fetches an event that a held sync or a relay has named; `None` if the homeserver does not return it.
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
            // A relay may name events that do not exist.
            told => told.ok().flatten(),
        };
        let (event_id, room_id) = (Some(event_id.clone()), Some(room_id.clone()));
        Ok(event.map(|event| Notification { event_id, room_id, ..event }))
    }

    /// Announces rooms in which the homeserver counts more events than were fetched. Each comes with its count.
    async fn tell_of_counts(&self, counted: Vec<(String, u64)>) -> Result<(), CheckError> {
        let rooms = self.shared.inbox.short_of(Arc::clone(&self.account.name), counted).await?;
        if !rooms.is_empty() {
            self.tell(Event::Announce(OwnPopup::MoreUnread, present::unread_in_rooms(&rooms)));
        }
        Ok(())
    }
}

fn missed(notification: Notification, tweaks: Tweaks) -> MissedEvent {
    MissedEvent { notification, tweaks, read: false }
}
