//! What becomes of a push once its bytes are here: parsed, admitted, recorded. The endpoint is one caller; it knows
//! nothing of connections, and whoever else brings the same JSON gets the same outcome.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{debug, warn};

use crate::{
    accounts::{Accounts, Admission, Rejected, SignIn},
    identity,
    inbox::{Delivery, Inbox, InboxError, Recipient},
    push::notify::{Notification, PushError},
    sample,
};

/// Sample pushes that may be under way at once, and how long one may take.
const SAMPLES: (usize, Duration) = (8, Duration::from_secs(60));

/// Debounce interval for the log line about rejected pushkeys.
const REJECTIONS_LOGGED_EVERY: Duration = Duration::from_secs(60);

/// Why a push is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is not a push.
    #[error(transparent)]
    Invalid(#[from] PushError),
    /// Whether a pushkey is known cannot be told; says why.
    #[error("the accounts cannot be read: {0}")]
    AccountsUnreadable(Arc<str>),
    /// It is not on disk.
    #[error("the push cannot be recorded")]
    NotRecorded(#[source] InboxError),
}

/// The outcome of recording.
pub type Recording<'a> = Pin<Box<dyn Future<Output = Result<(), InboxError>> + Send + 'a>>;

/// What keeps pushes: the inbox, or a test double of it.
pub trait Recorder: Send + Sync + 'static {
    /// Records a push; it is on disk when this succeeds. What has begun goes on when the future is dropped, since a
    /// sender may leave while it waits.
    fn record(&self, delivery: Delivery) -> Recording<'_>;

    /// Whether a push could be recorded now.
    fn check(&self) -> Recording<'_>;
}

impl Recorder for Inbox {
    fn record(&self, delivery: Delivery) -> Recording<'_> {
        Box::pin(Self::record(self, delivery))
    }

    fn check(&self) -> Recording<'_> {
        Box::pin(Self::check(self))
    }
}

/// Takes pushes. A handle: clones are the same intake, and what is set counts from the next push on.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

struct Shared {
    recorder: Box<dyn Recorder>,
    accounts: RwLock<Arc<Accounts>>,
    derive_missed_calls: AtomicBool,
    replayed: Box<dyn Fn() -> bool + Send + Sync>,
    rejections: RejectionLog,
    /// The one-time numbers of sample pushes that were not sent yet, newest first, and since when.
    samples: Mutex<VecDeque<(String, Instant)>>,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("accounts", &self.accounts()).finish_non_exhaustive()
    }
}

impl Intake {
    /// Takes pushes for these accounts. `derive_missed_calls` is `calls.missed = "derive"`. `replayed` tells of a push
    /// that arrives now whether it was held back while the computer slept ([`Delivery::replayed`]).
    pub fn new(
        recorder: impl Recorder,
        accounts: Accounts,
        derive_missed_calls: bool,
        replayed: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                recorder: Box::new(recorder),
                accounts: RwLock::new(Arc::new(accounts)),
                derive_missed_calls: AtomicBool::new(derive_missed_calls),
                replayed: Box::new(replayed),
                rejections: RejectionLog::default(),
                samples: Mutex::default(),
            }),
        }
    }

    /// The accounts whose pushes it takes.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.shared.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the accounts. After a failure to read them: [`Accounts::keeping_known_after`].
    pub fn set_accounts(&self, accounts: Accounts) {
        *self.shared.accounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
    }

    /// Whether a call that nobody took becomes a missed call here.
    pub fn set_derive_missed_calls(&self, derive: bool) {
        self.shared.derive_missed_calls.store(derive, Relaxed);
    }

    /// A new one-time number: the next push that has it is a sample ([`Delivery::is_sample`]).
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn begin_sample(&self) -> Result<String, getrandom::Error> {
        let number = sample::random_id()?;
        let mut samples = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.truncate(SAMPLES.0 - 1);
        samples.push_front((number.clone(), Instant::now()));
        Ok(number)
    }

    /// Whether a device has the number of a sample; the number is used up.
    fn is_sample(&self, notification: &Notification) -> bool {
        let Some(number) = notification.devices.iter().find_map(|device| device.sample.as_deref()) else {
            return false;
        };
        let mut samples = self.shared.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|(_, since)| since.elapsed() < SAMPLES.1);
        let found = samples.iter().position(|(known, _)| known == number);
        found.and_then(|at| samples.remove(at)).is_some()
    }

    /// Takes the body of a push. On success all of it that is for an account here is on disk, and the pushkeys that no
    /// account has are returned. `on_admitted` is called once it is known to be for an account, before it is recorded.
    ///
    /// # Errors
    /// When nothing of it is kept, and nothing may be concluded about its pushkeys.
    pub async fn accept(&self, body: &[u8], on_admitted: impl FnOnce()) -> Result<Rejected, Refusal> {
        let notification = Notification::parse(body)?;
        let (accepted, rejected) = match self.accounts().admit(&notification.devices) {
            Admission::Decided { accepted, rejected } => (accepted, rejected),
            Admission::Undecided { reason } => {
                debug!(%reason, "a push for an unknown pushkey waits for the accounts");
                return Err(Refusal::AccountsUnreadable(reason));
            }
        };
        debug!(accepted = accepted.len(), rejected = rejected.len(), "a push");
        if !accepted.is_empty() {
            on_admitted();
            let derive_missed_calls = self.shared.derive_missed_calls.load(Relaxed);
            let recipients = accepted.into_iter().map(|(account, tweaks)| Recipient {
                account: Arc::clone(&account.name),
                counts: account.counts,
                derive_missed_calls,
                fetches_details: account.sign_in.as_ref().is_some_and(|sign_in| sign_in.event_id_only),
                decrypts: account.sign_in.as_ref().is_some_and(SignIn::reads_encrypted),
                tweaks,
            });
            let delivery = Delivery {
                recipients: recipients.collect(),
                is_sample: self.is_sample(&notification),
                notification: Arc::new(notification),
                received_at: Timestamp::now(),
                replayed: (self.shared.replayed)(),
            };
            self.shared.recorder.record(delivery).await.map_err(|error| {
                warn!(%error, "a push could not be recorded; its homeserver will try again");
                Refusal::NotRecorded(error)
            })?;
        }
        let strangers = rejected.iter().filter(|pushkey| !pushkey.starts_with(identity::PROBE_PUSHKEY)).count();
        if strangers > 0 {
            self.shared.rejections.note(strangers, Instant::now());
        }
        Ok(rejected)
    }

    /// Whether a push could be accepted now.
    ///
    /// # Errors
    /// Says why not.
    pub async fn check(&self) -> Result<(), Refusal> {
        match self.accounts().unreadable() {
            Some(reason) => Err(Refusal::AccountsUnreadable(reason.into())),
            None => self.shared.recorder.check().await.map_err(Refusal::NotRecorded),
        }
    }
}

