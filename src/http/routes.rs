//! The contract's table: which request gets which answer.
//!
//! `POST /_matrix/push/v1/notify` (Matrix specification, Push Gateway API), the paths of `server.extra_paths` for the
//! first protocol, and `GET /health`.

use std::{
    fmt,
    future::Future,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use hyper::{Method, Request, body::Incoming};
use jiff::Timestamp;
use tracing::{debug, warn};

use super::{
    answer::{Answer, Failure},
    body,
    link::Stage,
    registry::Membership,
    rejections::Rejections,
};
use crate::{
    accounts::{Accounts, Admission},
    identity,
    inbox::{Delivery, Inbox, InboxError, Recipient},
    push::notify::{self, Notification},
};

/// Says whether a push could be accepted now.
pub const HEALTH_PATH: &str = "/health";

/// What keeps pushes: the inbox, or a double of it.
pub trait Recorder: Send + Sync + 'static {
    /// Records a push; it is on disk when this succeeds. What has begun goes on when the future is dropped, since a
    /// client may leave while it waits.
    ///
    /// # Errors
    /// When it is not on disk.
    fn record(&self, delivery: Delivery) -> impl Future<Output = Result<(), InboxError>> + Send;

    /// Whether a push could be recorded now.
    ///
    /// # Errors
    /// Says why not.
    fn check(&self) -> impl Future<Output = Result<(), InboxError>> + Send;
}

impl Recorder for Inbox {
    fn record(&self, delivery: Delivery) -> impl Future<Output = Result<(), InboxError>> + Send {
        Self::record(self, delivery)
    }

    fn check(&self) -> impl Future<Output = Result<(), InboxError>> + Send {
        Self::check(self)
    }
}

/// What of the configuration concerns the endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Paths served beside the standard one (`server.extra_paths`).
    pub extra_paths: Vec<String>,
    /// Calls that nobody took become missed calls here (`calls.missed = "derive"`).
    pub derive_missed_calls: bool,
}

/// The endpoint's state. A handle: clones are the same endpoint, and what is set counts from the next request on.
pub struct Endpoint<R> {
    shared: Arc<Shared<R>>,
}

struct Shared<R> {
    recorder: R,
    accounts: RwLock<Arc<Accounts>>,
    settings: RwLock<Arc<Settings>>,
    replayed: Box<dyn Fn() -> bool + Send + Sync>,
    rejections: Rejections,
}

impl<R> Clone for Endpoint<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R> fmt::Debug for Endpoint<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("settings", &self.settings()).finish_non_exhaustive()
    }
}

impl<R> Endpoint<R> {
    /// `replayed` tells of a push that arrives now whether it was held back while the computer slept
    /// ([`Delivery::replayed`]).
    pub fn new(
        recorder: R,
        accounts: Accounts,
        settings: Settings,
        replayed: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                recorder,
                accounts: RwLock::new(Arc::new(accounts)),
                settings: RwLock::new(Arc::new(settings)),
                replayed: Box::new(replayed),
                rejections: Rejections::default(),
            }),
        }
    }

    /// The accounts that it answers to.
    #[must_use]
    pub fn accounts(&self) -> Arc<Accounts> {
        get(&self.shared.accounts)
    }

    /// Replaces the accounts. After a failure to read them: [`Accounts::keeping_known_after`].
    pub fn set_accounts(&self, accounts: Accounts) {
        set(&self.shared.accounts, accounts);
    }

    /// What it was configured to.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        get(&self.shared.settings)
    }

    /// Replaces the settings.
    pub fn set_settings(&self, settings: Settings) {
        set(&self.shared.settings, settings);
    }

    pub(super) fn settle_log(&self) {
        self.shared.rejections.settle();
    }
}

fn get<T>(current: &RwLock<Arc<T>>) -> Arc<T> {
    Arc::clone(&current.read().unwrap_or_else(PoisonError::into_inner))
}

fn set<T>(current: &RwLock<Arc<T>>, value: T) {
    *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
}

