//! What happens to recorded notices: shown, settled, read, edited, redacted.
//!
//! Whoever reads a notice that still waits settles it. Where texts are not kept, a notice loses its text when it is
//! read: until then a popup may have to be made from it once more.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    accounts::Account,
    calls,
    changes::Write,
    rooms::{self, Room, Waiting},
    rows::{Kind, Known, count, stored},
};
use crate::notice::{NoticeId, Presentation, RoomKey};

/// How many notices one commit marks at most. A push that comes meanwhile waits for it: some 10 ms on a slow machine.
/// In tests few notices are many steps; in measurements, which are releases, they are not.
pub(super) const STEP: usize = if cfg!(all(test, debug_assertions)) { 3 } else { 2000 };

/// What one commit may still mark.
#[derive(Debug)]
pub(super) struct Step {
    left: usize,
}

impl Step {
    pub(super) fn begin() -> Self {
        Self { left: STEP }
    }

    /// Nothing more may be marked, and something may be left to mark.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// How many numbers to skip to come to the last one.
    fn skipped(&self) -> i64 {
        stored(self.left.saturating_sub(1) as u64)
    }

    fn spend(&mut self, notices: usize) {
        self.left = self.left.saturating_sub(notices);
    }
}

/// Has the rows of a table that fulfil a condition say that they were read: what waits is settled, and where texts are
/// not kept (`:keep`), they go.
macro_rules! read_query {
    ($table:literal, $condition:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET read = 1, presentation = iif(presentation = 0, 2, presentation), content = iif(:keep, content, NULL)
            WHERE ",
            $condition
        )
    };
}

/// Every room in which something up to this notice waits, and so every notice: shown or settled.
pub(super) fn present_everything(
    write: &mut Write<'_>,
    up_to: NoticeId,
    to: Presentation,
    step: &mut Step,
) -> rusqlite::Result<()> {
    while let Some(room) = first_waiting_room(write.db, up_to)?.filter(|_| !step.is_over()) {
        present_room(write, &mut Room::load(write.db, room)?, up_to, to, step)?;
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

/// The room's waiting messages up to this one, oldest first: shown or settled.
pub(super) fn present_room(
    write: &mut Write<'_>,
    room: &mut Room,
    up_to: NoticeId,
    to: Presentation,
    step: &mut Step,
) -> rusqlite::Result<()> {
    let Some(first) = room.waiting.first.filter(|first| *first <= up_to.0 && !step.is_over()) else { return Ok(()) };
    let last = write
        .db
        .prepare_cached(
            "SELECT id FROM notice INDEXED BY notice_unread
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :first AND :up_to
                AND presentation = 0
            ORDER BY id LIMIT 1 OFFSET :skipped",
        )?
        .query_row(
            named_params! {
                ":account": room.account, ":room": room.id, ":first": first, ":up_to": up_to.0,
                ":skipped": step.skipped(),
            },
            |row| row.get(0),
        )
        .optional()?
        .unwrap_or(up_to.0);
    let presented = write
        .db
        .prepare_cached(
            "UPDATE notice INDEXED BY notice_unread SET presentation = :to
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :first AND :last
                AND presentation = 0",
        )?
        .execute(named_params! {
            ":account": room.account, ":room": room.id, ":first": first, ":last": last, ":to": to as i64,
        })?;
    step.spend(presented);
    if to == Presentation::Settled {
        room.unread = room.unread.saturating_sub(presented as u64);
    }
    room.stop_waiting(write.db, presented as u64, last)?;
    room.save(write.db)
}

/// The room's messages up to this one are read, oldest first.
pub(super) fn read_room(
    write: &mut Write<'_>,
    account: &mut Account,
    room: &mut Room,
    up_to: NoticeId,
    step: &mut Step,
) -> rusqlite::Result<()> {
    let from = account.read_up_to.max(room.read_up_to).map_or(0, |up_to| up_to.saturating_add(1));
    let last = write
        .db
        .prepare_cached(
            "SELECT id FROM notice INDEXED BY notice_unread
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :from AND :up_to
            ORDER BY id LIMIT 1 OFFSET :skipped",
        )?
        .query_row(
            named_params! {
                ":account": room.account, ":room": room.id, ":from": from, ":up_to": up_to.0, ":skipped": step.skipped(),
            },
            |row| row.get(0),
        )
        .optional()?
        .unwrap_or(up_to.0);
    let (in_popup, waiting) = write
        .db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE presentation = 0) FROM notice INDEXED BY notice_unread
            WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :from AND :last AND presentation < 2",
        )?
        .query_row(named_params! { ":account": room.account, ":room": room.id, ":from": from, ":last": last }, |row| {
            Ok((count(row.get(0)?), count(row.get(1)?)))
        })?;
    let read = write
        .db
        .prepare_cached(read_query!(
            "notice INDEXED BY notice_unread",
            "account = :account AND room = :room AND read = 0 AND kind = 0 AND id BETWEEN :from AND :last"
        ))?
        .execute(named_params! {
            ":account": room.account, ":room": room.id, ":from": from, ":last": last, ":keep": write.keep_bodies,
        })?;
    step.spend(read);
    account.was_read(read);
    room.unread = room.unread.saturating_sub(in_popup);
    room.stop_waiting(write.db, waiting, last)?;
    room.save(write.db)
}

