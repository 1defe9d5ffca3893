//! Queries of the thread: the snapshot for the screen, the content of a room's popup, totals.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    codec::{self, notice, notice_by_id, notice_query, stored},
    counts::AccountRow,
    decryption,
    mute::{self, MutedRoom},
};
use crate::{
    notice::{Call, Notice, NoticeId, RoomDigest, RoomKey},
    push::notify::SoundTweak,
};

/// What is on the screen, for `Inbox::snapshot`.
#[derive(Debug, Clone, Default)]
pub struct OnScreen {
    /// The rooms with a popup, each with the newest notice in it.
    pub rooms: Vec<(RoomKey, NoticeId)>,
    /// The calls that have a popup.
    pub calls: Vec<NoticeId>,
    /// How many of a room's newest notices its digest has; at least the newest.
    pub lines: usize,
}

/// What there is to present, read in one transaction. Bounded, however much has arrived.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The numbers of every account that the inbox has heard of.
    pub accounts: Vec<AccountState>,
    /// Rooms with notices that wait to be shown, at most [`Snapshot::MAX_ROOMS`]: those with a highlight first, then
    /// oldest first.
    pub waiting: Vec<WaitingRoom>,
    /// All notices that wait to be shown, also those of rooms that did not fit.
    pub waiting_notices: u64,
    /// All rooms with notices that wait to be shown, also those that did not fit.
    pub waiting_rooms: u64,
    /// The oldest notice that waits; meaningless when none does.
    pub waiting_from: NoticeId,
    /// The newest notice that waits; meaningless when none does.
    pub waiting_up_to: NoticeId,
    /// The newest waiting notice with a sound, in whatever room, and the sound; [`Snapshot::undecided`] not counted.
    pub newest_sound: Option<(NoticeId, SoundTweak)>,
    /// Notices that wait to be shown and are still to be decrypted, or are hidden until they are, at most 64: what they
    /// ask for is not known yet.
    pub undecided: Vec<NoticeId>,
    /// Calls that ring, and missed calls whose popup has not been shown yet; at most 32, those that ring first, then
    /// oldest first.
    pub calls: Vec<Call>,
    /// For each of [`OnScreen::rooms`], in that order: what its popup is made from now, of the notices up to the given
    /// one; `None`: none of them is unread.
    pub rooms: Vec<(RoomKey, Option<RoomDigest>)>,
    /// Those of [`OnScreen::calls`] that still ring or are missed.
    pub open_calls: Vec<NoticeId>,
    /// The newest five notices with something to show, newest first.
    pub newest: Vec<Notice>,
    /// The rooms that were muted; some may have ended.
    pub muted: Vec<MutedRoom>,
    /// Rooms with messages that wait and of which only the ids are known, or which are still to be decrypted, at most
    /// [`Snapshot::MAX_ROOMS`].
    pub wanting: Vec<WantingRoom>,
}

impl Snapshot {
    /// Limit of waiting rooms listed one by one.
    pub const MAX_ROOMS: usize = 64;
}

/// An account's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// The account's name.
    pub account: String,
    /// What the badge counts for it.
    pub unread: u64,
    /// Missed calls: the server's number if it has ever sent one, else those derived here.
    pub missed_calls: u64,
    /// When a push last came for it.
    pub last_push: Option<Timestamp>,
}

/// A room with notices that wait to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRoom {
    /// Which.
    pub room: RoomKey,
    /// How many notices wait there.
    pub count: u64,
    /// The newest of them.
    pub newest: NoticeId,
    /// The newest of them that is a highlight.
    pub newest_highlight: Option<NoticeId>,
}

/// A room with a message that waits to be shown and of which only the ids are known, or which is still to be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantingRoom {
    /// Which.
    pub room: RoomKey,
    /// When the first of these came.
    pub since: Timestamp,
}

/// Content of a summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Notices.
    pub notices: u64,
    /// How many of them are invites.
    pub invites: u64,
    /// Rooms that they are in.
    pub rooms: u64,
}

/// Size of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Notices kept.
    pub notices: u64,
    /// Notices not shown yet.
    pub unshown: u64,
}

/// Takes a snapshot.
pub(super) fn take(db: &Connection, on_screen: &OnScreen) -> rusqlite::Result<Snapshot> {
    // One transaction, so that everything in it belongs together.
    let transaction = db.unchecked_transaction()?;
    let mut snapshot = Snapshot {
        accounts: accounts(db)?,
        newest_sound: newest_sound(db)?,
        undecided: decryption::undecided(db)?,
        calls: calls(db)?,
        newest: newest(db)?,
        muted: mute::muted(db)?,
        wanting: wanting_rooms(db)?,
        ..Snapshot::default()
    };
    waiting(db, &mut snapshot)?;
    for (room, up_to) in &on_screen.rooms {
        snapshot.rooms.push((room.clone(), room_digest(db, room, Some(*up_to), on_screen.lines)?));
    }
    let mut is_open = db.prepare_cached("SELECT 1 FROM notice WHERE id = ?1 AND call_state < 2")?;
    for call in &on_screen.calls {
        if is_open.exists([call.0])? {
            snapshot.open_calls.push(*call);
        }
    }
    drop(is_open);
    transaction.finish()?;
    Ok(snapshot)
}

