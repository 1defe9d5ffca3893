//! What has changed since the last time, made of two snapshots. Goes as soon as the screen works on snapshots alone.

use std::{collections::BTreeMap, ops::Deref};

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Inbox, InboxError, Incident,
    catching_up::{self, CaughtUp},
    codec,
    snapshot::{self, Snapshot},
    thread::Worker,
};
use crate::notice::{NoticeId, RoomDigest, RoomKey};

/// How many rooms are compared.
const MAX_ROOMS: i64 = 1024;

/// A snapshot, and what has changed.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// What there is now.
    pub snapshot: Snapshot,
    /// Of what nothing is unread any more, so that its popups go away.
    pub zeroed: Vec<Zeroed>,
    /// Rooms with a popup that is no longer right.
    pub changed_rooms: Vec<RoomKey>,
    /// What was missed was taken over; `false`: there was more than is read back.
    pub caught_up: Option<bool>,
    /// What has happened to the database's files.
    pub incident: Option<Incident>,
}

impl Deref for News {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl News {
    /// How many waiting rooms are told one by one.
    pub const MAX_ROOMS: usize = Snapshot::MAX_ROOMS;
}

/// Of what nothing is unread any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zeroed {
    /// One room: its messages.
    Room(RoomKey),
    /// A call: it neither rings nor is missed any more.
    Call(NoticeId),
}

/// What was there at the last time.
#[derive(Debug, Default)]
pub(super) struct NewsDelta {
    rooms: BTreeMap<RoomKey, RoomDigest>,
    calls: Vec<NoticeId>,
    caught_up: Option<bool>,
}

impl Inbox {
    /// What has changed since the last call, and what waits. Lets calls ring out whose deadline is at or before `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn news(&self, now: Timestamp) -> Result<News, InboxError> {
        self.ask(move |worker| {
            worker.expire_calls(now)?;
            let (snapshot, rooms, calls) =
                worker.snapshot(|db| Ok((snapshot::take(db, Vec::new())?, unread_rooms(db)?, active_calls(db)?)))?;
            let mut news = News { snapshot, incident: worker.take_incident(), ..News::default() };
            let before = &mut worker.news;
            news.caught_up = before.caught_up.take();
            for (room, was) in std::mem::replace(&mut before.rooms, rooms) {
                match before.rooms.get(&room) {
                    None => news.zeroed.push(Zeroed::Room(room)),
                    Some(is) if *is != was && !has_grown(&was, is) => news.changed_rooms.push(room),
                    Some(_) => {}
                }
            }
            for call in std::mem::replace(&mut before.calls, calls) {
                if !before.calls.contains(&call) {
                    news.zeroed.push(Zeroed::Call(call));
                }
            }
            Ok(news)
        })
        .await
    }
}

impl Worker {
    /// Takes over what catching up has found.
    pub(super) fn apply_catch_up(&mut self, caught_up: &CaughtUp) -> Result<usize, InboxError> {
        let missed = self.write(|write| catching_up::apply_catch_up(write, caught_up))?;
        if missed > 0 {
            self.news.caught_up = Some(caught_up.is_whole && self.news.caught_up.unwrap_or(true));
        }
        Ok(missed)
    }
}

/// Whether only new messages came.
fn has_grown(was: &RoomDigest, is: &RoomDigest) -> bool {
    is.count > was.count && is.newest.id > was.newest.id
}

fn unread_rooms(db: &Connection) -> rusqlite::Result<BTreeMap<RoomKey, RoomDigest>> {
    let rooms: Vec<RoomKey> = db
        .prepare_cached(
            "SELECT DISTINCT a.name, n.room FROM notice n INDEXED BY notice_unread CROSS JOIN account a ON a.id = n.account
            WHERE n.read = 0 AND n.kind = 0 AND n.presentation IN (0, 1) LIMIT ?1",
        )?
        .query_map([MAX_ROOMS], |row| codec::room_key(row, 0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut digests = BTreeMap::new();
    for room in rooms {
        if let Some(mut digest) = snapshot::room_digest(db, &room)? {
            // That it was shown changes nothing in its popup.
            digest.newest.presentation = crate::notice::Presentation::Waiting;
            if let Some(highlight) = &mut digest.highlight {
                highlight.presentation = crate::notice::Presentation::Waiting;
            }
            digests.insert(room, digest);
        }
    }
    Ok(digests)
}

fn active_calls(db: &Connection) -> rusqlite::Result<Vec<NoticeId>> {
    db.prepare_cached("SELECT id FROM notice INDEXED BY notice_call WHERE call_state < 2")?
        .query_map([], |row| codec::id(row, 0))?
        .collect()
}
