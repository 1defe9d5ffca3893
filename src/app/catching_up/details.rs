//! Fetching what pushes with nothing but ids leave out (`event_id_only`): the event, who and where.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::run::{Check, CheckError};
use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    inbox::WantedDetails,
    notice::NoticeId,
    push::notify::Notification,
};

/// Time of one request: a popup waits for no more than two seconds, but what comes later changes it.
const DEADLINE: Duration = Duration::from_secs(5);
/// So many are taken from the inbox at a time.
const BATCH: usize = 16;
/// What could not be learned in this time stays as it is.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(1);
/// Entries of `/notifications` that are looked at for an event of a room that the person has not joined.
const LISTED: usize = 20;

impl Check {
    /// Fetches what is wanted for the account now, newest first.
    pub(super) async fn fetch_details(&self) -> Result<(), CheckError> {
        let mut before = NoticeId(i64::MAX);
        loop {
            let mut batch = self.shared.inbox.wanted_details(before, BATCH).await?;
            let Some(oldest) = batch.last() else { return Ok(()) };
            before = oldest.notice;
            let is_late = |wanted: &mut WantedDetails| Timestamp::now().duration_since(wanted.received_at) > GIVE_UP;
            for wanted in batch.extract_if(.., is_late) {
                self.keep_details(&wanted, None).await?;
            }
            batch.retain(|wanted| *wanted.account == *self.account.name);
            if !batch.is_empty() {
                let batch = &batch;
                let fetch = |client| async move { self.fetch_batch(&client, batch).await };
                self.shared.sessions.ask(&self.sign_in, DEADLINE, fetch).await?;
            }
        }
    }

    async fn fetch_batch(&self, client: &HomeserverClient, batch: &[WantedDetails]) -> Result<(), CheckError> {
        for wanted in batch {
            let details = self.details(client, wanted).await?;
            self.keep_details(wanted, details).await?;
        }
        Ok(())
    }

    async fn keep_details(&self, wanted: &WantedDetails, details: Option<Notification>) -> Result<(), CheckError> {
        let (user_id, derive_missed_calls) = (self.sign_in.user_id.clone(), self.settings.derive_missed_calls);
        let decrypts = self.sign_in.reads_encrypted();
        Ok(self.shared.inbox.add_details(wanted.notice, details, user_id, derive_missed_calls, decrypts).await?)
    }

    /// The event; `None` if the homeserver does not tell.
    async fn details(
        &self,
        client: &HomeserverClient,
        wanted: &WantedDetails,
    ) -> Result<Option<Notification>, CheckError> {
        let user_id = &self.sign_in.user_id;
        let found = match client.event(user_id, &wanted.room_id, &wanted.event_id).await {
            // Of an invite that is pending nothing is told, but it is listed.
            Ok(None) => listed(client, user_id, wanted).await,
            found => found,
        };
        match found {
            Ok(Some(mut event)) => {
                event.event_id = Some(wanted.event_id.clone());
                event.room_id = Some(wanted.room_id.clone());
                let (names, account) = (&self.shared.names, &self.account.name);
                names.ask_within(DEADLINE, client, account, std::iter::once(&event)).await?;
                names.fill_in(account, std::iter::once(&mut event));
                Ok(Some(event))
            }
            Ok(None) => Ok(None),
            Err(error) if error.is_temporary() || error.is_unknown_token() => Err(error.into()),
            Err(error) => {
                tracing::info!(account = &*self.account.name, "details are not told: {error}");
                Ok(None)
            }
        }
    }
}

async fn listed(
    client: &HomeserverClient,
    user_id: &str,
    wanted: &WantedDetails,
) -> Result<Option<Notification>, HomeserverError> {
    let page = match client.notifications(user_id, None, LISTED).await {
        Err(error) if error.is_unrecognized() => return Ok(None),
        page => page?,
    };
    let mut events = page.entries.into_iter().map(|entry| entry.notification);
    Ok(events.find(|event| event.event_id.as_ref() == Some(&wanted.event_id) && event.event_type.is_some()))
}
