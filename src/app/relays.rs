//! A connection to the relay of each account that has one, held open.
//!
//! ```text
//! lines ──► batch: what is not known ──► catching up asks the homeserver what is new ──► inbox ──► the relay's time is kept
//! ```
//! The relay keeps its messages, so what is not in the inbox is read again.
//!
//! An account that was registered by hand has no homeserver to ask: only that something is new is recorded.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::AbortHandle,
    time::{Duration, Instant, sleep, sleep_until, timeout, timeout_at},
};

use crate::{
    accounts::Account,
    backoff::Backoff,
    encryption::{ConnectionEvent, ConnectionNews, Incoming},
    homeserver::HomeserverKind,
    http_client::{HttpClient, Lines},
    inbox::{Delivery, Inbox, Recipient},
    ntfy::{
        CONNECTING, Relay, RelayError,
        line::{Hint, Line},
        progress::{Batch, MAX_EVENTS, MAX_KNOWN, Progress, silence},
    },
    push::notify::{Notification, SoundTweak, Tweaks},
    secrets::{Secrets, SecretsError},
};

/// First and maximum delay after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5 * 60));
/// A connection that lasted this long resets the backoff.
const LASTING: Duration = Duration::from_secs(60);
/// How long to wait after a relay has refused access.
const REFUSED: Duration = Duration::from_secs(60 * 60);
/// Polling interval for a relay whose proxy buffers answers, and the number of polls before a connection is tried
/// again.
const POLLS: (Duration, u32) = (Duration::from_secs(60), 60);
/// Buffered connections in a row before polling begins: a single one may have been slow for another reason.
const HELD_BACK: u32 = 2;
/// Upper bound of a relay's `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// Time limit for recording what has arrived.
const RECORDING: Duration = Duration::from_secs(120);

/// Minimum time between two notices of an account without a session: anybody who knows the topic can cause them.
const HINT_INTERVAL: Duration = Duration::from_secs(10);

/// The connections of all accounts.
pub(super) struct Relays {
    inbox: Inbox,
    secrets: Secrets,
    news: mpsc::UnboundedSender<ConnectionNews>,
    open: BTreeMap<Arc<str>, Open>,
}

struct Open {
    account: Account,
    task: AbortHandle,
    /// Notified when connections may be dead.
    again: Arc<Notify>,
}

impl Relays {
    pub(super) fn new(inbox: Inbox, secrets: Secrets, news: mpsc::UnboundedSender<ConnectionNews>) -> Self {
        Self { inbox, secrets, news, open: BTreeMap::new() }
    }

    /// Connects the accounts that have a relay, and disconnects all others.
    pub(super) fn follow<'a>(&mut self, accounts: impl Iterator<Item = &'a Account>) {
        let mut before = std::mem::take(&mut self.open);
        for account in accounts {
            if account.relay_address().is_none() {
                continue;
            }
            let same = before.remove(&account.name).filter(|open| {
                let is_same = open.account == *account;
                if !is_same {
                    open.task.abort();
                }
                is_same
            });
            if let Some(open) = &same {
                // Its token may have changed.
                open.again.notify_one();
            }
            let open = same.unwrap_or_else(|| self.start(account.clone()));
            self.open.insert(Arc::clone(&account.name), open);
        }
        for open in before.into_values() {
            open.task.abort();
        }
    }

    /// Reconnects after a change of network or a wake-up.
    pub(super) fn reconnect(&self) {
        for open in self.open.values() {
            open.again.notify_one();
        }
    }

    fn start(&self, account: Account) -> Open {
        let again = Arc::new(Notify::new());
        let lists_new = account.sign_in.as_ref().is_some_and(|it| HomeserverKind::named(&it.server).lists_new());
        let reader = Reader {
            account: account.clone(),
            lists_new,
            hints: account.sign_in.is_none().then(Hints::default),
            secrets: self.secrets.clone(),
            inbox: self.inbox.clone(),
            news: self.news.clone(),
            backoff: Backoff::new(RETRY.0, RETRY.1),
            polls: 0,
            held_back: 0,
        };
        Open { account, task: tokio::spawn(reader.run(Arc::clone(&again))).abort_handle(), again }
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        for open in self.open.values() {
            open.task.abort();
        }
    }
}

struct Reader {
    account: Account,
    /// Whether the homeserver lists notifications; if not, events are fetched one by one.
    lists_new: bool,
    /// Set for an account without a session.
    hints: Option<Hints>,
    secrets: Secrets,
    inbox: Inbox,
    news: mpsc::UnboundedSender<ConnectionNews>,
    backoff: Backoff,
    /// Remaining polls before a connection is tried again.
    polls: u32,
    /// Buffered connections in a row.
    held_back: u32,
}

