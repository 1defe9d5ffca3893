//! Notices with end-to-end encrypted content: listing them, and recording the decrypted events.
//!
//! A notice is recorded with its ciphertext. The decrypted content replaces it later, sealed, in one commit with
//! the record that detects replays: a message of an encrypted session is one event; under another event id it is
//! ignored.

use std::sync::Arc;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension as _, named_params};

use super::{
    Inbox, InboxError, Recipient, Seals,
    codec::{self, Decryption, ENCRYPTED, Kind, stored},
    counts::AccountRow,
    mute, read_state,
    record::{Recorded, record_anew},
    transaction::Write,
};
use crate::{
    accounts::CountsScope,
    notice::{NoticeId, Presentation, Room},
    push::{
        event::{Meaning, meaning},
        notify::{Notification, Tweaks},
    },
};

/// Length of the digests that stand for messages and events.
const DIGEST_BYTES: usize = 16;

/// A notice that is to be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedNotice {
    /// Its number.
    pub notice: NoticeId,
    /// `room_id`
    pub room_id: String,
    /// `event_id`
    pub event_id: String,
    /// `sender`, as the push says.
    pub sender: String,
    /// `content`, as JSON text.
    pub content: String,
    /// When its push came.
    pub received_at: Timestamp,
}

/// A decrypted event.
#[derive(Debug, Clone, PartialEq)]
pub struct Decrypted {
    /// `type`
    pub event_type: String,
    /// `content`, as JSON text.
    pub content: String,
    /// Session and message index, hashed.
    pub message: String,
    /// The account's push rules applied to it.
    pub verdict: Verdict,
}

/// Result of the push rules.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Notify, with these tweaks.
    Notify(Tweaks),
    /// No popup and no sound.
    Silent,
    /// The rules are unknown: the tweaks of the push apply.
    AsPushed,
}

impl Verdict {
    /// `pushed`: those that came with the encrypted event.
    fn tweaks(&self, pushed: &Tweaks) -> Tweaks {
        match self {
            Self::Notify(tweaks) => tweaks.clone(),
            Self::AsPushed => pushed.clone(),
            Self::Silent => Tweaks::default(),
        }
    }
}

impl Inbox {
    /// Waits until there may be new notices to decrypt.
    pub async fn decryption_is_wanted(&self) {
        self.encrypted.notified().await;
    }

    /// Notices of the account in this state and after this one, oldest first. [`Decryption::LacksKey`] includes
    /// [`Decryption::Hidden`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn encrypted_notices(
        &self,
        account: Arc<str>,
        state: Decryption,
        after: NoticeId,
        limit: usize,
    ) -> Result<Vec<EncryptedNotice>, InboxError> {
        self.read(move |db| encrypted(db, &account, state, after, limit)).await
    }

    /// Stores the decrypted event of a notice; its popup is updated. A call or an edit is recorded as one, an event that
    /// no push rule notifies of is marked as read, and a replay is hidden. `user_id` is the account's user.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn add_decrypted(
        &self,
        notice: NoticeId,
        decrypted: Decrypted,
        user_id: String,
    ) -> Result<(), InboxError> {
        self.write(move |write| add(write, notice, &decrypted, user_id)).await
    }

    /// Sets the state of notices that could not be decrypted. Hidden ones get no popup.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_decryption(&self, notices: Vec<NoticeId>, state: Decryption) -> Result<(), InboxError> {
        self.write(move |write| {
            for notice in &notices {
                let changed = write.execute(
                    "UPDATE notice SET decryption = ?2, presentation = iif(?3 AND presentation = 0, 2, presentation)
                    WHERE id = ?1 AND decryption > 0 AND decryption <> ?2",
                    (notice.0, state as i64, state == Decryption::Hidden),
                )?;
                write.changes.is_visible |= changed > 0;
            }
            Ok(())
        })
        .await
    }

    /// Deletes decrypted contents and ciphertexts of all accounts but these.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn retain_encrypted(&self, accounts: Vec<Arc<str>>) -> Result<(), InboxError> {
        self.write(move |write| {
            let all = AccountRow::all(write.db)?.into_iter();
            let mut gone = all.filter(|account| !accounts.iter().any(|kept| **kept == *account.name));
            gone.try_for_each(|account| forget(write, account.id))
        })
        .await
    }

    /// The keys of the sealed texts.
    #[must_use]
    pub fn seals(&self) -> &Seals {
        &self.seals
    }
}

