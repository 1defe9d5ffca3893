//! What was caught up with, and what pushes have left out.

use jiff::Timestamp;
use tokio::time::{Duration, Instant};

use super::{Ask, Controller, Missing};
use crate::{desktop::Desktop, inbox::News, notice::RoomKey};

/// A popup waits so long for what its push has left out.
const HOLD: Duration = Duration::from_secs(2);
/// While more rooms than this wait, none is held: a summary names nobody.
const MOST_HELD: u64 = 8;
/// A push after so long may be the first of many that failed.
const LONG_GAP: Duration = Duration::from_secs(30 * 60);

impl<D: Desktop> Controller<D> {
    /// Takes from the news what was missed (one popup tells of all of it), which rooms wait for details, and whose pushes
    /// have resumed after a long time.
    pub(super) fn catch_up(&mut self, news: &News, now: Instant) {
        if let Some(is_whole) = news.caught_up {
            self.is_cut_short |= !is_whole;
            self.gather(u64::from(is_whole));
        }
        self.hold(news, now);
        for account in &news.accounts {
            let before = self.last.accounts.iter().find(|before| before.account == account.account);
            let gap = before.and_then(|before| Some(account.last_push?.duration_since(before.last_push?)));
            if gap.is_some_and(|gap| Duration::try_from(gap).is_ok_and(|gap| gap >= LONG_GAP)) {
                self.ask(Ask::CatchUp(Missing::After { account: account.account.clone() }));
            }
        }
    }

    /// Each room is held once: until it was shown, or what was left out has come.
    fn hold(&mut self, news: &News, now: Instant) {
        let waits = |room: &RoomKey| news.waiting.iter().any(|waiting| waiting.room == *room);
        let wants = |room: &RoomKey| news.wanting.iter().any(|wanting| wanting.room == *room);
        self.held.retain(|room, _| waits(room) && wants(room));
        if news.waiting_rooms > MOST_HELD {
            self.held.values_mut().for_each(|until| *until = now);
            return;
        }
        let wall = Timestamp::now();
        for wanting in news.wanting.iter().filter(|wanting| waits(&wanting.room)) {
            let waited = Duration::try_from(wall.duration_since(wanting.since)).unwrap_or_default();
            self.held.entry(wanting.room.clone()).or_insert_with(|| now + HOLD.saturating_sub(waited));
        }
        if let Some(until) = self.held.values().filter(|until| **until > now).min().copied() {
            self.look_again_at(until);
        }
    }
}