/// Logs rejected pushkeys, debounced: anybody can send them. Logs the rest when dropped.
#[derive(Debug, Default)]
struct RejectionLog(Mutex<Rejections>);

#[derive(Debug, Default)]
struct Rejections {
    logged_at: Option<Instant>,
    unlogged: usize,
}

impl RejectionLog {
    fn note(&self, pushkeys: usize, now: Instant) {
        if let Some(earlier) = self.0.lock().unwrap_or_else(PoisonError::into_inner).note(pushkeys, now) {
            warn!(
                pushkeys,
                unlogged_before = earlier,
                "no account here has the pushkey of a push: its homeserver is told to delete that pusher"
            );
        }
    }
}

impl Drop for RejectionLog {
    fn drop(&mut self) {
        let unlogged = self.0.get_mut().unwrap_or_else(PoisonError::into_inner).unlogged;
        if unlogged > 0 {
            warn!(pushkeys = unlogged, "no account here had the pushkeys of more pushes");
        }
    }
}

impl Rejections {
    /// If these are to be logged now: how many before them were not.
    fn note(&mut self, pushkeys: usize, now: Instant) -> Option<usize> {
        if self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < REJECTIONS_LOGGED_EVERY) {
            self.unlogged = self.unlogged.saturating_add(pushkeys);
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;
    use crate::{
        accounts::{Account, AccountsFile, CountsScope},
        inbox::{self, Retention},
    };

    #[tokio::test]
    async fn a_body_becomes_a_row_in_the_inbox_or_a_refusal() {
        let home = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&home.path().join("accounts.toml"));
        file.add(Account {
            name: "alice".into(),
            app_id: "app".to_owned(),
            pushkey: "key".to_owned(),
            counts: CountsScope::Account,
            created_at: Timestamp::UNIX_EPOCH,
            sign_in: None,
        })
        .unwrap();
        let database = home.path().join("pushbell.db");
        let retention = Retention { keep_days: 30, keep_bodies: true };
        let inbox = Inbox::open(&database, retention, Arc::new(Notify::new())).unwrap();
        let intake = Intake::new(inbox.clone(), file.read().unwrap(), true, || false);
        let accept = async |pushkeys: &[&str]| {
            let devices: Vec<_> = pushkeys.iter().map(|key| json!({"app_id": "app", "pushkey": key})).collect();
            let body = json!({"notification": {"event_id": "$1", "type": "m.room.message", "devices": devices}});
            let mut admitted = false;
            let outcome = intake.accept(body.to_string().as_bytes(), || admitted = true).await;
            outcome.map(|rejected| (rejected.iter().map(str::to_owned).collect::<Vec<_>>(), admitted))
        };
        assert_eq!(accept(&["stranger"]).await.unwrap(), (vec!["stranger".to_owned()], false));
        assert_eq!(accept(&["key", "stranger"]).await.unwrap(), (vec!["stranger".to_owned()], true));
        assert_eq!(accept(&["key"]).await.unwrap(), (vec![], true), "the same again");
        assert_eq!(inbox::history(&database, 10, &inbox::Seals::default()).unwrap().len(), 1);
        assert!(matches!(intake.accept(b"{", || ()).await, Err(Refusal::Invalid(PushError::NotJson(_)))));

        inbox.close().await;
        assert!(matches!(accept(&["key"]).await, Err(Refusal::NotRecorded(InboxError::Closed))));
        assert!(matches!(intake.check().await, Err(Refusal::NotRecorded(InboxError::Closed))));
        let missing = Accounts::read(&home.path().join("nowhere")).unwrap_err();
        intake.set_accounts(Accounts::unavailable(&missing));
        assert!(matches!(accept(&["key"]).await, Err(Refusal::AccountsUnreadable(_))));
    }

    #[test]
    fn a_flood_of_rejections_is_one_line_a_minute_with_their_count() {
        let start = Instant::now();
        let mut rejections = Rejections::default();
        let mut lines = Vec::new();
        for second in [0, 1, 2, 59, 61, 62, 200] {
            lines.extend(rejections.note(2, start + Duration::from_secs(second)).map(|unlogged| (second, unlogged)));
        }
        assert_eq!(lines, [(0, 0), (61, 6), (200, 2)]);
    }
}
