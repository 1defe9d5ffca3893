//! A sync that the homeserver holds open until something comes: what it is to return for, and what its answer says.
//!
//! ```text
//! hold ──► answer ──► told: whoever makes notices of it says that they are in the inbox ──► keys and token ──► decrypt
//! ```
//! An answer whose notices are not in the inbox is dropped: the homeserver gives it again.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    Brought, Held, HeldNews,
    api::{Api, DEADLINE},
    error::EncryptionError,
    interest::Interest,
    machine::{KeyCounts, Machine, SyncAnswer, Synced, sync_path},
};

/// Longest time that the homeserver is asked to hold a sync.
const LONGEST: Duration = Duration::from_secs(420);
/// Shortest time that a proxy before it is thought to cut at.
const SHORTEST: Duration = Duration::from_secs(50);
/// By so much a sync is shorter than what a proxy allows.
const MARGIN: Duration = Duration::from_secs(10);
/// Sooner than this no proxy cuts: something has failed.
const SOONEST_CUT: Duration = Duration::from_secs(25);
/// How long it may take until what an answer brings is in the inbox.
const TAKING: Duration = Duration::from_secs(120);

/// Tells of an account's syncs.
#[derive(Clone)]
pub(super) struct Teller {
    pub(super) account: Arc<str>,
    pub(super) user: String,
    pub(super) news: mpsc::UnboundedSender<HeldNews>,
    /// Nothing of what it tells was held back: syncs have followed each other.
    pub(super) is_live: bool,
}

impl Teller {
    pub(super) fn tell(&self, news: Held) {
        // The receiver is gone only when the program ends.
        drop(self.news.send(HeldNews { account: Arc::clone(&self.account), news }));
    }

    /// Has what a sync has brought be taken over; whether it is in the inbox.
    pub(super) async fn bring(&self, brought: Brought) -> bool {
        let (taken, answer) = oneshot::channel();
        self.tell(Held::Came { brought, taken });
        matches!(timeout(TAKING, answer).await, Ok(Ok(true)))
    }

    /// There may be anything new.
    pub(super) fn tell_of_anything(&self) {
        let (taken, _) = oneshot::channel();
        self.tell(Held::Came { brought: Brought { lists_new: true, ..Brought::default() }, taken });
    }

    /// The same for an answer.
    async fn bring_answer(&self, interest: &Interest, since: &str, answer: &SyncAnswer) -> Result<(), EncryptionError> {
        let Some(brought) = interest.brought(&answer.rooms, since, &self.user) else { return Ok(()) };
        if self.bring(Brought { is_live: self.is_live, ..brought }).await {
            Ok(())
        } else {
            Err(EncryptionError::NotTaken)
        }
    }
}

/// One sync that returns at once or after so long, and whose answer is taken in. Never call it while another is under way.
pub(super) async fn sync(
    machine: &Machine,
    wait: Duration,
    interest: &Interest,
    teller: &Teller,
) -> Result<Synced, EncryptionError> {
    let since = machine.token().await?;
    // A first sync would bring all rooms.
    let nothing = Interest::default();
    let asked = if since.is_some() { interest } else { &nothing };
    let answer = machine.poll(wait, &asked.filter()).await?;
    teller.bring_answer(asked, since.as_deref().unwrap_or_default(), &answer).await?;
    let has_call_events = asked.has_call_events(&answer.rooms);
    let synced = machine.take_in(answer).await?;
    if since.is_none() && interest.messages.is_some() {
        teller.tell_of_anything();
    }
    Ok(Synced { has_call_events, ..synced })
}

/// What holds a sync open.
pub(super) struct Hold {
    pub(super) api: Arc<Api>,
    /// The token that it begins at.
    pub(super) since: String,
    pub(super) interest: Interest,
    pub(super) teller: Teller,
    pub(super) wait: Duration,
}

/// How a held sync has ended.
pub(super) struct Ended {
    pub(super) how: How,
    /// It was held for so long: not at all where it was to return at once.
    pub(super) lasted: Duration,
}

pub(super) enum How {
    /// With an answer, whose notices are in the inbox.
    Answered(Box<SyncAnswer>),
    /// It was told to.
    Told,
    /// It failed.
    Failed(EncryptionError),
}

impl Hold {
    /// Until there is an answer whose notices are in the inbox, or this is told.
    pub(super) async fn run(self, end: oneshot::Receiver<()>) -> Ended {
        let Self { api, since, interest, teller, wait } = self;
        let began = Instant::now();
        let path = sync_path(Some(&since), wait, &interest.filter());
        let answer = tokio::select! {
            answer = api.get::<SyncAnswer>(&path, "sync", wait + DEADLINE) => answer,
            Ok(()) = end => return Ended { how: How::Told, lasted: began.elapsed() },
        };
        let lasted = if wait.is_zero() { Duration::ZERO } else { began.elapsed() };
        let how = match answer {
            Ok(answer) => match teller.bring_answer(&interest, &since, &answer).await {
                Ok(()) => How::Answered(Box::new(answer)),
                Err(error) => How::Failed(error),
            },
            Err(error) => How::Failed(error),
        };
        Ended { how, lasted }
    }
}

/// Time between the beginnings of two syncs that are held: what comes close together is taken over together.
const SPACING: Duration = Duration::from_millis(200);

