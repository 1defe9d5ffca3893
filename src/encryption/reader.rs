//! The task that reads an account's encrypted messages: sole owner of its keys, which it opens when they are needed and
//! closes when they are not.
//!
//! What the push carries is decrypted at once. If the key is not there yet, one sync after the other looks for it, never
//! two at a time; meanwhile whatever else comes is decrypted. After a short while the popup goes up as "Encrypted message",
//! and is replaced when the key comes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    CallNews, NotSent, backup,
    error::EncryptionError,
    machine::{Machine, Plain, Synced, Undecryptable, VerificationAsk, session_of},
    rules::Rules,
    standing::{self, News},
};
use crate::{
    accounts::SignIn,
    backoff::Backoff,
    control::EncryptionStatus,
    homeserver::OutgoingEvent,
    inbox::{Decrypted, Decryption, EncryptedNotice, Inbox},
    notice::NoticeId,
    paths::Paths,
    secrets::Secrets,
};

/// How long a popup is held back for its key.
const HOLD: Duration = Duration::from_secs(2);
/// How long a missing key is looked for.
const SEARCH: Duration = Duration::from_secs(10);
/// Longest time that one sync waits for a key.
const LONGEST_SYNC: Duration = Duration::from_secs(5);
/// Longest time that one sync watches the rooms of ringing calls.
const LONGEST_WATCH: Duration = Duration::from_secs(20);
/// Minimum time between two searches, however many pushes come.
const SEARCH_INTERVAL: Duration = Duration::from_secs(2);
/// Syncs of one search: each may bring a hundred keys.
const MAX_SYNCS: usize = 100;
/// Idle time before the store is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Interval of syncs while nothing is pushed.
const UPKEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// First and longest delay after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5 * 60));
/// Notices read at a time.
const BATCH: usize = 64;
/// Notices whose keys are looked for at a time; forged pushes may name any session.
const MAX_MISSING: usize = 1024;

/// Sessions that the backup is asked for in one search.
const MAX_WANTED: usize = 16;

/// What all readers use.
pub(super) struct ReaderContext {
    pub(super) inbox: Inbox,
    pub(super) secrets: Secrets,
    pub(super) paths: Paths,
    /// `calls.missed = "derive"`
    pub(super) derive_missed_calls: AtomicBool,
    /// Takes what is learned of the rooms of ringing calls.
    pub(super) calls: mpsc::UnboundedSender<CallNews>,
    /// Takes what is reported of an account, by its name.
    pub(super) reports: mpsc::UnboundedSender<(Arc<str>, Report)>,
}

/// What a reader reports.
#[derive(Debug)]
pub(super) enum Report {
    Status(EncryptionStatus),
    News(News),
}

/// An event that is to be sent, and who waits for that.
pub(super) struct Outgoing {
    pub(super) event: OutgoingEvent,
    pub(super) answer: oneshot::Sender<Result<(), NotSent>>,
}

/// What a reader is told.
#[derive(Debug, Clone)]
pub(super) enum Wake {
    /// There may be notices to decrypt.
    Notices,
    /// Keys may have come, or what failed may work.
    Upkeep,
    /// Calls ring in these rooms, and in no others.
    Ringing(Vec<String>),
}

/// Reads one account's encrypted messages.
#[expect(clippy::struct_excessive_bools, reason = "each says that something is to be done by itself")]
pub(super) struct Reader {
    context: Arc<ReaderContext>,
    account: Arc<str>,
    sign_in: SignIn,
    machine: Option<Machine>,
    rules: Rules,
    search: Option<Search>,
    /// The rooms of ringing calls. While no key is looked for, a sync watches them.
    ringing: Vec<String>,
    /// Ends such a sync, if one is under way instead of a search.
    watch: Option<Arc<Notify>>,
    /// What waits to be sent. Sending syncs, and so waits for the end of a search.
    outgoing: VecDeque<Outgoing>,
    /// What a search has found so far.
    found: (mpsc::UnboundedSender<Synced>, mpsc::UnboundedReceiver<Synced>),
    /// No search begins before this.
    search_at: Instant,
    /// Sessions whose keys the next search looks for in the account's backup.
    wanted: BTreeSet<backup::Session>,
    /// Notices whose key is looked for, and until when.
    missing: BTreeMap<NoticeId, Instant>,
    /// When the first of those whose popup waits for the key is no longer held.
    held_until: Option<Instant>,
    upkeep_at: Instant,
    close_at: Option<Instant>,
    /// No try before this, after a failure.
    retry_at: Option<Instant>,
    backoff: Backoff,
    has_notices: bool,
    /// Keys have come since what is missing was tried.
    has_new_keys: bool,
    /// What lacked its key may not any more, whatever its session.
    has_late_notices: bool,
    /// Only the user can do something about it.
    is_over: bool,
    status: EncryptionStatus,
}

