//! Recording a push: its notice and its counts, for each account that it is for.

use jiff::Timestamp;
use rusqlite::params;

use super::{
    Delivery, Recipient,
    accounts::Account,
    calls::{self, Ring, Times},
    changes::Write,
    counts::{self, Outcome},
    details,
    keys::key_hash,
    marks,
    rooms::{self, Room},
    rows::{Kind, Known, stored},
};
use crate::{
    inbox::CountsScope,
    notice::{CallState, Presentation, RoomKey},
    push::{
        event::{Meaning, meaning},
        notify::{Counts, Notification, Priority},
    },
};

/// Records a push for all its recipients, or fails whole.
pub(super) fn record(write: &mut Write<'_>, delivery: &Delivery) -> rusqlite::Result<()> {
    let push = &*delivery.notification;
    let arrival = Arrival {
        push,
        key: push.event_id.as_deref().or(push.id.as_deref()),
        meaning: push.is_event().then(|| meaning(push.event_type.as_deref(), content(push))),
        counts: push.counts.map(counts::bounded),
        received_at: delivery.received_at.as_millisecond(),
        is_replayed: delivery.replayed,
    };
    delivery.recipients.iter().try_for_each(|recipient| arrival.record_for(write, recipient))
}

fn content(push: &Notification) -> Option<&str> {
    push.content.as_ref().map(|content| content.get())
}

/// A push, and what is the same for each of its recipients.
struct Arrival<'a> {
    push: &'a Notification,
    /// What a retry is recognised by.
    key: Option<&'a str>,
    /// What its event means; `None`: it has no event, only numbers.
    meaning: Option<Meaning>,
    counts: Option<Counts>,
    /// In milliseconds.
    received_at: i64,
    is_replayed: bool,
}

/// A notice as it is about to be recorded.
struct Draft<'a> {
    kind: Kind,
    presentation: Presentation,
    content: Option<&'a str>,
    sound: Option<&'a str>,
    call: Option<Ring>,
}

