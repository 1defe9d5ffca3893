//! The inbox's thread: takes requests, lets those that wait share a commit, answers after it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Delivery, InboxError, News, Read, Retention, Shown,
    accounts::Account,
    calls,
    changes::{Changes, Memory, Write},
    damage, marks, news,
    prune::Pruning,
    record::record,
    rooms::Room,
    schema, settings,
};
use crate::notice::{NoticeId, Presentation};

/// Requests taken in one go, and so the most pushes that share a commit.
const MAX_BATCH: usize = 1024;

/// A database that is damaged again so soon stays where it is for a while: the disk would fill up with damaged ones.
const DAMAGE_INTERVAL: Duration = Duration::from_secs(60);

/// A setting that is written, and removed, to find out whether writing works again.
const PROBE: &str = "probe";

/// A push to record, and who waits for it to be on disk.
type Push = (Delivery, oneshot::Sender<Result<(), InboxError>>);

/// Anything else to do. It answers by itself.
type Work = Box<dyn FnOnce(&mut Worker) + Send>;

/// What is asked of the thread.
pub(super) enum Request {
    /// Record a push; with others in one commit.
    Record(Push),
    /// Do something else.
    Run(Work),
    /// End, after what was asked before. It is answered when the database is closed.
    Close(oneshot::Sender<()>),
}

/// Requests that are served together.
#[derive(Default)]
struct Batch {
    pushes: Vec<Push>,
    others: Vec<Work>,
    closing: Option<oneshot::Sender<()>>,
}

impl Batch {
    fn add(&mut self, request: Request) {
        match request {
            Request::Record(push) => self.pushes.push(push),
            Request::Run(work) => self.others.push(work),
            Request::Close(closed) => self.closing = Some(closed),
        }
    }

    /// Nothing that comes after the end is served.
    fn has_room(&self) -> bool {
        self.closing.is_none() && self.pushes.len() + self.others.len() < MAX_BATCH
    }
}

/// The thread's state. After an error the connection is closed, and the next request opens another.
pub(super) struct Worker {
    path: PathBuf,
    database: Option<Database>,
    pruning: Pruning,
    news: NewsSignal,
    /// Raised when there may be notices of which only the ids are known.
    wanting: Arc<Notify>,
    /// Since the last news.
    changes: Changes,
    /// Of commits that failed, and may be on disk nevertheless: a retry of their pushes then finds nothing to do.
    in_doubt: Changes,
    /// The last write failed.
    is_failing: bool,
    /// All that the log holds is known to be synced. Not so after a start: the last run may have been killed before.
    is_settled: bool,
    /// Rows of messages that were read may not say so yet: then only pushes are served, which know.
    is_reading: bool,
    /// No notice has a higher number. Those of a new database begin after it: a popup of an old one is never taken for
    /// that of a new one.
    newest: i64,
    /// Since the last news: a damaged database was kept under this name.
    set_aside: Option<PathBuf>,
    /// When that was last done.
    damaged_at: Option<Instant>,
}

/// Tells that there is something to present anew: once, until the news are asked for.
struct NewsSignal {
    notify: Arc<Notify>,
    is_raised: bool,
}

impl NewsSignal {
    fn raise(&mut self) {
        if !std::mem::replace(&mut self.is_raised, true) {
            self.notify.notify_one();
        }
    }
}

/// The open database, and what is known of it.
struct Database {
    connection: Connection,
    memory: Memory,
}

/// Why a transaction failed.
enum Failure {
    /// The database cannot be opened, locked or committed to: the next transaction will fare no better.
    Database(InboxError),
    /// Something within it failed.
    Work(InboxError),
}

impl From<Failure> for InboxError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Database(error) | Failure::Work(error) => error,
        }
    }
}

impl Worker {
    /// Opens the database, if it can be opened now.
    ///
    /// # Errors
    /// When it is too new.
    pub(super) fn open(path: &Path, retention: Retention, news: Arc<Notify>) -> Result<Self, InboxError> {
        let mut worker = Self {
            database: None,
            path: path.to_owned(),
            pruning: Pruning::new(retention),
            news: NewsSignal { notify: news, is_raised: false },
            wanting: Arc::new(Notify::new()),
            changes: Changes::default(),
            in_doubt: Changes::default(),
            is_failing: false,
            is_settled: false,
            is_reading: true,
            newest: 0,
            set_aside: None,
            damaged_at: None,
        };
        if let Err(error) = worker.read(|_| Ok(())) {
            match error {
                InboxError::TooNew { .. } => return Err(error),
                // It has been put aside: what follows begins the new one.
                InboxError::Damaged { .. } => {}
                InboxError::Unusable { .. } | InboxError::Closed => {
                    // Whoever asks for news is told why.
                    worker.is_failing = true;
                }
            }
        }
        Ok(worker)
    }

