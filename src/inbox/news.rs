//! Reading: the news, a room's digest, what is newest, the totals.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    AccountState, News, Tally, Totals, WaitingRoom,
    accounts::Account,
    calls, details,
    rooms::Room,
    rows::{count, notice, notice_by_id, notice_query, stored, time},
};
use crate::{
    notice::{Call, Notice, NoticeId, RoomDigest, RoomKey},
    push::notify::SoundTweak,
};

/// The news, but for what is not in the tables.
pub(super) fn news(db: &Connection) -> rusqlite::Result<News> {
    let (waiting_notices, waiting_rooms) = waiting_totals(db)?;
    let (waiting_from, waiting_up_to) = if waiting_rooms > 0 { waiting_range(db)? } else { Default::default() };
    Ok(News {
        accounts: accounts(db)?,
        waiting: if waiting_rooms > 0 { waiting(db)? } else { Vec::new() },
        waiting_notices,
        waiting_rooms,
        waiting_from,
        waiting_up_to,
        newest_sound: if waiting_rooms > 0 { newest_sound(db)? } else { None },
        calls: calls_to_present(db)?,
        zeroed: Vec::new(),
        changed_rooms: Vec::new(),
        newest: newest(db)?,
        wanting: details::wanting_rooms(db)?,
        caught_up: None,
        set_aside: None,
    })
}

fn accounts(db: &Connection) -> rusqlite::Result<Vec<AccountState>> {
    let mut missed_calls = db.prepare_cached(
        "SELECT count(*) FROM call INDEXED BY call_active WHERE state < 2 AND state = 1 AND account = ?1",
    )?;
    Account::all(db)?
        .into_iter()
        .map(|account| {
            let derived = missed_calls.query_row([account.id], |row| row.get(0).map(count))?;
            Ok(AccountState {
                unread: account.numbers.badge(account.unread_notices),
                missed_calls: account.numbers.missed(derived),
                last_push: account.last_push.map(time),
                account: account.name,
            })
        })
        .collect()
}

/// How many notices wait, in how many rooms.
fn waiting_totals(db: &Connection) -> rusqlite::Result<(u64, u64)> {
    db.prepare_cached("SELECT coalesce(sum(waiting), 0), count(*) FROM room WHERE first_waiting IS NOT NULL")?
        .query_row([], |row| Ok((count(row.get(0)?), count(row.get(1)?))))
}

/// The oldest and the newest notice that waits.
fn waiting_range(db: &Connection) -> rusqlite::Result<(NoticeId, NoticeId)> {
    db.prepare_cached(
        "SELECT coalesce(min(first_waiting), 0), coalesce(max(last_waiting), 0) FROM room WHERE first_waiting IS NOT NULL",
    )?
    .query_row([], |row| Ok((NoticeId(row.get(0)?), NoticeId(row.get(1)?))))
}

/// The newest notice of any room that waits and asks for a sound.
fn newest_sound(db: &Connection) -> rusqlite::Result<Option<(NoticeId, SoundTweak)>> {
    db.prepare_cached(
        "SELECT id, sound FROM notice WHERE id = (SELECT max(waiting_sound) FROM room INDEXED BY room_waiting
            WHERE first_waiting IS NOT NULL)",
    )?
    .query_row([], |row| Ok((NoticeId(row.get(0)?), SoundTweak::from_stored(row.get_ref(1)?.as_str_or_null()?))))
    .optional()
}

macro_rules! waiting_query {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT a.name, r.room_id, r.waiting, r.last_waiting, r.waiting_highlight
            FROM room r INDEXED BY ",
            $index,
            " CROSS JOIN account a ON a.id = r.account
            WHERE ",
            $condition,
            " ORDER BY r.first_waiting LIMIT ?1"
        )
    };
}

