//! Which notices are held back to be shown together: a backlog, missed events, events during catching up, and events
//! whose details are still being fetched (pure).

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use crate::{
    inbox::{AccountState, Snapshot},
    notice::RoomKey,
};

/// A backlog of at most this many rooms is shown room by room; a larger one as one summary.
pub(super) const BACKLOG_ROOMS: u64 = 3;
/// How long a popup waits for details that its push has left out.
const HOLD: Duration = Duration::from_secs(2);
/// How long a notice waits at most for catching up to end.
const CATCH_UP: Duration = Duration::from_secs(3);
/// While more rooms than this wait, none is held: a summary names nobody.
const MAX_HELD: u64 = 8;
/// A push after a gap this long may be the first after many that failed.
const LONG_GAP: Duration = Duration::from_secs(30 * 60);

/// What is held back, and until when.
#[derive(Debug)]
pub(super) struct Gathering {
    /// More waiting rooms than this become one summary, until all that waits has been shown.
    backlog: Option<u64>,
    /// More was missed than is fetched; the summary says so.
    is_cut_short: bool,
    /// Rooms whose popup waits for details, until this time at the latest.
    held: BTreeMap<RoomKey, Instant>,
    /// Catching up is under way: all notices wait, until this time at the latest.
    until: Option<Instant>,
}

impl Gathering {
    /// What waits at the start is a backlog.
    pub(super) fn new() -> Self {
        Self { backlog: Some(BACKLOG_ROOMS), is_cut_short: false, held: BTreeMap::new(), until: None }
    }

    /// Treats what waits as a backlog: more rooms than this become one summary.
    pub(super) fn begin_backlog(&mut self, rooms: u64) {
        self.backlog = Some(self.backlog.map_or(rooms, |before| before.min(rooms)));
    }

    /// Missed events have been recorded: all of them are shown in one popup, which says whether there were more.
    pub(super) fn caught_up(&mut self, is_whole: bool) {
        self.is_cut_short |= !is_whole;
        self.begin_backlog(u64::from(is_whole));
    }

    /// Catching up has begun or ended. Returns whether notices may have waited for it.
    pub(super) fn catching_up(&mut self, is_under_way: bool, now: Instant) -> bool {
        let until = is_under_way.then(|| now + CATCH_UP);
        let before = std::mem::replace(&mut self.until, until);
        !is_under_way && before.is_some_and(|until| until > now)
    }

    /// Everything that waited has been shown.
    pub(super) fn all_shown(&mut self) {
        self.backlog = None;
        self.is_cut_short = false;
    }

    /// See [`super::plan::PlanInput::backlog`].
    pub(super) fn backlog(&self, is_waking: bool) -> Option<u64> {
        if is_waking {
            Some(self.backlog.map_or(BACKLOG_ROOMS, |rooms| rooms.min(BACKLOG_ROOMS)))
        } else {
            self.backlog
        }
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.is_cut_short
    }

    /// The rooms whose popup is held back, and when the first of them is released. A room is held at most once until it
    /// is shown or its details arrive.
    pub(super) fn held(
        &mut self,
        snapshot: &Snapshot,
        wall: Timestamp,
        now: Instant,
    ) -> (Vec<RoomKey>, Option<Instant>) {
        let is_waiting = |room: &RoomKey| snapshot.waiting.iter().any(|waiting| waiting.room == *room);
        let lacks_details = |room: &RoomKey| snapshot.wanting.iter().any(|wanting| wanting.room == *room);
        self.held.retain(|room, _| is_waiting(room) && lacks_details(room));
        if snapshot.waiting_rooms > MAX_HELD {
            self.held.values_mut().for_each(|until| *until = now);
        } else {
            for wanting in snapshot.wanting.iter().filter(|wanting| is_waiting(&wanting.room)) {
                let waited = Duration::try_from(wall.duration_since(wanting.since)).unwrap_or_default();
                self.held.entry(wanting.room.clone()).or_insert_with(|| now + HOLD.saturating_sub(waited));
            }
        }
        if let Some(until) = self.until.filter(|until| *until > now) {
            return (snapshot.waiting.iter().map(|waiting| waiting.room.clone()).collect(), Some(until));
        }
        let held = || self.held.iter().filter(|(_, until)| **until > now);
        (held().map(|(room, _)| room.clone()).collect(), held().map(|(_, until)| *until).min())
    }
}

/// The accounts whose pushes have resumed after a long gap.
pub(super) fn resumed(before: &[AccountState], after: &[AccountState]) -> Vec<String> {
    let has_resumed = |account: &&AccountState| {
        let before = before.iter().find(|before| before.account == account.account);
        let gap = before.and_then(|before| Some(account.last_push?.duration_since(before.last_push?)));
        gap.is_some_and(|gap| Duration::try_from(gap).is_ok_and(|gap| gap >= LONG_GAP))
    };
    after.iter().filter(has_resumed).map(|account| account.account.clone()).collect()
}
