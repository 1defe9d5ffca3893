//! Notices of which only the ids are known (`event_id_only`): which they are, and what is learned of them later.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    CountsScope, Delivery, Inbox, InboxError, Recipient,
    accounts::Account,
    calls, catching_up,
    changes::Write,
    keys::key_hash,
    marks,
    record::record,
    rooms::{self, Room},
    rows::{Kind, Known, stored, time},
};
use crate::{
    notice::{NoticeId, Presentation, RoomKey},
    push::{
        event::{Meaning, meaning},
        notify::{Notification, SoundTweak, Tweaks},
    },
};

/// How many rooms the news tell of: more than pop up at once.
const MOST_ROOMS: u64 = 64;

/// A notice of which only the ids are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedDetails {
    /// It.
    pub notice: NoticeId,
    /// The account's name.
    pub account: String,
    /// `room_id`
    pub room_id: String,
    /// `event_id`
    pub event_id: String,
    /// When its push came.
    pub received_at: Timestamp,
}

/// A room with a message that waits to be shown and of which only the ids are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantingRoom {
    /// Which.
    pub room: RoomKey,
    /// When the first of these came.
    pub since: Timestamp,
}

impl Inbox {
    /// Waits until there may be new notices of which only the ids are known.
    pub async fn details_are_wanted(&self) {
        self.wanting.notified().await;
    }

    /// The newest notices of which only the ids are known, before this one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn wanted_details(&self, before: NoticeId, limit: usize) -> Result<Vec<WantedDetails>, InboxError> {
        self.ask(move |worker| worker.read(|db| wanted(db, before, limit))).await
    }

    /// What was learned of such a notice; `None`: nothing more can be. Its popup changes, if it is up. What turns out to
    /// be a call, an edit or a redaction is kept as if it had come as such.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn add_details(
        &self,
        notice: NoticeId,
        details: Option<Notification>,
        derive_missed_calls: bool,
    ) -> Result<(), InboxError> {
        let details = details.map(Arc::new);
        self.ask(move |worker| worker.write(|write| add(write, notice, details.as_ref(), derive_missed_calls))).await
    }
}

/// Notes that more is to be learned of this notice.
pub(super) fn want(write: &mut Write<'_>, notice: i64) -> rusqlite::Result<()> {
    write.db.prepare_cached("INSERT OR IGNORE INTO wanted_details VALUES (?1)")?.execute([notice])?;
    write.changes.details_are_wanted = true;
    Ok(())
}

/// Whether only its ids came.
pub(super) fn are_missing(push: &Notification) -> bool {
    push.event_id.is_some() && push.room_id.is_some() && push.event_type.is_none() && push.content.is_none()
}

/// The rooms that wait to be shown and for details.
pub(super) fn wanting_rooms(db: &Connection) -> rusqlite::Result<Vec<WantingRoom>> {
    db.prepare_cached(
        "SELECT a.name, r.room_id, min(n.received_at)
        FROM wanted_details w CROSS JOIN notice n ON n.id = w.notice CROSS JOIN account a ON a.id = n.account
            CROSS JOIN room r ON r.id = n.room
        WHERE n.presentation = 0 AND n.read = 0 GROUP BY r.id LIMIT ?1",
    )?
    .query_map([stored(MOST_ROOMS)], |row| {
        Ok(WantingRoom { room: RoomKey { account: row.get(0)?, room_id: row.get(1)? }, since: time(row.get(2)?) })
    })?
    .collect()
}

fn wanted(db: &Connection, before: NoticeId, limit: usize) -> rusqlite::Result<Vec<WantedDetails>> {
    db.prepare_cached(
        "SELECT n.id, a.name, r.room_id, n.event_id, n.received_at
        FROM wanted_details w CROSS JOIN notice n ON n.id = w.notice CROSS JOIN account a ON a.id = n.account
            CROSS JOIN room r ON r.id = n.room
        WHERE w.notice < ?1 AND n.event_id IS NOT NULL ORDER BY w.notice DESC LIMIT ?2",
    )?
    .query_map((before.0, stored(limit as u64)), |row| {
        Ok(WantedDetails {
            notice: NoticeId(row.get(0)?),
            account: row.get(1)?,
            room_id: row.get(2)?,
            event_id: row.get(3)?,
            received_at: time(row.get(4)?),
        })
    })?
    .collect()
}

