//! Learning what pushes with nothing but ids leave out (`event_id_only`): the event, who and where.
//!
//! The clients exist only while there is something to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hyper::StatusCode;
use jiff::{SignedDuration, Timestamp};
use tokio::{task::JoinSet, time::Instant};

use super::run::Shared;
use crate::{
    accounts::{Account, SignIn},
    homeserver::HomeserverError,
    inbox::{InboxError, WantedDetails},
    notice::NoticeId,
    push::notify::Notification,
    session::{SessionError, SignedIn},
};

/// Time of one request: a popup waits for no more than two seconds, but what comes later changes it.
const DEADLINE: Duration = Duration::from_secs(5);
/// So many are looked up at once.
const AT_ONCE: usize = 4;
/// So many are taken from the inbox at a time.
const BATCH: usize = 16;
/// What could not be learned in this time stays as it is.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(1);
/// After a failure it is tried again so soon; twice as long after each failure in a row, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(5 * 60));
/// A homeserver that asks for more patience than this gets this much: longer nothing is tried.
const MOST_PATIENCE: Duration = Duration::from_secs(60 * 60);
/// Entries of `/notifications` that are looked at for an event of a room that the person has not joined.
const LISTED: usize = 20;

/// When to look (pure).
#[derive(Debug, Default)]
pub(super) struct Looking {
    pub(super) is_running: bool,
    failures: u32,
    retry_at: Option<Instant>,
    /// Accounts whose homeserver is not asked before this time, because it wants so.
    patience: BTreeMap<Arc<str>, Instant>,
}

impl Looking {
    /// When to try again, if that is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.retry_at.filter(|_| !self.is_running)
    }

    /// Which accounts are left alone this time.
    pub(super) fn begin(&mut self, now: Instant) -> BTreeSet<Arc<str>> {
        self.is_running = true;
        self.retry_at = None;
        self.patience.retain(|_, until| *until > now);
        self.patience.keys().cloned().collect()
    }

    pub(super) fn end(&mut self, looked: &Looked, now: Instant) {
        self.is_running = false;
        let patience = looked.patience.iter().map(|(name, wait)| (Arc::clone(name), now + (*wait).min(MOST_PATIENCE)));
        self.patience.extend(patience);
        if looked.is_left {
            let (first, longest) = RETRY;
            self.retry_at = Some(now + first.saturating_mul(1 << self.failures.min(16)).min(longest));
            self.failures = self.failures.saturating_add(1);
        } else {
            self.failures = 0;
        }
    }

    /// Something has happened after which it may work.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.retry_at = self.retry_at.map(|at| at.min(now));
    }
}

/// What looking came to.
#[derive(Debug, Default)]
pub(super) struct Looked {
    /// Something could not be learned now.
    is_left: bool,
    /// Accounts whose session is over: catching up says what that means.
    pub(super) over: BTreeSet<Arc<str>>,
    /// Accounts whose homeserver wants to be left alone for so long.
    patience: BTreeMap<Arc<str>, Duration>,
}

/// Looks up all that is wanted now. What accounts want whose session is `over` is left until it goes on, and what those
/// want that are `not_now` is left until another time.
pub(super) async fn look(
    shared: Arc<Shared>,
    accounts: BTreeMap<Arc<str>, (Account, SignIn)>,
    over: BTreeSet<Arc<str>>,
    not_now: BTreeSet<Arc<str>>,
    derive_missed_calls: bool,
) -> Looked {
    let looked = Looked { over, ..Looked::default() };
    let look = Look { shared, accounts, not_now, derive_missed_calls, clients: BTreeMap::new(), looked };
    look.all().await
}

struct Look {
    shared: Arc<Shared>,
    accounts: BTreeMap<Arc<str>, (Account, SignIn)>,
    not_now: BTreeSet<Arc<str>>,
    derive_missed_calls: bool,
    clients: BTreeMap<Arc<str>, SignedIn>,
    looked: Looked,
}

/// What became of one.
enum Answer {
    Learned(Box<Notification>),
    /// The homeserver does not tell.
    Untold,
    NotNow,
    /// It has had too many requests, and wants to be left alone for so long.
    TooMany(Duration),
    UnknownToken,
}

impl Look {
    async fn all(mut self) -> Looked {
        let mut before = NoticeId(i64::MAX);
        loop {
            match self.batch(before).await {
                Ok(Some(next)) => before = next,
                Ok(None) => return self.looked,
                Err(error) => {
                    tracing::warn!("details are not kept: {error}");
                    return Looked { is_left: true, ..self.looked };
                }
            }
        }
    }

    /// Looks up a batch; where the next begins, if there is one.
    async fn batch(&mut self, before: NoticeId) -> Result<Option<NoticeId>, InboxError> {
        let wanted = self.shared.inbox.wanted_details(before, BATCH).await?;
        let next = wanted.last().map(|oldest| oldest.notice);
        let mut asking = JoinSet::new();
        for wanted in wanted {
            if asking.len() >= AT_ONCE
                && let Some(Ok((wanted, answer))) = asking.join_next().await
            {
                self.answered(wanted, answer).await?;
            }
            let now = Timestamp::now();
            let is_old = now.duration_since(wanted.received_at) > GIVE_UP;
            let known = self.accounts.get(&*wanted.account).filter(|_| !is_old).cloned();
            let Some((account, sign_in)) = known else {
                self.keep(wanted.notice, None).await?;
                continue;
            };
            let Some(signed_in) = self.client(&account.name, &sign_in).await else { continue };
            let shared = Arc::clone(&self.shared);
            asking.spawn(async move {
                let answer = ask(&shared, &account, &sign_in, &signed_in, &wanted).await;
                (wanted, answer)
            });
        }
        while let Some(asked) = asking.join_next().await {
            if let Ok((wanted, answer)) = asked {
                self.answered(wanted, answer).await?;
            }
        }
        Ok(next)
    }