/// Every account of which a push has come or something is unread.
pub(super) fn accounts(db: &Connection) -> rusqlite::Result<Vec<AccountState>> {
    let unread = by_account(
        db,
        "SELECT account, count(*) FROM notice INDEXED BY notice_unread WHERE read = 0 GROUP BY account",
    )?;
    let missed_calls = by_account(
        db,
        "SELECT account, count(*) FROM notice INDEXED BY notice_call WHERE call_state < 2 AND call_state = 1
        GROUP BY account",
    )?;
    let samples = by_account(
        db,
        "SELECT account, count(*) FROM notice INDEXED BY notice_sample WHERE sample = 1 AND read = 0 GROUP BY account",
    )?;
    let of = |counts: &HashMap<i64, u64>, account: i64| counts.get(&account).copied().unwrap_or(0);
    let accounts = AccountRow::all(db)?.into_iter();
    let known = accounts.filter(|account| account.last_push.is_some() || unread.contains_key(&account.id));
    let state = |account: AccountRow| AccountState {
        unread: account.numbers.badge(of(&unread, account.id), of(&samples, account.id)),
        missed_calls: account.numbers.missed(of(&missed_calls, account.id)),
        last_push: account.last_push.map(codec::to_time),
        account: account.name,
    };
    Ok(known.map(state).collect())
}

fn by_account(db: &Connection, query: &str) -> rusqlite::Result<HashMap<i64, u64>> {
    db.prepare_cached(query)?.query_map([], |row| Ok((codec::number(row, 0)?, codec::count(row, 1)?)))?.collect()
}

/// What waits to be shown. Rooms with a highlight come first, so that a limit never hides a mention.
pub(super) const WAITING: &str = "
    WITH waiting AS (
        SELECT account, room, count(*) AS notices, min(id) AS first, max(id) AS last,
            max(iif(highlight, id, NULL)) AS highlight
        FROM notice INDEXED BY notice_unread WHERE read = 0 AND kind = 0 AND presentation = 0
        GROUP BY account, room)
    SELECT a.name, w.room, w.notices, w.last, w.highlight,
        sum(w.notices) OVER (), count(*) OVER (), min(w.first) OVER (), max(w.last) OVER ()
    FROM waiting w CROSS JOIN account a ON a.id = w.account
    ORDER BY w.highlight IS NULL, w.first LIMIT ?1";

fn waiting(db: &Connection, snapshot: &mut Snapshot) -> rusqlite::Result<()> {
    let mut query = db.prepare_cached(WAITING)?;
    let mut rows = query.query([stored(Snapshot::MAX_ROOMS as u64)])?;
    while let Some(row) = rows.next()? {
        snapshot.waiting.push(WaitingRoom {
            room: codec::room_key(row, 0)?,
            count: codec::count(row, 2)?,
            newest: codec::id(row, 3)?,
            newest_highlight: codec::integer(row, 4)?.map(NoticeId),
        });
        // The same in each row.
        snapshot.waiting_notices = codec::count(row, 5)?;
        snapshot.waiting_rooms = codec::count(row, 6)?;
        snapshot.waiting_from = codec::id(row, 7)?;
        snapshot.waiting_up_to = codec::id(row, 8)?;
    }
    Ok(())
}

pub(super) const NEWEST_SOUND: &str = "
    SELECT id, sound FROM notice WHERE id = (SELECT max(id) FROM notice INDEXED BY notice_unread
        WHERE read = 0 AND kind = 0 AND presentation = 0 AND sound IS NOT NULL AND decryption <> 1)";

fn newest_sound(db: &Connection) -> rusqlite::Result<Option<(NoticeId, SoundTweak)>> {
    db.prepare_cached(NEWEST_SOUND)?.query_row([], |row| Ok((codec::id(row, 0)?, codec::sound(row, 1)?))).optional()
}

fn calls(db: &Connection) -> rusqlite::Result<Vec<Call>> {
    db.prepare_cached(notice_query!(
        "WHERE n.id IN (SELECT id FROM notice INDEXED BY notice_call
            WHERE call_state < 2 AND (call_state <= 0 OR call_missed_shown = 0) ORDER BY call_state, id LIMIT 32)
        ORDER BY n.call_state, n.id"
    ))?
    .query_map([], |row| {
        Ok(Call {
            notice: notice(row)?,
            call_id: codec::text(row, 19)?.unwrap_or_default(),
            deadline: codec::time(row, 20)?,
            state: codec::call_state(row, 21)?,
        })
    })?
    .collect()
}

fn newest(db: &Connection) -> rusqlite::Result<Vec<Notice>> {
    db.prepare_cached(notice_query!(
        "WHERE n.kind < 2 AND n.redacted = 0 AND n.decryption <> 3 ORDER BY n.id DESC LIMIT 5"
    ))?
    .query_map([], notice)?
    .collect()
}