fn add(
    write: &mut Write<'_>,
    notice: NoticeId,
    details: Option<&Arc<Notification>>,
    derive_missed_calls: bool,
) -> rusqlite::Result<()> {
    let was_wanted = write.db.prepare_cached("DELETE FROM wanted_details WHERE notice = ?1")?.execute([notice.0])? > 0;
    // Its popup waits no longer.
    write.changes.are_news |= was_wanted;
    let (true, Some(details)) = (was_wanted, details) else { return Ok(()) };
    let Some((mut account, known, arrival)) = find(write, notice)? else { return Ok(()) };
    if known.redacted {
        return Ok(());
    }
    let content = details.content.as_ref().map(|content| content.get());
    if meaning(details.event_type.as_deref(), content) == Meaning::Message {
        fill_in(write, &account, &known, details)
    } else {
        forget(write, &mut account, &known)?;
        account.save(write.db)?;
        let last_push = account.last_push;
        let recipient = Recipient {
            account: account.name.as_str().into(),
            counts: CountsScope::Account,
            derive_missed_calls,
            fetches_details: false,
            tweaks: arrival.tweaks,
        };
        let delivery = Delivery {
            notification: Arc::clone(details),
            recipients: vec![recipient],
            received_at: arrival.at,
            replayed: known.read,
        };
        record(write, &delivery)?;
        write.memory.open_rows.close(write.db)?;
        let mut account = Account::load(write.db, account.id)?;
        // No push came.
        account.last_push = last_push;
        // What it turns out to be does not make it unread again.
        if known.read
            && let Some(event_id) = &details.event_id
        {
            catching_up::read_event(write, &mut account, event_id)?;
        }
        account.save(write.db)
    }
}

/// What its push has said already.
struct Arrival {
    at: Timestamp,
    tweaks: Tweaks,
}

/// The notice, and how it came.
fn find(write: &Write<'_>, notice: NoticeId) -> rusqlite::Result<Option<(Account, Known, Arrival)>> {
    let db = write.db;
    let row = db
        .prepare_cached(
            "SELECT account, event_id, received_at, sound, highlight FROM notice WHERE id = ?1 AND event_id IS NOT NULL",
        )?
        .query_row([notice.0], |row| {
            let sound = SoundTweak::from_stored(row.get_ref(3)?.as_str_or_null()?);
            let arrival = Arrival { at: time(row.get(2)?), tweaks: Tweaks { sound, highlight: row.get(4)? } };
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, arrival))
        })
        .optional()?;
    let Some((account, event_id, arrival)) = row else { return Ok(None) };
    let account = Account::load(db, account)?;
    let known = Known::find(db, &write.memory.keys, &account, &event_id)?.filter(|known| known.id == notice.0);
    Ok(known.map(|known| (account, known, arrival)))
}

/// A message is what the details say. Where texts are not kept, that of a read one is not taken up either.
fn fill_in(write: &mut Write<'_>, account: &Account, known: &Known, details: &Notification) -> rusqlite::Result<()> {
    let content = details.content.as_ref().map(|content| content.get());
    write
        .db
        .prepare_cached(
            "UPDATE notice SET event_type = :event_type, sender = :sender, sender_display_name = :sender_display_name,
                room_name = :room_name, room_alias = :room_alias, membership = :membership,
                user_is_target = :user_is_target, content = :content
            WHERE id = :id AND account = :account",
        )?
        .execute(named_params! {
            ":event_type": details.event_type, ":sender": details.sender,
            ":sender_display_name": details.sender_display_name, ":room_name": details.room_name,
            ":room_alias": details.room_alias, ":membership": details.membership,
            ":user_is_target": details.user_is_target,
            ":content": content.filter(|_| write.keep_bodies || !known.read),
            ":id": known.id, ":account": account.id,
        })?;
    if known.presentation != Presentation::Settled && !known.read {
        let room = rooms::key(write.db, known.room)?;
        write.changes.change_room(room);
    }
    Ok(())
}

/// As if its push had not come.
fn forget(write: &mut Write<'_>, account: &mut Account, known: &Known) -> rusqlite::Result<()> {
    let mut room = Room::load(write.db, known.room)?;
    match known.kind {
        Kind::Message if !known.read => {
            marks::read_one(write, known.id)?;
            account.was_read(1);
            if known.presentation != Presentation::Settled {
                room.unread = room.unread.saturating_sub(1);
            }
            if known.presentation == Presentation::Waiting {
                room.lost(write.db, known.id)?;
            }
        }
        Kind::Call => calls::end(write, account, known.id)?,
        Kind::Message | Kind::Silent => {}
    }
    room.notices = room.notices.saturating_sub(1);
    account.notices = account.notices.saturating_sub(1);
    room.save(write.db)?;
    let key: String = write
        .db
        .prepare_cached("DELETE FROM notice WHERE id = ?1 RETURNING event_id")?
        .query_row([known.id], |row| row.get(0))?;
    write.memory.keys.remove(write.db, key_hash(account.id, &key), known.id)?;
    let key = rooms::key(write.db, known.room)?;
    if room.unread == 0 {
        write.changes.zero_room(key);
    } else {
        write.changes.change_room(key);
    }
    Ok(())
}