/// Whether and how an account listens: what is kept between the syncs that are held.
pub(super) struct Listening {
    /// Messages are listened for.
    pub(super) is_on: bool,
    /// Something may have been held back: the next sync is to return at once.
    pub(super) is_behind: bool,
    pub(super) patience: Patience,
    /// The next one begins no sooner.
    pub(super) begin_at: Instant,
    /// Where the next one begins, while the keys may be closed.
    position: Option<Position>,
    /// Up to this token everything that came was told.
    told_up_to: Option<String>,
    /// The search that is under way, or was the last, looks for messages too.
    pub(super) search_tells: bool,
    /// What was told last.
    is_connected: Option<bool>,
}

/// Where a sync begins.
#[derive(Clone)]
pub(super) struct Position {
    pub(super) api: Arc<Api>,
    /// The token that is in the store.
    pub(super) kept: String,
    /// A later one: nothing lies between that has to be kept.
    pub(super) since: String,
    pub(super) counts: KeyCounts,
}

impl Listening {
    pub(super) fn new(is_on: bool) -> Self {
        Self {
            is_on,
            // Whether the homeserver answers is known with the first answer alone.
            is_behind: is_on,
            patience: Patience::default(),
            begin_at: Instant::now(),
            position: None,
            told_up_to: None,
            search_tells: false,
            is_connected: None,
        }
    }

    /// Whether that is another way than before.
    pub(super) fn turn(&mut self, on: bool) -> bool {
        let is_new = std::mem::replace(&mut self.is_on, on) != on;
        if is_new {
            // Meanwhile syncs did not look.
            (self.told_up_to, self.is_connected, self.is_behind) = (None, None, on);
        }
        is_new
    }

    /// The next sync begins now; where, if that is known without the keys.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Position> {
        self.begin_at = now + SPACING;
        self.position.clone()
    }

    /// It begins here, as the keys' store says.
    pub(super) fn begin_at_token(&mut self, api: Arc<Api>, token: String) -> Position {
        let counts = self.position.as_ref().map(|position| position.counts.clone()).unwrap_or_default();
        self.position.insert(Position { api, kept: token.clone(), since: token, counts }).clone()
    }

    /// The store's token is another now. `is_told`: what lies before it was told.
    pub(super) fn token_changed(&mut self, token: Option<&str>, is_told: bool) {
        self.position = None;
        if is_told {
            self.told_up_to = token.map(ToOwned::to_owned);
        }
    }

    /// Whether something may have come before this token that nobody was told of; from now on it counts as told.
    pub(super) fn lacks(&mut self, token: &str) -> bool {
        self.told_up_to.replace(token.to_owned()).is_none_or(|told| told != token)
    }

    /// Where the sync began that was held last.
    pub(super) fn position(&self) -> Option<Position> {
        self.position.clone()
    }

    /// What is connected is connected no more.
    pub(super) fn disconnect(&mut self) {
        self.is_behind = true;
        // What cuts may be another.
        self.patience = Patience::default();
        if let Some(position) = &self.position {
            position.api.disconnect();
        }
        // The keys' store has a connection of its own.
        self.position = None;
    }

    /// The sync has ended with nothing that is to be kept.
    pub(super) fn was_idle(&mut self, next: &str) {
        if let Some(position) = &mut self.position {
            next.clone_into(&mut position.since);
        }
    }

    /// What is known of the keys at the homeserver.
    pub(super) fn has_counts(&mut self, counts: KeyCounts) {
        if let Some(position) = &mut self.position {
            position.counts = counts;
        }
    }

    /// The homeserver answers, or does not; whether that is new.
    pub(super) fn is_new(&mut self, is_connected: bool) -> bool {
        self.is_on && self.is_connected.replace(is_connected) != Some(is_connected)
    }
}

/// How long syncs are held: what a proxy before the homeserver lets pass. Kept as long as the network stays. It is not written
/// down: to learn it again takes one sync that is cut, or two, and the next begins at once and at the same token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patience {
    wait: Duration,
    /// The last one broke off after a while: a proxy may have cut it, or a network.
    has_broken: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { wait: LONGEST, has_broken: false }
    }
}

impl Patience {
    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    /// A sync was answered after so long. One that was not held says nothing about what cuts.
    pub(super) fn answered(&mut self, lasted: Duration) {
        self.has_broken &= lasted < SOONEST_CUT;
    }

    /// A sync ended so, after so long, without an answer. Whether that is as well as can be: the next one may begin at once.
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
        let mut patience = Patience::default();
        assert_eq!(patience.wait(), LONGEST);
        assert!(!patience.broke(&cut(502), seconds(1)), "it fails");
        assert!(!patience.broke(&cut(403), seconds(60)), "it is refused");
        assert!(patience.broke(&cut(504), seconds(120)));
        assert_eq!(patience.wait(), seconds(110));
        assert!(patience.broke(&cut(504), seconds(60)));
        assert_eq!(patience.wait(), SHORTEST);
        assert!(patience.broke(&cut(504), seconds(30)));
        assert_eq!(patience.wait(), SHORTEST);
        let mut patience = Patience::default();
        assert!(patience.broke(&cut(502), seconds(100)), "the server may have been restarted");
        assert_eq!(patience.wait(), LONGEST);
        patience.answered(Duration::ZERO);
        assert!(patience.broke(&cut(502), seconds(100)));
        assert_eq!(patience.wait(), seconds(90));
        let mut patience = Patience::default();
        assert!(patience.broke(&cut(502), seconds(100)));
        patience.answered(seconds(200));
        assert!(patience.broke(&cut(502), seconds(100)), "networks fail now and then");
        assert_eq!(patience.wait(), LONGEST);
    }
}
