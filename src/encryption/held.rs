//! A sync that the homeserver holds open until there is something new.
//!
//! ```text
//! hold ──► answer ──► reported, and recorded in the inbox by catching up ──► keys and token are stored ──► decrypt
//! ```
//! If recording fails, the answer is dropped, and the homeserver sends it again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    ConnectionEvent, ConnectionNews, Incoming,
    api::{Api, DEADLINE},
    error::EncryptionError,
    interest::Interest,
    machine::{Machine, SyncAnswer, Synced, sync_path},
};

/// Longest timeout of a held sync.
const LONGEST: Duration = Duration::from_secs(420);
/// Shortest timeout, whatever a proxy cuts.
const SHORTEST: Duration = Duration::from_secs(50);
/// How much shorter a sync is than the time at which a proxy cut one.
const MARGIN: Duration = Duration::from_secs(10);
/// A sync that fails sooner than this was not cut by a proxy.
const SOONEST_CUT: Duration = Duration::from_secs(25);
/// Time limit for recording an answer in the inbox.
const RECORDING: Duration = Duration::from_secs(120);

/// Reports news of an account's syncs.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) account: Arc<str>,
    pub(super) user: String,
    pub(super) news: mpsc::UnboundedSender<ConnectionNews>,
    /// Syncs have followed each other without a gap, so that what they bring is not delayed.
    pub(super) is_live: bool,
}

impl Reporter {
    pub(super) fn report(&self, event: ConnectionEvent) {
        // A closed channel means that the program is ending.
        drop(self.news.send(ConnectionNews { account: Arc::clone(&self.account), event }));
    }

    /// Has this recorded in the inbox. Returns whether it was.
    pub(super) async fn record(&self, incoming: Incoming) -> bool {
        let (recorded, answer) = oneshot::channel();
        self.report(ConnectionEvent::Arrived { incoming, recorded });
        matches!(timeout(RECORDING, answer).await, Ok(Ok(true)))
    }

    /// Reports that there may be new events, without waiting until they are recorded.
    pub(super) fn report_anything(&self) {
        let (recorded, _) = oneshot::channel();
        self.report(ConnectionEvent::Arrived {
            incoming: Incoming { lists_new: true, ..Incoming::default() },
            recorded,
        });
    }

    /// Has the content of an answer recorded in the inbox.
    async fn record_answer(
        &self,
        interest: &Interest,
        since: &str,
        answer: &SyncAnswer,
    ) -> Result<(), EncryptionError> {
        let Some(incoming) = interest.incoming(&answer.rooms, since, &self.user) else { return Ok(()) };
        if self.record(Incoming { is_live: self.is_live, ..incoming }).await {
            Ok(())
        } else {
            Err(EncryptionError::NotRecorded)
        }
    }
}

/// One sync with this timeout, whose answer is recorded and processed. Must not run concurrently with another sync.
pub(super) async fn sync(
    machine: &Machine,
    wait: Duration,
    interest: &Interest,
    reporter: &Reporter,
) -> Result<Synced, EncryptionError> {
    let since = machine.token().await?;
    // A first sync would return all rooms.
    let nothing = Interest::default();
    let asked = if since.is_some() { interest } else { &nothing };
    let answer = machine.poll(wait, &asked.filter()).await?;
    reporter.record_answer(asked, since.as_deref().unwrap_or_default(), &answer).await?;
    let has_call_events = answer.rooms.has_events_in(&asked.ringing);
    let synced = machine.take_in(answer).await?;
    if since.is_none() && interest.messages.is_some() {
        reporter.report_anything();
    }
    Ok(Synced { has_call_events, ..synced })
}

/// A sync to hold open.
pub(super) struct HeldSync {
    pub(super) api: Arc<Api>,
    /// The token to start from.
    pub(super) since: String,
    pub(super) interest: Interest,
    pub(super) reporter: Reporter,
    pub(super) wait: Duration,
}

/// The end of a held sync.
pub(super) struct HoldEnd {
    pub(super) result: HoldResult,
    /// How long it was held; zero if its timeout was zero.
    pub(super) lasted: Duration,
}

pub(super) enum HoldResult {
    /// With an answer, which is recorded in the inbox.
    Answered(Box<SyncAnswer>),
    /// It was cancelled.
    Cancelled,
    /// It failed.
    Failed(EncryptionError),
}

impl HeldSync {
    /// Runs until an answer is recorded in the inbox, the sync fails, or `end` is sent.
    pub(super) async fn run(self, end: oneshot::Receiver<()>) -> HoldEnd {
        let Self { api, since, interest, reporter, wait } = self;
        let began = Instant::now();
        let path = sync_path(Some(&since), wait, &interest.filter());
        let answer = tokio::select! {
            answer = api.get::<SyncAnswer>(&path, "sync", wait + DEADLINE) => answer,
            Ok(()) = end => return HoldEnd { result: HoldResult::Cancelled, lasted: began.elapsed() },
        };
        let lasted = if wait.is_zero() { Duration::ZERO } else { began.elapsed() };
        let result = match answer {
            Ok(answer) => match reporter.record_answer(&interest, &since, &answer).await {
                Ok(()) => HoldResult::Answered(Box::new(answer)),
                Err(error) => HoldResult::Failed(error),
            },
            Err(error) => HoldResult::Failed(error),
        };
        HoldEnd { result, lasted }
    }
}

/// Minimum interval between the beginnings of two held syncs, so that several events are recorded together.
const SPACING: Duration = Duration::from_millis(200);

