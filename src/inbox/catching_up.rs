//! Records what a homeserver lists: missed events, events read elsewhere, and the mark of how far the list is known.
//!
//! One commit includes the mark: after a kill at any moment either everything is recorded, or the mark is unchanged
//! and the list is read again. Known events are recognised by their id.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    Delivery, Inbox, InboxError, Recipient,
    codec::{self, KnownEvent, stored},
    counts::AccountRow,
    read_state,
    record::record,
    transaction::Write,
};
use crate::{
    accounts::CountsScope,
    notice::{NoticeId, Room, RoomKey},
    push::{
        listed::EventRef,
        notify::{Notification, Tweaks},
    },
};

/// Limit of the unread notices returned, newest first.
const MOST_UNREAD: usize = 500;

/// What is known of an account before catching up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatchUpState {
    /// Everything listed up to this time (homeserver's clock) is known; `None` before the first catching up.
    pub mark: Option<Timestamp>,
    /// When catching up last completed.
    pub completed_at: Option<Timestamp>,
    /// Unread messages and calls with an event id, at most 500, newest first.
    pub unread: Vec<UnreadEvent>,
}

/// An event that is unread here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadEvent {
    /// Its id.
    pub event_id: String,
    /// When it came.
    pub received_at: Timestamp,
    /// Its room, if it came encrypted.
    pub encrypted_in: Option<String>,
}

/// The result of catching up.
#[derive(Debug, Clone)]
pub struct CaughtUp {
    /// The account; each event has tweaks of its own.
    pub recipient: Recipient,
    /// Its `counts` are a number of rooms, not of messages.
    pub counts_rooms: bool,
    /// Events that may be new, oldest first.
    pub missed: Vec<MissedEvent>,
    /// Events that were read elsewhere.
    pub read: Vec<String>,
    /// Rooms that were.
    pub read_rooms: Vec<RoomRead>,
    /// Events that the homeserver lists as unread.
    pub listed_unread: Vec<EventRef>,
    /// Nothing of it was delayed: a call rings.
    pub is_live: bool,
    /// The list is complete: it names every unread event, however old.
    pub is_all: bool,
    /// The new mark.
    pub mark: Timestamp,
    /// When it was asked for.
    pub at: Timestamp,
}

/// A room that was read elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRead {
    /// `room_id`
    pub room_id: String,
    /// What of it.
    pub what: WhatWasRead,
}

/// What of a room was read elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhatWasRead {
    /// All of it.
    All,
    /// What came up to an event.
    UpTo {
        /// Its `event_id`.
        event_id: String,
        /// The thread that was read up to there, by the id of its first event; `main`: what is of none. `None`: all.
        thread: Option<String>,
    },
    /// The invite to it, which was answered.
    Invite,
}

/// A listed event, which a push may not have brought.
#[derive(Debug, Clone)]
pub struct MissedEvent {
    /// The notification, as a push would have it.
    pub notification: Notification,
    /// The push rules' actions.
    pub tweaks: Tweaks,
    /// It is already read elsewhere.
    pub read: bool,
}

impl Inbox {
    /// What is known of an account.
    pub(crate) async fn catch_up_state(&self, account: Arc<str>) -> Result<CatchUpState, InboxError> {
        self.read(move |db| catch_up_state(db, &account)).await
    }

    /// Records the result of catching up, in one commit, and signals a change if there is one. Returns how many events
    /// were new.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of it is.
    pub(crate) async fn apply_catch_up(&self, caught_up: CaughtUp) -> Result<usize, InboxError> {
        self.write(move |write| apply_catch_up(write, &caught_up)).await
    }

    /// Marks events as read that were read elsewhere. The account's number stays: the homeserver sends it.
    pub(crate) async fn were_read(&self, account: Arc<str>, event_ids: Vec<String>) -> Result<(), InboxError> {
        self.write(move |write| {
            let account = AccountRow::named(write.db, &account)?;
            event_ids.iter().try_for_each(|event_id| read_state::read_event(write, account.id, event_id).map(drop))
        })
        .await
    }

