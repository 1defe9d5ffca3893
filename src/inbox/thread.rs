//! The inbox's thread: takes requests, commits waiting pushes together, answers after the commit.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::{
    Delivery, InboxError, Incident, Settings, calls,
    database::{self, Files},
    prune::Pruning,
    record::record,
    seal::Seals,
    transaction::{Changes, Write, set_setting},
};

/// Limit of requests taken at once, and so of pushes in one commit.
const MAX_BATCH: usize = 1024;

/// Minimum time between setting two files aside, so that they cannot fill the disk.
const SET_ASIDE_INTERVAL: Duration = Duration::from_secs(60);

/// Limit of incidents kept until they are asked for.
const MAX_INCIDENTS: usize = 8;

/// A setting that is written and removed to test whether writing works again.
const PROBE: &str = "probe";

/// A push to record, and who waits for it to be on disk.
type Push = (Box<Delivery>, oneshot::Sender<Result<(), InboxError>>);

/// Any other request; it sends its own answer.
type Work = Box<dyn FnOnce(&mut Worker) + Send>;

/// A request to the thread.
pub(super) enum Request {
    /// Record a push; with others in one commit.
    Record(Push),
    /// Any other request.
    Run(Work),
}

/// The thread's state. After an error the connection is closed, and the next request opens another.
pub(super) struct Worker {
    path: PathBuf,
    database: Option<OpenDatabase>,
    /// The files as they were before another program changed them: what is there now must be verified.
    suspected: Option<Files>,
    /// The highest notice number that the open database must contain; lower: it was replaced or truncated.
    expected: Option<i64>,
    pruning: Pruning,
    signals: Signals,
    seals: Seals,
    /// Changes of failed commits, which may be on disk nevertheless: a retry of their pushes then changes nothing.
    in_doubt: Changes,
    /// The last write failed.
    is_failing: bool,
    /// The highest notice number of this run. A new database continues after it, so that popups of the old one never
    /// match new notices.
    newest: i64,
    incidents: VecDeque<Incident>,
    /// When a file was last set aside.
    set_aside_at: Option<Instant>,
    /// No further requests are served.
    is_closing: bool,
}

struct OpenDatabase {
    connection: Connection,
    /// Its files as our last commit has left them.
    files: Files,
    /// The whole WAL is known to be synced. Not known when it was opened: a run may have been killed before.
    is_synced: bool,
}

/// What the thread tells others.
pub(super) struct Signals {
    /// A snapshot would differ from the last one.
    changed: watch::Sender<()>,
    /// `changed` was sent since the last snapshot was taken.
    is_changed_sent: bool,
    /// There may be notices of which only the ids are known.
    pub(super) wanting: Arc<Notify>,
    /// There are notices to decrypt.
    pub(super) encrypted: Arc<Notify>,
}

impl Signals {
    pub(super) fn new() -> (Self, watch::Receiver<()>) {
        let (changed, receiver) = watch::channel(());
        (Self { changed, is_changed_sent: false, wanting: Arc::default(), encrypted: Arc::default() }, receiver)
    }

    /// Sends `changed`, once until the next snapshot.
    fn change(&mut self) {
        if !std::mem::replace(&mut self.is_changed_sent, true) {
            self.changed.send_replace(());
        }
    }
}

/// Why a transaction failed.
enum TransactionError {
    /// The database cannot be opened, locked or committed to: the next transaction would fail too.
    Database(InboxError),
    /// Something within it failed.
    Work(InboxError),
}

impl From<TransactionError> for InboxError {
    fn from(failure: TransactionError) -> Self {
        match failure {
            TransactionError::Database(error) | TransactionError::Work(error) => error,
        }
    }
}

impl Worker {
    /// Opens the database, if it can be opened now.
    ///
    /// # Errors
    /// When it is too new.
    pub(super) fn open(path: &Path, settings: Settings, signals: Signals, seals: Seals) -> Result<Self, InboxError> {
        let mut worker = Self {
            path: path.to_owned(),
            database: None,
            suspected: None,
            expected: None,
            pruning: Pruning::new(settings),
            signals,
            seals,
            in_doubt: Changes::default(),
            is_failing: false,
            newest: 0,
            incidents: VecDeque::new(),
            set_aside_at: None,
            is_closing: false,
        };
        if let Err(error) = worker.read(|_| Ok(())) {
            match error {
                InboxError::TooNew { .. } => return Err(error),
                // It has been set aside: what follows begins the new one.
                InboxError::Damaged { .. } => {}
                InboxError::Unusable { .. } | InboxError::Closed => {
                    // The next request tries again and reports why.
                    worker.is_failing = true;
                }
            }
        }
        Ok(worker)
    }

