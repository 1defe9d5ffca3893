//! Reading the database beside the thread, with or without a running program: a long read keeps no push waiting.

use std::{path::Path, sync::atomic::Ordering};

use rusqlite::{Connection, Row, Rows};

use super::{
    InboxError,
    codec::{self, notice, notice_query, stored},
    database,
    seal::Seals,
};
use crate::notice::{Notice, NoticeId, RoomKey};

/// Limit of notices read for one page.
const MAX_LOOKED_AT: usize = 20_000;
/// Limit of sealed texts opened for one page.
const MAX_OPENED: usize = 5_000;
/// Limit of notices whose rooms are listed: the newest.
const MAX_FOR_ROOMS: u64 = 20_000;

/// Which notices to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// All that are kept.
    All,
    /// Those that are unread.
    Unread,
    /// Calls that nobody took, and that the person has not seen yet.
    MissedCalls,
    /// Those of a room.
    Room(RoomKey),
}

/// A page of notices, newest first.
#[derive(Debug, Default)]
pub struct ListPage {
    /// The notices.
    pub notices: Vec<Notice>,
    /// Where the next page begins: there may be notices before this one.
    pub next: Option<NoticeId>,
    /// Sealed texts of older notices were left unopened.
    pub leaves_out_sealed: bool,
}

/// A room with its newest notice.
#[derive(Debug, Clone)]
pub struct ListedRoom {
    /// Which.
    pub room: RoomKey,
    /// Its newest notice.
    pub newest: Notice,
    /// How many of its notices are unread.
    pub unread: u64,
}

/// How many notices are unread, and how many calls are missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// Messages and calls.
    pub notices: u64,
    /// Calls.
    pub missed_calls: u64,
}

/// The newest `limit` messages and calls that are wanted, newest first. Sealed texts are opened as far as `seals` has
/// their keys.
///
/// # Errors
/// When there is a database and it cannot be read. No database is an empty history.
pub(crate) fn history(
    path: &Path,
    limit: usize,
    seals: &Seals,
    is_wanted: impl Fn(&Notice) -> bool,
) -> Result<Vec<Notice>, InboxError> {
    let Some(db) = database::open_to_read(path, seals)? else { return Ok(Vec::new()) };
    let read = || -> rusqlite::Result<Vec<Notice>> {
        db.prepare(notice_query!("WHERE n.kind < 2 ORDER BY n.id DESC"))?
            .query_map([], notice)?
            .filter(|notice| notice.as_ref().map_or(true, &is_wanted))
            .take(limit)
            .collect()
    };
    read().map_err(|error| database::failed(path, &error))
}

/// The newest `limit` of these notices that came before `before` and that `is_wanted`, newest first. Sealed texts of
/// the newest are opened, as far as `seals` has their keys.
pub(crate) fn list(
    path: &Path,
    seals: &Seals,
    listed: &Listed,
    before: Option<NoticeId>,
    limit: usize,
    is_wanted: impl Fn(&Notice) -> bool,
) -> Result<ListPage, InboxError> {
    let Some(db) = database::open_to_read(path, seals)? else { return Ok(ListPage::default()) };
    let before = before.map_or(i64::MAX, |id| id.0);
    let asked = seals.attach_limited(&db, MAX_OPENED).map_err(|error| database::failed(path, &error))?;
    let (which, room) = match listed {
        Listed::All => (notice_query!("WHERE n.kind < 2 AND n.decryption <> 3 AND n.id < ?1 ORDER BY n.id DESC"), None),
        Listed::Unread => (
            notice_query!(
                "WHERE n.id IN (SELECT id FROM notice INDEXED BY notice_unread
                    WHERE read = 0 AND kind IN (0, 1) AND decryption <> 3 AND id < ?1) ORDER BY n.id DESC"
            ),
            None,
        ),
        Listed::MissedCalls => (
            notice_query!(
                "WHERE n.id IN (SELECT id FROM notice INDEXED BY notice_call
                    WHERE call_state < 2 AND call_state = 1 AND id < ?1) ORDER BY n.id DESC"
            ),
            None,
        ),
        Listed::Room(room) => (
            notice_query!(
                "WHERE n.kind < 2 AND n.decryption <> 3 AND n.id < ?1 AND a.name = ?2 AND n.room = ?3
                    ORDER BY n.id DESC"
            ),
            Some(room),
        ),
    };
    let read = || -> rusqlite::Result<ListPage> {
        let mut query = db.prepare(which)?;
        let rows = match room {
            Some(RoomKey { account, room }) => query.query((before, account, room.as_str()))?,
            None => query.query([before])?,
        };
        take(rows, limit, is_wanted)
    };
    let mut page = read().map_err(|error| database::failed(path, &error))?;
    page.leaves_out_sealed = asked.load(Ordering::Relaxed) > MAX_OPENED;
    Ok(page)
}