fn wanting_rooms(db: &Connection) -> rusqlite::Result<Vec<WantingRoom>> {
    db.prepare_cached(
        "SELECT a.name, n.room, min(n.received_at)
        FROM (SELECT account, room, received_at FROM notice INDEXED BY notice_lacks_details
                WHERE lacks_details = 1 AND presentation = 0 AND read = 0
            UNION ALL SELECT account, room, received_at FROM notice INDEXED BY notice_decryption
                WHERE decryption > 0 AND decryption = 1 AND presentation = 0 AND read = 0) n
            CROSS JOIN account a ON a.id = n.account
        GROUP BY n.account, n.room LIMIT ?1",
    )?
    .query_map([stored(Snapshot::MAX_ROOMS as u64)], |row| {
        Ok(WantingRoom { room: codec::room_key(row, 0)?, since: codec::time(row, 2)? })
    })?
    .collect()
}

pub(super) const ROOM_DIGEST: &str = "
    SELECT count(*), max(iif(highlight, id, NULL)), min(id) FROM notice INDEXED BY notice_unread
    WHERE read = 0 AND kind = 0 AND presentation IN (0, 1) AND room = :room
        AND account = (SELECT id FROM account WHERE name = :account) AND id <= :up_to";

/// What the room's popup is made from: the notices up to `up_to`, with the newest `lines` of them.
pub(super) fn room_digest(
    db: &Connection,
    key: &RoomKey,
    up_to: Option<NoticeId>,
    lines: usize,
) -> rusqlite::Result<Option<RoomDigest>> {
    let (room, up_to) = (key.room.as_str(), up_to.map_or(i64::MAX, |id| id.0));
    let parameters = named_params! { ":account": key.account, ":room": room, ":up_to": up_to };
    let (count, highlight, oldest) = db
        .prepare_cached(ROOM_DIGEST)?
        .query_row(parameters, |row| Ok((codec::count(row, 0)?, codec::integer(row, 1)?, codec::id(row, 2)?)))?;
    let lines: Vec<Notice> = db
        .prepare_cached(notice_query!(
            "WHERE n.id IN (SELECT id FROM notice INDEXED BY notice_unread
                WHERE read = 0 AND kind = 0 AND presentation IN (0, 1) AND room = :room
                    AND account = (SELECT id FROM account WHERE name = :account) AND id <= :up_to
                ORDER BY id DESC LIMIT :most)
            ORDER BY n.id"
        ))?
        .query_map(
            named_params! { ":account": key.account, ":room": room, ":up_to": up_to, ":most": stored(lines.max(1) as u64) },
            notice,
        )?
        .collect::<rusqlite::Result<_>>()?;
    let Some(newest) = lines.last().cloned() else { return Ok(None) };
    let highlight = highlight.map_or(Ok(None), |id| notice_by_id(db, NoticeId(id)))?;
    Ok(Some(RoomDigest { count, oldest, newest, highlight, lines }))
}

/// The unread messages from one to another, and the rooms that they are in.
pub(super) fn tally(db: &Connection, from: NoticeId, up_to: NoticeId) -> rusqlite::Result<Tally> {
    let (notices, rooms) = db
        .prepare_cached(
            "SELECT coalesce(sum(notices), 0), count(*) FROM (SELECT count(*) AS notices
                FROM notice INDEXED BY notice_unread
                WHERE read = 0 AND kind = 0 AND presentation IN (0, 1) AND id BETWEEN ?1 AND ?2 GROUP BY account, room)",
        )?
        .query_row([from.0, up_to.0], |row| Ok((codec::count(row, 0)?, codec::count(row, 1)?)))?;
    let invites = db
        .prepare_cached(
            "SELECT count(*) FROM notice INDEXED BY notice_unread
            WHERE read = 0 AND kind = 0 AND presentation IN (0, 1) AND id BETWEEN ?1 AND ?2
                AND event_type = 'm.room.member'
                AND (membership = 'invite' OR (membership IS NULL AND content LIKE '%\"membership\"%\"invite\"%'))",
        )?
        .query_row([from.0, up_to.0], |row| codec::count(row, 0))?;
    Ok(Tally { notices, invites, rooms })
}

/// The newest unread message or call.
pub(super) fn newest_unread(db: &Connection) -> rusqlite::Result<Option<Notice>> {
    let newest = db
        .prepare_cached("SELECT max(id) FROM notice INDEXED BY notice_unread WHERE read = 0 AND kind IN (0, 1)")?
        .query_row([], |row| codec::integer(row, 0))?;
    newest.map_or(Ok(None), |id| notice_by_id(db, NoticeId(id)))
}

/// How many notices there are, and how many wait.
pub(super) fn totals(db: &Connection) -> rusqlite::Result<Totals> {
    let count = |query: &str| db.prepare_cached(query)?.query_row([], |row| codec::count(row, 0));
    Ok(Totals {
        notices: count("SELECT count(*) FROM notice")?,
        unshown: count(
            "SELECT count(*) FROM notice INDEXED BY notice_unread WHERE read = 0 AND kind IN (0, 1) AND presentation = 0",
        )?,
    })
}