impl Reader {
    pub(super) fn new(context: Arc<ReaderContext>, account: Arc<str>, sign_in: SignIn) -> Self {
        let now = Instant::now();
        Self {
            context,
            account,
            sign_in,
            machine: None,
            rules: Rules::default(),
            search: None,
            ringing: Vec::new(),
            watch: None,
            outgoing: VecDeque::new(),
            found: mpsc::unbounded_channel(),
            search_at: now,
            wanted: BTreeSet::new(),
            missing: BTreeMap::new(),
            held_until: None,
            upkeep_at: now,
            close_at: None,
            retry_at: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            // What an earlier run has left.
            has_notices: true,
            has_new_keys: true,
            has_late_notices: true,
            is_over: false,
            status: EncryptionStatus::default(),
        }
    }

    /// Runs until its sender of wakes is gone.
    pub(super) async fn run(
        mut self,
        mut wakes: mpsc::UnboundedReceiver<Wake>,
        mut outgoing: mpsc::UnboundedReceiver<Outgoing>,
    ) {
        loop {
            self.step().await;
            let due = self.due();
            tokio::select! {
                wake = wakes.recv() => match wake {
                    Some(Wake::Notices) => self.has_notices = true,
                    Some(Wake::Upkeep) => {
                        self.rules.ask_again();
                        (self.has_notices, self.is_over, self.retry_at) = (true, false, None);
                        self.has_late_notices = true;
                        self.upkeep_at = Instant::now();
                    }
                    Some(Wake::Ringing(rooms)) => if self.ringing != rooms {
                        self.ringing = rooms;
                        self.end_watch();
                    },
                    None => return,
                },
                Some(outgoing) = outgoing.recv() => {
                    self.outgoing.push_back(outgoing);
                    self.end_watch();
                }
                Some(found) = self.found.1.recv() => self.keys_came(found).await,
                ended = ended(&mut self.search) => self.search_ended(ended).await,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// When the next step is due by time alone.
    fn due(&self) -> Option<Instant> {
        let is_free = self.search.is_none();
        let is_idle = self.missing.is_empty() && self.ringing.is_empty();
        let search = if is_idle { self.search_at.max(self.upkeep_at) } else { self.search_at };
        let work = Some(search).filter(|_| is_free && !self.is_over);
        let work = work.map(|at| self.retry_at.map_or(at, |retry| at.max(retry)));
        let close = self.close_at.filter(|_| is_free && self.machine.is_some());
        [work, self.held_until, close].into_iter().flatten().min()
    }

    /// Does what is due.
    async fn step(&mut self) {
        while self.search.is_none()
            && let Some(outgoing) = self.outgoing.pop_front()
        {
            self.send(outgoing).await;
        }
        let now = Instant::now();
        let is_held_too_long = self.held_until.is_some_and(|until| until <= now);
        if (std::mem::take(&mut self.has_notices) || is_held_too_long)
            && let Err(error) = self.read_notices().await
        {
            self.failed(&error);
        }
        self.missing.retain(|_, until| *until > now);
        let is_wanted = !self.missing.is_empty() || self.upkeep_at <= now;
        let may_begin = self.search_at <= now && self.may_try() && self.search.is_none();
        if is_wanted {
            self.end_watch();
        }
        if is_wanted && may_begin {
            self.begin_search(now).await;
        } else if !self.ringing.is_empty() && may_begin {
            self.begin_watch(now).await;
        }
        if self.close_at.is_some_and(|at| at <= now) && self.search.is_none() {
            (self.machine, self.close_at) = (None, None);
        }
    }

    fn may_try(&self) -> bool {
        !self.is_over && self.retry_at.is_none_or(|at| at <= Instant::now())
    }

    /// Decrypts what is to be decrypted. What lacks its key for too long is no longer held.
    async fn read_notices(&mut self) -> Result<(), EncryptionError> {
        let (mut after, mut given_up, mut hidden, mut failure) = (NoticeId(0), Vec::new(), Vec::new(), None);
        self.held_until = None;
        // However many pushes come whose keys do not, each is tried once.
        let has_new_keys = std::mem::take(&mut self.has_new_keys);
        loop {
            let batch = self.notices(Decryption::Wanted, after).await?;
            let Some(last) = batch.last() else { break };
            after = last.notice;
            for notice in batch {
                let is_new = has_new_keys || !self.missing.contains_key(&notice.notice);
                // Not held up by a failed sync: with a known key nothing is asked.
                if is_new && !self.is_over && failure.is_none() {
                    match self.read(&notice).await {
                        Ok(true) => self.get_rules().await,
                        Ok(false) => continue,
                        Err(error) => failure = Some(error),
                    }
                }
                let age = Duration::try_from(Timestamp::now().duration_since(notice.received_at)).unwrap_or_default();
                let now = Instant::now();
                if self.missing.len() < MAX_MISSING {
                    self.missing.entry(notice.notice).or_insert(now + SEARCH.saturating_sub(age));
                }
                if self.rules.hides_undecrypted(&notice.room_id) {
                    hidden.push(notice.notice);
                } else if age >= HOLD {
                    given_up.push(notice.notice);
                } else {
                    let until = now + HOLD.saturating_sub(age);
                    self.held_until = Some(self.held_until.map_or(until, |first| first.min(until)));
                }
            }
        }
        for (notices, state) in [(given_up, Decryption::LacksKey), (hidden, Decryption::Hidden)] {
            if !notices.is_empty() {
                self.context.inbox.set_decryption(notices, state).await?;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn notices(&self, state: Decryption, after: NoticeId) -> Result<Vec<EncryptedNotice>, EncryptionError> {
        Ok(self.context.inbox.encrypted_notices(Arc::clone(&self.account), state, after, BATCH).await?)
    }

    /// Decrypts one; whether its key is lacking.
    async fn read(&mut self, notice: &EncryptedNotice) -> Result<bool, EncryptionError> {
        let machine = self.machine().await?;
        self.close_at = Some(Instant::now() + IDLE);
        let plain = match machine.decrypt(notice).await {
            Ok(plain) => plain,
            Err(Undecryptable::LacksKey) => {
                if self.wanted.len() < MAX_WANTED
                    && let Some(session) = session_of(notice)
                {
                    self.wanted.insert((notice.room_id.clone(), session));
                }
                return Ok(true);
            }
            Err(Undecryptable::Never(reason)) => {
                self.missing.remove(&notice.notice);
                tracing::info!(account = &*self.account, "an encrypted message stays so: {reason}");
                self.get_rules().await;
                let is_hidden = self.rules.hides_undecrypted(&notice.room_id);
                let state = if is_hidden { Decryption::Hidden } else { Decryption::None };
                self.context.inbox.set_decryption(vec![notice.notice], state).await?;
                return Ok(false);
            }
            Err(Undecryptable::Store(error)) => return Err(error),
        };
        let verdict = self.rules.verdict(&machine.api, machine.olm.user_id(), &notice.room_id, &plain).await;
        let Plain { event_type, content, message, .. } = plain;
        let decrypted = Decrypted { event_type, content: content.get().to_owned(), message, verdict };
        let derive_missed_calls = self.context.derive_missed_calls.load(Relaxed);
        let user_id = self.sign_in.user_id.clone();
        self.context.inbox.add_decrypted(notice.notice, decrypted, user_id, derive_missed_calls).await?;
        self.missing.remove(&notice.notice);
        Ok(false)
    }

    /// Sees to it that the rules are known, if they can be.
    async fn get_rules(&mut self) {
        if let Some(machine) = &self.machine {
            self.rules.get_known(&machine.api).await;
        }
    }

    /// Keys have come: what waits is tried again, and what lacked one of these.
    async fn keys_came(&mut self, found: Synced) {
        (self.has_notices, self.has_new_keys) = (true, true);
        if found.has_room_events {
            self.tell_of_calls(true, Instant::now());
        }
        if !found.sessions.is_empty()
            && let Err(error) = self.read_late(|session| found.sessions.contains(session)).await
        {
            self.failed(&error);
        }
    }

    /// Decrypts what has lacked the key of such a session.
    async fn read_late(&mut self, is_known: impl Fn(&str) -> bool) -> Result<(), EncryptionError> {
        let mut after = NoticeId(0);
        loop {
            let batch = self.notices(Decryption::LacksKey, after).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.notice;
            for notice in batch.iter().filter(|notice| session_of(notice).is_some_and(|session| is_known(&session))) {
                self.read(notice).await?;
            }
        }
    }

    /// Begins to look for keys, and for whatever else was sent to the device.
    async fn begin_search(&mut self, now: Instant) {
        self.search_at = now + SEARCH_INTERVAL;
        self.upkeep_at = now + UPKEEP;
        let machine = match self.machine().await {
            Ok(machine) => machine,
            Err(error) => return self.failed(&error),
        };
        let patience = self.missing.values().max().map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let found = self.found.0.clone();
        let wanted = std::mem::take(&mut self.wanted);
        self.search = Some(tokio::spawn(search(machine, patience.min(LONGEST_SYNC), wanted, found)));
    }

    /// Begins a sync that watches the rooms of the ringing calls.
    async fn begin_watch(&mut self, now: Instant) {
        self.search_at = now + SEARCH_INTERVAL;
        let machine = match self.machine().await {
            Ok(machine) => machine,
            Err(error) => return self.failed(&error),
        };
        self.tell_of_calls(false, now + LONGEST_WATCH + SEARCH_INTERVAL);
        let (rooms, found) = (self.ringing.clone(), self.found.0.clone());
        let end = Arc::clone(self.watch.insert(Arc::default()));
        self.search = Some(tokio::spawn(watch(machine, rooms, end, found)));
    }

    fn end_watch(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.notify_one();
        }
    }

    fn tell_of_calls(&self, is_new: bool, watched_until: Instant) {
        // The receiver is gone only when the program ends.
        drop(self.context.calls.send(CallNews { account: Arc::clone(&self.account), is_new, watched_until }));
    }

    async fn search_ended(&mut self, ended: Result<Option<VerificationAsk>, EncryptionError>) {
        (self.search, self.watch) = (None, None);
        (self.has_notices, self.has_new_keys) = (true, true);
        // After a mere upkeep nothing else may come for hours.
        self.close_at.get_or_insert_with(Instant::now);
        let ended = match ended {
            Ok(request) if std::mem::take(&mut self.has_late_notices) => {
                self.retry_at = None;
                self.read_late(|_| true).await.map(|()| request)
            }
            ended => ended,
        };
        let looked = match ended {
            Ok(request) => self.look(request).await,
            Err(error) => Err(error),
        };
        match looked {
            Ok(()) => {
                self.backoff.reset();
                self.retry_at = None;
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Reports how the session stands, and what of it is new.
    async fn look(&mut self, request: Option<VerificationAsk>) -> Result<(), EncryptionError> {
        let machine = self.machine().await?;
        let (standing, news) = standing::look(&machine, request, &self.account).await?;
        self.report_status(standing.describe(&self.account));
        for news in news {
            self.report(Report::News(news));
        }
        Ok(())
    }

    /// Sends an event, encrypted.
    async fn send(&mut self, Outgoing { event, answer }: Outgoing) {
        let sent = match self.machine().await {
            Ok(machine) => machine.send_encrypted(&event).await,
            Err(error) => Err(error),
        };
        self.close_at = Some(Instant::now() + IDLE);
        // Who asked may have gone.
        drop(answer.send(sent.map_err(|error| NotSent {
            is_temporary: !error.is_final() && !error.is_refused(),
            reason: error.to_string(),
        })));
    }

    /// The keys, open.
    async fn machine(&mut self) -> Result<Machine, EncryptionError> {
        if let Some(machine) = &self.machine {
            return Ok(machine.clone());
        }
        let ReaderContext { paths, secrets, inbox, .. } = &*self.context;
        let (machine, key) = Machine::open(paths, secrets, &self.sign_in, Duration::ZERO).await?;
        inbox.seals().set(&self.account, &key);
        Ok(self.machine.insert(machine).clone())
    }

    fn failed(&mut self, error: &EncryptionError) {
        // A command has the keys open, for as long as somebody looks for the recovery key.
        let is_busy = matches!(error, EncryptionError::Busy);
        let wait = if is_busy {
            RETRY.0
        } else if error.is_refused() {
            // The homeserver lacks what is asked for, or does not allow it.
            UPKEEP
        } else {
            self.backoff.next()
        };
        let now = Instant::now();
        (self.has_late_notices, self.upkeep_at, self.retry_at) = (true, now, Some(now + wait));
        self.is_over = error.is_final();
        if !self.ringing.is_empty() {
            self.tell_of_calls(true, now);
        }
        if is_busy {
            return;
        }
        tracing::info!(account = &*self.account, "encrypted messages are not read now: {error}");
        let encryption = Some(format!("encrypted messages are not read: {error}"));
        self.report_status(EncryptionStatus { encryption, verified: None, ..self.status });
    }

    fn report_status(&mut self, status: EncryptionStatus) {
        if self.status != status {
            self.status = status.clone();
            self.report(Report::Status(status));
        }
    }

    fn report(&self, report: Report) {
        // The receiver is gone only when the program ends.
        drop(self.context.reports.send((Arc::clone(&self.account), report)));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(search) = &self.search {
            search.abort();
        }
    }
}

/// A search under way, and what it ends with.
type Search = JoinHandle<Result<Option<VerificationAsk>, EncryptionError>>;

async fn ended(search: &mut Option<Search>) -> Result<Option<VerificationAsk>, EncryptionError> {
    match search {
        Some(search) => match search.await {
            Ok(ended) => ended,
            Err(error) => Err(EncryptionError::Store(error.to_string())),
        },
        None => std::future::pending().await,
    }
}

/// Syncs until nothing more comes, then asks the account's backup for what is wanted, where the user has given its key; if
/// that does not have it either, one sync waits for as long as somebody waits for a key. Then sends what is to be sent.
/// Returns the last request to verify the session.
async fn search(
    machine: Machine,
    patience: Duration,
    mut wanted: BTreeSet<backup::Session>,
    found: mpsc::UnboundedSender<Synced>,
) -> Result<Option<VerificationAsk>, EncryptionError> {
    // Before others are asked for their keys they must be able to have ours.
    machine.upload().await?;
    let mut asks_backup = !wanted.is_empty() && backup::is_used(&machine).await?;
    let mut timeout = if asks_backup { Duration::ZERO } else { patience };
    let mut request = None;
    for _ in 0..MAX_SYNCS {
        let mut synced = machine.sync(timeout).await?;
        request = synced.request.take().or(request);
        timeout = Duration::ZERO;
        if synced.messages > 0 {
            wanted.retain(|(_, session)| !synced.sessions.contains(session));
            // Without a reader they are in the store nevertheless.
            drop(found.send(synced));
            continue;
        }
        if !std::mem::take(&mut asks_backup) || wanted.is_empty() {
            break;
        }
        let sessions = backup::fetch(&machine, &wanted).await;
        wanted.retain(|(_, session)| !sessions.contains(session));
        drop(found.send(Synced { sessions, ..Synced::default() }));
        if wanted.is_empty() {
            break;
        }
        timeout = patience;
    }
    machine.upload().await?;
    Ok(request)
}

/// One sync that returns when something is new in one of the rooms, or when it is told to end. Returns what [`search`] does.
async fn watch(
    machine: Machine,
    rooms: Vec<String>,
    end: Arc<Notify>,
    found: mpsc::UnboundedSender<Synced>,
) -> Result<Option<VerificationAsk>, EncryptionError> {
    let answer = tokio::select! {
        answer = machine.poll(LONGEST_WATCH, &rooms) => answer?,
        () = end.notified() => return Ok(None),
    };
    let mut synced = machine.take_in(answer).await?;
    let request = synced.request.take();
    drop(found.send(synced));
    machine.upload().await?;
    Ok(request)
}