    /// The account's rooms with something unread in them, by their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unread_rooms(&self, account: Arc<str>) -> Result<Vec<String>, InboxError> {
        self.read(move |db| {
            let Some(account) = AccountRow::known(db, &account)? else { return Ok(Vec::new()) };
            let rooms = unread_rooms(db, account.id)?.into_iter();
            Ok(rooms.filter_map(|room| room.id().map(ToOwned::to_owned)).collect())
        })
        .await
    }

    /// Of these rooms with their numbers, those in which fewer events are unread here; each with its name and number.
    pub(crate) async fn short_of(
        &self,
        account: Arc<str>,
        counts: Vec<(String, u64)>,
    ) -> Result<Vec<(String, u64)>, InboxError> {
        self.read(move |db| {
            let Some(account) = AccountRow::known(db, &account)? else { return Ok(Vec::new()) };
            let mut short = Vec::new();
            for (room_id, count) in counts {
                let room = Room::with_id(&room_id);
                if unread_in(db, account.id, room.as_str())? < count {
                    let name = name_of_room(db, account.id, room.as_str())?;
                    short.push((name.unwrap_or_else(|| "A room".to_owned()), count));
                }
            }
            Ok(short)
        })
        .await
    }

    /// When a push last came for the account.
    pub(crate) async fn last_push(&self, account: Arc<str>) -> Result<Option<Timestamp>, InboxError> {
        let last = move |db: &Connection| Ok(AccountRow::known(db, &account)?.and_then(|account| account.last_push));
        Ok(self.read(last).await?.map(codec::to_time))
    }

    /// Whether the user was told that this session of the account is over.
    pub(crate) async fn is_logout_notified(&self, account: Arc<str>, session: String) -> Result<bool, InboxError> {
        let query = "SELECT 1 FROM account WHERE name = ?1 AND logout_notified = ?2";
        self.read(move |db| db.prepare_cached(query)?.exists((&*account, session))).await
    }

    /// Stores that the user was told that this session of the account is over; `None` deletes that.
    pub(crate) async fn set_logout_notified(
        &self,
        account: Arc<str>,
        session: Option<String>,
    ) -> Result<(), InboxError> {
        let update = "INSERT INTO account (name, logout_notified) VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET logout_notified = excluded.logout_notified";
        self.write(move |write| write.execute(update, (&*account, session)).map(drop)).await
    }
}

