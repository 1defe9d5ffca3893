//! The syncs that the homeserver holds open: while the account listens for messages, and while calls ring.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{IDLE, Reader};
use crate::encryption::{
    ConnectionEvent,
    api::Api,
    error::EncryptionError,
    held::{self, HeldSync, HoldResult, Position, Reporter},
    interest::{Interest, Messages},
    machine::SyncAnswer,
    syncing,
};

/// Timeout of a sync that only watches the rooms of ringing calls.
const LONGEST_WATCH: Duration = Duration::from_secs(20);

impl Reader {
    /// Begins a held sync.
    pub(super) async fn begin_hold(&mut self, now: Instant) {
        let position = match self.listening.begin(now) {
            Some(position) => position,
            None => match self.position().await {
                Ok(Some(position)) => position,
                // The first sync is a search.
                Ok(None) => return self.pending.upkeep_at = now,
                Err(error) => return self.failed(&error),
            },
        };
        let reporter = self.reporter();
        if self.listening.is_on && self.listening.lacks(&position.since) {
            reporter.report_anything();
        }
        let wait = match (self.listening.is_behind, self.listening.is_on) {
            (true, _) => Duration::ZERO,
            (false, true) => self.listening.hold_timeout.wait(),
            (false, false) => LONGEST_WATCH,
        };
        if !self.ringing.is_empty() {
            self.tell_of_calls(false, now + wait + syncing::INTERVAL);
        }
        if !self.listening.is_behind && self.listening.is_new(true) {
            reporter.report(ConnectionEvent::Connected);
        }
        let interest = match self.interest(&position.api).await {
            Ok(interest) => interest,
            Err(error) if error.is_final() => return self.failed(&error),
            Err(error) => return self.hold_failed(&error, Duration::ZERO),
        };
        self.syncing.hold(HeldSync { api: position.api, since: position.since, interest, reporter, wait });
    }

    /// Where a sync starts according to the store.
    async fn position(&mut self) -> Result<Option<Position>, EncryptionError> {
        let machine = self.machine().await?;
        self.keys.close_at = Some(Instant::now() + IDLE);
        let token = machine.token().await?;
        Ok(token.map(|token| self.listening.begin_at_token(Arc::clone(&machine.api), token)))
    }

    /// What syncs return for at the moment.
    pub(super) async fn interest(&mut self, api: &Api) -> Result<Interest, EncryptionError> {
        let messages = if self.listening.is_on {
            self.rules.learn(api).await?;
            // If this fails, the next sync misses receipts.
            let unread = self.context.inbox.unread_rooms(Arc::clone(&self.account)).await.unwrap_or_default();
            Some(Messages { unread: unread.into_iter().collect(), ..self.rules.rooms() })
        } else {
            None
        };
        Ok(Interest { ringing: self.ringing.clone(), messages })
    }

    pub(super) fn reporter(&self) -> Reporter {
        let (account, user) = (Arc::clone(&self.account), self.sign_in.user_id.clone());
        let is_live = self.listening.is_on && !self.listening.is_behind;
        Reporter { account, user, news: self.context.held.clone(), is_live }
    }

    pub(super) async fn hold_ended(&mut self, ended: held::HoldEnd) {
        let failed = match ended.result {
            HoldResult::Cancelled => return,
            HoldResult::Answered(answer) => {
                self.listening.hold_timeout.answered(ended.lasted);
                self.listening.is_behind = false;
                self.retries.succeeded();
                self.take_in(*answer).await
            }
            HoldResult::Failed(error) if self.listening.is_on && !error.is_final() => {
                return self.hold_failed(&error, ended.lasted);
            }
            HoldResult::Failed(error) => Err(error),
        };
        if let Err(error) = failed {
            self.failed(&error);
        }
    }

    /// Processes the answer to a held sync, unless a command has synced meanwhile.
    async fn take_in(&mut self, answer: SyncAnswer) -> Result<(), EncryptionError> {
        if answer.account_data.has_push_rules() {
            self.rules.ask_again();
        }
        let Some(position) = self.listening.position() else { return Ok(()) };
        let machine = self.machine().await?;
        self.keys.close_at = Some(Instant::now() + IDLE);
        if machine.token().await?.as_deref() != Some(&position.since) {
            self.listening.token_changed(None, false);
            return Ok(());
        }
        let has_call_events = answer.rooms.has_events_in(&self.ringing);
        let next = answer.next_batch.clone();
        let mut synced = machine.take_in(answer).await?;
        synced.has_call_events = has_call_events;
        self.listening.advance(&next);
        let is_asked = synced.request.is_some();
        self.keys_came(synced).await;
        machine.upload().await?;
        if is_asked { self.look(None).await } else { Ok(()) }
    }

    /// A held sync has failed.
    fn hold_failed(&mut self, error: &EncryptionError, lasted: Duration) {
        self.listening.is_behind = true;
        if self.listening.hold_timeout.broke(error, lasted) {
            return;
        }
        self.retries.wait(error, Instant::now());
        tracing::info!(account = &*self.account, "not listening now: {error}");
        self.lost(error);
    }

    /// Reports that the account does not listen, if it should.
    pub(super) fn lost(&mut self, error: &EncryptionError) {
        let is_new = self.listening.is_new(false);
        if !self.listening.is_on || !(is_new || error.is_final()) {
            return;
        }
        self.listening.is_behind = true;
        let reporter = self.reporter();
        reporter.report(ConnectionEvent::Lost(error.to_string()));
        if error.is_final() {
            self.listening.disconnect();
            // Catching up finds that the session has ended, and reports it.
            reporter.report_anything();
        }
    }

    pub(super) fn reconnect(&mut self) {
        self.listening.disconnect();
        self.syncing.end_hold();
        self.retries.at = None;
    }

    /// A search has advanced the store's token.
    pub(super) async fn covered(&mut self) {
        if let Ok(machine) = self.machine().await
            && let Ok(token) = machine.token().await
        {
            self.listening.token_changed(token.as_deref(), self.listening.search_reports);
        }
    }
}