/// Everything in the room is read, its calls too: its number fell to zero. With many messages, that is done when the
/// room says so, and their rows follow in steps.
pub(super) fn zero_room(
    write: &mut Write<'_>,
    account: &mut Account,
    room: &mut Room,
    key: RoomKey,
) -> rusqlite::Result<()> {
    if account.unread_notices > 0 {
        let from = account.read_up_to.max(room.read_up_to).map_or(0, |up_to| up_to.saturating_add(1));
        // Of the index alone, so that many take little time.
        let unread: usize = write
            .db
            .prepare_cached(
                "SELECT count(*) FROM notice INDEXED BY notice_unread
                WHERE account = ?1 AND room = ?2 AND read = 0 AND kind = 0 AND id >= ?3",
            )?
            .query_row((account.id, room.id, from), |row| row.get::<_, i64>(0))
            .map(|unread| usize::try_from(unread).unwrap_or(0))?;
        account.was_read(unread);
        room.unread = 0;
        room.waiting = Waiting::default();
        room.read_up_to = Some(write.memory.newest);
        go_on_reading_room(write, room)?;
        room.save(write.db)?;
        calls::end_all(write, account, Some(room.id))?;
    }
    write.changes.zero_room(key);
    Ok(())
}

/// Everything in the account is read, its calls too: its number fell to zero. With many messages, that is done when the
/// account says so, and their rows follow in steps.
pub(super) fn read_account(write: &mut Write<'_>, account: &mut Account) -> rusqlite::Result<()> {
    if account.unread_notices > 0 {
        rooms::read_all(write.db, account.id)?;
        calls::end_all(write, account, None)?;
        account.unread_notices = 0;
        account.read_up_to = Some(write.memory.newest);
        go_on_reading(write, account)?;
    }
    write.changes.zero_account(&account.name);
    Ok(())
}

/// An account or a room of which some rows do not say yet that they were read.
#[derive(Debug)]
pub(super) enum InReading {
    Account(Account),
    Room(Room),
}

/// One of those, if there is any.
pub(super) fn being_read(db: &Connection) -> rusqlite::Result<Option<InReading>> {
    Ok(match Account::being_read(db)? {
        Some(account) => Some(InReading::Account(account)),
        None => Room::being_read(db)?.map(InReading::Room),
    })
}

impl InReading {
    /// Has more of its rows say so: one step of that.
    pub(super) fn go_on(self, write: &mut Write<'_>) -> rusqlite::Result<()> {
        match self {
            Self::Account(mut account) => {
                go_on_reading(write, &mut account)?;
                account.save(write.db)
            }
            Self::Room(mut room) => {
                go_on_reading_room(write, &mut room)?;
                room.save(write.db)
            }
        }
    }
}

/// Has more rows of an account say that they were read: one step of that.
fn go_on_reading(write: &mut Write<'_>, account: &mut Account) -> rusqlite::Result<()> {
    let Some(up_to) = account.read_up_to else { return Ok(()) };
    let read = write
        .db
        .prepare_cached(read_query!(
            "notice",
            "id IN (SELECT id FROM notice INDEXED BY notice_unread
                WHERE account = :account AND read = 0 AND kind = 0 AND id <= :up_to LIMIT :step)"
        ))?
        .execute(named_params! {
            ":account": account.id, ":up_to": up_to, ":keep": write.keep_bodies, ":step": stored(STEP as u64),
        })?;
    if read < STEP {
        account.read_up_to = None;
    } else {
        write.changes.is_reading = true;
    }
    Ok(())
}

/// Has more rows of a room say that they were read: one step of that.
fn go_on_reading_room(write: &mut Write<'_>, room: &mut Room) -> rusqlite::Result<()> {
    let Some(up_to) = room.read_up_to else { return Ok(()) };
    let read = write
        .db
        .prepare_cached(read_query!(
            "notice",
            "id IN (SELECT id FROM notice INDEXED BY notice_unread
                WHERE account = :account AND room = :room AND read = 0 AND kind = 0 AND id <= :up_to LIMIT :step)"
        ))?
        .execute(named_params! {
            ":account": room.account, ":room": room.id, ":up_to": up_to, ":keep": write.keep_bodies,
            ":step": stored(STEP as u64),
        })?;
    if read < STEP {
        room.read_up_to = None;
    } else {
        write.changes.is_reading = true;
    }
    Ok(())
}

/// One notice that is no message is read.
pub(super) fn read_one(write: &Write<'_>, notice: i64) -> rusqlite::Result<()> {
    write
        .db
        .prepare_cached(read_query!("notice", "id = :id"))?
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
        if was_waiting {
            room.lost(write.db, event.id)?;
        }
        room.save(write.db)?;
        note_changed_popup(write, event)?;
    }
    Ok(())
}

/// The popup that a message is in is no longer right.
fn note_changed_popup(write: &mut Write<'_>, message: &Known) -> rusqlite::Result<()> {
    // One that waits may be on the screen already: what was shown is written down after it was.
    if message.presentation != Presentation::Settled && !message.read {
        let room = rooms::key(write.db, message.room)?;
        write.changes.change_room(room);
    }
    Ok(())
}
