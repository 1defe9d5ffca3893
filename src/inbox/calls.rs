//! Calls: how long they ring and what becomes of them. The rules first (pure), then their columns of the notices.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{
    Inbox, InboxError, codec,
    read_state::{self, read_query},
    transaction::Write,
};
use crate::{
    notice::{CallState, NoticeId, Presentation},
    push::event::CallEnding,
};

/// Ends the ringing of the matching calls, found by this index: each is missed, or perhaps taken and then without a
/// popup.
macro_rules! ring_out_query {
    ($index:literal, $condition:literal) => {
        concat!(
            "UPDATE notice ",
            $index,
            " SET call_state = CASE call_state WHEN 0 THEN 1 WHEN -1 THEN 3 ELSE call_state END,
                presentation = iif(call_state = -1, iif(presentation IS 1, 1, 2), coalesce(presentation, 2))
            WHERE ",
            $condition
        )
    };
}

/// Tolerance for a caller's clock that is slow, in milliseconds.
const CLOCK_GRACE: i64 = 20_000;

/// When a call stops ringing. It rings for its lifetime from when it was sent (if that is known and not in the future)
/// and at most from when it arrived; one that should just have stopped may come from a clock that is late. All times
/// are in milliseconds.
fn deadline(received_at: i64, lifetime: i64, sent_at: Option<i64>) -> i64 {
    let by_arrival = received_at.saturating_add(lifetime);
    match sent_at {
        Some(sent_at) if sent_at <= received_at => {
            let by_sender = sent_at.saturating_add(lifetime);
            if by_sender > received_at { by_sender } else { by_sender.saturating_add(CLOCK_GRACE).min(by_arrival) }
        }
        Some(_) | None => by_arrival,
    }
}

/// State of a call after nobody took it.
fn unanswered(derive_missed: bool) -> CallState {
    if derive_missed { CallState::Missed } else { CallState::Over }
}

/// State of a ringing or missed call after an event that ends it.
fn after(state: CallState, ending: CallEnding, by_caller: bool, derive_missed: bool) -> CallState {
    match (ending, state) {
        (CallEnding::Hangup, CallState::Silenced) if by_caller && derive_missed => CallState::PerhapsTaken,
        (CallEnding::Hangup, CallState::Ringing) if by_caller => unanswered(derive_missed),
        (CallEnding::Hangup, CallState::Missed) if by_caller => CallState::Missed,
        (CallEnding::Taken | CallEnding::Hangup, _) => CallState::Over,
    }
}

/// A call as it begins.
#[derive(Debug, PartialEq)]
pub(super) struct Ring {
    pub(super) call_id: String,
    /// In milliseconds.
    pub(super) deadline: i64,
    pub(super) state: CallState,
    pub(super) derive_missed: bool,
    /// The count that came with it, where a lower count later may mean that it was taken elsewhere.
    pub(super) raised_to: Option<i64>,
}

/// When a call came and how long it rings, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) received_at: i64,
    pub(super) lifetime: i64,
    pub(super) sent_at: Option<i64>,
}

impl Ring {
    /// A call that has just arrived. One that comes too late, or was held back, does not ring any more.
    pub(super) fn begin(call_id: String, times: Times, is_replayed: bool, derive_missed: bool) -> Self {
        let deadline = deadline(times.received_at, times.lifetime, times.sent_at);
        let is_late = is_replayed || deadline <= times.received_at;
        let state = if is_late { unanswered(derive_missed) } else { CallState::Ringing };
        Self { call_id, deadline, state, derive_missed, raised_to: None }
    }
}

/// Whether it is another ring of a call that rings: the same caller in the same room dials again. Then the call goes on
/// with this `call_id`, until the later deadline.
pub(super) fn redial(
    write: &Write<'_>,
    (account, room, caller): (i64, &str, Option<&str>),
    ring: &Ring,
    received_at: i64,
) -> rusqlite::Result<bool> {
    let rings = write.execute(
        "UPDATE notice INDEXED BY notice_call SET call_state = 0, call_id = :call_id,
        call_deadline = max(call_deadline, :deadline), call_raised_to = coalesce(:raised_to, call_raised_to)
    WHERE call_state < 2 AND call_state <= 0 AND call_deadline > :received_at
        AND account = :account AND room = :room AND sender = :caller",
        named_params! {
            ":call_id": ring.call_id, ":deadline": ring.deadline, ":raised_to": ring.raised_to,
            ":received_at": received_at, ":account": account, ":room": room, ":caller": caller,
        },
    )?;
    Ok(rings > 0)
}

/// Handles a count that has fallen to this, for the account or the room: calls that had raised it may have been taken
/// elsewhere.
pub(super) fn silence(write: &Write<'_>, account: i64, room: Option<&str>, unread: i64) -> rusqlite::Result<()> {
    write.execute(
        "UPDATE notice INDEXED BY notice_call SET call_state = -1
        WHERE call_state < 2 AND call_state = 0 AND call_raised_to > ?3
            AND account = ?1 AND room = coalesce(?2, room)",
        (account, room, unread),
    )?;
    Ok(())
}