/// Rooms with a highlight come first: however many rooms wait, no mention is behind them.
fn waiting(db: &Connection) -> rusqlite::Result<Vec<WaitingRoom>> {
    let mut rooms =
        waiting_by(db, waiting_query!("room_highlight", "r.waiting_highlight IS NOT NULL"), News::MAX_ROOMS)?;
    let left = News::MAX_ROOMS - rooms.len();
    let others = waiting_query!("room_waiting", "r.first_waiting IS NOT NULL AND r.waiting_highlight IS NULL");
    rooms.extend(waiting_by(db, others, left)?);
    Ok(rooms)
}

fn waiting_by(db: &Connection, query: &str, limit: usize) -> rusqlite::Result<Vec<WaitingRoom>> {
    db.prepare_cached(query)?
        .query_map([stored(limit as u64)], |row| {
            Ok(WaitingRoom {
                room: RoomKey { account: row.get(0)?, room_id: row.get(1)? },
                count: count(row.get(2)?),
                newest: NoticeId(row.get(3)?),
                newest_highlight: row.get::<_, Option<i64>>(4)?.map(NoticeId),
            })
        })?
        .collect()
}

fn calls_to_present(db: &Connection) -> rusqlite::Result<Vec<Call>> {
    // The condition of the partial index comes with each use of it.
    let mut calls = db.prepare_cached(
        "SELECT notice, call_id, deadline, state FROM call INDEXED BY call_active
        WHERE state < 2 AND (state = 0 OR missed_shown = 0) ORDER BY state, notice LIMIT 32",
    )?;
    let calls: Vec<(i64, String, i64, i64)> =
        calls.query_map([], |row| row.try_into())?.collect::<rusqlite::Result<_>>()?;
    let mut found = Vec::with_capacity(calls.len());
    for (id, call_id, deadline, state) in calls {
        if let Some(notice) = notice_by_id(db, id)? {
            found.push(Call { notice, call_id, deadline: time(deadline), state: calls::state(state) });
        }
    }
    Ok(found)
}

fn newest(db: &Connection) -> rusqlite::Result<Vec<Notice>> {
    db.prepare_cached(notice_query!("WHERE n.kind < 2 AND n.redacted = 0 ORDER BY n.id DESC LIMIT 5"))?
        .query_map([], notice)?
        .collect()
}

/// What the room's popup is made from.
pub(super) fn room_digest(db: &Connection, key: &RoomKey) -> rusqlite::Result<Option<RoomDigest>> {
    let Some(room) = Room::by_key(db, key)?.filter(|room| room.unread > 0) else { return Ok(None) };
    let parameters = named_params! { ":account": room.account, ":room": room.id };
    // As many as `popup.lines` allows.
    let lines: Vec<Notice> = db
        .prepare_cached(notice_query!(
            "WHERE n.id IN (SELECT id FROM notice INDEXED BY notice_unread
                WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND presentation < 2
                ORDER BY id DESC LIMIT 10)
            ORDER BY n.id"
        ))?
        .query_map(parameters, notice)?
        .collect::<rusqlite::Result<_>>()?;
    let newest = lines.last().cloned();
    let highlight = db
        .prepare_cached(notice_query!(
            "WHERE n.id = (SELECT id FROM notice INDEXED BY notice_highlight
                WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND highlight = 1
                    AND presentation < 2
                ORDER BY id DESC LIMIT 1)"
        ))?
        .query_row(parameters, notice)
        .optional()?;
    Ok(newest.map(|newest| RoomDigest { count: room.unread, newest, highlight, lines }))
}

