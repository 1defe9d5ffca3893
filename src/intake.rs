//! The intake of pushes: parse, admit, record. It knows no transport: the endpoint is one caller, and any other that
//! brings the same JSON gets the same outcome.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{debug, warn};

use crate::{
    accounts::{Accounts, Admission, Rejected},
    app_info,
    inbox::{Delivery, Inbox, InboxError, Recipient},
    logging::LogLimiter,
    push::notify::{Notification, PushError},
    sample,
};

/// Limit of sample pushes that are under way at once.
const MAX_SAMPLES: usize = 8;

/// How long a sample push may take.
const SAMPLE_TIME: Duration = Duration::from_secs(60);

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
    state: Arc<IntakeState>,
}

struct IntakeState {
    recorder: Box<dyn Recorder>,
    accounts: RwLock<Arc<Accounts>>,
    rejections: LogLimiter,
    /// The one-time numbers of sample pushes that have not come yet and when each was made, newest first.
    samples: Mutex<VecDeque<(String, Instant)>>,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("accounts", &self.accounts()).finish_non_exhaustive()
    }
}

impl Intake {
    /// Takes pushes for these accounts.
    pub fn new(recorder: impl Recorder, accounts: Accounts) -> Self {
        Self {
            state: Arc::new(IntakeState {
                recorder: Box::new(recorder),
                accounts: RwLock::new(Arc::new(accounts)),
                rejections: LogLimiter::default(),
                samples: Mutex::default(),
            }),
        }
    }

    /// The accounts whose pushes it takes.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.state.accounts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the accounts. After a failure to read them: [`Accounts::keeping_known_after`].
    pub fn set_accounts(&self, accounts: Accounts) {
        *self.state.accounts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(accounts);
    }

    /// A new one-time number: the next push that has it is a sample ([`Delivery::is_sample`]).
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn begin_sample(&self) -> Result<String, getrandom::Error> {
        let number = sample::random_id()?;
        let mut samples = self.state.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.truncate(MAX_SAMPLES - 1);
        samples.push_front((number.clone(), Instant::now()));
        Ok(number)
    }

    /// Whether a device has the number of a sample; the number is used up.
    fn is_sample(&self, notification: &Notification) -> bool {
        let Some(number) = notification.devices.iter().find_map(|device| device.sample.as_deref()) else {
            return false;
        };
        let mut samples = self.state.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.retain(|(_, since)| since.elapsed() < SAMPLE_TIME);
        let found = samples.iter().position(|(known, _)| known == number);
        found.and_then(|at| samples.remove(at)).is_some()
    }

    /// Takes the body of a push. On success all of it that is for an account here is on disk, and the pushkeys that no
    /// account has are returned. `is_replayed`: it was delayed on its way ([`Delivery::replayed`]). `on_admitted` is
    /// called if it is for an account, before it is recorded.
    ///
    /// # Errors
    /// When nothing of it is kept, and nothing may be concluded about its pushkeys.
    pub async fn accept(
        &self,
        body: &[u8],
        is_replayed: bool,
        on_admitted: impl FnOnce(),
    ) -> Result<Rejected, Refusal> {
        let notification = Notification::parse(body)?;
        let (accepted, rejected) = match self.accounts().admit(&notification.devices) {
            Admission::Decided { accepted, rejected } => (accepted, rejected),
            Admission::Undecided { reason } => {
                debug!(%reason, "a push for an unknown pushkey waits for the accounts");
                return Err(Refusal::AccountsUnreadable(reason));
            }
        };
        debug!(accepted = accepted.len(), rejected = rejected.iter().count(), "a push");
        let is_sample = self.is_sample(&notification);
        if !accepted.is_empty() {
            on_admitted();
            let recipients = accepted.into_iter().map(|(account, tweaks)| Recipient::new(&account, tweaks));
            let delivery = Delivery {
                recipients: recipients.collect(),
                is_sample,
                notification,
                received_at: Timestamp::now(),
                replayed: is_replayed,
            };
            self.state.recorder.record(delivery).await.map_err(|error| {
                warn!(%error, "a push could not be recorded; its homeserver will try again");
                Refusal::NotRecorded(error)
            })?;
        }
        let strangers = rejected.iter().filter(|pushkey| !pushkey.starts_with(app_info::PROBE_PUSHKEY)).count();
        if strangers > 0
            && let Some(unlogged_before) = self.state.rejections.note(strangers, Instant::now())
        {
            warn!(
                pushkeys = strangers,
                unlogged_before,
                "no account here has the pushkey of a push: its homeserver is told to delete that pusher"
            );
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
            None => self.state.recorder.check().await.map_err(Refusal::NotRecorded),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        accounts::{AccountsFile, tests::account},
        config::Config,
        inbox,
    };

    #[tokio::test]
    async fn a_body_becomes_a_row_in_the_inbox_or_a_refusal() {
        let home = tempfile::tempdir().unwrap();
        let file = AccountsFile::new(&home.path().join("accounts.toml"));
        file.add(account("alice", "app", "key")).unwrap();
        let database = home.path().join("pushbell.db");
        let inbox = Inbox::open(&database, (&Config::default()).into()).unwrap();
        let intake = Intake::new(inbox.clone(), file.read().unwrap());
        let accept = async |pushkeys: &[&str]| {
            let devices: Vec<_> = pushkeys.iter().map(|key| json!({"app_id": "app", "pushkey": key})).collect();
            let body = json!({"notification": {"event_id": "$1", "type": "m.room.message", "devices": devices}});
            let mut admitted = false;
            let outcome = intake.accept(body.to_string().as_bytes(), false, || admitted = true).await;
            outcome.map(|rejected| (rejected.iter().map(str::to_owned).collect::<Vec<_>>(), admitted))
        };
        assert_eq!(accept(&["stranger"]).await.unwrap(), (vec!["stranger".to_owned()], false));
        assert_eq!(accept(&["key", "stranger"]).await.unwrap(), (vec!["stranger".to_owned()], true));
        assert_eq!(accept(&["key"]).await.unwrap(), (vec![], true), "the same again");
        assert_eq!(inbox::history(&database, 10, &inbox::Seals::default(), |_| true).unwrap().len(), 1);
        assert!(matches!(intake.accept(b"{", false, || ()).await, Err(Refusal::Invalid(PushError::NotJson(_)))));

        inbox.close().await;
        assert!(matches!(accept(&["key"]).await, Err(Refusal::NotRecorded(InboxError::Closed))));
        assert!(matches!(intake.check().await, Err(Refusal::NotRecorded(InboxError::Closed))));
        let missing = Accounts::read(&home.path().join("nowhere")).unwrap_err();
        intake.set_accounts(Accounts::unavailable(&missing));
        assert!(matches!(accept(&["key"]).await, Err(Refusal::AccountsUnreadable(_))));
    }
}
