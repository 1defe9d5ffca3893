//! Forgetting: notices older than they are kept, and texts where none are kept. In small steps between requests, at
//! most once a day, and only when a request comes: there is no timer.

use rusqlite::{Connection, named_params};

use super::{Retention, accounts::Account, changes::Write, keys::key_hash, rooms::Room, rows::Kind, schema};
use crate::notice::Presentation;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Notices looked at in one step, which is one commit: a request waits no longer than that takes.
const STEP: i64 = 500;

/// Free pages that the file keeps, since the next notices go there. A page has 4 KiB.
const SPARE_PAGES: i64 = 256;

/// Pages given back to the system in one step.
const SHRINK_STEP: i64 = 128;

/// Present once the texts of all read notices are gone.
const TEXTS_ARE_GONE: &str = "texts_are_gone";

/// When to prune, and how far it has come. All times are in milliseconds.
#[derive(Debug)]
pub(super) struct Pruning {
    retention: Retention,
    /// The next pass begins then; `None`: with the next request that says what time it is.
    due: Option<i64>,
    pass: Option<Pass>,
}

/// One pass over the notices, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    now: i64,
    /// Notices that arrived before are forgotten.
    cutoff: i64,
    /// Notices up to this one were looked at.
    after: i64,
    keep_bodies: bool,
    /// All were looked at; the file gives back what it no longer needs.
    is_shrinking: bool,
}

impl Pruning {
    pub(super) fn new(retention: Retention) -> Self {
        Self { retention, due: None, pass: None }
    }

    pub(super) fn retention(&self) -> Retention {
        self.retention
    }

    /// Notices are kept otherwise from now on: prunes at once.
    pub(super) fn set_retention(&mut self, retention: Retention) {
        *self = Self::new(retention);
    }

    /// Begins a pass if one is due.
    pub(super) fn time_is(&mut self, now: i64) {
        // A pass that is due in more than a day was planned while the clock was wrong.
        if self.due.is_some_and(|due| (due.saturating_sub(DAY)..due).contains(&now)) {
            return;
        }
        self.due = Some(now.saturating_add(DAY));
        let Retention { keep_days, keep_bodies } = self.retention;
        let cutoff = now.saturating_sub(DAY.saturating_mul(i64::from(keep_days)));
        self.pass = Some(Pass { now, cutoff, after: 0, keep_bodies, is_shrinking: false });
    }

    /// What to go on with, if a pass is under way.
    pub(super) fn pass(&self) -> Option<Pass> {
        self.pass
    }

    /// A step was done, or could not be: then the rest waits for the next pass.
    pub(super) fn went(&mut self, next: Option<Pass>) {
        self.pass = next;
    }
}

/// What pruning needs to know of a notice.
struct Aged {
    id: i64,
    account: i64,
    room: i64,
    received_at: i64,
    /// What a retry of it is recognised by.
    key: Option<String>,
    /// It is among the unread notices of its account.
    is_unread: bool,
    /// It is among the unread messages of its room.
    is_in_popup: bool,
    fate: Fate,
}

/// What becomes of a notice.
enum Fate {
    Stays,
    LosesText,
    IsForgotten,
}

impl Pass {
    /// Goes on with the pass; `None`: it is complete.
    pub(super) fn step(self, write: &mut Write<'_>) -> rusqlite::Result<Option<Self>> {
        if self.is_shrinking {
            return shrink(write.db).map(|is_smaller| is_smaller.then_some(self));
        }
        if self.keep_bodies {
            set_texts_are_gone(write.db, false)?;
        }
        let drops_texts = !self.keep_bodies && !texts_are_gone(write.db)?;
        let aged = self.next_aged(write.db)?;
        for notice in &aged {
            match notice.fate {
                Fate::IsForgotten => forget(write, notice)?,
                Fate::LosesText if drops_texts => {
                    write.db.prepare_cached("UPDATE notice SET content = NULL WHERE id = ?1")?.execute([notice.id])?;
                }
                Fate::LosesText | Fate::Stays => {}
            }
        }
        if aged.iter().any(|notice| matches!(notice.fate, Fate::IsForgotten)) {
            schema::remember_newest(write.db, write.memory.newest)?;
        }
        let rest = aged.last().filter(|last| {
            // Notices are nearly in order of time. One from the future was received while the clock was wrong.
            drops_texts || !(self.cutoff..=self.now).contains(&last.received_at)
        });
        if drops_texts && rest.is_none() {
            set_texts_are_gone(write.db, true)?;
        }
        Ok(Some(rest.map_or(Self { is_shrinking: true, ..self }, |last| Self { after: last.id, ..self })))
    }

