//! Recording a push: its notice and its counts, for each account that it is for.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params, types::Value};

use super::{
    Delivery, Recipient,
    calls::{self, Ring, Times},
    codec::{self, Decryption, ENCRYPTED, Kind, KnownEvent, stored},
    counts::{self, AccountRow},
    mute, outbox, read_state,
    transaction::Write,
};
use crate::{
    accounts::CountsScope,
    notice::{CallState, NoticeId, Presentation, Room},
    push::{
        event::{self, Meaning, meaning},
        lenient::Object,
        notify::{Counts, Notification, Priority, Tweaks},
    },
};

/// The algorithm of messages that can be decrypted.
const ALGORITHM: &str = "m.megolm.v1.aes-sha2";

/// Records a push for all its recipients, or fails whole.
pub(super) fn record(write: &mut Write<'_>, delivery: &Delivery) -> rusqlite::Result<()> {
    record_as(write, delivery, false)
}

/// Records a known event of a signed-in account again, now that its content is known; no push came for that.
/// `is_decrypted`: its content is stored sealed.
pub(super) fn record_anew(
    write: &mut Write<'_>,
    recorded: Recorded,
    mut notification: Notification,
    recipient: Recipient,
    is_decrypted: bool,
) -> rusqlite::Result<()> {
    let Recorded { account, known, event_id, received_at, was_replayed, .. } = recorded;
    notification.event_id = Some(event_id.clone());
    let delivery = Delivery {
        is_sample: false,
        notification,
        recipients: vec![recipient],
        received_at,
        replayed: known.read || was_replayed,
    };
    write.execute("DELETE FROM notice WHERE id = ?1", [known.id])?;
    record_as(write, &delivery, is_decrypted)?;
    account.save(write.db)?;
    if let Some(counts) = known.counts {
        write.execute(
            "UPDATE notice SET counts_unread = ?3, counts_missed_calls = ?4 WHERE account = ?1 AND event_id = ?2",
            (account.id, &event_id, stored(counts.unread), counts.missed_calls.map(stored)),
        )?;
    }
    // Learning its content does not make it unread again.
    if known.read {
        read_state::read_event(write, account.id, &event_id)?;
    }
    Ok(())
}

/// A notice whose content is learned after its push.
pub(super) struct Recorded {
    pub(super) account: AccountRow,
    pub(super) known: KnownEvent,
    pub(super) event_id: String,
    /// Sender and room from its push, without type and content.
    pub(super) push: Notification,
    pub(super) tweaks: Tweaks,
    pub(super) received_at: Timestamp,
    was_replayed: bool,
    /// It is still to be decrypted.
    pub(super) waits_for_key: bool,
    /// Hidden until it is decrypted.
    pub(super) was_hidden: bool,
}

impl Recorded {
    /// The notice, if it has an event id.
    pub(super) fn find(db: &Connection, notice: NoticeId) -> rusqlite::Result<Option<Self>> {
        let found = db
            .prepare_cached(
                "SELECT a.name, n.room, n.account, n.event_id, n.sender, n.sender_display_name, n.room_name,
                    n.room_alias, n.received_at, n.sound, n.highlight, n.replayed, n.decryption > 0,
                    n.decryption = 3
                FROM notice n CROSS JOIN account a ON a.id = n.account WHERE n.id = ?1",
            )?
            .query_row([notice.0], |row| {
                let push = Notification {
                    room_id: codec::room_key(row, 0)?.room.id().map(ToOwned::to_owned),
                    sender: codec::text(row, 4)?,
                    sender_display_name: codec::text(row, 5)?,
                    room_name: codec::text(row, 6)?,
                    room_alias: codec::text(row, 7)?,
                    ..Notification::default()
                };
                let tweaks = Tweaks { sound: codec::sound(row, 9)?, highlight: codec::flag(row, 10)? };
                let flags = (codec::flag(row, 11)?, codec::flag(row, 12)?, codec::flag(row, 13)?);
                Ok((codec::number(row, 2)?, codec::text(row, 3)?, push, tweaks, codec::time(row, 8)?, flags))
            })
            .optional()?;
        let Some((account, Some(event_id), push, tweaks, received_at, flags)) = found else { return Ok(None) };
        let Some(account) = AccountRow::find(db, account)? else { return Ok(None) };
        let known = KnownEvent::by_event_id(db, account.id, &event_id)?.filter(|known| known.id == notice.0);
        let (was_replayed, waits_for_key, was_hidden) = flags;
        Ok(known.map(|known| Self {
            account,
            known,
            event_id,
            push,
            tweaks,
            received_at,
            was_replayed,
            waits_for_key,
            was_hidden,
        }))
    }
}

