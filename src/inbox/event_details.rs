//! Notices of which only the ids are known (`event_id_only`): listing them, and recording their details.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::{
    Inbox, InboxError, Recipient,
    codec::{self, Decryption, Kind, KnownEvent, stored},
    record::{Recorded, is_encrypted, record_anew},
    transaction::Write,
};
use crate::{
    notice::{NoticeId, RoomKey},
    push::{
        event::{Meaning, meaning},
        notify::Notification,
    },
};

/// A notice of which only the ids are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedDetails {
    /// Its number.
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
    pub(crate) async fn details_are_wanted(&self) {
        self.wanting.notified().await;
    }

    /// The newest notices of which only the ids are known, before this one.
    pub(crate) async fn wanted_details(
        &self,
        before: NoticeId,
        limit: usize,
    ) -> Result<Vec<WantedDetails>, InboxError> {
        self.read(move |db| wanted(db, before, limit)).await
    }

    /// Stores the details of a notice (`None`: there are none to be had); its popup is updated. A call, an edit or a
    /// redaction is recorded as one. `recipient` is its account, of which only the tweaks are taken from the push.
    pub(crate) async fn add_details(
        &self,
        notice: NoticeId,
        details: Option<Notification>,
        recipient: Recipient,
    ) -> Result<(), InboxError> {
        self.write(move |write| add(write, notice, details, recipient)).await
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
    details: Option<Notification>,
    recipient: Recipient,
) -> rusqlite::Result<()> {
    let was_wanted =
        write.execute("UPDATE notice SET lacks_details = 0 WHERE id = ?1 AND lacks_details = 1", [notice.0])? > 0;
    // Its popup no longer waits.
    write.changes.is_visible |= was_wanted;
    let (true, Some(details)) = (was_wanted, details) else { return Ok(()) };
    let Some(recorded) = Recorded::find(write.db, notice)? else { return Ok(()) };
    if recorded.known.redacted || recorded.known.kind != Kind::Message {
        return Ok(());
    }
    let content = details.content.as_deref();
    if meaning(details.event_type.as_deref(), content) == Meaning::Message {
        return add_message(write, &recorded.known, &details, recipient.decrypts);
    }
    let recipient = Recipient { fetches_details: false, tweaks: recorded.tweaks.clone(), ..recipient };
    record_anew(write, recorded, details, recipient, false)
}

/// Adds the details of a message; without a content if the notice is read and texts are not kept.
fn add_message(
    write: &mut Write<'_>,
    known: &KnownEvent,
    details: &Notification,
    decrypts: bool,
) -> rusqlite::Result<()> {
    let content = details.content.as_deref();
    let content = content.filter(|_| write.settings.keep_bodies || !known.read);
    let to_decrypt = decrypts && content.is_some() && is_encrypted(details);
    write.changes.is_encrypted |= to_decrypt;
    write.execute(
        "UPDATE notice SET event_type = :event_type, sender = :sender, sender_display_name = :sender_display_name,
        room_name = :room_name, room_alias = :room_alias, membership = :membership,
        user_is_target = :user_is_target, content = :content, decryption = :decryption
    WHERE id = :id",
        named_params! {
            ":event_type": details.event_type, ":sender": details.sender,
            ":sender_display_name": details.sender_display_name, ":room_name": details.room_name,
            ":room_alias": details.room_alias, ":membership": details.membership,
            ":user_is_target": details.user_is_target,
            ":content": content,
            ":decryption": if to_decrypt { Decryption::Wanted as i64 } else { Decryption::None as i64 },
            ":id": known.id,
        },
    )?;
    Ok(())
}