    fn next_aged(self, db: &Connection) -> rusqlite::Result<Vec<Aged>> {
        db.prepare_cached(
            "SELECT n.id, n.account, n.room, n.kind, n.presentation, n.read, n.received_at, n.content IS NOT NULL,
                c.state IS 0 OR (c.state IS 1 AND c.missed_shown = 0), coalesce(n.event_id, n.push_id)
            FROM notice n LEFT JOIN call c ON c.notice = n.id WHERE n.id > :after ORDER BY n.id LIMIT :step",
        )?
        .query_map(named_params! { ":after": self.after, ":step": STEP }, |row| {
            let is_message = row.get::<_, i64>(3)? == Kind::Message as i64;
            let presentation: i64 = row.get(4)?;
            let is_unread = !row.get::<_, bool>(5)?;
            let received_at = row.get(6)?;
            let has_text: bool = row.get(7)?;
            // It rings, or was missed and nobody was told so yet: its notice may say that the ringing was shown.
            let is_call_due: bool = row.get(8)?;
            let is_due = presentation == Presentation::Waiting as i64 || is_call_due;
            Ok(Aged {
                id: row.get(0)?,
                account: row.get(1)?,
                room: row.get(2)?,
                received_at,
                key: row.get(9)?,
                is_unread,
                is_in_popup: is_message && is_unread && presentation == Presentation::Shown as i64,
                fate: if received_at < self.cutoff && !is_due {
                    Fate::IsForgotten
                } else if has_text && !is_unread {
                    Fate::LosesText
                } else {
                    Fate::Stays
                },
            })
        })?
        .collect()
    }
}

/// Deletes a notice, and what was counted by it.
fn forget(write: &mut Write<'_>, notice: &Aged) -> rusqlite::Result<()> {
    let db = write.db;
    let mut account = Account::load(db, notice.account)?;
    account.notices = account.notices.saturating_sub(1);
    if notice.is_unread {
        account.was_read(1);
        write.changes.are_news = true;
    }
    account.save(db)?;
    let mut room = Room::load(db, notice.room)?;
    room.notices = room.notices.saturating_sub(1);
    room.unread = room.unread.saturating_sub(u64::from(notice.is_in_popup));
    room.save(db)?;
    db.prepare_cached("DELETE FROM call WHERE notice = ?1")?.execute([notice.id])?;
    db.prepare_cached("DELETE FROM wanted_details WHERE notice = ?1")?.execute([notice.id])?;
    db.prepare_cached("DELETE FROM notice WHERE id = ?1")?.execute([notice.id])?;
    if let Some(key) = &notice.key {
        write.memory.keys.remove(db, key_hash(notice.account, key), notice.id)?;
    }
    db.prepare_cached("DELETE FROM room WHERE id = ?1 AND notices = 0 AND counted = 0")?.execute([notice.room])?;
    Ok(())
}

/// Gives some free pages back to the system, if there are too many. Whether there were.
fn shrink(db: &Connection) -> rusqlite::Result<bool> {
    let free = |db: &Connection| db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0));
    let before = free(db)?;
    if before <= SPARE_PAGES {
        return Ok(false);
    }
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({SHRINK_STEP})"))?;
    // It gives back a page for each row that is asked for.
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(free(db)? < before)
}

fn texts_are_gone(db: &Connection) -> rusqlite::Result<bool> {
    super::settings::get(db, TEXTS_ARE_GONE).map(|setting| setting.is_some())
}

fn set_texts_are_gone(db: &Connection, are_gone: bool) -> rusqlite::Result<()> {
    if texts_are_gone(db)? != are_gone {
        super::settings::set(db, TEXTS_ARE_GONE, are_gone.then_some("yes"))?;
    }
    Ok(())
}
