//! Settings: removes texts older than the history is kept, and later their rows. In small steps between requests, at
//! most once a day, and only when a request comes: there is no timer. Unread notices are never removed.

use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension};

use super::{
    Settings, codec,
    transaction::{Write, set_setting, setting},
};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Minimum age of rows that are deleted: until then retries are recognised by them.
const KEEP_ROWS_DAYS: u32 = 40;

/// Notices looked at in one step, which is one commit: a request waits no longer than that takes.
const STEP: i64 = 500;

/// Free pages that the file keeps, since the next notices go there. A page has 4 KiB.
const SPARE_PAGES: i64 = 256;

/// Pages given back to the system in one step.
const SHRINK_STEP: i64 = 128;

/// The largest clock jump that is trusted at once.
const JUMP: i64 = 2 * DAY;

/// Running time after which a larger jump is trusted.
const DOUBT: Duration = Duration::from_secs(24 * 60 * 60);

/// Interval for saving the clock.
const SAVE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The setting that keeps the clock from one run to the next.
const CLOCK: &str = "clock";

/// A clock for deciding what is old. It goes with running time, and follows the wall clock if that jumps by at most two
/// days, or has kept its new time for 24 hours of running time. All times of day are in milliseconds.
#[derive(Debug, Default)]
struct Clock {
    /// What time it is; `None`: nothing is known yet.
    trusted: Option<i64>,
    /// The wall clock when it was last seen.
    wall: i64,
    /// How long the wall clock has kept a time that is not trusted.
    agreed: Duration,
    /// When it was last seen in this run.
    seen: Option<Instant>,
    saved: Option<Instant>,
}

impl Clock {
    /// Restores the clock of an earlier run, unless this run has a time already.
    fn load(&mut self, saved: &str) {
        if let (None, Ok((trusted, wall, agreed))) = (self.trusted, serde_json::from_str::<(i64, i64, u64)>(saved)) {
            (self.trusted, self.wall, self.agreed) = (Some(trusted), wall, Duration::from_millis(agreed));
        }
    }

    /// Updates the clock from the wall clock, `now` in this run's time; returns the trusted time.
    fn see(&mut self, wall: i64, now: Instant) -> i64 {
        let passed = self.seen.map_or(Duration::ZERO, |seen| now.saturating_duration_since(seen));
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let is_near = |time: i64| wall.abs_diff(time.saturating_add(passed_ms)) <= JUMP.unsigned_abs();
        let mut trusted = self.trusted.map_or(wall, |trusted| trusted.saturating_add(passed_ms));
        self.agreed = if is_near(self.wall) { self.agreed + passed } else { Duration::ZERO };
        if self.trusted.is_none_or(is_near) || self.agreed >= DOUBT {
            (trusted, self.agreed) = (wall, Duration::ZERO);
        }
        (self.trusted, self.wall, self.seen) = (Some(trusted), wall, Some(now));
        trusted
    }

    /// Saves it once per interval.
    fn save(&mut self, db: &Connection, now: Instant) -> rusqlite::Result<()> {
        let is_due = self.saved.is_none_or(|saved| now.saturating_duration_since(saved) >= SAVE_INTERVAL);
        if let Some(trusted) = self.trusted.filter(|_| is_due) {
            let clock = format!("[{trusted},{},{}]", self.wall, self.agreed.as_millis());
            set_setting(db, CLOCK, Some(&clock))?;
            self.saved = Some(now);
        }
        Ok(())
    }
}

/// When to prune, and how far it has come. All times are in milliseconds.
#[derive(Debug)]
pub(super) struct Pruning {
    settings: Settings,
    clock: Clock,
    /// The next pass begins then; `None`: with the next request that says what time it is.
    due: Option<i64>,
    pass: Option<Pass>,
}

/// One pass over the notices, oldest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    now: i64,
    /// Notices up to this one were looked at.
    after: i64,
    /// All were looked at; the file gives back what it no longer needs.
    is_shrinking: bool,
}

impl Pruning {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, clock: Clock::default(), due: None, pass: None }
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Changes the settings and prunes at once.
    pub(super) fn configure(&mut self, settings: Settings) {
        (self.settings, self.due, self.pass) = (settings, None, None);
    }

    /// Restores the clock of an earlier run.
    pub(super) fn load_clock(&mut self, db: &Connection) -> rusqlite::Result<()> {
        if let Some(saved) = setting(db, CLOCK)? {
            self.clock.load(&saved);
        }
        Ok(())
    }

    /// Saves the clock for later runs; called with each commit.
    pub(super) fn save_clock(&mut self, db: &Connection) -> rusqlite::Result<()> {
        self.clock.save(db, Instant::now())
    }

    /// Begins a pass if one is due.
    pub(super) fn observe_time(&mut self, wall: i64) {
        let now = self.clock.see(wall, Instant::now());
        // A pass that is due in more than a day was planned while the clock was wrong.
        if self.due.is_some_and(|due| (due.saturating_sub(DAY)..due).contains(&now)) {
            return;
        }
        self.due = Some(now.saturating_add(DAY));
        self.pass = Some(Pass { now, after: i64::MIN, is_shrinking: false });
    }

    /// The pass under way, if any.
    pub(super) fn pass(&self) -> Option<Pass> {
        self.pass
    }

    /// Ends a step. After a failure the rest waits for the next pass.
    pub(super) fn set_pass(&mut self, next: Option<Pass>) {
        self.pass = next;
    }
}

