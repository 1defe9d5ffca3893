//! What a transaction changes beyond the tables: collected while it runs, kept once it is committed, told by the next
//! news. It is not stored: popups do not outlive the program either.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{Zeroed, keys::Keys, open_rows::OpenRows, schema};
use crate::notice::{NoticeId, RoomKey};

/// How many rooms are remembered one by one until the next news.
const MAX_ROOMS: usize = 256;

/// How many calls that are over are: more than have a popup at a time.
const MAX_CALLS: usize = 256;

/// A transaction under way.
pub(super) struct Write<'a> {
    /// The database, inside the transaction.
    pub(super) db: &'a Connection,
    /// Whether texts stay once their notice was read.
    pub(super) keep_bodies: bool,
    /// What it has changed so far.
    pub(super) changes: Changes,
    /// What is known of the tables besides.
    pub(super) memory: &'a mut Memory,
}

/// What is known of the tables from one transaction to the next. It is right as long as each of them succeeds: after a
/// failure it is read anew.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) keys: Keys,
    pub(super) open_rows: OpenRows,
    /// No notice has, or has ever had, a higher number.
    pub(super) newest: i64,
}

impl Memory {
    /// Reads it from a database that was just opened. No notice has ever had a number above `newest` in another.
    pub(super) fn load(db: &Connection, newest: i64) -> rusqlite::Result<Self> {
        let newest = newest.max(schema::newest(db)?);
        Ok(Self { keys: Keys::load(db)?, open_rows: OpenRows::default(), newest })
    }

    /// The number of a new notice.
    pub(super) fn next_notice(&mut self) -> i64 {
        self.newest += 1;
        self.newest
    }
}

/// What has changed for whoever presents it.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// There is something to present anew.
    pub(super) are_news: bool,
    /// Some rows of messages that were read do not say so yet.
    pub(super) is_reading: bool,
    /// There are notices of which only the ids are known.
    pub(super) details_are_wanted: bool,
    /// What was missed was taken over; whether all of it.
    pub(super) caught_up: Option<bool>,
    zeroed_accounts: BTreeSet<String>,
    zeroed_rooms: BTreeSet<RoomKey>,
    /// With the account that each was for.
    zeroed_calls: BTreeSet<(String, NoticeId)>,
    changed_rooms: BTreeSet<RoomKey>,
}

impl Changes {
    /// What was missed was taken over, whole or as much as is read back.
    pub(super) fn catch_up(&mut self, is_whole: bool) {
        self.are_news = true;
        self.caught_up = Some(is_whole && self.caught_up.unwrap_or(true));
    }

    /// An account's number fell to zero, and so those of its rooms; its calls are over.
    pub(super) fn zero_account(&mut self, account: &str) {
        self.are_news = true;
        self.zeroed_rooms.retain(|room| room.account != account);
        self.zeroed_calls.retain(|(of, _)| of != account);
        self.zeroed_accounts.insert(account.to_owned());
    }

    /// A call neither rings nor is missed any more.
    pub(super) fn zero_call(&mut self, account: &str, call: NoticeId) {
        self.are_news = true;
        if !self.zeroed_accounts.contains(account) && self.zeroed_calls.len() < MAX_CALLS {
            self.zeroed_calls.insert((account.to_owned(), call));
        }
    }

    /// Nothing in a room is unread any more. When they become too many, their whole accounts stand for them: a popup too few
    /// is a lesser harm than one about what was read.
    pub(super) fn zero_room(&mut self, room: RoomKey) {
        self.are_news = true;
        if self.zeroed_accounts.contains(&room.account) {
            return;
        }
        self.zeroed_rooms.insert(room);
        if self.zeroed_rooms.len() > MAX_ROOMS {
            let rooms = std::mem::take(&mut self.zeroed_rooms);
            self.zeroed_accounts.extend(rooms.into_iter().map(|room| room.account));
        }
    }

    /// A shown notice of this room was edited or redacted. Beyond a limit that no screen holds, nothing is noted.
    pub(super) fn change_room(&mut self, room: RoomKey) {
        self.are_news = true;
        if self.changed_rooms.len() < MAX_ROOMS {
            self.changed_rooms.insert(room);
        }
    }

    /// Adds what a later transaction has changed.
    pub(super) fn merge(&mut self, later: Self) {
        self.are_news |= later.are_news;
        self.is_reading |= later.is_reading;
        self.details_are_wanted |= later.details_are_wanted;
        if let Some(is_whole) = later.caught_up {
            self.catch_up(is_whole);
        }
        later.zeroed_accounts.iter().for_each(|account| self.zero_account(account));
        later.zeroed_rooms.into_iter().for_each(|room| self.zero_room(room));
        later.zeroed_calls.iter().for_each(|(account, call)| self.zero_call(account, *call));
        later.changed_rooms.into_iter().for_each(|room| self.change_room(room));
    }

    /// Tells it all, once.
    pub(super) fn take(&mut self) -> (Vec<Zeroed>, Vec<RoomKey>) {
        let Self { zeroed_accounts, zeroed_rooms, zeroed_calls, changed_rooms, .. } = std::mem::take(self);
        let zeroed = zeroed_accounts
            .into_iter()
            .map(Zeroed::Account)
            .chain(zeroed_rooms.into_iter().map(Zeroed::Room))
            .chain(zeroed_calls.into_iter().map(|(_, call)| Zeroed::Call(call)))
            .collect();
        (zeroed, changed_rooms.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(account: &str, number: usize) -> RoomKey {
        RoomKey { account: account.to_owned(), room_id: format!("!{number}") }
    }

    #[test]
    fn an_account_stands_for_its_rooms_and_calls() {
        let mut changes = Changes::default();
        changes.zero_room(room("a", 1));
        changes.zero_call("a", NoticeId(1));
        let mut later = Changes::default();
        later.zero_room(room("b", 1));
        later.zero_call("b", NoticeId(2));
        later.zero_account("a");
        changes.merge(later);
        changes.zero_room(room("a", 2));
        changes.zero_call("a", NoticeId(3));
        let zeroed = changes.take().0;
        assert_eq!(zeroed, [Zeroed::Account("a".to_owned()), Zeroed::Room(room("b", 1)), Zeroed::Call(NoticeId(2))]);
        assert_eq!(changes.take(), (Vec::new(), Vec::new()));
    }

    #[test]
    fn too_many_rooms_become_their_accounts() {
        let mut changes = Changes::default();
        (0..1000).for_each(|call| changes.zero_call("b", NoticeId(call)));
        assert_eq!(changes.take().0.len(), MAX_CALLS);
        (0..=MAX_ROOMS).for_each(|number| changes.zero_room(room("a", number)));
        (0..=MAX_ROOMS).for_each(|number| changes.change_room(room("a", number)));
        let (zeroed, rooms) = changes.take();
        assert_eq!(zeroed, [Zeroed::Account("a".to_owned())]);
        assert_eq!(rooms.len(), MAX_ROOMS);
    }
}
