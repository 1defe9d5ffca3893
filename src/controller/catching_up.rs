//! What was caught up with, and what pushes have left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::{AppRequest, Controller, Missing};
use crate::{desktop::Desktop, inbox::News, notice::RoomKey};

/// A popup waits so long for what its push has left out.
const HOLD: Duration = Duration::from_secs(2);
/// What comes while catching up is under way waits for its end no longer than this.
const GATHER: Duration = Duration::from_secs(3);
/// While more rooms than this wait, none is held: a summary names nobody.
const MOST_HELD: u64 = 8;
/// A push after so long may be the first of many that failed.
const LONG_GAP: Duration = Duration::from_secs(30 * 60);

/// What catching up and missing details mean for what is presented when.
#[derive(Debug, Default)]
pub(super) struct CatchingUp {
    /// What was caught up with is not all that there was; the summary says so.
    pub(super) is_cut_short: bool,
    /// Rooms whose popup waits until then for what its push has left out.
    held: BTreeMap<RoomKey, Instant>,
    /// It is under way: until then what comes meanwhile waits for what was missed, to be told with it.
    gathers_until: Option<Instant>,
}

impl<D: Desktop> Controller<D> {
    /// Takes from the news what was missed (one popup tells of all of it), which rooms wait for details, and whose pushes
    /// have resumed after a long time.
    pub(super) fn catch_up(&mut self, news: &News, now: Instant) {
        if let Some(is_whole) = news.caught_up {
            self.catching_up.is_cut_short |= !is_whole;
            self.gather(u64::from(is_whole));
        }
        self.hold(news, now);
        for account in &news.accounts {
            let before = self.last.accounts.iter().find(|before| before.account == account.account);
            let gap = before.and_then(|before| Some(account.last_push?.duration_since(before.last_push?)));
            if gap.is_some_and(|gap| Duration::try_from(gap).is_ok_and(|gap| gap >= LONG_GAP)) {
                self.ask(AppRequest::CatchUp(Missing::After { account: account.account.clone() }));
            }
        }
    }

    /// While it is under way, for a moment, what comes is gathered; calls are not.
    pub(super) async fn catching_up_is(&mut self, is_under_way: bool) {
        if is_under_way {
            self.catching_up.gathers_until = Some(Instant::now() + GATHER);
        } else if self.catching_up.gathers_until.take().is_some_and(|until| until > Instant::now()) {
            self.refresh().await;
        }
    }

    /// The rooms that are not to pop up yet, and a look when they may.
    pub(super) fn held_rooms(&mut self, now: Instant) -> Vec<RoomKey> {
        if let Some(until) = self.catching_up.gathers_until.filter(|until| *until > now) {
            self.look_again_at(until);
            return self.last.waiting.iter().map(|waiting| waiting.room.clone()).collect();
        }
        let held = self.catching_up.held.iter().filter(|(_, until)| **until > now).collect::<Vec<_>>();
        let next = held.iter().map(|(_, until)| **until).min();
        let rooms = held.into_iter().map(|(room, _)| room.clone()).collect();
        if let Some(next) = next {
            self.look_again_at(next);
        }
        rooms
    }

    /// Each room is held once: until it was shown, or what was left out has come.
    fn hold(&mut self, news: &News, now: Instant) {
        let is_waiting = |room: &RoomKey| news.waiting.iter().any(|waiting| waiting.room == *room);
        let lacks_details = |room: &RoomKey| news.wanting.iter().any(|wanting| wanting.room == *room);
        self.catching_up.held.retain(|room, _| is_waiting(room) && lacks_details(room));
        if news.waiting_rooms > MOST_HELD {
            self.catching_up.held.values_mut().for_each(|until| *until = now);
            return;
        }
        let wall = Timestamp::now();
        for wanting in news.wanting.iter().filter(|wanting| is_waiting(&wanting.room)) {
            let waited = Duration::try_from(wall.duration_since(wanting.since)).unwrap_or_default();
            self.catching_up.held.entry(wanting.room.clone()).or_insert_with(|| now + HOLD.saturating_sub(waited));
        }
    }
}