impl Pass {
    /// Continues the pass; `None` when it is complete.
    pub(super) fn step(self, write: &Write<'_>) -> rusqlite::Result<Option<Self>> {
        let db = write.db;
        if self.is_shrinking {
            return shrink(db).map(|is_smaller| is_smaller.then_some(self));
        }
        let last = db
            .prepare_cached(
                "SELECT id, received_at FROM notice WHERE id IN
                    (SELECT id FROM notice WHERE id > ?1 ORDER BY id LIMIT ?2)
                ORDER BY id DESC LIMIT 1",
            )?
            .query_row((self.after, STEP), |row| Ok((codec::number(row, 0)?, codec::number(row, 1)?)))
            .optional()?;
        let Some((last, last_received_at)) = last else { return Ok(Some(Self { is_shrinking: true, ..self })) };
        let Settings { keep_days, keep_bodies, .. } = write.settings;
        let before = |days: u32| self.now.saturating_sub(DAY.saturating_mul(i64::from(days)));
        let history_begins = before(keep_days);
        // The newest stays: the next notice is numbered after it.
        db.prepare_cached(
            "DELETE FROM notice WHERE id > ?1 AND id <= ?2 AND read = 1 AND received_at < ?3
                AND id < (SELECT max(id) FROM notice)",
        )?
        .execute((self.after, last, before(keep_days.max(KEEP_ROWS_DAYS))))?;
        // The rest of each row stays: its retry is recognised by it.
        db.prepare_cached(
            "UPDATE notice SET kind = 2, room = '', lacks_details = 0, decryption = 0, call_id = NULL, call_state = NULL,
                event_type = NULL, sender = NULL, sender_display_name = NULL, room_name = NULL, room_alias = NULL,
                membership = NULL, sound = NULL, content = NULL
            WHERE id > ?1 AND id <= ?2 AND read = 1 AND received_at < ?3 AND (kind <> 2 OR room <> '')",
        )?
        .execute((self.after, last, history_begins))?;
        if !keep_bodies {
            db.prepare_cached(
                "UPDATE notice SET content = NULL, decryption = 0 WHERE id > ?1 AND id <= ?2 AND read = 1 AND content IS NOT NULL",
            )?
            .execute((self.after, last))?;
        }
        // Notices are nearly in order of time. One from the future was received while the clock was wrong.
        let is_young = (history_begins..=self.now).contains(&last_received_at);
        Ok(Some(Self { after: last, is_shrinking: keep_bodies && is_young, ..self }))
    }
}

/// Returns free pages to the system if there are too many. Returns whether there were.
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(60 * 60);

    /// The trusted day when the wall clock shows this day after so many hours of running time.
    fn see(clock: &mut Clock, start: Instant, hours: u32, days: i64) -> i64 {
        clock.see(days * DAY, start + HOUR * hours).div_euclid(DAY)
    }

    #[test]
    fn a_jump_of_over_two_days_is_trusted_after_24_hours() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        assert_eq!(see(&mut clock, start, 0, 1_000), 1_000);
        assert_eq!(see(&mut clock, start, 1, 1_002), 1_002);
        assert_eq!(see(&mut clock, start, 2, 5_000), 1_002);
        assert_eq!(see(&mut clock, start, 20, 5_000), 1_002);
        assert_eq!(see(&mut clock, start, 25, 5_001), 1_003);
        assert_eq!(see(&mut clock, start, 26, 5_001), 5_001);
    }

    #[test]
    fn a_second_jump_starts_the_24_hours_again() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        see(&mut clock, start, 0, 1_000);
        see(&mut clock, start, 0, 5_000);
        see(&mut clock, start, 23, 9_000);
        assert_eq!(see(&mut clock, start, 25, 9_000), 1_001);
        assert_eq!(see(&mut clock, start, 26, 0), 1_001);
        assert_eq!(see(&mut clock, start, 26, 1_001), 1_001);
    }

    #[test]
    fn the_24_hours_continue_after_a_restart() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        see(&mut clock, start, 0, 1_000);
        see(&mut clock, start, 0, 5_000);
        see(&mut clock, start, 20, 5_000);
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch("CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT)").unwrap();
        clock.save(&db, start).unwrap();
        let saved = setting(&db, CLOCK).unwrap().unwrap();
        let mut next = Clock::default();
        next.load(&saved);
        assert_eq!(see(&mut next, start, 0, 5_001), 1_000);
        assert_eq!(see(&mut next, start, 4, 5_001), 5_001);
        let mut odd = Clock::default();
        odd.load("what is this");
        assert_eq!(see(&mut odd, start, 0, 7), 7);
    }
}
