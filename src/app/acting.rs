//! Sends acts of the person to homeservers: reading a room, answering an invite, declining a call.
//!
//! Each act is a task of its own, so a slow homeserver delays no other. Acts are retried for a limited time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep},
};

use super::sending::{DEADLINE, SendError, Sending};
use crate::{
    accounts::{Accounts, SignIn},
    backoff::Backoff,
    controller::{Act, Event, RoomAct},
    homeserver::{HomeserverClient, OutgoingEvent, new_transaction},
    inbox::Read,
    notice::RoomKey,
    present::words,
    session::SessionError,
};

/// First and maximum retry delay.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));
/// How long acts are retried that the person waits for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a read receipt is retried.
const READ_PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Maximum number of acts in progress.
const MAX_ACTS: usize = 64;

/// Starts the tasks.
#[derive(Debug, Clone)]
pub(super) struct Acting {
    sending: Sending,
    events: mpsc::UnboundedSender<Event>,
    free: Arc<Semaphore>,
}

impl Acting {
    pub(super) fn new(sending: Sending, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { sending, events, free: Arc::new(Semaphore::new(MAX_ACTS)) }
    }

    /// Begins an act. A failure is shown to the person.
    pub(super) fn begin(&self, act: RoomAct, accounts: &Accounts) {
        let sign_in = accounts.find(&act.account).and_then(|account| account.sign_in.clone());
        let free = Arc::clone(&self.free).try_acquire_owned();
        let (Some(sign_in), Ok(permit)) = (sign_in, free) else {
            return self.tell_failure(&act, "the account is no longer signed in, or too much is under way");
        };
        let this = self.clone();
        tokio::spawn(async move {
            match this.perform(&act, &sign_in).await {
                Ok(()) => this.is_done(&act).await,
                Err(error) => this.tell_failure(&act, &error.to_string()),
            }
            drop(permit);
        });
    }

    async fn perform(&self, act: &RoomAct, sign_in: &SignIn) -> Result<(), SendError> {
        let patience = if matches!(act.act, Act::Read { .. }) { READ_PATIENCE } else { PATIENCE };
        let (end, mut backoff) = (Instant::now() + patience, Backoff::new(RETRY.0, RETRY.1));
        let transaction = new_transaction()?;
        loop {
            let error = match self.ask(act, sign_in, &transaction).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let wait = error.wait().map(|wait| wait.max(backoff.next()));
            match wait.filter(|wait| Instant::now() + *wait < end) {
                Some(wait) => sleep(wait).await,
                None => return Err(error),
            }
        }
    }

    async fn ask(&self, act: &RoomAct, sign_in: &SignIn, transaction: &str) -> Result<(), SendError> {
        let room_id = &act.room_id;
        if let Act::Decline { event_type, content } = &act.act {
            let event = OutgoingEvent {
                room_id: room_id.clone(),
                event_type: (*event_type).to_owned(),
                transaction: transaction.to_owned(),
                content: content.clone(),
            };
            return self.sending.send(&act.account, sign_in, &event).await;
        }
        if let Act::LookAtInvite(up_to) = &act.act {
            let ask = |client: HomeserverClient| async move { Ok(client.is_invited(room_id).await?) };
            if !self.sending.sessions.ask::<_, SessionError, _>(sign_in, DEADLINE, ask).await? {
                let room = RoomKey::with_id(&act.account, room_id);
                self.sending.inbox.mark_read(Read::Room(room, *up_to)).await?;
            }
            return Ok(());
        }
        let ask = |client: HomeserverClient| async move {
            match &act.act {
                Act::Read { event_id, is_public } => {
                    client.mark_as_read(&sign_in.user_id, room_id, event_id, *is_public).await?;
                }
                Act::Join => client.join(room_id).await?,
                Act::Leave => client.leave(room_id).await?,
                Act::Decline { .. } | Act::LookAtInvite(_) => {}
            }
            Ok(())
        };
        Ok(self.sending.sessions.ask::<_, SessionError, _>(sign_in, DEADLINE, ask).await?)
    }

    async fn is_done(&self, act: &RoomAct) {
        match &act.act {
            Act::Read { .. } => {
                let room = RoomKey::with_id(&act.account, &act.room_id);
                if let Err(error) = self.sending.inbox.room_was_read(room).await {
                    tracing::debug!("that a room was read is not noted: {error}");
                }
            }
            // This event ends the call for everybody.
            Act::Decline { event_type: "m.call.reject", .. } | Act::Join | Act::Leave | Act::LookAtInvite(_) => {}
            Act::Decline { .. } => {
                self.tell(words::declined_for_caller().to_owned());
            }
        }
    }

    fn tell_failure(&self, act: &RoomAct, reason: &str) {
        let failure = act.act.failure();
        tracing::info!(account = act.account, "{failure}: {reason}");
        // It is already read here, and the unread count reports what happens elsewhere.
        if !matches!(act.act, Act::Read { .. } | Act::LookAtInvite(_)) {
            self.tell(format!("{failure}: {reason}"));
        }
    }

    fn tell(&self, what: String) {
        // A closed channel means that the program is ending.
        drop(self.events.send(Event::NotDone(what)));
    }
}
