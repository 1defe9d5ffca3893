//! Fetches what pushes with ids alone leave out (`event_id_only`): the event and its names.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::run::{Check, CheckError};
use crate::{
    homeserver::{HomeserverClient, HomeserverError},
    inbox::{Recipient, WantedDetails},
    notice::NoticeId,
    push::notify::{Notification, Tweaks},
};

/// Deadline of a request. A popup waits for two seconds, and is updated later.
const DEADLINE: Duration = Duration::from_secs(5);
/// Number of notices read from the inbox at a time.
const BATCH: usize = 16;
/// Age after which a notice stays as it is.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(1);
/// Entries of `/notifications` searched for an event of a room that the person has not joined.
const LISTED: usize = 20;

impl Check {
    /// Fetches the missing details of the account's notices, newest first.
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
        let recipient = Recipient::new(&self.account, Tweaks::default());
        Ok(self.shared.inbox.add_details(wanted.notice, details, recipient).await?)
    }

    /// The event; `None` if the homeserver does not return it.
    async fn details(
        &self,
        client: &HomeserverClient,
        wanted: &WantedDetails,
    ) -> Result<Option<Notification>, CheckError> {
        let user_id = &self.sign_in.user_id;
        let found = match client.event(user_id, &wanted.room_id, &wanted.event_id).await {
            // A pending invite cannot be fetched, but is listed.
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
                tracing::info!(account = &*self.account.name, "details are not available: {error}");
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