fn encrypted(
    db: &Connection,
    account: &str,
    state: Decryption,
    after: NoticeId,
    limit: usize,
) -> rusqlite::Result<Vec<EncryptedNotice>> {
    let mut query = db.prepare_cached(
        "SELECT a.name, n.room, n.id, n.event_id, n.sender, n.content, n.received_at
        FROM notice n INDEXED BY notice_decryption CROSS JOIN account a ON a.id = n.account
        WHERE n.decryption > 0 AND n.account = (SELECT id FROM account WHERE name = ?1)
            AND n.decryption BETWEEN ?2 AND ?5
            AND n.id > ?3
        ORDER BY n.id LIMIT ?4",
    )?;
    let up_to = if state == Decryption::LacksKey { Decryption::Hidden } else { state };
    let mut rows = query.query((account, state as i64, after.0, stored(limit as u64), up_to as i64))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let room = codec::room_key(row, 0)?.room;
        // Only a damaged row lacks any of them; what it has instead cannot be decrypted.
        let text = |column| codec::text(row, column).map(Option::unwrap_or_default);
        found.push(EncryptedNotice {
            notice: codec::id(row, 2)?,
            room_id: room.id().unwrap_or_default().to_owned(),
            event_id: text(3)?,
            sender: text(4)?,
            content: text(5)?,
            received_at: codec::time(row, 6)?,
        });
    }
    Ok(found)
}

fn add(write: &mut Write<'_>, notice: NoticeId, decrypted: &Decrypted, user_id: String) -> rusqlite::Result<()> {
    let row = Recorded::find(write.db, notice)?.filter(|row| row.waits_for_key && row.known.kind == Kind::Message);
    let Some(row) = row else { return Ok(()) };
    write.changes.is_visible = true;
    if is_replay(write.db, row.account.id, &decrypted.message, &row.event_id)? {
        return hide(write, notice);
    }
    let is_silent = decrypted.verdict == Verdict::Silent;
    match meaning(Some(&decrypted.event_type), Some(&decrypted.content)) {
        Meaning::Message => add_message(write, &row, decrypted, is_silent),
        Meaning::Ringing { .. } if is_silent => {
            add_message(write, &row, decrypted, true)?;
            hide(write, notice)
        }
        // Redactions are never encrypted: who may redact is for homeservers to check, and they cannot see this one.
        Meaning::Redaction { .. } => hide(write, notice),
        Meaning::Ringing { .. } | Meaning::CallOver { .. } | Meaning::Edit { .. } => {
            record_decrypted(write, row, decrypted, user_id, is_silent)
        }
    }
}