fn record_as(write: &mut Write<'_>, delivery: &Delivery, is_decrypted: bool) -> rusqlite::Result<()> {
    let push = &delivery.notification;
    let arrival = Arrival {
        push,
        room: Room::of_push(push),
        meaning: push.is_event().then(|| meaning(push.event_type.as_deref(), push.content.as_deref())),
        counts: push.counts.filter(|_| !delivery.is_sample).map(counts::bounded),
        received_at: delivery.received_at.as_millisecond(),
        is_replayed: delivery.replayed,
        is_sample: delivery.is_sample,
        is_decrypted,
    };
    delivery.recipients.iter().try_for_each(|recipient| arrival.record_for(write, recipient))
}

/// Whether a push carries ciphertext that can be decrypted.
pub(super) fn is_encrypted(push: &Notification) -> bool {
    let algorithm = || {
        let content = push.content.as_deref().and_then(Object::read)?;
        Some(content.string("algorithm")? == ALGORITHM)
    };
    push.event_type.as_deref() == Some(ENCRYPTED)
        && [&push.event_id, &push.room_id, &push.sender].iter().all(|id| id.is_some())
        && algorithm() == Some(true)
}

/// Whether the push has only ids.
fn lacks_details(push: &Notification) -> bool {
    push.event_id.is_some() && push.room_id.is_some() && push.event_type.is_none() && push.content.is_none()
}

/// A push, with what all its recipients share.
struct Arrival<'a> {
    push: &'a Notification,
    room: Room,
    /// The meaning of its event; `None` for a push of numbers alone.
    meaning: Option<Meaning>,
    counts: Option<Counts>,
    /// In milliseconds.
    received_at: i64,
    is_replayed: bool,
    is_sample: bool,
    is_decrypted: bool,
}

/// A notice before it is stored.
struct Draft<'a> {
    kind: Kind,
    presentation: Presentation,
    content: Option<&'a str>,
    sound: Option<&'a str>,
    call: Option<Ring>,
}

impl Draft<'_> {
    const HIDDEN: Self =
        Self { kind: Kind::Hidden, presentation: Presentation::Settled, content: None, sound: None, call: None };
}