    /// What is raised when there may be notices of which only the ids are known.
    pub(super) fn wanting(&self) -> Arc<Notify> {
        Arc::clone(&self.wanting)
    }

    /// Serves requests until it is to end, or nobody can ask any more.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut closing = None;
        while closing.is_none()
            && let Some(first) = self.next_request(&mut requests)
        {
            closing = self.serve(first, &mut requests);
        }
        drop(self);
        if let Some(closed) = closing {
            // Who no longer waits does not need to know.
            closed.send(()).ok();
        }
    }

    /// Serves this request and those that wait; who wants the thread to end, if somebody does.
    fn serve(&mut self, first: Request, requests: &mut mpsc::Receiver<Request>) -> Option<oneshot::Sender<()>> {
        let mut batch = Batch::default();
        batch.add(first);
        loop {
            while batch.has_room()
                && let Ok(request) = requests.try_recv()
            {
                batch.add(request);
            }
            // Whoever needs an order waits for the answer, so the pushes can go first.
            self.record(std::mem::take(&mut batch.pushes));
            // And they need not wait until rows that were read say so, as others have to.
            if batch.closing.is_some() || !self.go_on_reading() {
                break;
            }
        }
        for work in batch.others {
            work(self);
        }
        batch.closing
    }

    /// Has more rows of accounts that were read say so. Whether some may be left.
    fn go_on_reading(&mut self) -> bool {
        if !self.is_reading {
            return false;
        }
        let Ok(in_reading) = self.read(marks::being_read) else { return false };
        self.is_reading = in_reading.is_some();
        // After a failure the next request goes on with it.
        in_reading.is_some_and(|in_reading| self.write(|write| in_reading.go_on(write)).is_ok())
    }

    /// Waits for a request. What can be done meanwhile is.
    fn next_request(&mut self, requests: &mut mpsc::Receiver<Request>) -> Option<Request> {
        loop {
            match requests.try_recv() {
                Ok(request) => return Some(request),
                Err(mpsc::error::TryRecvError::Disconnected) => return None,
                Err(mpsc::error::TryRecvError::Empty) => {}
            }
            if !self.prune() && !self.survey_keys() {
                return requests.blocking_recv();
            }
        }
    }

    /// Forgets some old notices, if some are left to forget. Whether there were.
    fn prune(&mut self) -> bool {
        let Some(pass) = self.pruning.pass().filter(|_| !self.is_reading) else { return false };
        let next = self.write(|write| pass.step(write)).unwrap_or_else(|error| {
            tracing::warn!("old notices stay for another day: {error}");
            None
        });
        self.pruning.went(next);
        true
    }

    /// Learns more of the keys that are kept, if more is worth knowing. Whether it was.
    fn survey_keys(&mut self) -> bool {
        // After a failure there is no database, and nothing to learn until somebody needs it.
        self.database.is_some()
            && self
                .with_database(|Database { connection, memory }| memory.keys.survey(connection))
                .inspect_err(|error| tracing::warn!("the inbox could not be read: {error}"))
                .unwrap_or(false)
    }

    /// Records pushes in one commit; if one of them fails, each in its own, so that it alone fails.
    fn record(&mut self, pushes: Vec<Push>) {
        let Some(latest) = pushes.iter().map(|(delivery, _)| delivery.received_at).max() else { return };
        self.pruning.time_is(latest.as_millisecond());
        match self.transact(|write| pushes.iter().try_for_each(|(delivery, _)| record(write, delivery))) {
            Err(Failure::Work(_)) if pushes.len() > 1 => self.record_each(pushes),
            outcome => {
                let outcome = outcome.map_err(InboxError::from);
                for (_, answer) in pushes {
                    // Who no longer waits for the answer will ask again.
                    answer.send(outcome.clone()).ok();
                }
            }
        }
    }

    fn record_each(&mut self, pushes: Vec<Push>) {
        let mut out_of_order = None;
        for (delivery, answer) in pushes {
            let outcome = match &out_of_order {
                Some(error) => Err(InboxError::clone(error)),
                None => self.transact(|write| record(write, &delivery)).map_err(|failure| {
                    if let Failure::Database(error) = &failure {
                        out_of_order = Some(error.clone());
                    }
                    failure.into()
                }),
            };
            answer.send(outcome).ok();
        }
    }

    /// What has changed, after calls have rung out.
    pub(super) fn news(&mut self, now: Timestamp) -> Result<News, InboxError> {
        let milliseconds = now.as_millisecond();
        self.news.is_raised = false;
        self.pruning.time_is(milliseconds);
        if self.read(|db| calls::is_ring_out_due(db, milliseconds))? {
            self.write(|write| calls::ring_out(write, milliseconds))?;
        }
        let mut news = self.read(news::news)?;
        news.caught_up = self.changes.caught_up.take();
        (news.zeroed, news.changed_rooms) = self.changes.take();
        news.set_aside = self.set_aside.take();
        Ok(news)
    }

    pub(super) fn news_were_read(&mut self) {
        self.news.is_raised = false;
        // Nobody wants to know any more.
        drop(self.changes.take());
    }

    pub(super) fn expire_calls(&mut self, now: Timestamp) -> Result<(), InboxError> {
        let milliseconds = now.as_millisecond();
        self.pruning.time_is(milliseconds);
        if self.read(|db| calls::is_ring_out_due(db, milliseconds))? {
            self.write(|write| calls::ring_out(write, milliseconds))?;
        }
        Ok(())
    }

    pub(super) fn take_set_aside(&mut self) -> Option<PathBuf> {
        self.set_aside.take()
    }

    /// Notices were shown: one step of that, and what is left of it.
    pub(super) fn mark_shown(&mut self, mut shown: Vec<Shown>) -> Result<Vec<Shown>, InboxError> {
        let left = self.write(|write| {
            let mut step = marks::Step::begin();
            for (position, shown) in shown.iter().enumerate() {
                match shown {
                    Shown::Room(key, up_to) => {
                        if let Some(mut room) = Room::by_key(write.db, key)? {
                            marks::present_room(write, &mut room, *up_to, Presentation::Shown, &mut step)?;
                        }
                    }
                    Shown::Everything(up_to) => {
                        marks::present_everything(write, *up_to, Presentation::Shown, &mut step)?;
                    }
                    Shown::Call(id, state) => calls::present(write, *id, Presentation::Shown, *state)?,
                }
                if step.is_over() {
                    return Ok(position);
                }
            }
            Ok(shown.len())
        })?;
        Ok(shown.split_off(left))
    }

    /// Nothing that waits, up to this one, will be shown: one step of that. Whether it was the last.
    pub(super) fn settle_waiting(&mut self, up_to: NoticeId) -> Result<bool, InboxError> {
        if self.read(news::totals)?.unshown == 0 && self.read(calls::none_to_present)? {
            return Ok(true);
        }
        self.write(|write| {
            let mut step = marks::Step::begin();
            marks::present_everything(write, up_to, Presentation::Settled, &mut step)?;
            calls::settle_all(write)?;
            Ok(!step.is_over())
        })
    }

    /// The person has read something here: one step of that. Whether it was the last.
    pub(super) fn mark_read(&mut self, read: &Read) -> Result<bool, InboxError> {
        self.write(|write| {
            let mut step = marks::Step::begin();
            write.changes.are_news = true;
            match read {
                Read::Room(key, up_to) => {
                    if let Some(mut room) = Room::by_key(write.db, key)? {
                        let mut account = Account::load(write.db, room.account)?;
                        marks::read_room(write, &mut account, &mut room, *up_to, &mut step)?;
                        account.save(write.db)?;
                    }
                }
                Read::Call(id) => calls::end_here(write, *id)?,
                Read::Everything => Account::all(write.db)?.into_iter().try_for_each(|mut account| {
                    account.clear(write)?;
                    account.save(write.db)
                })?,
            }
            Ok(!step.is_over())
        })
    }

    /// Forgets the numbers of accounts that are not known any more.
    pub(super) fn retain_accounts(&mut self, known: &[String]) -> Result<(), InboxError> {
        let mut gone = self.read(Account::all)?;
        gone.retain(|account| !known.contains(&account.name));
        if gone.is_empty() {
            return Ok(());
        }
        self.write(|write| {
            gone.iter_mut().try_for_each(|account| {
                account.clear(write)?;
                account.forget();
                account.save(write.db)
            })
        })
    }

    /// Keeps notices otherwise from now on.
    pub(super) fn set_retention(&mut self, retention: Retention, now: Timestamp) {
        self.pruning.set_retention(retention);
        self.pruning.time_is(now.as_millisecond());
    }

    /// Whether old notices are being forgotten.
    #[cfg(test)]
    pub(super) fn is_pruning(&self) -> bool {
        self.pruning.pass().is_some()
    }

    /// Whether a push could be recorded now. After a failure only a real write can tell.
    pub(super) fn check(&mut self) -> Result<(), InboxError> {
        if self.is_failing {
            return self.write(|write| {
                settings::set(write.db, PROBE, Some(""))?;
                settings::set(write.db, PROBE, None)
            });
        }
        self.with_database(|Database { connection, .. }| {
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()
        })
    }

    /// Reads.
    pub(super) fn read<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, InboxError> {
        self.with_database(|database| work(&database.connection))
    }

    /// Writes, in a commit of its own.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        self.transact(|write| {
            write.memory.open_rows.close(write.db)?;
            work(write)
        })
        .map_err(InboxError::from)
    }

    fn transact<T>(&mut self, work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>) -> Result<T, Failure> {
        let keep_bodies = self.pruning.retention().keep_bodies;
        let (mut is_work, mut is_settled, mut newest) = (false, self.is_settled, self.newest);
        let mut changes = Changes::default();
        let outcome = self.with_database(|Database { connection, memory }| {
            let connection = &*connection;
            if !is_settled {
                schema::settle(connection)?;
                is_settled = true;
            }
            // Prepared once, unlike rusqlite's own transactions. An error closes the connection, and so rolls back.
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let rows_before = connection.total_changes();
            let mut write = Write { db: connection, keep_bodies, changes: Changes::default(), memory };
            is_work = true;
            let value = work(&mut write);
            // Also if it failed: what fails in the end may be on disk nevertheless.
            newest = newest.max(write.memory.newest);
            let value = value?;
            write.memory.open_rows.save(connection)?;
            write.memory.keys.settle(connection)?;
            changes = write.changes;
            is_work = false;
            let has_written = connection.total_changes() > rows_before;
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok((value, has_written))
        });
        self.is_settled = is_settled && outcome.is_ok();
        self.newest = self.newest.max(newest);
        match outcome {
            Ok((value, has_written)) => {
                if has_written && std::mem::take(&mut self.is_failing) {
                    tracing::info!("the inbox can be written again");
                }
                let in_doubt = std::mem::take(&mut self.in_doubt);
                self.tell(in_doubt);
                self.tell(changes);
                Ok(value)
            }
            Err(error) => {
                // Not before something succeeds: who is told would ask in vain.
                self.in_doubt.merge(changes);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!("{error}");
                }
                Err(if is_work { Failure::Work(error) } else { Failure::Database(error) })
            }
        }
    }

    /// Tells what a transaction has changed.
    fn tell(&mut self, changes: Changes) {
        if changes.details_are_wanted {
            self.wanting.notify_one();
        }
        self.is_reading |= changes.is_reading;
        if changes.are_news {
            self.news.raise();
        }
        self.changes.merge(changes);
    }

    /// Uses the database, opened anew if need be; closes it after an error. One that is damaged is put aside.
    fn with_database<T>(&mut self, work: impl FnOnce(&mut Database) -> rusqlite::Result<T>) -> Result<T, InboxError> {
        let outcome = self.try_with_database(work);
        if let Err(error @ InboxError::Damaged { .. }) = &outcome {
            self.begin_anew(error);
        }
        outcome
    }

    fn try_with_database<T>(
        &mut self,
        work: impl FnOnce(&mut Database) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        let mut database = match self.database.take() {
            Some(database) => database,
            None => self.open_database()?,
        };
        let value = work(&mut database).map_err(|error| schema::failed(&self.path, &error))?;
        self.database = Some(database);
        Ok(value)
    }

    fn open_database(&mut self) -> Result<Database, InboxError> {
        let connection = schema::open(&self.path, self.newest)?;
        let memory = Memory::load(&connection, self.newest).map_err(|error| schema::failed(&self.path, &error))?;
        self.newest = memory.newest;
        Ok(Database { connection, memory })
    }

    /// Puts the damaged database aside; the next request begins a new one.
    fn begin_anew(&mut self, error: &InboxError) {
        tracing::error!("{error}");
        if self.damaged_at.is_some_and(|damaged_at| damaged_at.elapsed() < DAMAGE_INTERVAL) {
            return;
        }
        match damage::set_aside(&self.path, Timestamp::now()) {
            Ok(kept_as) => {
                tracing::error!("it is kept as {}; a new one is begun", kept_as.display());
                self.damaged_at = Some(Instant::now());
                self.set_aside = Some(kept_as);
                self.news.raise();
            }
            Err(error) => tracing::error!("{}: it cannot be put aside: {error}", self.path.display()),
        }
    }
}
