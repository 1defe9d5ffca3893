//! The notices whose keys are missing and being searched for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{backup, machine::session_of};
use crate::{inbox::EncryptedNotice, notice::NoticeId};

/// How long a popup waits for its key.
const HOLD: Duration = Duration::from_secs(2);
/// How long a missing key is searched for.
const SEARCH: Duration = Duration::from_secs(10);
/// Maximum number of notices; forged pushes may name any session.
const CAPACITY: usize = 1024;
/// Maximum number of sessions requested from the backup in one search.
const MAX_SESSIONS: usize = 16;

#[derive(Default)]
pub(super) struct Missing {
    /// Each notice with the end of its search.
    notices: BTreeMap<NoticeId, Instant>,
    /// Sessions that the next search looks up in the backup.
    sessions: BTreeSet<backup::Session>,
    /// When the first popup that waits for its key is released.
    held_until: Option<Instant>,
}

impl Missing {
    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// Whether a key is wanted that was not looked up in the backup.
    pub(super) fn wants_backup(&self) -> bool {
        !(self.notices.is_empty() || self.sessions.is_empty())
    }

    pub(super) fn contains(&self, notice: NoticeId) -> bool {
        self.notices.contains_key(&notice)
    }

    /// Adds a notice whose key is missing. The search time counts from its arrival.
    pub(super) fn insert(&mut self, notice: &EncryptedNotice) {
        let until = Instant::now() + SEARCH.saturating_sub(age(notice));
        if self.notices.len() < CAPACITY {
            self.notices.entry(notice.notice).or_insert(until);
        }
    }

    /// Has the next search look up its key in the backup.
    pub(super) fn want(&mut self, notice: &EncryptedNotice) {
        if self.sessions.len() < MAX_SESSIONS
            && let Some(session) = session_of(notice)
        {
            self.sessions.insert((notice.room_id.clone(), session));
        }
    }

    pub(super) fn has_wanted(&self) -> bool {
        !self.sessions.is_empty()
    }

    pub(super) fn take_wanted(&mut self) -> BTreeSet<backup::Session> {
        std::mem::take(&mut self.sessions)
    }

    /// Ends the search for its key.
    pub(super) fn remove(&mut self, notice: NoticeId) {
        self.notices.remove(&notice);
    }

    /// Ends the searches whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.notices.retain(|_, until| *until > now);
    }

    /// How much search time is left.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        self.notices.values().max().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Releases all popups.
    pub(super) fn release(&mut self) {
        self.held_until = None;
    }

    /// Holds the popup back, unless its time is over.
    pub(super) fn hold(&mut self, notice: &EncryptedNotice) -> bool {
        let left = HOLD.saturating_sub(age(notice));
        if left.is_zero() {
            return false;
        }
        let until = Instant::now() + left;
        self.held_until = Some(self.held_until.map_or(until, |first| first.min(until)));
        true
    }

    /// When the first popup is released.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

fn age(notice: &EncryptedNotice) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(notice.received_at)).unwrap_or_default()
}
