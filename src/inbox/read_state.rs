//! What happens to recorded notices: shown, settled, read, edited, redacted.
//!
//! Reading a waiting notice settles it; reading a call ends it. Where texts are not kept, a
//! notice loses its text when it is read: until then a popup may have to be made from it once more.

use rusqlite::{Connection, ToSql, named_params, params};

use super::{
    codec::{self, Kind, KnownEvent},
    transaction::Write,
};
use crate::{
    notice::{NoticeId, Presentation, RoomKey},
    push::event,
};

/// Marks the matching notices as read, found by this index.
macro_rules! read_query {
    ($index:literal, $condition:literal) => {
        concat!(
            "UPDATE notice ",
            $index,
            " SET read = 1, presentation = iif(presentation IS 1, 1, 2),
                content = iif(:keep_bodies, content, NULL), decryption = iif(:keep_bodies, coalesce(decryption, 0), 0),
                call_state = iif(call_state IS NULL, NULL, 2)
            WHERE read = 0 AND ",
            $condition
        )
    };
}
pub(super) use read_query;

pub(super) const SHOW_ROOM: &str = "
    UPDATE notice INDEXED BY notice_unread SET presentation = 1
    WHERE read = 0 AND kind = 0 AND presentation = 0 AND room = :room AND id <= :up_to
        AND account = (SELECT id FROM account WHERE name = :account)";

/// Marks the room's waiting messages up to this one as shown.
pub(super) fn show_room(write: &Write<'_>, room: &RoomKey, up_to: NoticeId) -> rusqlite::Result<()> {
    write.execute(
        SHOW_ROOM,
        named_params! { ":room": room.room.as_str(), ":up_to": up_to.0, ":account": room.account },
    )?;
    Ok(())
}

/// Marks all waiting messages up to this one as shown or settled.
pub(super) fn present_messages(write: &Write<'_>, up_to: NoticeId, to: Presentation) -> rusqlite::Result<()> {
    write.execute(
        "UPDATE notice INDEXED BY notice_unread SET presentation = ?2
        WHERE read = 0 AND kind = 0 AND presentation = 0 AND id <= ?1",
        (up_to.0, to as i64),
    )?;
    Ok(())
}

/// Runs a [`read_query`], and notes whether something was unread, which it returns.
pub(super) fn mark_read(
    write: &mut Write<'_>,
    query: &str,
    parameters: &[(&str, &dyn ToSql)],
) -> rusqlite::Result<bool> {
    let keep_bodies = write.settings.keep_bodies;
    let parameters = [parameters, &[(":keep_bodies", &keep_bodies)]].concat();
    let was_unread = write.execute(query, &*parameters)? > 0;
    write.changes.is_visible |= was_unread;
    Ok(was_unread)
}

/// Marks the room's messages up to this one as read.
pub(super) fn read_messages(write: &mut Write<'_>, room: &RoomKey, up_to: NoticeId) -> rusqlite::Result<()> {
    let query = read_query!(
        "INDEXED BY notice_unread",
        "kind = 0 AND room = :room AND id <= :up_to AND account = (SELECT id FROM account WHERE name = :account)"
    );
    let parameters = named_params! { ":room": room.room.as_str(), ":up_to": up_to.0, ":account": room.account };
    mark_read(write, query, parameters).map(drop)
}

/// Marks the messages of a thread of the room up to this one as read; `main`: those of no thread. Messages whose thread is
/// not known stay unread.
pub(super) fn read_thread(
    write: &mut Write<'_>,
    room: &RoomKey,
    up_to: NoticeId,
    thread: &str,
) -> rusqlite::Result<()> {
    let unread = write
        .db
        .prepare_cached(
            "SELECT n.id, iif(typeof(n.content) = 'blob', opened(n.content, a.name, n.event_id), n.content)
            FROM notice n INDEXED BY notice_unread JOIN account a ON a.id = n.account
            WHERE n.read = 0 AND n.kind = 0 AND n.room = :room AND n.id <= :up_to
                AND n.account = (SELECT id FROM account WHERE name = :account)",
        )?
        .query_map(named_params! { ":room": room.room.as_str(), ":up_to": up_to.0, ":account": room.account }, |row| {
            Ok((row.get(0)?, codec::text(row, 1)?))
        })?
        .collect::<rusqlite::Result<Vec<(i64, Option<String>)>>>()?;
    for (notice, content) in unread {
        if content.is_some_and(|content| event::is_in_thread(&content, thread)) {
            read_one(write, notice)?;
        }
    }
    Ok(())
}

/// Marks everything in the room as read, calls included.
pub(super) fn read_room(write: &mut Write<'_>, account: i64, room: &str) -> rusqlite::Result<()> {
    let query = read_query!("INDEXED BY notice_unread", "account = :account AND room = :room");
    mark_read(write, query, named_params! { ":account": account, ":room": room }).map(drop)
}

/// Marks the room's invites as read: they were answered.
pub(super) fn read_invites(write: &mut Write<'_>, account: i64, room: &str) -> rusqlite::Result<()> {
    let query = read_query!(
        "INDEXED BY notice_unread",
        "account = :account AND room = :room AND event_type = 'm.room.member'
            AND (membership = 'invite' OR membership IS NULL)"
    );
    mark_read(write, query, named_params! { ":account": account, ":room": room }).map(drop)
}

pub(super) const READ_ACCOUNT: &str = read_query!("INDEXED BY notice_unread", "account = :account");

/// Marks everything in the account as read, calls included.
pub(super) fn read_account(write: &mut Write<'_>, account: i64) -> rusqlite::Result<()> {
    mark_read(write, READ_ACCOUNT, named_params! { ":account": account }).map(drop)
}

/// Marks one notice as read.
pub(super) fn read_one(write: &mut Write<'_>, notice: i64) -> rusqlite::Result<bool> {
    mark_read(write, read_query!("", "id = :id"), named_params! { ":id": notice })
}

/// Marks the notice of an event as read, if there is one.
pub(super) fn read_event(write: &mut Write<'_>, account: i64, event_id: &str) -> rusqlite::Result<bool> {
    match KnownEvent::by_event_id(write.db, account, event_id)? {
        Some(event) => read_one(write, event.id),
        None => Ok(false),
    }
}

/// Replaces the content of a message; not that of a read message where texts are not kept. `new_content` is as stored.
pub(super) fn edit(write: &mut Write<'_>, message: &KnownEvent, new_content: &dyn ToSql) -> rusqlite::Result<()> {
    if message.kind != Kind::Message || message.redacted || (message.read && !write.settings.keep_bodies) {
        return Ok(());
    }
    write.execute("UPDATE notice SET content = ?2, decryption = 0 WHERE id = ?1", params![message.id, new_content])?;
    Ok(())
}

/// Handles a redaction: the text is removed, and nothing is left to read or show.
pub(super) fn redact(write: &mut Write<'_>, event: &KnownEvent) -> rusqlite::Result<()> {
    read_one(write, event.id)?;
    write.execute("UPDATE notice SET content = NULL, decryption = 0, redacted = 1 WHERE id = ?1", [event.id])?;
    Ok(())
}

/// The number of unread messages and calls of an account.
pub(super) fn unread(db: &Connection, account: i64) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT count(*) FROM notice INDEXED BY notice_unread WHERE read = 0 AND account = ?1")?
        .query_row([account], |row| super::codec::count(row, 0))
}
