//! The task that reads an account's encrypted messages: sole owner of its keys, which it opens when needed and closes when
//! idle.
//!
//! Pushed ciphertext is decrypted at once. If the key is missing, one sync after another searches for it; other notices
//! are decrypted meanwhile. After a short time the popup is shown as "Encrypted message", and replaced when the key arrives.

mod holding;
mod notices;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    CallNews, ConnectionNews, NotSent,
    backup::BackupState,
    error::EncryptionError,
    held::{self, Listening},
    machine::{Encrypted, Machine, VerificationAsk},
    missing::Missing,
    rules::Rules,
    session_state::{self, News},
    syncing::{self, Progress, Syncing},
};
use crate::{
    accounts::SignIn, backoff::Backoff, control::EncryptionStatus, homeserver::OutgoingEvent, inbox::Inbox,
    paths::Paths, push::listed::RoomEvent, secrets::Secrets,
};

/// Idle time before the store is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Interval of syncs while nothing is pushed.
const UPKEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// First and maximum retry delay.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5 * 60));
/// Notices read at a time.
const BATCH: usize = 64;

/// Shared by all readers.
pub(super) struct ReaderContext {
    pub(super) inbox: Inbox,
    pub(super) secrets: Secrets,
    pub(super) paths: Paths,
    /// Receives news of the rooms of ringing calls.
    pub(super) calls: mpsc::UnboundedSender<CallNews>,
    /// Receives news of held syncs.
    pub(super) held: mpsc::UnboundedSender<ConnectionNews>,
    /// Receives reports, with the name of the account.
    pub(super) reports: mpsc::UnboundedSender<(Arc<str>, Report)>,
}

/// A report of a reader.
#[derive(Debug)]
pub(super) enum Report {
    Status(EncryptionStatus),
    News(News),
}

/// A command to a reader.
pub(super) enum Command {
    Wake(Wake),
    /// Calls ring in these rooms, and in no others.
    Ringing(Vec<String>),
    /// Whether to listen for new messages.
    Listen(bool),
    Send(Outgoing),
    Decrypt(RoomEvents),
}

/// Something has happened that concerns all readers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wake {
    /// There may be notices to decrypt.
    Notices,
    /// Keys may have arrived, or a retry may succeed.
    Upkeep,
    /// The user is present: another session may have asked to verify this one.
    Look,
    /// The network has changed, or the computer slept: connections are dead.
    Reconnect,
}

/// An event to send.
pub(super) struct Outgoing {
    pub(super) event: OutgoingEvent,
    pub(super) answer: oneshot::Sender<Result<(), NotSent>>,
}

/// Events of a room to decrypt.
pub(super) struct RoomEvents {
    pub(super) room_id: String,
    pub(super) events: Vec<RoomEvent>,
    pub(super) answer: oneshot::Sender<Vec<RoomEvent>>,
}

/// Reads one account's encrypted messages.
pub(super) struct Reader {
    context: Arc<ReaderContext>,
    account: Arc<str>,
    sign_in: SignIn,
    keys: OpenKeys,
    rules: Rules,
    syncing: Syncing,
    missing: Missing,
    pending: Pending,
    retries: Retries,
    /// The rooms of ringing calls, covered by a held sync.
    ringing: Vec<String>,
    listening: Listening,
    /// Events to send. Sending syncs, so it waits for the end of another sync.
    outgoing: VecDeque<Outgoing>,
    /// The last request to verify the session, until it is reported.
    asked: Option<VerificationAsk>,
    status: EncryptionStatus,
}

/// The keys, while they are in use.
#[derive(Default)]
struct OpenKeys {
    machine: Option<Machine>,
    close_at: Option<Instant>,
}

/// Work that is due as soon as possible.
struct Pending {
    /// There may be notices that were not tried yet.
    notices: bool,
    /// Keys have arrived since undecryptable notices were last tried.
    missing: bool,
    /// Notices whose search has ended are to be tried again, whatever their session.
    late: bool,
    /// When to sync, even if no key is missing.
    upkeep_at: Instant,
}

/// The state of retries.
struct Retries {
    at: Option<Instant>,
    backoff: Backoff,
    /// Retries do not help: only the user can fix the failure.
    are_useless: bool,
}

impl Pending {
    /// Everything: what an earlier run has left is unknown.
    fn all() -> Self {
        Self { notices: true, missing: true, late: true, upkeep_at: Instant::now() }
    }
}

impl Retries {
    fn new() -> Self {
        Self { at: None, backoff: Backoff::new(RETRY.0, RETRY.1), are_useless: false }
    }

    fn may_begin(&self, now: Instant) -> bool {
        !self.are_useless && self.at.is_none_or(|at| at <= now)
    }

    fn succeeded(&mut self) {
        self.backoff.reset();
        self.at = None;
    }

    fn failed(&mut self, error: &EncryptionError, now: Instant) {
        let wait = if matches!(error, EncryptionError::Busy) {
            // A command has the keys open.
            syncing::INTERVAL
        } else if error.is_refused() {
            // The homeserver does not support or allow the request.
            UPKEEP
        } else {
            self.backoff.next()
        };
        (self.at, self.are_useless) = (Some(now + wait), error.is_final());
    }