fn catch_up_state(db: &Connection, account: &str) -> rusqlite::Result<CatchUpState> {
    let mut stood = db.prepare_cached("SELECT caught_up_to, caught_up_at FROM account WHERE name = ?1")?;
    let mut stood = stood.query([account])?;
    let (mark, completed_at) = match stood.next()? {
        Some(row) => (codec::optional_time(row, 0)?, codec::optional_time(row, 1)?),
        None => (None, None),
    };
    let unread = db
        .prepare_cached(
            "SELECT ?1, room, event_id, received_at, decryption > 0 OR typeof(content) = 'blob'
            FROM notice INDEXED BY notice_unread
            WHERE read = 0 AND event_id IS NOT NULL AND account = (SELECT id FROM account WHERE name = ?1)
            ORDER BY received_at DESC, id DESC LIMIT ?2",
        )?
        .query_map((account, stored(MOST_UNREAD as u64)), |row| {
            let room = codec::room_key(row, 0)?.room;
            Ok(UnreadEvent {
                event_id: codec::text(row, 2)?.unwrap_or_default(),
                received_at: codec::time(row, 3)?,
                encrypted_in: room.id().filter(|_| codec::flag(row, 4).unwrap_or_default()).map(ToOwned::to_owned),
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(CatchUpState { mark, completed_at, unread })
}

pub(super) fn apply_catch_up(write: &mut Write<'_>, caught_up: &CaughtUp) -> rusqlite::Result<usize> {
    let before = AccountRow::named(write.db, &caught_up.recipient.account)?;
    let missed = keep_missed(write, &before, caught_up)?;
    let mut account = AccountRow::named(write.db, &caught_up.recipient.account)?;
    // No push came.
    account.last_push = before.last_push;
    let read = caught_up.missed.iter().filter(|missed| missed.read);
    let read = read.filter_map(|missed| missed.notification.event_id.as_deref());
    let mut was_read = false;
    for event_id in read.chain(caught_up.read.iter().map(String::as_str)) {
        was_read |= read_state::read_event(write, account.id, event_id)?;
    }
    for room in &caught_up.read_rooms {
        read_elsewhere(write, &mut account, caught_up, room)?;
    }
    if missed > 0 || was_read || caught_up.is_all {
        let number = account.numbers.unread;
        recount(write, &mut account, caught_up)?;
        write.changes.is_visible |= account.numbers.unread != number;
    }
    account.save(write.db)?;
    write.execute(
        "UPDATE account SET caught_up_to = ?2, caught_up_at = ?3 WHERE id = ?1",
        (account.id, caught_up.mark.as_millisecond(), caught_up.at.as_millisecond()),
    )?;
    Ok(missed)
}

/// Marks what was read in the room, and lowers the account's number by as much, until the next push sets it.
fn read_elsewhere(
    write: &mut Write<'_>,
    account: &mut AccountRow,
    caught_up: &CaughtUp,
    RoomRead { room_id, what }: &RoomRead,
) -> rusqlite::Result<()> {
    let room = Room::with_id(room_id);
    let of_room = |db: &Connection| unread_in(db, account.id, room.as_str());
    let before = of_room(write.db)?;
    if before == 0 {
        return Ok(());
    }
    match what {
        WhatWasRead::Invite => read_state::read_invites(write, account.id, room.as_str())?,
        // What came before an unknown event is unknown: a reaction may be older than everything that is unread.
        WhatWasRead::UpTo { event_id, thread } => {
            let known = KnownEvent::by_event_id(write.db, account.id, event_id)?.filter(|known| known.room == room);
            if let Some(known) = known {
                let key = RoomKey { account: account.name.clone(), room: room.clone() };
                match thread {
                    Some(thread) => {
                        read_state::read_one(write, known.id)?;
                        read_state::read_thread(write, &key, NoticeId(known.id), thread)?;
                    }
                    None => read_state::read_messages(write, &key, NoticeId(known.id))?,
                }
            }
        }
        WhatWasRead::All => read_state::read_room(write, account.id, room.as_str())?,
    }
    let after = of_room(write.db)?;
    if account.numbers.sent && caught_up.recipient.counts == CountsScope::Account {
        let fewer = if caught_up.counts_rooms { u64::from(after == 0) } else { before - after };
        account.numbers.unread = account.numbers.unread.saturating_sub(fewer);
    }
    Ok(())
}

fn unread_in(db: &Connection, account: i64, room: &str) -> rusqlite::Result<u64> {
    db.prepare_cached(
        "SELECT count(*) FROM notice INDEXED BY notice_unread WHERE read = 0 AND account = ?1 AND room = ?2",
    )?
    .query_row((account, room), |row| codec::count(row, 0))
}

/// The name of a room with unread notices, else its alias, else who wrote last.
fn name_of_room(db: &Connection, account: i64, room: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached(
        "SELECT coalesce(room_name, room_alias, sender_display_name, sender) FROM notice INDEXED BY notice_unread
        WHERE read = 0 AND account = ?1 AND room = ?2 ORDER BY id DESC LIMIT 1",
    )?
    .query_row((account, room), |row| codec::text(row, 0))
    .optional()
    .map(Option::flatten)
}

/// Records the missed events that are new; returns how many.
fn keep_missed(write: &mut Write<'_>, account: &AccountRow, caught_up: &CaughtUp) -> rusqlite::Result<usize> {
    let mut kept = 0;
    for MissedEvent { notification, tweaks, .. } in &caught_up.missed {
        let event_id = notification.event_id.as_deref().unwrap_or_default();
        if KnownEvent::by_event_id(write.db, account.id, event_id)?.is_some() {
            continue;
        }
        let recipient = Recipient { fetches_details: false, tweaks: tweaks.clone(), ..caught_up.recipient.clone() };
        let delivery = Delivery {
            is_sample: false,
            notification: notification.clone(),
            recipients: vec![recipient],
            received_at: caught_up.at,
            replayed: !caught_up.is_live,
        };
        record(write, &delivery)?;
        kept += 1;
    }
    Ok(kept)
}

/// Sets the account's number to what is unread here or listed as unread, until the next push: pushes of numbers alone
/// were lost meanwhile. Does nothing if a push came after the list was requested, for an account that never sent numbers
/// (its notices are counted), and where counts stand for rooms (these homeservers list nothing).
fn recount(write: &Write<'_>, account: &mut AccountRow, caught_up: &CaughtUp) -> rusqlite::Result<()> {
    let was_pushed_since = account.last_push.is_some_and(|at| at > caught_up.at.as_millisecond());
    if !account.numbers.sent || was_pushed_since || caught_up.recipient.counts == CountsScope::Room {
        return Ok(());
    }
    account.numbers.unread = if caught_up.counts_rooms {
        let mut rooms = unread_rooms(write.db, account.id)?;
        rooms.extend(caught_up.listed_unread.iter().map(|listed| Room::with_id(&listed.room_id)));
        rooms.len() as u64
    } else {
        let mut unread = read_state::unread(write.db, account.id)?;
        for listed in &caught_up.listed_unread {
            let known = KnownEvent::by_event_id(write.db, account.id, &listed.event_id)?;
            unread += u64::from(known.is_none_or(|known| known.read));
        }
        unread
    };
    Ok(())
}

fn unread_rooms(db: &Connection, account: i64) -> rusqlite::Result<HashSet<Room>> {
    db.prepare_cached("SELECT DISTINCT room FROM notice INDEXED BY notice_unread WHERE read = 0 AND account = ?1")?
        .query_map([account], |row| Ok(Room::from_stored(codec::text(row, 0)?.unwrap_or_default())))?
        .collect()
}