/// Applies an event that ends a call.
pub(super) fn end_by_event(
    write: &mut Write<'_>,
    (account, room, call_id): (i64, &str, &str),
    (ending, sender): (CallEnding, Option<&str>),
) -> rusqlite::Result<()> {
    let calls: Vec<_> = write
        .db
        .prepare_cached(
            "SELECT id, call_state, call_derive_missed, sender FROM notice INDEXED BY notice_call
            WHERE call_state < 2 AND account = ?1 AND room = ?2 AND call_id = ?3",
        )?
        .query_map((account, room, call_id), |row| {
            Ok((codec::number(row, 0)?, codec::call_state(row, 1)?, codec::flag(row, 2)?, codec::text(row, 3)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (notice, state, derive_missed, caller) in calls {
        let by_caller = sender.is_some() && caller.as_deref() == sender;
        become_state(write, notice, after(state, ending, by_caller, derive_missed))?;
    }
    Ok(())
}

impl Inbox {
    /// The homeserver says that this call is over; a hangup is its caller's. Signals a change.
    pub(crate) async fn end_call(&self, call: NoticeId, ending: CallEnding) -> Result<(), InboxError> {
        self.write(move |write| end(write, call, ending)).await
    }
}

fn end(write: &mut Write<'_>, call: NoticeId, ending: CallEnding) -> rusqlite::Result<()> {
    let open = write
        .db
        .prepare_cached("SELECT call_state, call_derive_missed FROM notice WHERE id = ?1 AND call_state < 2")?
        .query_row([call.0], |row| Ok((codec::call_state(row, 0)?, codec::flag(row, 1)?)))
        .optional()?;
    let Some((state, derive_missed)) = open else { return Ok(()) };
    become_state(write, call.0, after(state, ending, true, derive_missed))?;
    write.changes.is_visible = true;
    Ok(())
}

fn become_state(write: &mut Write<'_>, notice: i64, state: CallState) -> rusqlite::Result<()> {
    match state {
        CallState::Silenced | CallState::Ringing => {}
        CallState::Missed | CallState::PerhapsTaken => {
            write.execute(ring_out_query!("", "id = ?1"), [notice])?;
        }
        CallState::Over => {
            read_state::read_one(write, notice)?;
        }
    }
    Ok(())
}

/// Whether a call rings whose deadline is at or before `now` (milliseconds).
pub(super) fn is_expiry_due(db: &Connection, now: i64) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT 1 FROM notice INDEXED BY notice_call WHERE call_state < 2 AND call_state <= 0 AND call_deadline <= ?1",
    )?
    .exists([now])
}

/// Ends the ringing of calls whose deadline is at or before `now` (milliseconds).
pub(super) fn expire(write: &mut Write<'_>, now: i64) -> rusqlite::Result<()> {
    let missed = write.execute(
        ring_out_query!(
            "INDEXED BY notice_call",
            "call_state < 2 AND call_state <= 0 AND call_deadline <= ?1 AND call_derive_missed = 1"
        ),
        [now],
    )?;
    write.changes.is_visible |= missed > 0;
    let query = read_query!("INDEXED BY notice_call", "call_state < 2 AND call_state <= 0 AND call_deadline <= :now");
    read_state::mark_read(write, query, named_params! { ":now": now }).map(drop)
}

/// The popup of a call in this state was shown. That of a ringing call says nothing about the popup of the missed call
/// that it may have become meanwhile.
pub(super) fn show(write: &Write<'_>, notice: NoticeId, state: CallState) -> rusqlite::Result<()> {
    write.execute(
        "UPDATE notice SET presentation = ?2 WHERE id = ?1 AND kind = 1 AND presentation = 0",
        (notice.0, Presentation::Shown as i64),
    )?;
    if state == CallState::Missed {
        write.execute("UPDATE notice SET call_missed_shown = 1 WHERE id = ?1 AND call_state = 1", [notice.0])?;
    }
    Ok(())
}

/// Settles the popups of all calls that ring or were missed.
pub(super) fn settle_all(write: &Write<'_>) -> rusqlite::Result<()> {
    write.execute(
        "UPDATE notice INDEXED BY notice_call SET presentation = iif(presentation IS 1, 1, 2),
        call_missed_shown = iif(call_state = 1, 1, call_missed_shown)
    WHERE call_state < 2 AND (presentation = 0 OR (call_state = 1 AND call_missed_shown = 0))",
        [],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_that_of_the_caller_but_for_clocks_that_are_off() {
        let check = |lifetime, sent_at, expected| {
            assert_eq!(deadline(100_000, lifetime, sent_at), expected, "{lifetime} {sent_at:?}");
        };
        check(60_000, None, 160_000);
        check(60_000, Some(100_000), 160_000);
        check(60_000, Some(90_000), 150_000);
        // The clock of the caller is ahead, or behind; or the call is long over.
        check(60_000, Some(100_001), 160_000);
        check(60_000, Some(40_000), 120_000);
        check(5_000, Some(95_000), 105_000);
        check(60_000, Some(20_001), 100_001);
        check(60_000, Some(20_000), 100_000);
        check(i64::MAX, Some(i64::MIN), 19_999);
        check(i64::MAX, Some(100_000), i64::MAX);
    }
}
