//! What happens to recorded notices: shown, settled, read, edited, redacted.
//!
//! Whoever reads a notice that still waits settles it. Where texts are not kept, a notice loses its text when it is
//! read: until then a popup may have to be made from it once more.

use rusqlite::{Connection, named_params};

use super::{
    accounts::Account,
    calls,
    changes::Write,
    rooms::{self, Room},
    rows::{Kind, Known},
};
use crate::notice::{NoticeId, Presentation, RoomKey};

/// Every room in which something up to this notice waits, and so every notice: shown or settled.
pub(super) fn present_everything(write: &mut Write<'_>, up_to: NoticeId, to: Presentation) -> rusqlite::Result<()> {
    while let Some(room) = first_waiting_room(write.db, up_to)? {
        present_room(write, &mut Room::load(write.db, room)?, up_to, to)?;
    }
    Ok(())
}

/// The room of the oldest message that waits, if that is no newer than `up_to`.
fn first_waiting_room(db: &Connection, up_to: NoticeId) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM room WHERE first_waiting <= ?1 ORDER BY first_waiting LIMIT 1")?
        .query_map([up_to.0], |row| row.get(0))?
        .next()
        .transpose()
}

/// The room's waiting messages up to this one: shown or settled.
pub(super) fn present_room(
    write: &mut Write<'_>,
    room: &mut Room,
    up_to: NoticeId,
    to: Presentation,
) -> rusqlite::Result<()> {
    let presented = write
        .db
        .prepare_cached(
            "UPDATE notice INDEXED BY notice_unread SET presentation = :to
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :first AND :up_to
                AND presentation = 0",
        )?
        .execute(named_params! {
            ":account": room.account, ":room": room.id, ":first": room.waiting.first, ":up_to": up_to.0,
            ":to": to as i64,
        })?;
    if to == Presentation::Settled {
        room.unread = room.unread.saturating_sub(presented as u64);
    }
    room.find_waiting(write.db, up_to.0.saturating_add(1))?;
    room.save(write.db)
}

/// The room's messages up to this one are read.
pub(super) fn read_room(
    write: &mut Write<'_>,
    account: &mut Account,
    room: &mut Room,
    up_to: NoticeId,
) -> rusqlite::Result<()> {
    let read = write
        .db
        .prepare_cached(
            "UPDATE notice INDEXED BY notice_unread SET read = 1, presentation = iif(presentation = 0, 2, presentation),
                content = iif(:keep, content, NULL)
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id <= :up_to",
        )?
        .execute(named_params! {
            ":account": room.account, ":room": room.id, ":up_to": up_to.0, ":keep": write.keep_bodies,
        })?;
    account.was_read(read);
    let from = up_to.0.saturating_add(1);
    room.find_waiting(write.db, from)?;
    room.count_unread(write.db, from)?;
    room.save(write.db)
}

/// Everything in the room is read, its calls too: its number fell to zero.
pub(super) fn zero_room(
    write: &mut Write<'_>,
    account: &mut Account,
    room: &mut Room,
    key: RoomKey,
) -> rusqlite::Result<()> {
    if account.unread_notices > 0 {
        read_room(write, account, room, NoticeId(i64::MAX))?;
        calls::end_all(write, account, Some(room.id))?;
    }
    write.changes.zero_room(key);
    Ok(())
}

/// Everything in the account is read, its calls too: its number fell to zero.
pub(super) fn read_account(write: &mut Write<'_>, account: &mut Account) -> rusqlite::Result<()> {
    if account.unread_notices > 0 {
        write
            .db
            .prepare_cached(
                "UPDATE notice INDEXED BY notice_unread SET read = 1,
                    presentation = iif(presentation = 0, 2, presentation), content = iif(:keep, content, NULL)
                WHERE account = :account AND read = 0 AND kind = 0",
            )?
            .execute(named_params! { ":account": account.id, ":keep": write.keep_bodies })?;
        rooms::read_all(write.db, account.id)?;
        calls::end_all(write, account, None)?;
        account.unread_notices = 0;
    }
    write.changes.zero_account(&account.name);
    Ok(())
}

/// One notice that is no message is read.
pub(super) fn read_one(write: &Write<'_>, notice: i64) -> rusqlite::Result<()> {
    write
        .db
        .prepare_cached(
            "UPDATE notice SET read = 1, presentation = iif(presentation = 0, 2, presentation),
                content = iif(:keep, content, NULL)
            WHERE id = :id",
        )?
        .execute(named_params! { ":id": notice, ":keep": write.keep_bodies })?;
    Ok(())
}

/// A message has new content. Where texts are not kept, that of a read message is not taken up either.
pub(super) fn edit(write: &mut Write<'_>, message: &Known, new_content: &str) -> rusqlite::Result<()> {
    if message.kind != Kind::Message || message.redacted || (message.read && !write.keep_bodies) {
        return Ok(());
    }
    write.db.prepare_cached("UPDATE notice SET content = ?2 WHERE id = ?1")?.execute((message.id, new_content))?;
    note_changed_popup(write, message)
}

/// An event was taken back: its text goes, and nothing is left to read or to show.
pub(super) fn redact(write: &mut Write<'_>, account: &mut Account, event: &Known) -> rusqlite::Result<()> {
    let was_waiting = event.presentation == Presentation::Waiting;
    let to = if was_waiting { Presentation::Settled } else { event.presentation };
    match event.kind {
        Kind::Call => calls::end(write, account, event.id)?,
        Kind::Message | Kind::Silent => {}
    }
    write
        .db
        .prepare_cached("UPDATE notice SET content = NULL, redacted = 1, read = 1, presentation = ?2 WHERE id = ?1")?
        .execute((event.id, to as i64))?;
    if event.kind == Kind::Message && !event.read {
        account.was_read(1);
        let mut room = Room::load(write.db, event.room)?;
        if event.presentation != Presentation::Settled {
            room.unread = room.unread.saturating_sub(1);
        }
        if let (true, Some(first)) = (was_waiting, room.waiting.first) {
            room.find_waiting(write.db, first)?;
        }
        room.save(write.db)?;
        note_changed_popup(write, event)?;
    }
    Ok(())
}

/// The popup that a message is in is no longer right.
fn note_changed_popup(write: &mut Write<'_>, message: &Known) -> rusqlite::Result<()> {
    if message.presentation == Presentation::Shown && !message.read {
        let room = rooms::key(write.db, message.room)?;
        write.changes.change_room(room);
    }
    Ok(())
}
