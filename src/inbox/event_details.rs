//! Notices of which only the ids are known (`event_id_only`): which they are, and what is learned of them later.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    Delivery, Inbox, InboxError, Recipient,
    accounts::Account,
    codec::{self, Decryption, Kind, KnownEvent, stored},
    read_state,
    record::{is_encrypted, record},
    transaction::Write,
};
use crate::{
    accounts::CountsScope,
    notice::{NoticeId, RoomKey},
    push::{
        event::{Meaning, meaning},
        notify::{Notification, Tweaks},
    },
};

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
        self.read(move |db| wanted(db, before, limit)).await
    }

    /// What was learned of such a notice; `None`: nothing more can be. Its popup changes, if it is up. What turns out to
    /// be a call, an edit or a redaction is kept as if it had come as such. `user_id` is the account's user.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn add_details(
        &self,
        notice: NoticeId,
        details: Option<Notification>,
        user_id: String,
        derive_missed_calls: bool,
        decrypts: bool,
    ) -> Result<(), InboxError> {
        let details = details.map(Arc::new);
        self.write(move |write| add(write, notice, details.as_ref(), user_id, derive_missed_calls, decrypts)).await
    }
}

fn wanted(db: &Connection, before: NoticeId, limit: usize) -> rusqlite::Result<Vec<WantedDetails>> {
    let mut query = db.prepare_cached(
        "SELECT a.name, n.room, n.id, n.event_id, n.received_at
        FROM notice n INDEXED BY notice_lacks_details CROSS JOIN account a ON a.id = n.account
        WHERE n.lacks_details = 1 AND n.id < ?1 ORDER BY n.id DESC LIMIT ?2",
    )?;
    let found = query.query_map((before.0, stored(limit as u64)), |row| {
        let RoomKey { account, room } = codec::room_key(row, 0)?;
        // Only a damaged row has none.
        let ids = room.id().map(ToOwned::to_owned).zip(codec::text(row, 3)?);
        let Some((room_id, event_id)) = ids else { return Ok(None) };
        let (notice, received_at) = (codec::id(row, 2)?, codec::time(row, 4)?);
        Ok(Some(WantedDetails { notice, account, room_id, event_id, received_at }))
    })?;
    found.filter_map(Result::transpose).collect()
}

fn add(
    write: &mut Write<'_>,
    notice: NoticeId,
    details: Option<&Arc<Notification>>,
    user_id: String,
    derive_missed_calls: bool,
    decrypts: bool,
) -> rusqlite::Result<()> {
    let was_wanted = write
        .db
        .prepare_cached("UPDATE notice SET lacks_details = 0 WHERE id = ?1 AND lacks_details = 1")?
        .execute([notice.0])?
        > 0;
    // Its popup waits no longer.
    write.changes.is_visible |= was_wanted;
    let (true, Some(details)) = (was_wanted, details) else { return Ok(()) };
    let Some((account, known, arrival)) = find(write.db, notice)? else { return Ok(()) };
    if known.redacted || known.kind != Kind::Message {
        return Ok(());
    }
    let content = details.content.as_ref().map(|content| content.get());
    if meaning(details.event_type.as_deref(), content) == Meaning::Message {
        return fill_in(write, &known, details, decrypts);
    }
    // It is recorded once more, as what it is.
    write.db.prepare_cached("DELETE FROM notice WHERE id = ?1")?.execute([known.id])?;
    let recipient = Recipient {
        account: account.name.as_str().into(),
        user_id: Some(user_id),
        counts: CountsScope::Account,
        derive_missed_calls,
        fetches_details: false,
        decrypts,
        tweaks: arrival.tweaks,
    };
    let delivery = Delivery {
        is_sample: false,
        notification: Arc::clone(details),
        recipients: vec![recipient],
        received_at: arrival.at,
        replayed: known.read,
    };
    record(write, &delivery)?;
    // No push came.
    account.save(write.db)?;
    // What it turns out to be does not make it unread again.
    if known.read
        && let Some(event_id) = &details.event_id
    {
        read_state::read_event(write, account.id, event_id)?;
    }
    Ok(())
}

/// What its push has said already.
struct Arrival {
    at: Timestamp,
    tweaks: Tweaks,
}

/// The notice, and how it came.
fn find(db: &Connection, notice: NoticeId) -> rusqlite::Result<Option<(Account, KnownEvent, Arrival)>> {
    let row = db
        .prepare_cached("SELECT account, event_id, received_at, sound, highlight FROM notice WHERE id = ?1")?
        .query_row([notice.0], |row| {
            let tweaks = Tweaks { sound: codec::sound(row, 3)?, highlight: codec::flag(row, 4)? };
            Ok((codec::number(row, 0)?, codec::text(row, 1)?, Arrival { at: codec::time(row, 2)?, tweaks }))
        })
        .optional()?;
    let Some((account, Some(event_id), arrival)) = row else { return Ok(None) };
    let Some(account) = Account::find(db, account)? else { return Ok(None) };
    let known = KnownEvent::by_event_id(db, account.id, &event_id)?.filter(|known| known.id == notice.0);
    Ok(known.map(|known| (account, known, arrival)))
}

/// A message is what the details say. Where texts are not kept, that of a read one is not taken up either.
fn fill_in(write: &mut Write<'_>, known: &KnownEvent, details: &Notification, decrypts: bool) -> rusqlite::Result<()> {
    let content = details.content.as_ref().map(|content| content.get());
    let content = content.filter(|_| write.keep_bodies || !known.read);
    let to_decrypt = decrypts && content.is_some() && is_encrypted(details);
    write.changes.is_encrypted |= to_decrypt;
    write
        .db
        .prepare_cached(
            "UPDATE notice SET event_type = :event_type, sender = :sender, sender_display_name = :sender_display_name,
                room_name = :room_name, room_alias = :room_alias, membership = :membership,
                user_is_target = :user_is_target, content = :content, decryption = :decryption
            WHERE id = :id",
        )?
        .execute(named_params! {
            ":event_type": details.event_type, ":sender": details.sender,
            ":sender_display_name": details.sender_display_name, ":room_name": details.room_name,
            ":room_alias": details.room_alias, ":membership": details.membership,
            ":user_is_target": details.user_is_target,
            ":content": content,
            ":decryption": if to_decrypt { Decryption::Wanted as i64 } else { Decryption::None as i64 },
            ":id": known.id,
        })?;
    Ok(())
}