    /// A held sync has failed: only that is retried.
    fn wait(&mut self, error: &EncryptionError, now: Instant) {
        let wait = self.backoff.next();
        self.at = Some(now + error.retry_after().map_or(wait, |asked| asked.max(wait)));
    }
}

impl Reader {
    pub(super) fn new(context: Arc<ReaderContext>, account: Arc<str>, sign_in: SignIn, listens: bool) -> Self {
        Self {
            context,
            account,
            sign_in,
            keys: OpenKeys::default(),
            rules: Rules::default(),
            syncing: Syncing::new(),
            missing: Missing::default(),
            pending: Pending::all(),
            retries: Retries::new(),
            ringing: Vec::new(),
            listening: Listening::new(listens),
            outgoing: VecDeque::new(),
            asked: None,
            status: EncryptionStatus::default(),
        }
    }

    /// Runs until the sender of commands is dropped.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            self.step().await;
            let due = self.due();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                progress = self.syncing.progress() => match progress {
                    Progress::Found(found) => self.keys_came(found).await,
                    Progress::Searched(ended) => self.search_ended(ended).await,
                    Progress::Held(ended) => self.hold_ended(ended).await,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Wake(Wake::Notices) => self.pending.notices = true,
            Command::Wake(Wake::Upkeep) => {
                self.rules.ask_again();
                (self.pending.notices, self.pending.late) = (true, true);
                self.pending.upkeep_at = Instant::now();
                (self.retries.at, self.retries.are_useless) = (None, false);
            }
            Command::Wake(Wake::Look) => {
                // Verified sessions get no requests. A retry may succeed: the keyring may have been unlocked.
                if self.status.verified == Some(false) || self.retries.at.is_some() {
                    (self.pending.upkeep_at, self.retries.at) = (Instant::now(), None);
                }
            }
            Command::Wake(Wake::Reconnect) => self.reconnect(),
            Command::Ringing(rooms) => {
                if self.ringing != rooms {
                    self.ringing = rooms;
                    self.syncing.end_hold();
                }
            }
            Command::Listen(on) => {
                if self.listening.turn(on) {
                    self.syncing.end_hold();
                }
            }
            Command::Send(outgoing) => {
                self.outgoing.push_back(outgoing);
                self.syncing.end_hold();
            }
            Command::Decrypt(events) => self.decrypt_events(events).await,
        }
    }

    /// When the next step is due by time alone.
    fn due(&self) -> Option<Instant> {
        let search = self.syncing.next_at();
        let search = if self.lacks_keys() { search } else { search.max(self.pending.upkeep_at) };
        let hold = self.is_to_hold().then_some(self.listening.begin_at);
        let next = hold.map_or(search, |hold| hold.min(search));
        let next = Some(next).filter(|_| !self.syncing.is_under_way() && !self.retries.are_useless);
        let next = next.map(|at| self.retries.at.map_or(at, |retry| at.max(retry)));
        let close = self.keys.close_at.filter(|_| !self.syncing.uses_keys() && self.keys.machine.is_some());
        [next, self.missing.held_until(), close].into_iter().flatten().min()
    }

    /// Does the work that is due.
    async fn step(&mut self) {
        while !self.syncing.is_under_way()
            && let Some(outgoing) = self.outgoing.pop_front()
        {
            self.send(outgoing).await;
        }
        let now = Instant::now();
        let is_held_too_long = self.missing.held_until().is_some_and(|until| until <= now);
        if (std::mem::take(&mut self.pending.notices) || is_held_too_long)
            && let Err(error) = self.read_notices().await
        {
            self.failed(&error);
        }
        self.missing.expire(now);
        let is_wanted = self.lacks_keys() || self.pending.upkeep_at <= now;
        let may_try = !self.syncing.is_under_way() && self.retries.may_begin(Instant::now());
        if is_wanted && self.syncing.may_search(now) {
            self.syncing.end_hold();
        }
        if is_wanted && may_try && self.syncing.may_search(now) {
            self.begin_search(now).await;
        } else if self.is_to_hold() && may_try && self.listening.begin_at <= now {
            self.begin_hold(now).await;
        }
        if self.keys.close_at.is_some_and(|at| at <= now) && !self.syncing.uses_keys() {
            self.keys = OpenKeys::default();
        }
    }

    /// Whether a search for keys is needed. A held sync returns keys that are sent, so only the backup is searched then.
    fn lacks_keys(&self) -> bool {
        if self.listening.is_on { self.missing.wants_backup() } else { !self.missing.is_empty() }
    }

    fn is_to_hold(&self) -> bool {
        self.listening.is_on || !self.ringing.is_empty()
    }

    /// Begins a search for keys and other to-device messages.
    async fn begin_search(&mut self, now: Instant) {
        let begun = async {
            let machine = self.machine().await?;
            let interest = self.interest(&machine.api).await?;
            Ok((machine, interest))
        };
        match begun.await {
            Ok((machine, interest)) => {
                self.pending.upkeep_at = now + UPKEEP;
                let patience = if self.listening.is_on { Duration::ZERO } else { self.missing.patience(now) };
                self.listening.search_reports = interest.messages.is_some();
                self.syncing.search(machine, patience, self.missing.take_wanted(), (interest, self.reporter()));
            }
            Err(error) => self.failed(&error),
        }
    }

    fn tell_of_calls(&self, is_new: bool, watched_until: Instant) {
        // A closed channel means that the program is ending.
        drop(self.context.calls.send(CallNews { account: Arc::clone(&self.account), is_new, watched_until }));
    }

    async fn search_ended(&mut self, ended: Result<Option<BackupState>, EncryptionError>) {
        (self.pending.notices, self.pending.missing) = (true, true);
        // Otherwise the store would stay open after an upkeep.
        self.keys.close_at.get_or_insert_with(Instant::now);
        let ended = match ended {
            Ok(backup) if std::mem::take(&mut self.pending.late) => {
                self.retries.at = None;
                let read = self.read_late(|_| true).await;
                if backup == Some(BackupState::Current) && self.missing.has_wanted() {
                    // The backup may have the keys.
                    self.pending.upkeep_at = Instant::now();
                }
                read.map(|()| backup)
            }
            ended => ended,
        };
        let looked = match ended {
            Ok(backup) => self.look(backup).await.map(|()| backup),
            Err(error) => Err(error),
        };
        match looked {
            Ok(Some(BackupState::Unknown)) => {
                // Retried without delaying anything else.
                self.retries.at = None;
                self.pending.upkeep_at = Instant::now() + self.retries.backoff.next();
                self.covered().await;
            }
            Ok(_) => {
                self.retries.succeeded();
                self.covered().await;
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Reports the state of the session, and news of it.
    async fn look(&mut self, backup: Option<BackupState>) -> Result<(), EncryptionError> {
        let machine = self.machine().await?;
        let (state, news) = session_state::look(&machine, self.asked.as_ref(), backup, &self.account).await?;
        self.asked = None;
        self.report_status(state.describe(&self.account));
        for news in news {
            self.report(Report::News(news));
        }
        Ok(())
    }

    /// Sends an event, encrypted.
    async fn send(&mut self, Outgoing { event, answer }: Outgoing) {
        let sent = self.sync_and_send(&event).await;
        self.keys.close_at = Some(Instant::now() + IDLE);
        self.listening.token_changed(None, false);
        // The receiver may have given up.
        drop(answer.send(sent.map_err(|error| NotSent {
            is_temporary: !error.is_final() && !error.is_refused(),
            reason: error.to_string(),
        })));
    }

    /// Answers with these events, decrypted if their keys are available.
    async fn decrypt_events(&mut self, RoomEvents { room_id, mut events, answer }: RoomEvents) {
        match self.machine().await {
            Ok(machine) => {
                for event in events.iter_mut().filter(|event| event.is_encrypted()) {
                    let RoomEvent { event_id, sender, content, .. } = &*event;
                    let encrypted = Encrypted { room_id: &room_id, event_id, sender, content };
                    if let Ok(plain) = machine.decrypt(encrypted).await {
                        (event.event_type, event.content) = (plain.event_type, plain.content.get().to_owned());
                    }
                }
                self.keys.close_at = Some(Instant::now() + IDLE);
            }
            Err(error) => tracing::debug!(account = &*self.account, "events of a room are not read: {error}"),
        }
        // The receiver may have given up.
        drop(answer.send(events));
    }

    async fn sync_and_send(&mut self, event: &OutgoingEvent) -> Result<(), EncryptionError> {
        let machine = self.machine().await?;
        // Learns of changed devices since the last sync.
        let synced = if self.listening.is_on {
            let interest = self.interest(&machine.api).await?;
            held::sync(&machine, Duration::ZERO, &interest, &self.reporter()).await?
        } else {
            machine.sync(Duration::ZERO).await?
        };
        if synced.request.is_some() {
            self.pending.upkeep_at = Instant::now();
        }
        self.keys_came(synced).await;
        machine.send_encrypted(event).await
    }

    /// The keys, opened if necessary.
    async fn machine(&mut self) -> Result<Machine, EncryptionError> {
        if let Some(machine) = &self.keys.machine {
            return Ok(machine.clone());
        }
        let ReaderContext { paths, secrets, inbox, .. } = &*self.context;
        let (machine, key) = Machine::open(paths, secrets, &self.sign_in, Duration::ZERO).await?;
        inbox.seals().set(&self.account, &key);
        Ok(self.keys.machine.insert(machine).clone())
    }

    fn failed(&mut self, error: &EncryptionError) {
        let now = Instant::now();
        self.retries.failed(error, now);
        (self.pending.late, self.pending.upkeep_at) = (true, now);
        if !self.ringing.is_empty() {
            self.tell_of_calls(true, now);
        }
        if matches!(error, EncryptionError::Busy) {
            return;
        }
        self.lost(error);
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
        // A closed channel means that the program is ending.
        drop(self.context.reports.send((Arc::clone(&self.account), report)));
    }
}
