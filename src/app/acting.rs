//! Telling homeservers what the person does with popups: reading a room, answering an invite.
//!
//! A task for each act, so that a slow homeserver holds up nobody else's. A homeserver that does not answer is asked again
//! for a while.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep},
};

use crate::{
    accounts::{Accounts, SignIn},
    backoff::Backoff,
    controller::{Act, Event, RoomAct},
    homeserver::{HomeserverClient, HomeserverError},
    inbox::Inbox,
    notice::RoomKey,
    secrets::Secrets,
    session::{SessionError, Sessions},
};

/// Deadline of a request.
const DEADLINE: Duration = Duration::from_secs(10);
/// First and longest time between two tries.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// For how long what the person waits for is tried.
const PATIENCE: Duration = Duration::from_secs(20);
/// For how long a room that was read is told of.
const READ_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Most acts at a time.
const MAX_ACTS: usize = 64;

/// Starts the tasks.
#[derive(Debug, Clone)]
pub(super) struct Acting {
    inbox: Inbox,
    sessions: Arc<Sessions>,
    events: mpsc::UnboundedSender<Event>,
    free: Arc<Semaphore>,
}

impl Acting {
    pub(super) fn new(inbox: Inbox, secrets: Secrets, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { inbox, sessions: Arc::new(Sessions::new(secrets)), events, free: Arc::new(Semaphore::new(MAX_ACTS)) }
    }

    /// Begins an act. The person is told if it fails.
    pub(super) fn begin(&self, act: RoomAct, accounts: &Accounts) {
        let sign_in = accounts.find(&act.account).and_then(|account| account.sign_in.clone());
        let free = Arc::clone(&self.free).try_acquire_owned();
        let (Some(sign_in), Ok(permit)) = (sign_in, free) else {
            return self.tell_failure(&act, "it is not signed in, or too much is under way");
        };
        let this = self.clone();
        tokio::spawn(async move {
            match this.perform(&act, &sign_in).await {
                Ok(()) => this.note(&act).await,
                Err(error) => this.tell_failure(&act, &error.to_string()),
            }
            drop(permit);
        });
    }

    async fn perform(&self, act: &RoomAct, sign_in: &SignIn) -> Result<(), SessionError> {
        let patience = if matches!(act.act, Act::Read { .. }) { READ_PATIENCE } else { PATIENCE };
        let (end, mut backoff) = (Instant::now() + patience, Backoff::new(RETRY.0, RETRY.1));
        loop {
            let ask = |client: HomeserverClient| async move { Ok(ask(&client, sign_in, act).await?) };
            let error = match self.sessions.ask(sign_in, DEADLINE, ask).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let wait = wait(&error).map(|wait| wait.max(backoff.next()));
            match wait.filter(|wait| Instant::now() + *wait < end) {
                Some(wait) => sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    /// What the homeserver has done counts here as well.
    async fn note(&self, act: &RoomAct) {
        if matches!(act.act, Act::Read { .. })
            && let Err(error) = self.inbox.room_was_read(RoomKey::with_id(&act.account, &act.room_id)).await
        {
            tracing::debug!("that a room was read is not noted: {error}");
        }
    }

    fn tell_failure(&self, act: &RoomAct, reason: &str) {
        tracing::info!(account = act.account, "{}: {reason}", act.act.failure());
        // What was read is read here, and the number says whether it is elsewhere.
        if !matches!(act.act, Act::Read { .. }) {
            drop(self.events.send(Event::NotDone(format!("{}: {reason}", act.act.failure()))));
        }
    }
}

async fn ask(client: &HomeserverClient, sign_in: &SignIn, act: &RoomAct) -> Result<(), HomeserverError> {
    let room_id = &act.room_id;
    match &act.act {
        Act::Read { event_id, is_public } => client.mark_as_read(&sign_in.user_id, room_id, event_id, *is_public).await,
    }
}

/// How long to wait at least before it is tried again; `None`: trying again does not help.
fn wait(error: &SessionError) -> Option<Duration> {
    match error {
        SessionError::Homeserver(error) if !error.is_temporary() => None,
        SessionError::Homeserver(HomeserverError::Refused(refusal)) => Some(refusal.retry_after.unwrap_or_default()),
        SessionError::Over(_) | SessionError::NoToken(_) => None,
        SessionError::Homeserver(_) | SessionError::Secrets(_) | SessionError::OAuth(_) => Some(Duration::ZERO),
    }
}