/// The state between an account's held syncs.
pub(super) struct Listening {
    /// Whether the account listens for messages.
    pub(super) is_on: bool,
    /// There was a gap: the next sync has to return at once.
    pub(super) is_behind: bool,
    pub(super) hold_timeout: HoldTimeout,
    /// Earliest beginning of the next sync.
    pub(super) begin_at: Instant,
    /// Where the next sync starts, so that the store need not be opened for it.
    position: Option<Position>,
    /// Everything up to this token was reported.
    reported_up_to: Option<String>,
    /// Whether the current or last search also reports messages.
    pub(super) search_reports: bool,
    /// The state last reported.
    is_connected: Option<bool>,
}

/// Where a sync starts.
#[derive(Clone)]
pub(super) struct Position {
    pub(super) api: Arc<Api>,
    /// The token in the store.
    pub(super) since: String,
}

impl Listening {
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            // Only a first answer shows that the homeserver is connected.
            is_behind: is_on,
            hold_timeout: HoldTimeout::default(),
            begin_at: Instant::now(),
            position: None,
            reported_up_to: None,
            search_reports: false,
            is_connected: None,
        }
    }

    /// Turns listening on or off. Returns whether that is a change.
    pub(super) fn turn(&mut self, on: bool) -> bool {
        let is_new = std::mem::replace(&mut self.is_on, on) != on;
        if is_new {
            // Syncs have not reported messages meanwhile.
            (self.reported_up_to, self.is_connected, self.is_behind) = (None, None, on);
        }
        is_new
    }

    /// Begins the next sync. Returns where it starts, if that is known without opening the store.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Position> {
        self.begin_at = now + SPACING;
        self.position.clone()
    }

    /// Sets the start of the next sync to the store's token.
    pub(super) fn begin_at_token(&mut self, api: Arc<Api>, token: String) -> Position {
        self.position.insert(Position { api, since: token }).clone()
    }

    /// The answer to a held sync was recorded and processed; the next sync starts at this token.
    pub(super) fn advance(&mut self, token: &str) {
        if let Some(position) = &mut self.position {
            token.clone_into(&mut position.since);
        }
        self.reported_up_to = Some(token.to_owned());
    }

    /// The store's token has changed. `is_reported`: everything before it was reported.
    pub(super) fn token_changed(&mut self, token: Option<&str>, is_reported: bool) {
        self.position = None;
        if is_reported {
            self.reported_up_to = token.map(ToOwned::to_owned);
        }
    }

    /// Whether events before this token may not have been reported. From now on they count as reported.
    pub(super) fn lacks(&mut self, token: &str) -> bool {
        self.reported_up_to.replace(token.to_owned()).is_none_or(|told| told != token)
    }

    /// Where the last held sync started.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.clone()
    }

    /// Closes the connection.
    pub(super) fn disconnect(&mut self) {
        self.is_behind = true;
        // Another network may have another proxy.
        self.hold_timeout = HoldTimeout::default();
        if let Some(position) = &self.position {
            position.api.disconnect();
        }
        // An open store has a connection of its own.
        self.position = None;
    }

    /// Sets whether the sync is connected. Returns whether to report that: it is a change.
    pub(super) fn is_new(&mut self, is_connected: bool) -> bool {
        self.is_on && self.is_connected.replace(is_connected) != Some(is_connected)
    }
}

/// How long syncs are held, given what a proxy before the homeserver allows. Learned from one or two syncs that are cut;
/// forgotten when the network changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HoldTimeout {
    wait: Duration,
    /// The last sync broke off: cut by a proxy, or by a failing network.
    has_broken: bool,
}

impl Default for HoldTimeout {
    fn default() -> Self {
        Self { wait: LONGEST, has_broken: false }
    }
}

impl HoldTimeout {
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// A sync was answered after this time. If it was hardly held, that shows nothing.
    pub(super) fn answered(&mut self, lasted: Duration) {
        self.has_broken &= lasted < SOONEST_CUT;
    }

    /// A sync failed after this time. Returns whether it was cut, so that the next may begin at once.
    pub(super) fn broke(&mut self, error: &EncryptionError, lasted: Duration) -> bool {
        if lasted < SOONEST_CUT || !error.is_cut() {
            return false;
        }
        if error.is_gateway_timeout() || std::mem::replace(&mut self.has_broken, true) {
            self.has_broken = false;
            self.wait = self.wait.min(lasted.saturating_sub(MARGIN)).max(SHORTEST);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_is_as_long_as_proxies_allow() {
        let cut = |status: u16| EncryptionError::of_status(status);
        let seconds = Duration::from_secs;
        let mut timeout = HoldTimeout::default();
        assert_eq!(timeout.wait(), LONGEST);
        assert!(!timeout.broke(&cut(502), seconds(1)), "it fails");
        assert!(!timeout.broke(&cut(403), seconds(60)), "it is refused");
        assert!(timeout.broke(&cut(504), seconds(120)));
        assert_eq!(timeout.wait(), seconds(110));
        assert!(timeout.broke(&cut(504), seconds(60)));
        assert_eq!(timeout.wait(), SHORTEST);
        assert!(timeout.broke(&cut(504), seconds(30)));
        assert_eq!(timeout.wait(), SHORTEST);
        let mut timeout = HoldTimeout::default();
        assert!(timeout.broke(&cut(502), seconds(100)), "the server may have been restarted");
        assert_eq!(timeout.wait(), LONGEST);
        timeout.answered(Duration::ZERO);
        assert!(timeout.broke(&cut(502), seconds(100)));
        assert_eq!(timeout.wait(), seconds(90));
        let mut timeout = HoldTimeout::default();
        assert!(timeout.broke(&cut(502), seconds(100)));
        timeout.answered(seconds(200));
        assert!(timeout.broke(&cut(502), seconds(100)), "networks fail now and then");
        assert_eq!(timeout.wait(), LONGEST);
    }
}