    /// The account's client; `None`: not now.
    async fn client(&mut self, account: &Arc<str>, sign_in: &SignIn) -> Option<SignedIn> {
        if self.not_now.contains(account) {
            self.looked.is_left = true;
            return None;
        }
        if let Some(client) = self.clients.get(account) {
            return Some(client.clone());
        }
        if self.looked.over.contains(account) {
            return None;
        }
        let opened = self.shared.sessions.open(sign_in, DEADLINE).await;
        self.opened(account, opened)
    }

    fn opened(&mut self, account: &Arc<str>, opened: Result<SignedIn, SessionError>) -> Option<SignedIn> {
        match opened {
            Ok(client) => {
                self.clients.insert(Arc::clone(account), client.clone());
                Some(client)
            }
            Err(SessionError::Over(_)) => {
                self.looked.over.insert(Arc::clone(account));
                None
            }
            Err(error) => {
                tracing::info!(account = &**account, "details are not known yet: {error}");
                self.looked.is_left = true;
                None
            }
        }
    }

    async fn answered(&mut self, wanted: WantedDetails, answer: Answer) -> Result<(), InboxError> {
        match answer {
            Answer::Learned(details) => self.keep(wanted.notice, Some(*details)).await,
            Answer::Untold => self.keep(wanted.notice, None).await,
            Answer::NotNow => {
                self.looked.is_left = true;
                Ok(())
            }
            Answer::TooMany(patience) => {
                self.leave_alone(&wanted, patience);
                Ok(())
            }
            Answer::UnknownToken => self.again_with_new_token(wanted).await,
        }
    }

    fn leave_alone(&mut self, wanted: &WantedDetails, patience: Duration) {
        self.looked.is_left = true;
        if let Some((account, _)) = self.accounts.get(&*wanted.account) {
            self.not_now.insert(Arc::clone(&account.name));
            self.looked.patience.insert(Arc::clone(&account.name), patience);
        }
    }

    async fn again_with_new_token(&mut self, wanted: WantedDetails) -> Result<(), InboxError> {
        let Some((account, sign_in)) = self.accounts.get(&*wanted.account).cloned() else { return Ok(()) };
        let Some(old) = self.clients.remove(&account.name) else { return Ok(()) };
        let renewed = self.shared.sessions.renew(&sign_in, &old).await;
        let Some(client) = self.opened(&account.name, renewed) else { return Ok(()) };
        match ask(&self.shared, &account, &sign_in, &client, &wanted).await {
            Answer::Learned(details) => self.keep(wanted.notice, Some(*details)).await,
            Answer::Untold => self.keep(wanted.notice, None).await,
            Answer::TooMany(patience) => {
                self.leave_alone(&wanted, patience);
                Ok(())
            }
            Answer::NotNow | Answer::UnknownToken => {
                self.looked.is_left = true;
                Ok(())
            }
        }
    }

    async fn keep(&self, notice: NoticeId, details: Option<Notification>) -> Result<(), InboxError> {
        self.shared.inbox.add_details(notice, details, self.derive_missed_calls).await
    }
}

async fn ask(
    shared: &Shared,
    account: &Account,
    sign_in: &SignIn,
    signed_in: &SignedIn,
    wanted: &WantedDetails,
) -> Answer {
    let client = &signed_in.client;
    let found = match client.event(&sign_in.user_id, &wanted.room_id, &wanted.event_id).await {
        // Of an invite that is pending nothing is told, but it is listed.
        Ok(None) => listed(signed_in, sign_in, wanted).await,
        found => found,
    };
    match found {
        Ok(Some(mut event)) => {
            event.event_id = Some(wanted.event_id.clone());
            event.room_id = Some(wanted.room_id.clone());
            shared.names.ask_within(DEADLINE, client, &account.name, std::iter::once(&event)).await;
            shared.names.fill_in(&account.name, std::iter::once(&mut event));
            Answer::Learned(Box::new(event))
        }
        Ok(None) => Answer::Untold,
        Err(error) if error.is_unknown_token() => Answer::UnknownToken,
        Err(HomeserverError::Refused(refusal)) if refusal.status == StatusCode::TOO_MANY_REQUESTS => {
            tracing::info!(account = &*account.name, "details are not known yet: {refusal}");
            Answer::TooMany(refusal.retry_after.unwrap_or_default().max(RETRY.0))
        }
        Err(error) if error.is_temporary() => {
            tracing::debug!("details are not known yet: {error}");
            Answer::NotNow
        }
        Err(error) => {
            tracing::info!(account = &*account.name, "details are not told: {error}");
            Answer::Untold
        }
    }
}

async fn listed(
    signed_in: &SignedIn,
    sign_in: &SignIn,
    wanted: &WantedDetails,
) -> Result<Option<Notification>, HomeserverError> {
    let page = match signed_in.client.notifications(&sign_in.user_id, None, LISTED).await {
        Err(error) if error.is_unrecognized() => return Ok(None),
        page => page?,
    };
    let mut events = page.entries.into_iter().map(|entry| entry.notification);
    Ok(events.find(|event| event.event_id.as_ref() == Some(&wanted.event_id) && event.event_type.is_some()))
}
