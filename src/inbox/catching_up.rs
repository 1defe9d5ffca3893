//! Records what a homeserver lists: missed events, events read elsewhere, and the mark of how far the list is known.
//!
//! One commit includes the mark: after a kill at any moment either everything is recorded, or the mark is unchanged
//! and the list is read again. Known events are recognised by their id.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use super::{
    Delivery, Inbox, InboxError, Recipient,
    accounts::Account,
    codec::{self, KnownEvent, stored},
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

/// Where an account stands before it is caught up with.
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
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct CaughtUp {
    /// The account.
    pub account: Arc<str>,
    /// Its user.
    pub user_id: String,
    /// What its `counts` stand for.
    pub counts: CountsScope,
    /// Its `counts` are a number of rooms, not of messages.
    pub counts_rooms: bool,
    /// Whether calls that nobody took become missed calls here.
    pub derive_missed_calls: bool,
    /// Whether what is end-to-end encrypted is decrypted later.
    pub decrypts: bool,
    /// Events that may be new, oldest first.
    pub missed: Vec<MissedEvent>,
    /// Events that were read elsewhere.
    pub read: Vec<String>,
    /// Rooms that were.
    pub read_rooms: Vec<RoomRead>,
    /// Events that the homeserver lists as unread.
    pub listed_unread: Vec<EventRef>,
    /// Nothing of it was held back: a call rings.
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
    pub notification: Arc<Notification>,
    /// The push rules' actions.
    pub tweaks: Tweaks,
    /// It is already read elsewhere.
    pub read: bool,
}

impl Inbox {
    /// Where an account stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn catch_up_state(&self, account: Arc<str>) -> Result<CatchUpState, InboxError> {
        self.read(move |db| catch_up_state(db, &account)).await
    }

    /// Takes over what catching up has found. All of it is on disk when this returns, and raises the `changed` signal
    /// if it says anything new; how many events were not known.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of it is.
    pub async fn apply_catch_up(&self, caught_up: CaughtUp) -> Result<usize, InboxError> {
        self.write(move |write| apply_catch_up(write, &caught_up)).await
    }

    /// These events were read elsewhere. The account's number is the homeserver's to say.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn were_read(&self, account: Arc<str>, event_ids: Vec<String>) -> Result<(), InboxError> {
        self.write(move |write| {
            let account = Account::named(write.db, &account)?;
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
            let Some(account) = Account::known(db, &account)? else { return Ok(Vec::new()) };
            let rooms = unread_rooms(db, account.id)?.into_iter();
            Ok(rooms.filter_map(|room| room.id().map(ToOwned::to_owned)).collect())
        })
        .await
    }

    /// Those of these rooms in which fewer events are unread here than so many, each with what it is called and the number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn short_of(
        &self,
        account: Arc<str>,
        counts: Vec<(String, u64)>,
    ) -> Result<Vec<(String, u64)>, InboxError> {
        self.read(move |db| {
            let Some(account) = Account::known(db, &account)? else { return Ok(Vec::new()) };
            let mut short = Vec::new();
            for (room_id, count) in counts {
                let room = Room::with_id(&room_id);
                if unread_in(db, account.id, room.as_str())? < count {
                    let called = called(db, account.id, room.as_str())?;
                    short.push((called.unwrap_or_else(|| "A room".to_owned()), count));
                }
            }
            Ok(short)
        })
        .await
    }

    /// When a push last came for the account.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_push(&self, account: Arc<str>) -> Result<Option<Timestamp>, InboxError> {
        let last = move |db: &Connection| Ok(Account::known(db, &account)?.and_then(|account| account.last_push));
        Ok(self.read(last).await?.map(codec::to_time))
    }

    /// Whether the user was told that this session of the account is over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn is_logout_notified(&self, account: Arc<str>, session: String) -> Result<bool, InboxError> {
        let query = "SELECT 1 FROM account WHERE name = ?1 AND logout_notified = ?2";
        self.read(move |db| db.prepare_cached(query)?.exists((&*account, session))).await
    }

    /// The user was told that this session of the account is over; `None`: that notification no longer counts.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn set_logout_notified(&self, account: Arc<str>, session: Option<String>) -> Result<(), InboxError> {
        let update = "INSERT INTO account (name, logout_notified) VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET logout_notified = excluded.logout_notified";
        self.write(move |write| write.db.prepare_cached(update)?.execute((&*account, session)).map(drop)).await
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
    let before = Account::named(write.db, &caught_up.account)?;
    let missed = keep_missed(write, &before, caught_up)?;
    let mut account = Account::named(write.db, &caught_up.account)?;
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
    write.db.prepare_cached("UPDATE account SET caught_up_to = ?2, caught_up_at = ?3 WHERE id = ?1")?.execute((
        account.id,
        caught_up.mark.as_millisecond(),
        caught_up.at.as_millisecond(),
    ))?;
    Ok(missed)
}

/// The room was read up to there. What the last push counted in it is no more, until the next says what is.
fn read_elsewhere(
    write: &mut Write<'_>,
    account: &mut Account,
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
        // Of one that is not known nobody knows what came before it: a reaction may be older than all that is unread.
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
    if account.numbers.sent && caught_up.counts == CountsScope::Account {
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

/// What a room with something unread in it is called: by its name, its alias, or who wrote last.
fn called(db: &Connection, account: i64, room: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached(
        "SELECT coalesce(room_name, room_alias, sender_display_name, sender) FROM notice INDEXED BY notice_unread
        WHERE read = 0 AND account = ?1 AND room = ?2 ORDER BY id DESC LIMIT 1",
    )?
    .query_row((account, room), |row| codec::text(row, 0))
    .optional()
    .map(Option::flatten)
}

/// Records those that are not known; how many.
fn keep_missed(write: &mut Write<'_>, account: &Account, caught_up: &CaughtUp) -> rusqlite::Result<usize> {
    let mut kept = 0;
    for MissedEvent { notification, tweaks, .. } in &caught_up.missed {
        let event_id = notification.event_id.as_deref().unwrap_or_default();
        if KnownEvent::by_event_id(write.db, account.id, event_id)?.is_some() {
            continue;
        }
        let recipient = Recipient {
            account: Arc::clone(&caught_up.account),
            user_id: Some(caught_up.user_id.clone()),
            counts: caught_up.counts,
            derive_missed_calls: caught_up.derive_missed_calls,
            fetches_details: false,
            decrypts: caught_up.decrypts,
            tweaks: tweaks.clone(),
        };
        let delivery = Delivery {
            is_sample: false,
            notification: Arc::clone(notification),
            recipients: vec![recipient],
            received_at: caught_up.at,
            replayed: !caught_up.is_live,
        };
        record(write, &delivery)?;
        kept += 1;
    }
    Ok(kept)
}

/// The account's number becomes what is unread here or is listed as unread, until the next push says what it is: pushes
/// that only said so were lost meanwhile. One that came after the list was asked for knows better. An account that has
/// never sent numbers is counted anyway; those of rooms come from homeservers that list nothing.
fn recount(write: &Write<'_>, account: &mut Account, caught_up: &CaughtUp) -> rusqlite::Result<()> {
    let was_pushed_since = account.last_push.is_some_and(|at| at > caught_up.at.as_millisecond());
    if !account.numbers.sent || was_pushed_since || caught_up.counts == CountsScope::Room {
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
