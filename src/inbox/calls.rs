//! Calls: how long they ring and what becomes of them. The rules first (pure), then their table.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{accounts::Account, changes::Write, marks};
use crate::{
    notice::{CallState, NoticeId, Presentation},
    push::event::CallEnding,
};

/// How far the clock of a caller may be behind. In milliseconds.
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

/// What becomes of a call that nobody took.
fn unanswered(derive_missed: bool) -> CallState {
    if derive_missed { CallState::Missed } else { CallState::Over }
}

/// What becomes of a ringing or missed call when an event says that it is over.
fn after(state: CallState, ending: CallEnding, by_caller: bool, derive_missed: bool) -> CallState {
    match (ending, state) {
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
        Self { call_id, deadline, state, derive_missed }
    }

    /// Keeps it with its notice.
    pub(super) fn insert(&self, db: &Connection, notice: i64, account: i64, room: i64) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT INTO call (notice, account, room, call_id, deadline, state, derive_missed)
            VALUES (:notice, :account, :room, :call_id, :deadline, :state, :derive_missed)",
        )?
        .execute(named_params! {
            ":notice": notice, ":account": account, ":room": room, ":call_id": self.call_id,
            ":deadline": self.deadline, ":state": self.state as i64, ":derive_missed": self.derive_missed,
        })?;
        Ok(())
    }
}

/// A call that rings or was missed.
struct Active {
    notice: i64,
    account: i64,
    state: CallState,
    derive_missed: bool,
    caller: Option<String>,
}

macro_rules! active_query {
    ($condition:literal) => {
        concat!(
            "SELECT c.notice, c.account, c.state, c.derive_missed, n.sender
            FROM call c INDEXED BY call_active CROSS JOIN notice n ON n.id = c.notice
            WHERE c.state < 2 AND ",
            $condition
        )
    };
}

impl Active {
    fn select(db: &Connection, query: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<Vec<Self>> {
        db.prepare_cached(query)?
            .query_map(parameters, |row| {
                Ok(Self {
                    notice: row.get(0)?,
                    account: row.get(1)?,
                    state: state(row.get(2)?),
                    derive_missed: row.get(3)?,
                    caller: row.get(4)?,
                })
            })?
            .collect()
    }

    fn become_state(&self, write: &mut Write<'_>, account: &mut Account, state: CallState) -> rusqlite::Result<()> {
        match state {
            CallState::Ringing => Ok(()),
            CallState::Missed => {
                write.db.prepare_cached("UPDATE call SET state = 1 WHERE notice = ?1")?.execute([self.notice])?;
                Ok(())
            }
            CallState::Over => end(write, account, self.notice),
        }
    }
}

/// Reads a stored state.
pub(super) fn state(stored: i64) -> CallState {
    match stored {
        0 => CallState::Ringing,
        1 => CallState::Missed,
        _ => CallState::Over,
    }
}

/// An event says that a call is over.
pub(super) fn end_by_event(
    write: &mut Write<'_>,
    account: &mut Account,
    (room, call_id): (i64, &str),
    (ending, sender): (CallEnding, Option<&str>),
) -> rusqlite::Result<()> {
    let query = active_query!("c.account = ?1 AND c.room = ?2 AND c.call_id = ?3");
    for call in Active::select(write.db, query, (account.id, room, call_id))? {
        let by_caller = sender.is_some() && call.caller.as_deref() == sender;
        call.become_state(write, account, after(call.state, ending, by_caller, call.derive_missed))?;
    }
    Ok(())
}

/// Whether a call rings whose deadline is at or before `now` (milliseconds).
pub(super) fn is_ring_out_due(db: &Connection, now: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM call INDEXED BY call_active WHERE state < 2 AND state = 0 AND deadline <= ?1")?
        .exists([now])
}

/// Ends the ringing of calls whose deadline is at or before `now` (milliseconds).
pub(super) fn ring_out(write: &mut Write<'_>, now: i64) -> rusqlite::Result<()> {
    for call in Active::select(write.db, active_query!("c.state = 0 AND c.deadline <= ?1"), [now])? {
        let mut account = Account::load(write.db, call.account)?;
        call.become_state(write, &mut account, unanswered(call.derive_missed))?;
        account.save(write.db)?;
    }
    Ok(())
}

/// Ends the calls of an account, or of one of its rooms: they were acknowledged elsewhere.
pub(super) fn end_all(write: &mut Write<'_>, account: &mut Account, room: Option<i64>) -> rusqlite::Result<()> {
    let calls = match room {
        Some(room) => Active::select(write.db, active_query!("c.account = ?1 AND c.room = ?2"), (account.id, room))?,
        None => Active::select(write.db, active_query!("c.account = ?1"), [account.id])?,
    };
    calls.iter().try_for_each(|call| end(write, account, call.notice))
}

/// A call neither rings nor is missed any more, and its notice is read.
pub(super) fn end(write: &mut Write<'_>, account: &mut Account, notice: i64) -> rusqlite::Result<()> {
    let ended =
        write.db.prepare_cached("UPDATE call SET state = 2 WHERE notice = ?1 AND state < 2")?.execute([notice])?;
    if ended > 0 {
        account.was_read(1);
        marks::read_one(write, notice)?;
        write.changes.zero_call(&account.name, NoticeId(notice));
    }
    Ok(())
}

/// Ends the call that the person opened or dismissed here.
pub(super) fn end_here(write: &mut Write<'_>, notice: NoticeId) -> rusqlite::Result<()> {
    let account: Option<i64> = write
        .db
        .prepare_cached("SELECT account FROM call WHERE notice = ?1")?
        .query_row([notice.0], |row| row.get(0))
        .optional()?;
    if let Some(account) = account {
        let mut account = Account::load(write.db, account)?;
        end(write, &mut account, notice.0)?;
        account.save(write.db)?;
    }
    Ok(())
}

/// The popup of a call in this state was shown, or never will be. That of a ringing call says nothing about the popup
/// of the missed call that it may have become meanwhile.
pub(super) fn present(write: &Write<'_>, notice: NoticeId, to: Presentation, of: CallState) -> rusqlite::Result<()> {
    let db = write.db;
    db.prepare_cached("UPDATE notice SET presentation = ?2 WHERE id = ?1 AND kind = 1 AND presentation = 0")?
        .execute((notice.0, to as i64))?;
    if of == CallState::Missed {
        db.prepare_cached("UPDATE call SET missed_shown = 1 WHERE notice = ?1 AND state = 1")?.execute([notice.0])?;
    }
    Ok(())
}

/// Calls with a popup that was not shown yet.
fn unpresented(db: &Connection) -> rusqlite::Result<Vec<Active>> {
    Active::select(db, active_query!("(n.presentation = 0 OR (c.state = 1 AND c.missed_shown = 0))"), [])
}

/// Whether every popup of a call was shown or settled.
pub(super) fn none_to_present(db: &Connection) -> rusqlite::Result<bool> {
    unpresented(db).map(|calls| calls.is_empty())
}

/// Settles the popups of all calls that ring or were missed.
pub(super) fn settle_all(write: &Write<'_>) -> rusqlite::Result<()> {
    let calls = unpresented(write.db)?;
    calls.iter().try_for_each(|call| present(write, NoticeId(call.notice), Presentation::Settled, CallState::Missed))
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