/// The notices of an account without a session.
#[derive(Default)]
struct Hints {
    /// When the last one was recorded.
    at: Option<Instant>,
    /// The stored relay time when the program started: lines up to it were handled before, but most have no row.
    known_until: u64,
}

impl Hints {
    /// When the next one may be recorded.
    fn due(&self) -> Option<Instant> {
        self.at.map(|at| at + HINT_INTERVAL)
    }
}

/// Why a connection has ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Relay(#[from] RelayError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    #[error("the connection has ended")]
    Ended,
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("what has arrived is not recorded yet")]
    NotRecorded,
}

impl Reader {
    async fn run(mut self, again: Arc<Notify>) {
        let time = self.inbox.relay_time(&self.account.name).await.unwrap_or_else(|error| {
            tracing::warn!("{error}");
            None
        });
        let mut progress = Progress::new(time);
        if let Some(hints) = &mut self.hints {
            hints.known_until = time.unwrap_or_default();
        }
        loop {
            let began = Instant::now();
            let wait = tokio::select! {
                ended = self.read(&mut progress) => self.wait_after(ended, began.elapsed()),
                () = again.notified() => {
                    (self.backoff, self.polls) = (Backoff::new(RETRY.0, RETRY.1), 0);
                    Duration::ZERO
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = again.notified() => (self.backoff, self.polls) = (Backoff::new(RETRY.0, RETRY.1), 0),
            }
        }
    }

    /// The delay before the next attempt.
    fn wait_after(&mut self, ended: Result<(), End>, lasted: Duration) -> Duration {
        if lasted >= LASTING {
            self.backoff.reset();
        }
        let Err(end) = ended else { return POLLS.0 };
        tracing::info!(account = &*self.account.name, "the relay: {end}");
        if !matches!(end, End::Relay(RelayError::HeldBack)) {
            self.held_back = 0;
        }
        let wait = match &end {
            End::Relay(RelayError::HeldBack) => {
                self.held_back += 1;
                if self.held_back >= HELD_BACK {
                    (self.polls, self.held_back) = (POLLS.1, 0);
                }
                return Duration::ZERO;
            }
            End::Relay(RelayError::Denied(_)) => REFUSED,
            End::Relay(RelayError::TooMany(wait)) => {
                self.backoff.next().max(wait.unwrap_or_default().min(MAX_RETRY_AFTER))
            }
            End::Relay(RelayError::Transport(_) | RelayError::Unexpected(_))
            | End::Secrets(_)
            | End::Ended
            | End::Silent(_)
            | End::NotRecorded => self.backoff.next(),
        };
        let reason = end.to_string();
        let is_refused = matches!(end, End::Relay(RelayError::Denied(_)));
        self.tell(if is_refused { ConnectionEvent::Refused(reason) } else { ConnectionEvent::Lost(reason) });
        wait
    }

    /// Reads until the connection ends; polls once if connections are buffered.
    async fn read(&mut self, progress: &mut Progress) -> Result<(), End> {
        // Loaded each time: a keyring may have been unlocked, and a token replaced.
        let Some(relay) = self.secrets.relay(&self.account).await? else { return std::future::pending().await };
        // A client of its own: certificates are loaded, and connections closed, with it.
        let http = HttpClient::connecting_within(CONNECTING).map_err(RelayError::from)?;
        if let Some(left) = self.polls.checked_sub(1) {
            self.poll(&relay, &http, progress).await?;
            self.polls = left;
            let reason = format!("{}; it is asked once a minute. `pushbell doctor` says more", RelayError::HeldBack);
            self.tell(ConnectionEvent::Lost(reason));
            return Ok(());
        }
        let since = progress.since();
        let (first, lines) = relay.open(&http, since.as_deref()).await?;
        self.tell(ConnectionEvent::Connected);
        let mut batch = Batch::default();
        let mut now = 0;
        self.take(&relay, progress, &mut batch, &first, &mut now);
        batch.is_first = since.is_none();
        self.follow(&relay, progress, lines, batch, now).await
    }

    async fn follow(
        &mut self,
        relay: &Relay,
        progress: &mut Progress,
        mut lines: Lines,
        mut batch: Batch,
        mut now: u64,
    ) -> Result<(), End> {
        let (mut keepalive_at, mut between) = (None::<Instant>, None);
        let (mut began_at, mut counted_at) = (None, None);
        loop {
            let silence = silence(between);
            let now_is = Instant::now();
            let due = if batch.is_empty() {
                now_is + silence
            } else {
                batch.due(*began_at.get_or_insert(now_is), counted_at)
            };
            let due = self.hints.as_ref().and_then(Hints::due).map_or(due, |hint| due.max(hint));
            // Lines that keep coming do not delay it.
            let gathered = batch.is_full(self.most()) || due <= now_is || {
                match timeout_at(due, lines.next()).await {
                    Ok(Ok(Some(line))) => {
                        if self.take(relay, progress, &mut batch, &line, &mut now) {
                            between = keepalive_at.replace(Instant::now()).map(|before| before.elapsed());
                        }
                        false
                    }
                    Ok(Ok(None)) => {
                        self.bring(progress, batch).await?;
                        return Err(End::Ended);
                    }
                    Ok(Err(error)) => {
                        self.bring(progress, batch).await?;
                        return Err(RelayError::from(error).into());
                    }
                    Err(_) if batch.is_empty() => return Err(End::Silent(silence)),
                    Err(_) => true,
                }
            };
            if gathered {
                began_at = None;
                if batch.is_count {
                    counted_at = Some(Instant::now());
                }
                self.bring(progress, std::mem::take(&mut batch)).await?;
            }
        }
    }

    async fn poll(&mut self, relay: &Relay, http: &HttpClient, progress: &mut Progress) -> Result<(), End> {
        let since = progress.since().unwrap_or_else(|| "all".to_owned());
        let mut batch = Batch::default();
        // If polling fails as well, the relay is unreachable; connections are tried again.
        let lines = relay.poll(http, &since).await.inspect_err(|_| self.polls = 0)?;
        for line in lines {
            if batch.is_full(self.most()) {
                self.bring(progress, std::mem::take(&mut batch)).await?;
            }
            self.take(relay, progress, &mut batch, &line, &mut 0);
            batch.is_late = true;
        }
        self.bring(progress, batch).await
    }

    /// Maximum number of events in a batch.
    fn most(&self) -> usize {
        if self.hints.is_some() { MAX_KNOWN } else { MAX_EVENTS }
    }

    /// Takes a line into the batch. Returns whether it is a mere keepalive.
    fn take(&self, relay: &Relay, progress: &Progress, batch: &mut Batch, line: &[u8], now: &mut u64) -> bool {
        let Some(mut line) = Line::parse(line) else { return false };
        let is_keepalive = line.is_keepalive;
        if let Some(hints) = &self.hints {
            let is_known = line.time > 0 && line.time <= hints.known_until;
            // Numbers from a relay are not trusted.
            line.hint = line.hint.filter(|hint| hint.event.is_some() && !is_known);
        }
        *now = line.time.max(*now);
        progress.take(batch, line, *now, |hint: &Hint| relay.is_meant(&self.account.app_id, &hint.devices));
        is_keepalive
    }

    /// Has catching up fetch what is new, and records the relay's time once that is in the inbox.
    async fn bring(&mut self, progress: &mut Progress, batch: Batch) -> Result<(), End> {
        let (is_push, says_nothing) = (batch.is_push, batch.is_empty());
        if self.hints.is_some() {
            self.hint(&batch).await?;
        } else if !says_nothing {
            let pushed = if self.lists_new { Vec::new() } else { batch.events.clone() };
            let (lists_new, may_be_read) = (true, batch.is_count);
            let is_live = !batch.is_late && !batch.is_first;
            let incoming = Incoming { lists_new, may_be_read, is_live, pushed, ..Incoming::default() };
            let (recorded, answer) = oneshot::channel();
            self.tell(ConnectionEvent::Arrived { incoming, recorded });
            if !matches!(timeout(RECORDING, answer).await, Ok(Ok(true))) {
                return Err(End::NotRecorded);
            }
        }
        if is_push {
            // The relay works, however short its connections are.
            self.backoff.reset();
        }
        let time = progress.taken(batch);
        // A keepalive's time alone is not stored: reading from an earlier time is harmless.
        if !says_nothing
            && let Some(time) = time.or(progress.newest())
            && let Err(error) = self.inbox.set_relay_time(&self.account.name, time, is_push).await
        {
            tracing::warn!("{error}");
        }
        Ok(())
    }

    /// Records that something is new; not what, which may be forged.
    async fn hint(&mut self, batch: &Batch) -> Result<(), End> {
        let (Some(hints), Some(event)) = (&mut self.hints, batch.events.first()) else { return Ok(()) };
        if let Some(due) = hints.due() {
            sleep_until(due).await;
        }
        let notification = Notification { event_id: Some(event.event_id.clone()), ..Notification::default() };
        let tweaks = Tweaks { sound: SoundTweak::Named("default".into()), highlight: false };
        let delivery = Delivery {
            notification,
            recipients: vec![Recipient::new(&self.account, tweaks)],
            received_at: Timestamp::now(),
            replayed: batch.is_late,
            is_sample: false,
        };
        if let Err(error) = self.inbox.record(delivery).await {
            tracing::warn!("{error}");
            return Err(End::NotRecorded);
        }
        hints.at = Some(Instant::now());
        Ok(())
    }

    fn tell(&self, event: ConnectionEvent) {
        // A closed channel means that the program is ending.
        drop(self.news.send(ConnectionNews { account: Arc::clone(&self.account.name), event }));
    }
}
