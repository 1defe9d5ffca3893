//! Taking over what a homeserver lists: what was missed, what was read meanwhile, and how far that goes.
//!
//! All of it is one commit, the mark included: after a kill at any moment either everything is here or the mark still
//! stands where it stood, and what is listed is read back again. What is known already is recognised by its event.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    CountsScope, Delivery, Inbox, InboxError, Recipient,
    accounts::Account,
    calls,
    changes::Write,
    marks,
    record::record,
    rooms::{self, Room},
    rows::{Kind, Known, stored, time},
};
use crate::{
    notice::Presentation,
    push::notify::{Notification, Tweaks},
};

/// How many unread notices are looked after at once, the newest.
const MOST_UNREAD: usize = 500;

/// Where an account stands before it is caught up with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Everything that its homeserver listed up to this time of the homeserver's is known; `None`: never caught up with.
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
}

/// What catching up has found.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
pub struct CaughtUp {
    /// The account.
    pub account: Arc<str>,
    /// What its `counts` stand for.
    pub counts: CountsScope,
    /// Its `counts` are a number of rooms, not of messages.
    pub counts_rooms: bool,
    /// Whether calls that nobody took become missed calls here.
    pub derive_missed_calls: bool,
    /// Events that may not be known, oldest first.
    pub missed: Vec<Missed>,
    /// Events that were read elsewhere.
    pub read: Vec<String>,
    /// Events that the homeserver lists as unread.
    pub listed_unread: Vec<ListedUnread>,
    /// It lists no others, older ones neither.
    pub is_all: bool,
    /// The new mark.
    pub mark: Timestamp,
    /// When it was asked for.
    pub at: Timestamp,
    /// It reaches back to the old mark; else there was more than is read back.
    pub is_whole: bool,
}

/// An event that the homeserver lists as unread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUnread {
    /// `room_id`
    pub room_id: String,
    /// `event_id`
    pub event_id: String,
}

/// An event that no push may have brought.
#[derive(Debug, Clone)]
pub struct Missed {
    /// It, as a push would have brought it.
    pub notification: Arc<Notification>,
    /// What the push rules want of it.
    pub tweaks: Tweaks,
    /// It was read elsewhere already.
    pub read: bool,
}

impl Inbox {
    /// Where an account stands.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn standing(&self, account: Arc<str>) -> Result<Standing, InboxError> {
        self.ask(move |worker| worker.read(|db| standing(db, &account))).await
    }

    /// Takes over what catching up has found. All of it is on disk when this returns, and raises `news` if it says
    /// anything new; how many events were not known.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of it is.
    pub async fn take_over(&self, caught_up: CaughtUp) -> Result<usize, InboxError> {
        self.ask(move |worker| worker.write(|write| take_over(write, &caught_up))).await
    }

    /// Whether the person was told that this session of the account is over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn was_told_of_end(&self, account: Arc<str>, session: String) -> Result<bool, InboxError> {
        let query = "SELECT 1 FROM catching_up WHERE account = ?1 AND told_session = ?2";
        self.ask(move |worker| worker.read(|db| db.prepare_cached(query)?.exists((&*account, session)))).await
    }

    /// The person was told that this session of the account is over; `None`: it goes on.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn told_of_end(&self, account: Arc<str>, session: Option<String>) -> Result<(), InboxError> {
        let update = "INSERT INTO catching_up (account, told_session) VALUES (?1, ?2)
            ON CONFLICT DO UPDATE SET told_session = excluded.told_session";
        self.ask(move |worker| {
            worker.write(|write| write.db.prepare_cached(update)?.execute((&*account, session)).map(drop))
        })
        .await
    }
}

