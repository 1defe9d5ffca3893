//! Decrypts notices.

use std::sync::Arc;

use tokio::time::Instant;

use super::{BATCH, IDLE, Reader};
use crate::{
    encryption::{
        error::EncryptionError,
        machine::{Plain, Synced, Undecryptable, session_of},
    },
    inbox::{Decrypted, Decryption, EncryptedNotice},
    notice::NoticeId,
};

impl Reader {
    /// Decrypts the pending notices. Those whose key is missing for too long are no longer held back.
    pub(super) async fn read_notices(&mut self) -> Result<(), EncryptionError> {
        let (mut after, mut given_up, mut hidden, mut failure) = (NoticeId(0), Vec::new(), Vec::new(), None);
        self.missing.release();
        // Each is tried once until new keys arrive.
        let has_new_keys = std::mem::take(&mut self.pending.missing);
        loop {
            let batch = self.notices(Decryption::Wanted, after).await?;
            let Some(last) = batch.last() else { break };
            after = last.notice;
            for notice in batch {
                let is_new = has_new_keys || !self.missing.contains(notice.notice);
                // Tried even after a failed sync: with a known key this needs no request.
                if is_new && !self.retries.are_useless && failure.is_none() {
                    match self.read(&notice).await {
                        Ok(true) => self.get_rules().await,
                        Ok(false) => continue,
                        Err(error) => failure = Some(error),
                    }
                }
                self.missing.insert(&notice);
                if self.rules.hides_undecrypted(&notice.room_id) {
                    hidden.push(notice.notice);
                } else if !self.missing.hold(&notice) {
                    given_up.push(notice.notice);
                }
            }
        }
        for (notices, state) in [(given_up, Decryption::LacksKey), (hidden, Decryption::Hidden)] {
            if !notices.is_empty() {
                self.context.inbox.set_decryption(notices, state).await?;
            }
        }
        failure.map_or(Ok(()), Err)
    }

    async fn notices(&self, state: Decryption, after: NoticeId) -> Result<Vec<EncryptedNotice>, EncryptionError> {
        Ok(self.context.inbox.encrypted_notices(Arc::clone(&self.account), state, after, BATCH).await?)
    }

    /// Decrypts a notice. Returns whether its key is missing.
    async fn read(&mut self, notice: &EncryptedNotice) -> Result<bool, EncryptionError> {
        let machine = self.machine().await?;
        self.keys.close_at = Some(Instant::now() + IDLE);
        let plain = match machine.decrypt(notice.into()).await {
            Ok(plain) => plain,
            Err(Undecryptable::LacksKey) => {
                self.missing.want(notice);
                return Ok(true);
            }
            Err(Undecryptable::Never(reason)) => {
                self.missing.remove(notice.notice);
                tracing::info!(account = &*self.account, "an encrypted message stays so: {reason}");
                self.get_rules().await;
                let is_hidden = self.rules.hides_undecrypted(&notice.room_id);
                let state = if is_hidden { Decryption::Hidden } else { Decryption::None };
                self.context.inbox.set_decryption(vec![notice.notice], state).await?;
                return Ok(false);
            }
            Err(Undecryptable::Store(error)) => return Err(error),
        };
        let verdict = self.rules.verdict(&machine.api, machine.olm.user_id(), &notice.room_id, &plain).await;
        let Plain { event_type, content, message, .. } = plain;
        let decrypted = Decrypted { event_type, content: content.get().to_owned(), message, verdict };
        let user_id = self.sign_in.user_id.clone();
        self.context.inbox.add_decrypted(notice.notice, decrypted, user_id).await?;
        self.missing.remove(notice.notice);
        Ok(false)
    }

    /// Fetches the push rules if they are not known.
    async fn get_rules(&mut self) {
        if let Some(machine) = &self.keys.machine {
            self.rules.get_known(&machine.api).await;
        }
    }

    /// A sync has returned something: tries pending notices again, and earlier ones of sessions whose keys have arrived.
    pub(super) async fn keys_came(&mut self, found: Synced) {
        (self.pending.notices, self.pending.missing) = (true, true);
        if found.has_new_rules {
            self.rules.ask_again();
        }
        self.asked = found.request.or(self.asked.take());
        // New events in the rooms of calls may have become readable.
        if found.has_call_events || !(found.sessions.is_empty() || self.ringing.is_empty()) {
            self.tell_of_calls(true, Instant::now());
        }
        if !found.sessions.is_empty()
            && let Err(error) = self.read_late(|session| found.sessions.contains(session)).await
        {
            self.failed(&error);
        }
    }

    /// Decrypts notices whose search has ended, of sessions for which `is_known` returns true.
    pub(super) async fn read_late(&mut self, is_known: impl Fn(&str) -> bool) -> Result<(), EncryptionError> {
        let mut after = NoticeId(0);
        loop {
            let batch = self.notices(Decryption::LacksKey, after).await?;
            let Some(last) = batch.last() else { return Ok(()) };
            after = last.notice;
            for notice in batch.iter().filter(|notice| session_of(notice).is_some_and(|session| is_known(&session))) {
                self.read(notice).await?;
            }
        }
    }
}