/// What a request is for.
#[derive(Debug, PartialEq, Eq)]
enum Route {
    Push,
    Health,
    WrongMethod { allow: &'static str },
    WrongPath,
}

fn route(method: &Method, path: &str, extra_paths: &[String]) -> Route {
    if path == notify::PATH || extra_paths.iter().any(|extra| extra == path) {
        if method == Method::POST { Route::Push } else { Route::WrongMethod { allow: "POST" } }
    } else if path == HEALTH_PATH {
        if method == Method::GET { Route::Health } else { Route::WrongMethod { allow: "GET" } }
    } else {
        Route::WrongPath
    }
}

impl<R: Recorder> Endpoint<R> {
    /// Answers one request of a connection.
    pub(super) async fn answer(&self, mut request: Request<Incoming>, member: &Membership) -> Answer {
        match route(request.method(), request.uri().path(), &self.settings().extra_paths) {
            Route::Push => match self.push(request.body_mut(), member).await {
                Ok(answer) => answer,
                Err(failure) => Answer::Failed(failure),
            },
            Route::Health => match self.health(member).await {
                Ok(()) => Answer::Healthy,
                Err(failure) => Answer::Unhealthy(failure),
            },
            Route::WrongMethod { allow } => Answer::Failed(Failure::WrongMethod { allow }),
            Route::WrongPath => Answer::Failed(Failure::WrongPath),
        }
    }

    async fn push(&self, body: &mut Incoming, member: &Membership) -> Result<Answer, Failure> {
        let notification = {
            let body = body::read(body, member).await?;
            Notification::parse(body.as_slice()).map_err(Failure::Push)?
        };
        let (accepted, rejected) = match self.accounts().admit(&notification.devices) {
            Admission::Decided { accepted, rejected } => (accepted, rejected),
            Admission::Undecided { reason } => {
                debug!(%reason, "a push for an unknown pushkey waits for the accounts");
                return Err(Failure::AccountsUnreadable);
            }
        };
        debug!(accepted = accepted.len(), rejected = rejected.len(), "a push");
        if !accepted.is_empty() {
            member.note_valid_push();
            let derive_missed_calls = self.settings().derive_missed_calls;
            let recipients = accepted.into_iter().map(|(account, tweaks)| Recipient {
                account: Arc::clone(&account.name),
                counts: account.counts,
                derive_missed_calls,
                fetches_details: account.sign_in.as_ref().is_some_and(|sign_in| sign_in.event_id_only),
                tweaks,
            });
            let delivery = Delivery {
                recipients: recipients.collect(),
                notification: Arc::new(notification),
                received_at: Timestamp::now(),
                replayed: (self.shared.replayed)(),
            };
            in_time(member, self.shared.recorder.record(delivery)).await.inspect_err(|failure| {
                warn!(%failure, "a push could not be recorded; its homeserver will try again");
            })?;
        }
        let strangers = rejected.iter().filter(|pushkey| !pushkey.starts_with(identity::PROBE_PUSHKEY)).count();
        if strangers > 0 {
            self.shared.rejections.note(strangers, Instant::now());
        }
        Ok(Answer::Pushed(rejected))
    }

    async fn health(&self, member: &Membership) -> Result<(), Failure> {
        if self.accounts().unreadable().is_some() {
            return Err(Failure::AccountsUnreadable);
        }
        in_time(member, self.shared.recorder.check()).await
    }
}

/// Waits for the recorder, as long as the connection's deadline lets it.
async fn in_time(member: &Membership, recording: impl Future<Output = Result<(), InboxError>>) -> Result<(), Failure> {
    member.link.enter(Stage::Recording);
    match member.link.unless_overdue(recording).await {
        Some(outcome) => outcome.map_err(Failure::Inbox),
        None => Err(Failure::InboxTooSlow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_method() {
        let extra = ["/push".to_owned(), "/a/b".to_owned()];
        let check = |method: &str, path: &str, expected: Route| {
            assert_eq!(route(&method.parse().unwrap(), path, &extra), expected, "{method} {path}");
        };
        check("POST", notify::PATH, Route::Push);
        check("POST", "/push", Route::Push);
        check("POST", "/a/b", Route::Push);
        check("GET", HEALTH_PATH, Route::Health);
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "post"] {
            check(method, notify::PATH, Route::WrongMethod { allow: "POST" });
            check(method, "/push", Route::WrongMethod { allow: "POST" });
        }
        for method in ["POST", "HEAD", "get"] {
            check(method, HEALTH_PATH, Route::WrongMethod { allow: "GET" });
        }
        for path in
            ["/", "", "*", "//push", "/push/", "/Push", "/_matrix/push/v1/notify/", "/_matrix/push/v1", "/healthy"]
        {
            check("POST", path, Route::WrongPath);
        }
    }
}
