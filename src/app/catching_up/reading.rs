//! Reads a homeserver's list of notifications: which pages, which entries were missed, what was read elsewhere (pure).

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use crate::{
    inbox::{CatchUpState, MissedEvent, UnreadEvent},
    push::{
        listed::{EventRef, Listed, ListedPage},
        notify::Notification,
    },
};

/// Entries requested at a time.
pub(super) const PAGE: usize = 100;
/// Maximum number of entries and of pages.
const MOST: (usize, usize) = (1000, 50);
/// Maximum bytes of event content in all; further events lose their content.
const MOST_TEXT: usize = 4 * 1024 * 1024;
/// How far to read beyond the mark: a homeserver with several workers lists events slightly out of order.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// Tolerated difference between the homeserver's clock and ours.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(10);
/// Age after which unread entries may disappear from the list: Synapse keeps them for a day (highlights longer).
const LISTED_FOR: SignedDuration = SignedDuration::from_hours(23);

/// State of reading: newest first, back to the mark and to the oldest event that is unread here.
#[derive(Debug)]
pub(super) struct Reading {
    /// Older events are known, or are from before the person signed in.
    floor: i64,
    /// Entries are needed back to here, for their read state.
    look_back_to: i64,
    mark: i64,
    unread: Vec<UnreadEvent>,
    entries: Vec<Listed>,
    pages: usize,
    text: usize,
    next: NextPage,
    /// The time of the oldest entry so far.
    oldest: i64,
    /// The list is oldest first, as Dendrite's, so it has to be read to its end.
    is_oldest_first: bool,
    has_ended: bool,
}

/// The page to read next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NextPage {
    /// The newest.
    First,
    /// The one at this token.
    From(String),
    /// Reading is finished.
    None,
}

/// The result.
#[derive(Debug)]
pub(super) struct Found {
    /// Oldest first.
    pub(super) missed: Vec<MissedEvent>,
    pub(super) read: Vec<String>,
    pub(super) listed_unread: Vec<EventRef>,
    pub(super) is_all: bool,
    pub(super) mark: Timestamp,
    pub(super) is_whole: bool,
}

impl Reading {
    /// Events from before `signed_in_at` do not become notices.
    pub(super) fn new(state: CatchUpState, signed_in_at: Timestamp, now: Timestamp) -> Self {
        let mark = state.mark.map_or(signed_in_at, |mark| mark.max(signed_in_at));
        let floor = minus(mark, OVERLAP).max(signed_in_at);
        let listed_since = minus(now, LISTED_FOR);
        let oldest_unread = state.unread.iter().map(|event| event.received_at).filter(|at| *at > listed_since).min();
        let look_back_to = oldest_unread.map_or(floor, |at| minus(at, CLOCKS_APART).min(floor));
        Self {
            floor: floor.as_millisecond(),
            look_back_to: look_back_to.as_millisecond(),
            mark: mark.as_millisecond(),
            unread: state.unread,
            entries: Vec::new(),
            pages: 0,
            text: 0,
            next: NextPage::First,
            oldest: i64::MAX,
            is_oldest_first: false,
            has_ended: false,
        }
    }

    /// Whether nothing at all is listed.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The page to read next.
    pub(super) fn next_page(&self) -> &NextPage {
        &self.next
    }

    /// Adds that page.
    pub(super) fn page(&mut self, page: ListedPage) {
        self.pages += 1;
        let ListedPage { entries, next_token } = page;
        if entries.is_empty() || next_token.is_none() {
            self.has_ended = true;
        }
        let (first, last) = (entries.first().and_then(|entry| entry.ts), entries.last().and_then(|entry| entry.ts));
        self.is_oldest_first |= first.zip(last).is_some_and(|(first, last)| first < last);
        for mut entry in entries {
            // Without a time, an entry counts as old as its predecessor.
            let ts = entry.ts.unwrap_or(self.oldest.min(self.mark));
            self.oldest = self.oldest.min(ts);
            self.text += entry.notification.content.as_ref().map_or(0, String::len);
            if self.text > MOST_TEXT {
                entry.notification.content = None;
            }
            entry.ts = Some(ts);
            self.entries.push(entry);
        }
        let (most_entries, most_pages) = MOST;
        let may_go_on = self.entries.len() < most_entries && self.pages < most_pages;
        let goes_on = may_go_on && !self.has_ended && (self.is_oldest_first || self.oldest >= self.look_back_to);
        self.next = next_token.filter(|_| goes_on).map_or(NextPage::None, NextPage::From);
    }

    /// The result. `forgets_read`: this homeserver does not list read events, so younger ones than [`LISTED_FOR`] that are
    /// not listed were read.
    pub(super) fn finish(self, forgets_read: bool, now: Timestamp) -> Found {
        let is_whole = self.has_ended || !self.is_oldest_first && self.oldest < self.floor;
        let covered = match (self.has_ended, self.is_oldest_first) {
            (true, _) => i64::MIN,
            (false, true) => i64::MAX,
            (false, false) => self.oldest,
        };
        let listed: HashMap<&str, bool> = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry.notification.event_id.as_deref()?, entry.read)))
            .collect();
        let was_read = |event: &UnreadEvent| {
            let is_covered = minus(event.received_at, CLOCKS_APART).as_millisecond() > covered;
            let is_forgotten = forgets_read && is_covered && event.received_at > minus(now, LISTED_FOR);
            listed.get(&*event.event_id).copied().unwrap_or(is_forgotten)
        };
        let unread = self.unread.iter();
        let read = unread.filter(|event| was_read(event)).map(|event| event.event_id.clone()).collect();
        let listed_unread = self.entries.iter().filter(|entry| !entry.read).filter_map(|entry| {
            let Notification { event_id, room_id, .. } = &entry.notification;
            Some(EventRef { event_id: event_id.clone()?, room_id: room_id.clone()? })
        });
        let listed_unread = listed_unread.collect();
        let newest = self.entries.iter().filter_map(|entry| entry.ts).max();
        // Some homeservers use the sender's clock: a time in the far future must not hide later events.
        let latest = now.checked_add(CLOCKS_APART).unwrap_or(Timestamp::MAX).as_millisecond();
        let mark = newest.map_or(self.mark, |newest| newest.min(latest).max(self.mark));
        let floor = self.floor;
        let mut missed: Vec<_> =
            self.entries.into_iter().rev().filter(|entry| entry.ts.is_some_and(|ts| ts >= floor)).collect();
        // Whatever the order of the list: the last event recorded counts as the newest, and its room's popup shows it.
        missed.sort_by_key(|entry| entry.ts);
        let missed = missed.into_iter().map(|entry| MissedEvent {
            notification: entry.notification,
            tweaks: entry.tweaks,
            read: entry.read,
        });
        Found {
            missed: missed.collect(),
            read,
            listed_unread,
            is_all: self.has_ended,
            mark: Timestamp::from_millisecond(mark).unwrap_or(Timestamp::MAX),
            is_whole,
        }
    }
}

fn minus(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_sub(duration).unwrap_or(Timestamp::MIN)
}