impl Arrival<'_> {
    fn record_for(&self, write: &mut Write<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
        if self.record_plainly(write, recipient)? {
            return Ok(());
        }
        write.memory.open_rows.close(write.db)?;
        let mut account = Account::named(write.db, &recipient.account)?;
        let known = self.key.map_or(Ok(None), |key| Known::find(write.db, &write.memory.keys, &account, key))?;
        if let Some(known) = known {
            // A retry. Only if its numbers differ does it say anything new.
            let Some(counts) = self.counts.filter(|counts| known.counts != Some(*counts)) else { return Ok(()) };
            self.count(write, &mut account, recipient, counts)?;
            write
                .db
                .prepare_cached("UPDATE notice SET counts_unread = ?2, counts_missed_calls = ?3 WHERE id = ?1")?
                .execute((known.id, stored(counts.unread), counts.missed_calls.map(stored)))?;
        } else {
            // Numbers first: a zero is about what was there before this event.
            if let Some(counts) = self.counts {
                self.count(write, &mut account, recipient, counts)?;
            }
            if let Some(meaning) = &self.meaning {
                self.keep(write, &mut account, recipient, meaning)?;
            }
        }
        account.last_push = Some(self.received_at);
        account.save(write.db)?;
        write.changes.are_news = true;
        Ok(())
    }

    /// Records what most pushes are: a new message that changes its account, its room and nothing else. Whether it is
    /// one.
    fn record_plainly(&self, write: &mut Write<'_>, recipient: &Recipient) -> rusqlite::Result<bool> {
        let is_of_room = self.counts.is_some() && recipient.counts == CountsScope::Room;
        let is_zero = self.counts.is_some_and(|counts| counts.unread == 0);
        let wants_details = recipient.fetches_details && details::are_missing(self.push);
        if self.meaning != Some(Meaning::Message) || is_of_room || is_zero || wants_details {
            return Ok(false);
        }
        let (db, memory) = (write.db, &mut *write.memory);
        let open = memory.open_rows.account(db, &recipient.account)?;
        if self.counts.is_some() && open.account().numbers.room_sum > 0 {
            return Ok(false);
        }
        if let Some(key) = self.key
            && Known::find(db, &memory.keys, open.account(), key)?.is_some()
        {
            return Ok(false);
        }
        let (account, room) = open.with_room(db, self.push.room_id.as_deref().unwrap_or_default())?;
        if let Some(counts) = self.counts {
            account.numbers.set(counts, None);
        }
        account.last_push = Some(self.received_at);
        account.unread_notices += 1;
        account.notices += 1;
        memory.newest += 1;
        room.notices += 1;
        room.arrived(memory.newest, recipient.tweaks.highlight, recipient.tweaks.sound.as_stored().is_some());
        let (notice, account, room) = (memory.newest, account.id, room.id);
        self.insert(write, notice, (account, room), recipient, &self.message(recipient))?;
        write.changes.are_news = true;
        Ok(true)
    }

    /// A message, which waits to be shown.
    fn message<'a>(&'a self, recipient: &'a Recipient) -> Draft<'a> {
        Draft {
            kind: Kind::Message,
            presentation: Presentation::Waiting,
            content: content(self.push),
            sound: recipient.tweaks.sound.as_stored(),
            call: None,
        }
    }

    /// Takes over the numbers.
    fn count(
        &self,
        write: &mut Write<'_>,
        account: &mut Account,
        recipient: &Recipient,
        counts: Counts,
    ) -> rusqlite::Result<()> {
        let mut room = match (recipient.counts, self.push.room_id.as_deref()) {
            (CountsScope::Room, Some(room_id)) => Some((Room::named(write.db, account.id, room_id)?, room_id)),
            (CountsScope::Room, None) | (CountsScope::Account, _) => None,
        };
        let had_rooms = account.numbers.room_sum > 0;
        let outcome = account.numbers.set(counts, room.as_mut().map(|(room, _)| &mut room.counted));
        if let Some((room, _)) = &mut room {
            room.save(write.db)?;
        } else if had_rooms {
            rooms::forget_numbers(write.db, account.id)?;
        }
        match (outcome, &mut room) {
            (Outcome::Account { is_zero: true }, _) => marks::read_account(write, account),
            (Outcome::Room { is_zero: true }, Some((room, room_id))) => {
                let key = RoomKey { account: account.name.clone(), room_id: (*room_id).to_owned() };
                marks::zero_room(write, account, room, key)
            }
            (Outcome::Room { .. } | Outcome::Account { is_zero: false }, _) => Ok(()),
        }
    }

    /// Keeps the event as a notice, and does what it means.
    fn keep(
        &self,
        write: &mut Write<'_>,
        account: &mut Account,
        recipient: &Recipient,
        meaning: &Meaning,
    ) -> rusqlite::Result<()> {
        let room_id = self.push.room_id.as_deref().unwrap_or_default();
        let mut room = Room::named(write.db, account.id, room_id)?;
        let draft = self.draft(write, account, recipient, (room.id, meaning))?;
        let is_read = draft.presentation == Presentation::Settled;
        let notice = write.memory.next_notice();
        self.insert(write, notice, (account.id, room.id), recipient, &draft)?;
        if *meaning != Meaning::Message {
            // What the event means may have changed the room.
            room = Room::load(write.db, room.id)?;
        }
        room.notices += 1;
        account.notices += 1;
        if !is_read {
            account.unread_notices += 1;
        }
        match draft.kind {
            Kind::Message => room.arrived(notice, recipient.tweaks.highlight, draft.sound.is_some()),
            Kind::Call | Kind::Silent => {}
        }
        if recipient.fetches_details && details::are_missing(self.push) {
            details::want(write, notice)?;
        }
        if let Some(call) = draft.call {
            call.insert(write.db, notice, account.id, room.id)?;
        }
        room.save(write.db)
    }

    /// Does what the event means for earlier notices, and says what is kept of itself.
    fn draft<'a>(
        &'a self,
        write: &mut Write<'_>,
        account: &mut Account,
        recipient: &'a Recipient,
        (room, meaning): (i64, &'a Meaning),
    ) -> rusqlite::Result<Draft<'a>> {
        let content = content(self.push);
        let message = self.message(recipient);
        let silent = |content: Option<&'a str>| Draft {
            kind: Kind::Silent,
            presentation: Presentation::Settled,
            content: content.filter(|_| write.keep_bodies),
            sound: None,
            call: None,
        };
        Ok(match meaning {
            Meaning::Message => message,
            Meaning::Ringing { call_id, lifetime, sent_at, .. } => {
                let call_id = call_id.as_deref().or(self.push.event_id.as_deref()).unwrap_or_default();
                let times = Times {
                    received_at: self.received_at,
                    lifetime: i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX),
                    sent_at: sent_at.map(Timestamp::as_millisecond),
                };
                let call = Ring::begin(call_id.to_owned(), times, self.is_replayed, recipient.derive_missed_calls);
                let is_over = call.state == CallState::Over;
                Draft {
                    kind: Kind::Call,
                    presentation: if is_over { Presentation::Settled } else { Presentation::Waiting },
                    content: content.filter(|_| write.keep_bodies || !is_over),
                    call: Some(call),
                    ..message
                }
            }
            Meaning::CallOver { call_id, ending } => {
                let silent = silent(content);
                calls::end_by_event(write, account, (room, call_id), (*ending, self.push.sender.as_deref()))?;
                silent
            }
            Meaning::Redaction { event_id } => {
                let silent = silent(content);
                if let Some(event_id) = event_id
                    && let Some(event) = Known::find(write.db, &write.memory.keys, account, event_id)?
                    && event.room == room
                {
                    marks::redact(write, account, &event)?;
                }
                silent
            }
            Meaning::Edit { event_id, new_content } => {
                match Known::find(write.db, &write.memory.keys, account, event_id)? {
                    Some(edited) => {
                        // Its text is that of the edited message now, and goes with it when that is redacted.
                        let silent = silent(None);
                        if edited.room == room && edited.sender.is_some() && edited.sender == self.push.sender {
                            marks::edit(write, &edited, new_content)?;
                        }
                        silent
                    }
                    // The message came before this desktop listened, or is forgotten: the edit stands for it.
                    None => Draft { content: Some(new_content), sound: None, ..message },
                }
            }
        })
    }

    fn insert(
        &self,
        write: &mut Write<'_>,
        notice: i64,
        (account, room): (i64, i64),
        recipient: &Recipient,
        draft: &Draft<'_>,
    ) -> rusqlite::Result<()> {
        let push = self.push;
        write
            .db
            .prepare_cached(
                "INSERT INTO notice (id, account, room, kind, presentation, read, highlight, user_is_target, low_prio,
                    received_at, counts_unread, counts_missed_calls, event_id, push_id, event_type, sender,
                    sender_display_name, room_name, room_alias, membership, sound, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            // In the order of the columns: finding each by name takes longer than inserting the row.
            .execute(params![
                notice,
                account,
                room,
                draft.kind as i64,
                draft.presentation as i64,
                draft.presentation == Presentation::Settled,
                recipient.tweaks.highlight,
                push.user_is_target,
                push.prio == Priority::Low,
                self.received_at,
                self.counts.map(|counts| stored(counts.unread)),
                self.counts.and_then(|counts| counts.missed_calls).map(stored),
                push.event_id,
                push.id.as_deref().filter(|_| push.event_id.is_none()),
                push.event_type,
                push.sender,
                push.sender_display_name,
                push.room_name,
                push.room_alias,
                push.membership,
                draft.sound,
                draft.content,
            ])?;
        if let Some(key) = self.key {
            write.memory.keys.add(key_hash(account, key), notice);
        }
        Ok(())
    }
}