/// The same of the notices up to this one.
pub(super) fn room_digest_up_to(
    db: &Connection,
    key: &RoomKey,
    up_to: NoticeId,
) -> rusqlite::Result<Option<RoomDigest>> {
    let Some(room) = Room::by_key(db, key)?.filter(|room| room.unread > 0) else { return Ok(None) };
    let parameters = named_params! { ":account": room.account, ":room": room.id, ":up_to": up_to.0 };
    let newest_of = |highlights: &str, most: u32| {
        let query = format!(
            "{} AND highlight >= {highlights} ORDER BY id DESC LIMIT {most}) ORDER BY n.id",
            notice_query!(
                "WHERE n.id IN (SELECT id FROM notice WHERE account = :account AND room = :room AND read = 0 AND kind = 0
                    AND presentation < 2 AND id <= :up_to"
            )
        );
        db.prepare_cached(&query)?.query_map(parameters, notice)?.collect::<rusqlite::Result<Vec<Notice>>>()
    };
    let count = db
        .prepare_cached(
            "SELECT count(*) FROM notice WHERE account = :account AND room = :room AND read = 0 AND kind = 0
                AND presentation < 2 AND id <= :up_to",
        )?
        .query_row(parameters, |row| row.get(0).map(count))?;
    let highlight = newest_of("1", 1)?.pop();
    let lines = newest_of("0", 10)?;
    Ok(lines.last().cloned().map(|newest| RoomDigest { count, newest, highlight, lines }))
}

/// Those of these calls that ring or are missed.
pub(super) fn open_calls(db: &Connection, asked: &[NoticeId]) -> rusqlite::Result<Vec<NoticeId>> {
    let mut is_open = db.prepare_cached("SELECT 1 FROM call WHERE notice = ?1 AND state < 2")?;
    let mut open = Vec::new();
    for call in asked {
        if is_open.exists([call.0])? {
            open.push(*call);
        }
    }
    Ok(open)
}

/// The unread messages from one to another, and the rooms that they are in.
pub(super) fn tally(db: &Connection, from: NoticeId, up_to: NoticeId) -> rusqlite::Result<Tally> {
    db.prepare_cached(
        "SELECT count(*), count(DISTINCT room), coalesce(sum(event_type = 'm.room.member' AND
            (membership = 'invite' OR (membership IS NULL AND content LIKE '%\"membership\"%\"invite\"%'))), 0)
        FROM notice
        WHERE id BETWEEN ?1 AND ?2 AND kind = 0 AND read = 0 AND presentation < 2",
    )?
    .query_row([from.0, up_to.0], |row| {
        Ok(Tally { notices: count(row.get(0)?), rooms: count(row.get(1)?), invites: count(row.get(2)?) })
    })
}

/// The newest unread message or call.
pub(super) fn newest_unread(db: &Connection) -> rusqlite::Result<Option<Notice>> {
    let newest: Option<i64> = db
        .prepare_cached(
            "SELECT max(id) FROM (
                SELECT max(id) AS id FROM notice INDEXED BY notice_unread WHERE read = 0 AND kind = 0
                UNION ALL SELECT max(notice) FROM call INDEXED BY call_active WHERE state < 2)",
        )?
        .query_row([], |row| row.get(0))?;
    newest.map_or(Ok(None), |id| notice_by_id(db, id))
}

/// How many notices there are, and how many wait.
pub(super) fn totals(db: &Connection) -> rusqlite::Result<Totals> {
    let notices = db
        .prepare_cached("SELECT coalesce(sum(notices), 0) FROM account")?
        .query_row([], |row| row.get(0).map(count))?;
    let calls: u64 = db
        .prepare_cached(
            "SELECT count(*) FROM call c INDEXED BY call_active CROSS JOIN notice n ON n.id = c.notice
            WHERE c.state < 2 AND n.presentation = 0",
        )?
        .query_row([], |row| row.get(0).map(count))?;
    Ok(Totals { notices, unshown: waiting_totals(db)?.0 + calls })
}

/// The newest messages and calls, newest first, without what only changes an earlier one: edits, redactions.
pub(super) fn newest_to_list(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Notice>> {
    db.prepare(notice_query!("WHERE n.kind < 2 ORDER BY n.id DESC LIMIT ?1"))?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], notice)?
        .collect()
}

/// The newest notices of every kind, newest first.
pub(super) fn newest_of_all(db: &Connection, limit: usize) -> rusqlite::Result<Vec<Notice>> {
    db.prepare(notice_query!("ORDER BY n.id DESC LIMIT ?1"))?
        .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], notice)?
        .collect()
}