impl Arrival<'_> {
    fn record_for(&self, write: &mut Write<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
        let mut account = AccountRow::named(write.db, &recipient.account)?;
        let number = account.numbers.unread;
        if let Some(known) = self.find_known(write, account.id)? {
            // A retry. Only if its numbers differ does it say anything new.
            let Some(counts) = self.counts.filter(|counts| known.counts != Some(*counts)) else { return Ok(()) };
            self.count(write, &mut account, recipient, counts)?;
            write.execute(
                "UPDATE notice SET counts_unread = ?2, counts_missed_calls = ?3 WHERE id = ?1",
                (known.id, stored(counts.unread), counts.missed_calls.map(stored)),
            )?;
        } else {
            // Numbers first: a zero is about what was there before this event.
            if let Some(counts) = self.counts {
                self.count(write, &mut account, recipient, counts)?;
            }
            if let Some(meaning) = &self.meaning {
                let has_raised = account.numbers.unread > number && recipient.user_id.is_none();
                let raised_to = self.counts.filter(|_| has_raised).map(|counts| stored(counts.unread));
                let draft = self.draft(write, account.id, recipient, meaning, raised_to)?;
                self.insert(write, account.id, recipient, &draft)?;
            } else if self.is_sample {
                // Of a number alone: it counts until everything is read.
                self.insert(write, account.id, recipient, &Draft::HIDDEN)?;
            }
        }
        if !self.is_sample {
            account.last_push = Some(self.received_at);
            account.save(write.db)?;
        }
        write.changes.is_visible = true;
        Ok(())
    }

    /// The stored event, if this push is a retry.
    fn find_known(&self, write: &Write<'_>, account: i64) -> rusqlite::Result<Option<KnownEvent>> {
        match (&self.push.event_id, &self.push.id) {
            (Some(event_id), _) => KnownEvent::by_event_id(write.db, account, event_id),
            (None, Some(push_id)) => KnownEvent::by_push_id(write.db, account, push_id),
            (None, None) => Ok(None),
        }
    }

    /// Takes over the numbers. At zero everything that they stand for was read. Where calls are not watched, a number
    /// that falls silences those that had raised it.
    fn count(
        &self,
        write: &mut Write<'_>,
        account: &mut AccountRow,
        recipient: &Recipient,
        counts: Counts,
    ) -> rusqlite::Result<()> {
        let is_of_room = recipient.counts == CountsScope::Room && self.push.room_id.is_some();
        let room = is_of_room.then_some(self.room.as_str());
        let before = account.numbers.unread;
        account.count(write.db, counts, room)?;
        let has_fallen = account.numbers.unread < before && recipient.user_id.is_none();
        match room {
            _ if counts.unread > 0 && has_fallen => calls::silence(write, account.id, room, stored(counts.unread)),
            _ if counts.unread > 0 => Ok(()),
            Some(room) => read_state::read_room(write, account.id, room),
            None => read_state::read_account(write, account.id),
        }
    }

    /// Applies the event to earlier notices, and returns what is stored of the event itself.
    fn draft<'a>(
        &'a self,
        write: &mut Write<'_>,
        account: i64,
        recipient: &'a Recipient,
        meaning: &'a Meaning,
        raised_to: Option<i64>,
    ) -> rusqlite::Result<Draft<'a>> {
        let content = self.push.content.as_deref();
        let message = Draft {
            kind: Kind::Message,
            presentation: Presentation::Waiting,
            content,
            sound: recipient.tweaks.sound.as_stored(),
            call: None,
        };
        let hidden = Draft::HIDDEN;
        let sender = self.push.sender.as_deref();
        let kept = content.filter(|_| write.settings.keep_bodies);
        Ok(match meaning {
            Meaning::Message => message,
            Meaning::Ringing { call_id, lifetime, sent_at, .. } => {
                let call_id = call_id.as_deref().or(self.push.event_id.as_deref()).unwrap_or_default();
                let times = Times {
                    received_at: self.received_at,
                    lifetime: i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX),
                    sent_at: sent_at.map(Timestamp::as_millisecond),
                };
                let mut call =
                    Ring::begin(call_id.to_owned(), times, self.is_replayed, write.settings.derive_missed_calls);
                call.raised_to = raised_to;
                if !meaning.rings_for(recipient.user_id.as_deref()) {
                    call.state = CallState::Over;
                }
                let caller = (account, self.room.as_str(), sender);
                if call.state == CallState::Ringing && calls::redial(write, caller, &call, self.received_at)? {
                    return Ok(Draft { content: kept, ..hidden });
                }
                let is_over = call.state == CallState::Over;
                Draft {
                    kind: Kind::Call,
                    presentation: if is_over { Presentation::Settled } else { Presentation::Waiting },
                    content: if is_over { kept } else { content },
                    call: Some(call),
                    ..message
                }
            }
            Meaning::CallOver { call_id, ending } => {
                let call = (account, self.room.as_str(), &**call_id);
                calls::end_by_event(write, call, (*ending, sender))?;
                Draft { content: kept, ..hidden }
            }
            Meaning::Redaction { event_id } => {
                if let Some(event_id) = event_id
                    && let Some(event) = KnownEvent::by_event_id(write.db, account, event_id)?
                    && event.room == self.room
                {
                    read_state::redact(write, &event)?;
                }
                Draft { content: kept, ..hidden }
            }
            Meaning::Edit { event_id, new_content } => match KnownEvent::by_event_id(write.db, account, event_id)? {
                // Its text is that of the edited message now, and goes with it when that is redacted.
                Some(edited) => {
                    // Whoever runs the homeserver can make up an edit that is not encrypted.
                    let is_trusted = self.is_decrypted || !edited.is_encrypted;
                    let is_same_sender = edited.sender.is_some() && edited.sender == self.push.sender;
                    if edited.room == self.room && is_same_sender && is_trusted {
                        let content =
                            codec::notice_by_id(write.db, NoticeId(edited.id))?.and_then(|notice| notice.content);
                        let new_content = event::edited(&content.unwrap_or_default(), new_content);
                        let new_content = self.stored_content(write, recipient, event_id, &new_content);
                        read_state::edit(write, &edited, &new_content)?;
                    }
                    hidden
                }
                // The message came before this desktop listened, or is forgotten: the edit stands for it.
                None => Draft { content: Some(new_content), sound: None, ..message },
            },
        })
    }

    /// Content of this event: its text, or sealed.
    fn stored_content(&self, write: &Write<'_>, recipient: &Recipient, event_id: &str, content: &str) -> Value {
        if self.is_decrypted {
            write.seals.seal(&recipient.account, event_id, content)
        } else {
            Value::Text(content.to_owned())
        }
    }

    fn insert(
        &self,
        write: &mut Write<'_>,
        account: i64,
        recipient: &Recipient,
        draft: &Draft<'_>,
    ) -> rusqlite::Result<()> {
        let push = self.push;
        let lacks_details = recipient.fetches_details && lacks_details(push);
        let to_decrypt = recipient.decrypts && draft.kind == Kind::Message && is_encrypted(push);
        let event_id = push.event_id.as_deref().unwrap_or_default();
        let content = draft.content.map(|content| self.stored_content(write, recipient, event_id, content));
        let call = draft.call.as_ref();
        let is_muted =
            draft.kind == Kind::Message && mute::is_muted(write.db, account, self.room.as_str(), self.received_at)?;
        let presentation = if is_muted { Presentation::Settled } else { draft.presentation };
        let id = write.changes.newest + 1;
        write.execute("INSERT INTO notice (id, account, room, kind, presentation, read, highlight, user_is_target, low_prio,
                    received_at, sample, lacks_details, decryption, replayed, counts_unread, counts_missed_calls, event_id,
                    push_id, call_id, call_state, call_deadline, call_derive_missed, call_missed_shown, call_raised_to,
                    event_type, sender, sender_display_name, room_name, room_alias, membership, sound, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", params![
                id,
                account,
                self.room.as_str(),
                draft.kind as i64,
                presentation as i64,
                draft.presentation == Presentation::Settled && !(self.is_sample && self.meaning.is_none()),
                recipient.tweaks.highlight,
                push.user_is_target,
                push.prio == Priority::Low,
                self.received_at,
                self.is_sample,
                lacks_details,
                if to_decrypt { Decryption::Wanted as i64 } else { Decryption::None as i64 },
                (lacks_details || to_decrypt) && self.is_replayed,
                self.counts.map(|counts| stored(counts.unread)),
                self.counts.and_then(|counts| counts.missed_calls).map(stored),
                push.event_id,
                push.id.as_deref().filter(|_| push.event_id.is_none()),
                call.map(|call| &*call.call_id),
                call.map(|call| call.state as i64),
                call.map(|call| call.deadline),
                call.map(|call| call.derive_missed),
                call.map(|_| false),
                call.and_then(|call| call.raised_to),
                push.event_type,
                push.sender,
                push.sender_display_name,
                push.room_name,
                push.room_alias,
                push.membership,
                draft.sound.filter(|_| !is_muted),
                content,
            ])?;
        if push.event_type.as_deref() == Some(ENCRYPTED) {
            outbox::note_encrypted(write, account, self.room.as_str())?;
        }
        write.changes.newest = id;
        write.changes.lacks_details |= lacks_details;
        write.changes.is_encrypted |= to_decrypt;
        Ok(())
    }
}