fn take(mut rows: Rows<'_>, limit: usize, is_wanted: impl Fn(&Notice) -> bool) -> rusqlite::Result<ListPage> {
    let mut page = ListPage::default();
    let mut last = None;
    for _ in 0..MAX_LOOKED_AT {
        let Some(row) = rows.next()? else { return Ok(page) };
        if page.notices.len() == limit {
            page.next = last;
            return Ok(page);
        }
        let notice = notice(row)?;
        last = Some(notice.id);
        if is_wanted(&notice) {
            page.notices.push(notice);
        }
    }
    page.next = last;
    Ok(page)
}

/// The rooms of the newest notices, the newest first.
pub(crate) fn rooms(path: &Path, seals: &Seals, limit: usize) -> Result<Vec<ListedRoom>, InboxError> {
    let Some(db) = database::open_to_read(path, seals)? else { return Ok(Vec::new()) };
    let read = || -> rusqlite::Result<Vec<ListedRoom>> {
        db.prepare(notice_query!(
            "WHERE n.id IN (SELECT max(id) FROM (SELECT id, account, room FROM notice
                    WHERE kind < 2 AND decryption <> 3 ORDER BY id DESC LIMIT ?1)
                GROUP BY account, room ORDER BY max(id) DESC LIMIT ?2)
            ORDER BY n.id DESC"
        ))?
        .query_map([stored(MAX_FOR_ROOMS), stored(limit as u64)], |row| listed_room(&db, row))?
        .collect()
    };
    read().map_err(|error| database::failed(path, &error))
}

fn listed_room(db: &Connection, row: &Row<'_>) -> rusqlite::Result<ListedRoom> {
    let (room, newest) = (codec::room_key(row, 1)?, notice(row)?);
    let unread = db
        .prepare_cached(
            "SELECT count(*) FROM notice INDEXED BY notice_unread WHERE read = 0 AND kind IN (0, 1) AND decryption <> 3 AND room = ?2
                AND account = (SELECT id FROM account WHERE name = ?1)",
        )?
        .query_row((&room.account, room.room.as_str()), |row| codec::count(row, 0))?;
    Ok(ListedRoom { room, newest, unread })
}

/// How much is unread.
pub(crate) fn unread(path: &Path) -> Result<Unread, InboxError> {
    let Some(db) = database::open_to_read(path, &Seals::default())? else { return Ok(Unread::default()) };
    let count = |query: &str| db.query_row(query, [], |row| codec::count(row, 0));
    let read = || -> rusqlite::Result<Unread> {
        Ok(Unread {
            notices: count(
                "SELECT count(*) FROM notice INDEXED BY notice_unread
                WHERE read = 0 AND kind IN (0, 1) AND decryption <> 3",
            )?,
            missed_calls: count(
                "SELECT count(*) FROM notice INDEXED BY notice_call WHERE call_state < 2 AND call_state = 1",
            )?,
        })
    };
    read().map_err(|error| database::failed(path, &error))
}