fn standing(db: &Connection, account: &str) -> rusqlite::Result<Standing> {
    let stood = db
        .prepare_cached("SELECT mark, completed_at FROM catching_up WHERE account = ?1")?
        .query_row([account], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))
        .optional()?;
    let (mark, completed_at) = stood.unwrap_or_default();
    let unread = db
        .prepare_cached(
            "SELECT n.event_id, n.received_at FROM account a CROSS JOIN notice n ON n.account = a.id
            WHERE a.name = :account AND n.read = 0 AND n.kind = 0 AND n.id > coalesce(a.read_up_to, 0)
                AND n.event_id IS NOT NULL
            UNION ALL SELECT n.event_id, n.received_at
            FROM call c INDEXED BY call_active CROSS JOIN account a ON a.id = c.account
                CROSS JOIN notice n ON n.id = c.notice
            WHERE c.state < 2 AND a.name = :account AND n.event_id IS NOT NULL
            ORDER BY 2 DESC LIMIT :most",
        )?
        .query_map(named_params! { ":account": account, ":most": stored(MOST_UNREAD as u64) }, |row| {
            Ok(UnreadEvent { event_id: row.get(0)?, received_at: time(row.get(1)?) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Standing { mark: mark.map(time), completed_at: completed_at.map(time), unread })
}

fn take_over(write: &mut Write<'_>, caught_up: &CaughtUp) -> rusqlite::Result<usize> {
    let before = Account::named(write.db, &caught_up.account)?;
    let missed = keep_missed(write, &before, caught_up)?;
    write.memory.open_rows.close(write.db)?;
    let mut account = Account::load(write.db, before.id)?;
    // No push came.
    account.last_push = before.last_push;
    let read = caught_up.missed.iter().filter(|missed| missed.read);
    let read = read.filter_map(|missed| missed.notification.event_id.as_deref());
    let mut was_read = false;
    for event_id in read.chain(caught_up.read.iter().map(String::as_str)) {
        was_read |= read_event(write, &mut account, event_id)?;
    }
    if missed > 0 || was_read || caught_up.is_all {
        let number = account.numbers.unread;
        recount(write, &mut account, caught_up)?;
        write.changes.are_news |= was_read || account.numbers.unread != number;
    }
    account.save(write.db)?;
    if missed > 0 {
        write.changes.catch_up(caught_up.is_whole);
    }
    write
        .db
        .prepare_cached(
            "INSERT INTO catching_up (account, mark, completed_at) VALUES (?1, ?2, ?3)
            ON CONFLICT DO UPDATE SET mark = excluded.mark, completed_at = excluded.completed_at",
        )?
        .execute((&*caught_up.account, caught_up.mark.as_millisecond(), caught_up.at.as_millisecond()))?;
    Ok(missed)
}

/// Records those that are not known; how many.
fn keep_missed(write: &mut Write<'_>, account: &Account, caught_up: &CaughtUp) -> rusqlite::Result<usize> {
    let mut kept = 0;
    for Missed { notification, tweaks, .. } in &caught_up.missed {
        let key = notification.event_id.as_deref().unwrap_or_default();
        if Known::find(write.db, &write.memory.keys, account, key)?.is_some() {
            continue;
        }
        let recipient = Recipient {
            account: Arc::clone(&caught_up.account),
            counts: caught_up.counts,
            derive_missed_calls: caught_up.derive_missed_calls,
            fetches_details: false,
            tweaks: tweaks.clone(),
        };
        record(
            write,
            &Delivery {
                notification: Arc::clone(notification),
                recipients: vec![recipient],
                received_at: caught_up.at,
                replayed: true,
            },
        )?;
        kept += 1;
    }
    Ok(kept)
}

/// An event was read elsewhere: that of a message or a call. Whether it was unread here.
pub(super) fn read_event(write: &mut Write<'_>, account: &mut Account, event_id: &str) -> rusqlite::Result<bool> {
    let event = Known::find(write.db, &write.memory.keys, account, event_id)?;
    let Some(event) = event.filter(|event| !event.read) else { return Ok(false) };
    match event.kind {
        Kind::Silent => return Ok(false),
        Kind::Call => calls::end(write, account, event.id)?,
        Kind::Message => {
            marks::read_one(write, event.id)?;
            account.was_read(1);
            let mut room = Room::load(write.db, event.room)?;
            if event.presentation != Presentation::Settled {
                room.unread = room.unread.saturating_sub(1);
            }
            if event.presentation == Presentation::Waiting {
                room.lost(write.db, event.id)?;
            }
            room.save(write.db)?;
            let key = rooms::key(write.db, event.room)?;
            if room.unread == 0 { write.changes.zero_room(key) } else { write.changes.change_room(key) }
        }
    }
    Ok(true)
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
        let mut rooms = unread_rooms(write.db, account)?;
        rooms.extend(caught_up.listed_unread.iter().map(|listed| listed.room_id.clone()));
        rooms.len() as u64
    } else {
        let mut unread = account.unread_notices;
        for listed in &caught_up.listed_unread {
            let known = Known::find(write.db, &write.memory.keys, account, &listed.event_id)?;
            unread += u64::from(known.is_none_or(|known| known.read));
        }
        unread
    };
    Ok(())
}

fn unread_rooms(db: &Connection, account: &Account) -> rusqlite::Result<HashSet<String>> {
    db.prepare_cached(
        "SELECT r.room_id FROM room r WHERE r.account = :account AND (
            EXISTS (SELECT 1 FROM notice n INDEXED BY notice_unread
                WHERE n.account = :account AND n.room = r.id AND n.read = 0 AND n.kind = 0 AND n.id > :read)
            OR EXISTS (SELECT 1 FROM call c INDEXED BY call_active
                WHERE c.state < 2 AND c.account = :account AND c.room = r.id))",
    )?
    .query_map(named_params! { ":account": account.id, ":read": account.read_up_to.unwrap_or(0) }, |row| row.get(0))?
    .collect()
}
