//! Replies that wait to be sent, and the rooms known to be encrypted, where nothing is sent in clear.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, params, types::Value};

use super::{Inbox, InboxError, codec, counts::AccountRow, transaction::Write};
use crate::notice::RoomKey;

/// Limit of waiting replies.
const MAX_REPLIES: i64 = 64;

/// A reply that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Name of the account that sends it.
    pub account: Arc<str>,
    /// The account's device when it was written: no other sends it.
    pub device_id: String,
    /// `room_id`
    pub room_id: String,
    /// Its transaction, by which its homeserver recognises it.
    pub transaction: String,
    /// `content`, as JSON text; none if it is sealed with a key that is not known now.
    pub content: Option<String>,
    /// When it was written.
    pub written_at: Timestamp,
}

impl Inbox {
    /// Keeps a reply until it is sent. Returns whether there was room for it.
    pub(crate) async fn keep_reply(&self, reply: Reply) -> Result<bool, InboxError> {
        self.write(move |write| keep(write, &reply)).await
    }

    /// The replies that are to be sent, oldest first.
    pub(crate) async fn replies(&self) -> Result<Vec<Reply>, InboxError> {
        self.read(replies).await
    }

    /// Forgets a reply: it was sent, or is given up.
    pub(crate) async fn forget_reply(&self, transaction: String) -> Result<(), InboxError> {
        self.write(move |write| write.execute("DELETE FROM outbox WHERE txn = ?1", [transaction]).map(drop)).await
    }

    /// Whether this room is known to be, or to have been, encrypted.
    pub(crate) async fn was_encrypted(&self, room: RoomKey) -> Result<bool, InboxError> {
        self.read(move |db| {
            db.prepare_cached(
                "SELECT 1 FROM encrypted_room WHERE room = ?2 AND account = (SELECT id FROM account WHERE name = ?1)",
            )?
            .exists((&room.account, room.room.as_str()))
        })
        .await
    }

    /// Stores that this room is encrypted.
    pub(crate) async fn note_encrypted(&self, room: RoomKey) -> Result<(), InboxError> {
        self.write(move |write| {
            let account = AccountRow::named(write.db, &room.account)?;
            note_encrypted(write, account.id, room.room.as_str())
        })
        .await
    }
}

fn keep(write: &mut Write<'_>, reply: &Reply) -> rusqlite::Result<bool> {
    let waiting = write.db.prepare_cached("SELECT count(*) FROM outbox")?.query_row([], |row| codec::number(row, 0))?;
    let Some(content) = reply.content.as_ref().filter(|_| waiting < MAX_REPLIES) else { return Ok(false) };
    let account = AccountRow::named(write.db, &reply.account)?;
    let sealed = write.seals.seal(&reply.account, &reply.transaction, content);
    // There is no key where nothing is encrypted.
    let content = if sealed == Value::Null { Value::Text(content.clone()) } else { sealed };
    write.execute(
        "INSERT INTO outbox (account, device, room_id, txn, written_at, content) VALUES (?, ?, ?, ?, ?, ?)",
        params![
            account.id,
            reply.device_id,
            reply.room_id,
            reply.transaction,
            reply.written_at.as_millisecond(),
            content
        ],
    )?;
    Ok(true)
}

fn replies(db: &Connection) -> rusqlite::Result<Vec<Reply>> {
    db.prepare_cached(
        "SELECT a.name, o.device, o.room_id, o.txn, o.written_at,
            iif(typeof(o.content) = 'blob', opened(o.content, a.name, o.txn), o.content)
        FROM outbox o CROSS JOIN account a ON a.id = o.account ORDER BY o.id",
    )?
    .query_map([], |row| {
        let text = |column| codec::text(row, column).map(Option::unwrap_or_default);
        Ok(Reply {
            account: text(0)?.into(),
            device_id: text(1)?,
            room_id: text(2)?,
            transaction: text(3)?,
            written_at: codec::time(row, 4)?,
            content: codec::text(row, 5)?,
        })
    })?
    .collect()
}

pub(super) fn note_encrypted(write: &Write<'_>, account: i64, room: &str) -> rusqlite::Result<()> {
    write.execute("INSERT INTO encrypted_room VALUES (?1, ?2) ON CONFLICT DO NOTHING", (account, room)).map(drop)
}

/// Deletes the replies of an account that is signed out.
pub(super) fn forget_replies(write: &Write<'_>, account: i64) -> rusqlite::Result<()> {
    write.execute("DELETE FROM outbox WHERE account = ?1", [account]).map(drop)
}

/// Deletes the replies and encrypted rooms of an account that is gone.
pub(super) fn forget(write: &Write<'_>, account: i64) -> rusqlite::Result<()> {
    forget_replies(write, account)?;
    write.execute("DELETE FROM encrypted_room WHERE account = ?1", [account]).map(drop)
}