    /// Serves requests until it is closed or all handles are gone; prunes old notices in between.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::new();
        while !self.is_closing {
            if requests.is_empty() && !requests.is_closed() && self.prune() {
                continue;
            }
            if requests.blocking_recv_many(&mut batch, MAX_BATCH) == 0 {
                break;
            }
            let (mut pushes, mut others) = (Vec::new(), Vec::new());
            for request in batch.drain(..) {
                match request {
                    Request::Record(push) => pushes.push(push),
                    Request::Run(work) => others.push(work),
                }
            }
            // A caller that needs an order waits for each answer, so pushes can go first.
            self.record(pushes);
            for work in others {
                work(&mut self);
            }
        }
        self.close();
    }

    /// Ends the thread once the requests that came with this one are served.
    pub(super) fn begin_close(&mut self) {
        self.is_closing = true;
    }

    /// Closes the database. SQLite removes its log then, if it is still ours.
    fn close(mut self) {
        if self.close_if_changed().is_ok()
            && let Some(open) = self.database.take()
            && let Err(error) = database::keep_log_on_close(&open.connection, false)
        {
            tracing::warn!("the inbox's log stays: {error}");
        }
    }

    /// Prunes some old notices. Returns whether there were any.
    fn prune(&mut self) -> bool {
        let Some(pass) = self.pruning.pass() else { return false };
        let next = self.write(|write| pass.step(write)).unwrap_or_else(|error| {
            tracing::warn!("old notices stay for another day: {error}");
            None
        });
        self.pruning.set_pass(next);
        true
    }

    /// Records pushes in one commit; if one of them fails, each in its own, so that it alone fails.
    fn record(&mut self, pushes: Vec<Push>) {
        let Some(latest) = pushes.iter().map(|(delivery, _)| delivery.received_at).max() else { return };
        self.pruning.observe_time(latest.as_millisecond());
        match self.transact(|write| pushes.iter().try_for_each(|(delivery, _)| record(write, delivery))) {
            Err(TransactionError::Work(_)) if pushes.len() > 1 => self.record_each(pushes),
            outcome => {
                let outcome = outcome.map_err(InboxError::from);
                for (_, answer) in pushes {
                    // A caller that no longer waits will retry.
                    answer.send(outcome.clone()).ok();
                }
            }
        }
    }

    fn record_each(&mut self, pushes: Vec<Push>) {
        let mut database_error = None;
        for (delivery, answer) in pushes {
            let outcome = match &database_error {
                Some(error) => Err(InboxError::clone(error)),
                None => self.transact(|write| record(write, &delivery)).map_err(|failure| {
                    if let TransactionError::Database(error) = &failure {
                        database_error = Some(error.clone());
                    }
                    failure.into()
                }),
            };
            answer.send(outcome).ok();
        }
    }

    /// Takes a snapshot. Later changes are signalled again.
    pub(super) fn snapshot<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        self.signals.is_changed_sent = false;
        self.read(work)
    }

    /// Ends the ringing of calls whose deadline is at or before `now`.
    pub(super) fn expire_calls(&mut self, now: Timestamp) -> Result<(), InboxError> {
        let now = now.as_millisecond();
        self.pruning.observe_time(now);
        if self.read(|db| calls::is_expiry_due(db, now))? {
            self.write(|write| calls::expire(write, now))?;
        }
        Ok(())
    }

    /// Changes the settings.
    pub(super) fn configure(&mut self, settings: Settings, now: Timestamp) {
        self.pruning.configure(settings);
        self.pruning.observe_time(now.as_millisecond());
    }

    /// Incidents that were not reported yet.
    pub(super) fn take_incident(&mut self) -> Option<Incident> {
        self.incidents.pop_front()
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
                set_setting(write.db, PROBE, Some(""))?;
                set_setting(write.db, PROBE, None)
            });
        }
        self.with_database(|open, _| {
            open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?.rollback()
        })
    }

    /// Reads.
    pub(super) fn read<T>(&mut self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, InboxError> {
        self.with_database(|open, _| work(&open.connection))
    }

    /// Writes, in a commit of its own.
    pub(super) fn write<T>(
        &mut self,
        work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        self.transact(work).map_err(InboxError::from)
    }

    fn transact<T>(&mut self, work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T>) -> Result<T, TransactionError> {
        let (settings, seals) = (self.pruning.settings(), self.seals.clone());
        let mut is_work = false;
        let mut changes = Changes { newest: self.newest, ..Changes::default() };
        let outcome = self.with_database(|open, pruning| {
            let connection = &open.connection;
            if !open.is_synced {
                database::checkpoint(connection)?;
                open.is_synced = true;
            }
            // Prepared once, unlike rusqlite's own transactions. An error closes the connection, and so rolls back.
            connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let rows_before = connection.total_changes();
            let mut write = Write { db: connection, settings, seals: &seals, changes };
            is_work = true;
            let value = work(&mut write)?;
            changes = write.changes;
            let has_written = connection.total_changes() > rows_before;
            if has_written {
                pruning.save_clock(connection)?;
            }
            is_work = false;
            connection.prepare_cached("COMMIT")?.execute([])?;
            Ok((value, has_written))
        });
        // Checked before answering: what was written to removed files is not on disk.
        let outcome = outcome.and_then(|value| self.note_commit().map(|()| value));
        match outcome {
            Ok((value, has_written)) => {
                if has_written && std::mem::take(&mut self.is_failing) {
                    tracing::info!("the inbox can be written again");
                }
                changes.merge(std::mem::take(&mut self.in_doubt));
                self.announce(changes);
                Ok(value)
            }
            Err(error) => {
                // Signalled with the next success: until then a snapshot would fail too.
                self.in_doubt.merge(Changes { newest: 0, ..changes });
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!("{error}");
                }
                Err(if is_work { TransactionError::Work(error) } else { TransactionError::Database(error) })
            }
        }
    }

    /// Signals what a transaction has changed.
    fn announce(&mut self, changes: Changes) {
        if changes.newest > self.newest {
            (self.newest, self.expected) = (changes.newest, Some(changes.newest));
        }
        if changes.lacks_details {
            self.signals.wanting.notify_one();
        }
        if changes.is_encrypted {
            self.signals.encrypted.notify_one();
        }
        if changes.is_visible {
            self.signals.change();
        }
    }

    /// Uses the database, opened anew if need be; closes it after an error. One that is damaged is set aside.
    fn with_database<T>(
        &mut self,
        work: impl FnOnce(&mut OpenDatabase, &mut Pruning) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        let outcome = self.try_with_database(work);
        if let Err(error @ InboxError::Damaged { reason, .. }) = &outcome {
            tracing::error!("{error}");
            self.set_aside(reason.clone());
        }
        outcome
    }

    fn try_with_database<T>(
        &mut self,
        work: impl FnOnce(&mut OpenDatabase, &mut Pruning) -> rusqlite::Result<T>,
    ) -> Result<T, InboxError> {
        self.close_if_changed()?;
        let mut open = match self.database.take() {
            Some(open) => open,
            None => self.open_database()?,
        };
        let value = work(&mut open, &mut self.pruning).map_err(|error| database::failed(&self.path, &error))?;
        self.database = Some(open);
        Ok(value)
    }

    /// Closes the database if another program has changed its files since our last commit. The next use opens and
    /// verifies what is there.
    fn close_if_changed(&mut self) -> Result<(), InboxError> {
        let Some(open) = &self.database else { return Ok(()) };
        if open.files != self.current_files()? {
            tracing::warn!("{}: the files have changed from outside", self.path.display());
            self.suspected = self.database.take().map(|open| open.files);
        }
        Ok(())
    }

    fn current_files(&self) -> Result<Files, InboxError> {
        Files::look(&self.path).map_err(|error| database::unusable(&self.path, &error))
    }

    /// Checks that a successful commit went to the files that have the names now.
    fn note_commit(&mut self) -> Result<(), InboxError> {
        let files = self.current_files()?;
        if self.database.as_ref().is_some_and(|open| !files.are_same(&open.files)) {
            self.suspected = self.database.take().map(|open| open.files);
            return Err(database::unusable(&self.path, &"it was removed or replaced while it was written"));
        }
        if let Some(open) = &mut self.database {
            open.files = files;
        }
        Ok(())
    }

    fn open_database(&mut self) -> Result<OpenDatabase, InboxError> {
        let found = self.current_files()?;
        let is_gone = self.expected.is_some() && found.is_gone();
        if self.suspected.as_ref().is_some_and(|before| found.has_log_of_another(before)) {
            database::set_log_aside(&self.path)?;
        }
        let connection = database::open(&self.path, &self.seals)?;
        if self.suspected.is_some() {
            database::verify(&self.path, &connection)?;
        }
        let newest = database::newest(&self.path, &connection)?;
        self.pruning.load_clock(&connection).map_err(|error| database::failed(&self.path, &error))?;
        let files = self.current_files()?;
        if is_gone {
            self.report(Incident::Removed { path: self.path.clone() });
        } else if self.expected.is_some_and(|expected| newest < expected) {
            self.report(Incident::Replaced { path: self.path.clone() });
        }
        self.newest = self.newest.max(newest);
        self.suspected = None;
        self.expected = Some(newest);
        Ok(OpenDatabase { connection, files, is_synced: false })
    }

    /// Sets the file aside; the next request begins a new one.
    fn set_aside(&mut self, reason: String) {
        if self.set_aside_at.is_some_and(|at| at.elapsed() < SET_ASIDE_INTERVAL) {
            return;
        }
        match database::set_aside(&self.path, Timestamp::now()) {
            Ok(kept_as) => {
                self.set_aside_at = Some(Instant::now());
                self.expected = None;
                self.suspected = None;
                self.report(Incident::SetAside { path: self.path.clone(), kept_as, reason });
            }
            Err(error) => tracing::error!("{}: it cannot be set aside: {error}", self.path.display()),
        }
    }

    fn report(&mut self, incident: Incident) {
        tracing::error!("{incident}");
        if self.incidents.len() < MAX_INCIDENTS {
            self.incidents.push_back(incident);
        }
        self.signals.change();
    }
}