/// Whether the message is known as another event; if it is new, stores it as this one.
fn is_replay(db: &Connection, account: i64, message: &str, event_id: &str) -> rusqlite::Result<bool> {
    let short = |text: &str| digest(&SHA256, text.as_bytes()).as_ref()[..DIGEST_BYTES].to_vec();
    let (message, event) = (short(message), short(event_id));
    db.prepare_cached("INSERT INTO decrypted (account, message, event) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute((account, &message, &event))?;
    let first: Option<Vec<u8>> = db
        .prepare_cached("SELECT event FROM decrypted WHERE account = ?1 AND message = ?2")?
        .query_row((account, &message), |row| row.get(0))
        .optional()?;
    Ok(first.is_some_and(|first| first != event))
}

/// Hides a notice; its retry is still recognised.
fn hide(write: &mut Write<'_>, notice: NoticeId) -> rusqlite::Result<()> {
    read_state::read_one(write, notice.0)?;
    write.execute(
        "UPDATE notice SET kind = ?2, decryption = 0, content = NULL, sound = NULL WHERE id = ?1",
        (notice.0, Kind::Hidden as i64),
    )?;
    Ok(())
}

/// Replaces the ciphertext by the decrypted content; without a content if the notice is read and texts are not kept.
fn add_message(write: &mut Write<'_>, row: &Recorded, decrypted: &Decrypted, is_silent: bool) -> rusqlite::Result<()> {
    let tweaks = decrypted.verdict.tweaks(&row.tweaks);
    let is_kept = write.settings.keep_bodies || !(row.known.read || is_silent);
    let (room, received_at) = (Room::of_push(&row.push), row.received_at.as_millisecond());
    let is_shown = row.was_hidden && !mute::is_muted(write.db, row.account.id, room.as_str(), received_at)?;
    let content = is_kept.then(|| write.seals.seal(&row.account.name, &row.event_id, &decrypted.content));
    write.execute(
        "UPDATE notice SET event_type = :event_type, content = :content, decryption = 0, sound = :sound,
        highlight = :highlight, presentation = iif(:is_shown AND presentation = 2 AND read = 0, 0, presentation)
    WHERE id = :id",
        named_params! {
            ":event_type": decrypted.event_type, ":content": content, ":sound": tweaks.sound.as_stored(),
            ":highlight": tweaks.highlight, ":is_shown": is_shown, ":id": row.known.id,
        },
    )?;
    if is_silent {
        read_state::read_one(write, row.known.id)?;
    }
    Ok(())
}

/// Records the notice again, as the call or edit that it is.
fn record_decrypted(
    write: &mut Write<'_>,
    mut recorded: Recorded,
    decrypted: &Decrypted,
    user_id: String,
    is_silent: bool,
) -> rusqlite::Result<()> {
    let push = std::mem::take(&mut recorded.push);
    let notification = Notification {
        event_type: Some(decrypted.event_type.clone()),
        content: Some(decrypted.content.clone()),
        ..push
    };
    let recipient = Recipient {
        account: recorded.account.name.as_str().into(),
        user_id: Some(user_id),
        counts: CountsScope::Account,
        fetches_details: false,
        decrypts: false,
        tweaks: decrypted.verdict.tweaks(&recorded.tweaks),
    };
    let (account, event_id) = (recorded.account.id, recorded.event_id.clone());
    record_anew(write, recorded, notification, recipient, true)?;
    if is_silent {
        read_state::read_event(write, account, &event_id)?;
    }
    Ok(())
}

fn forget(write: &mut Write<'_>, account: i64) -> rusqlite::Result<()> {
    let has_some = write.db.prepare_cached("SELECT 1 FROM decrypted WHERE account = ?1 LIMIT 1")?.exists([account])?;
    let waits = "SELECT 1 FROM notice INDEXED BY notice_decryption WHERE decryption > 0 AND account = ?1 LIMIT 1";
    if !has_some && !write.db.prepare_cached(waits)?.exists([account])? {
        return Ok(());
    }
    write.execute(
        "UPDATE notice SET content = NULL, decryption = 0, event_type = ?2
        WHERE account = ?1 AND (typeof(content) = 'blob' OR decryption > 0)",
        (account, ENCRYPTED),
    )?;
    write.execute("DELETE FROM decrypted WHERE account = ?1", [account])?;
    write.changes.is_visible = true;
    Ok(())
}

/// The newest notices that wait to be shown and are still to be decrypted, or are hidden until they are.
pub(super) fn undecided(db: &Connection) -> rusqlite::Result<Vec<NoticeId>> {
    db.prepare_cached(
        "SELECT id FROM notice INDEXED BY notice_decryption
        WHERE decryption > 0 AND (decryption = 1 AND presentation = ?1 OR decryption = 3) AND read = 0
        ORDER BY id DESC LIMIT 64",
    )?
    .query_map([Presentation::Waiting as i64], |row| codec::id(row, 0))?
    .collect()
}
