//! The notices whose keys are looked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{backup, machine::session_of};
use crate::{inbox::EncryptedNotice, notice::NoticeId};

/// How long a popup is held back for its key.
const HOLD: Duration = Duration::from_secs(2);
/// How long a missing key is looked for.
const SEARCH: Duration = Duration::from_secs(10);
/// Notices whose keys are looked for at a time; forged pushes may name any session.
const CAPACITY: usize = 1024;
/// Sessions that the backup is asked for in one search.
const MAX_SESSIONS: usize = 16;

#[derive(Default)]
pub(super) struct Missing {
    /// Until when each one's key is looked for.
    notices: BTreeMap<NoticeId, Instant>,
    /// Sessions that the next search looks for in the account's backup.
    sessions: BTreeSet<backup::Session>,
    /// When the first of those whose popup waits for the key is no longer held.
    held_until: Option<Instant>,
}

impl Missing {
    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty()
    }

    /// Whether a key is looked for that the backup was not asked for.
    pub(super) fn wants_backup(&self) -> bool {
        !(self.notices.is_empty() || self.sessions.is_empty())
    }

    pub(super) fn contains(&self, notice: NoticeId) -> bool {
        self.notices.contains_key(&notice)
    }

    /// Its key is lacking; it is looked for from the time at which it came.
    pub(super) fn insert(&mut self, notice: &EncryptedNotice) {
        let until = Instant::now() + SEARCH.saturating_sub(age(notice));
        if self.notices.len() < CAPACITY {
            self.notices.entry(notice.notice).or_insert(until);
        }
    }

    /// The next search is to look for its key in the backup.
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

    /// Its key is no longer looked for.
    pub(super) fn remove(&mut self, notice: NoticeId) {
        self.notices.remove(&notice);
    }

    /// Those whose time is over are no longer looked for.
    pub(super) fn expire(&mut self, now: Instant) {
        self.notices.retain(|_, until| *until > now);
    }

    /// How long a search is worth it.
    pub(super) fn patience(&self, now: Instant) -> Duration {
        self.notices.values().max().map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// No popup is held any more, until [`hold`](Self::hold).
    pub(super) fn release(&mut self) {
        self.held_until = None;
    }

    /// Holds its popup back, if that has not been long enough.
    pub(super) fn hold(&mut self, notice: &EncryptedNotice) -> bool {
        let left = HOLD.saturating_sub(age(notice));
        if left.is_zero() {
            return false;
        }
        let until = Instant::now() + left;
        self.held_until = Some(self.held_until.map_or(until, |first| first.min(until)));
        true
    }

    /// When the first popup is to be held no longer.
    pub(super) fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

fn age(notice: &EncryptedNotice) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(notice.received_at)).unwrap_or_default()
}
