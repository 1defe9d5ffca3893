//! Sends replies that were written in popups, each at most once.
//!
//! A reply is on disk before it is first sent, with the transaction id by which its homeserver recognises a retry. It
//! is retried with that id for a limited time, across restarts too, but never by another device, for which the id is
//! not valid. After that its text is returned to the person.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::sending::{SendError, Sending};
use crate::{
    accounts::{Accounts, SignIn},
    backoff::Backoff,
    controller::Event,
    homeserver::OutgoingEvent,
    inbox::{InboxError, Reply},
    present::words,
};

/// How long a reply is retried.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// How long after its start the program waits for the key that the text of a reply is sealed with.
const KEY_PATIENCE: Duration = Duration::from_mins(15);
/// First and maximum retry delay.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Retry delay while the inbox cannot be read.
const INBOX_RETRY: Duration = Duration::from_secs(5);

/// Handle to the task.
#[derive(Debug)]
pub(super) struct Outbox(watch::Sender<Arc<Accounts>>);

struct Sender {
    sending: Sending,
    events: mpsc::UnboundedSender<Event>,
    /// Next attempt and backoff of each reply that was tried in this run, by transaction id.
    tries: BTreeMap<String, (Instant, Backoff)>,
    /// Until then the key of a sealed reply may become available: it is read after the start, from a keyring that may be
    /// locked.
    keys_by: Instant,
}

impl Outbox {
    /// Starts the task. Replies of an earlier run are sent, too.
    pub(super) fn start(sending: Sending, accounts: Arc<Accounts>, events: mpsc::UnboundedSender<Event>) -> Self {
        let (sender, looks) = watch::channel(accounts);
        tokio::spawn(Sender::new(sending, events).run(looks));
        Self(sender)
    }

    /// Call when there may be a reply to send, or when the accounts have changed.
    pub(super) fn look(&self, accounts: Arc<Accounts>) {
        self.0.send_replace(accounts);
    }
}

impl Sender {
    fn new(sending: Sending, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { sending, events, tries: BTreeMap::new(), keys_by: Instant::now() + KEY_PATIENCE }
    }

    async fn run(mut self, mut looks: watch::Receiver<Arc<Accounts>>) {
        loop {
            let accounts = Arc::clone(&looks.borrow_and_update());
            let due = match self.send_due(&accounts).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::debug!("replies are not sent now: {error}");
                    Some(Instant::now() + INBOX_RETRY)
                }
            };
            tokio::select! {
                changed = looks.changed() => if changed.is_err() {
                    return;
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Sends what is due, in the order of writing within each room. Returns when the next attempt is due.
    async fn send_due(&mut self, accounts: &Accounts) -> Result<Option<Instant>, InboxError> {
        let replies = self.sending.inbox.replies().await?;
        self.tries.retain(|transaction, _| replies.iter().any(|reply| reply.transaction == *transaction));
        let mut held_rooms: Vec<(Arc<str>, String)> = Vec::new();
        let mut next = None;
        for reply in replies {
            let room = (Arc::clone(&reply.account), reply.room_id.clone());
            if held_rooms.contains(&room) {
                continue;
            }
            let due = self.tries.get(&reply.transaction).map(|(due, _)| *due);
            if due.is_none_or(|due| due <= Instant::now()) && self.send(&reply, accounts).await? {
                continue;
            }
            held_rooms.push(room);
            next = next.into_iter().chain(self.tries.get(&reply.transaction).map(|(due, _)| *due)).min();
        }
        Ok(next)
    }

    /// Retries to send a reply. Returns whether it is finished.
    async fn send(&mut self, reply: &Reply, accounts: &Accounts) -> Result<bool, InboxError> {
        let sign_in = accounts.find(&reply.account).and_then(|account| account.sign_in.as_ref());
        let Some(sign_in) = sign_in.filter(|sign_in| sign_in.device_id == reply.device_id) else {
            if accounts.unreadable().is_some() {
                return Ok(self.try_later(reply, Duration::ZERO));
            }
            return self.give_up(reply, true, words::reply_session_ended()).await;
        };
        let Some(content) = reply.content.as_deref().and_then(|content| serde_json::from_str(content).ok()) else {
            if Instant::now() < self.keys_by {
                return Ok(self.try_later(reply, Duration::ZERO));
            }
            return self.give_up(reply, true, words::reply_unreadable()).await;
        };
        let is_late = |reply: &Reply| Timestamp::now().duration_since(reply.written_at).abs() >= PATIENCE;
        if is_late(reply) {
            return self.give_up(reply, true, words::reply_unconfirmed()).await;
        }
        let error = match self.try_to_send(reply, content, sign_in).await {
            Ok(()) => {
                self.sending.inbox.forget_reply(reply.transaction.clone()).await?;
                return Ok(true);
            }
            Err(error) => error,
        };
        tracing::info!(account = &*reply.account, "a reply is not sent: {error}");
        match error.wait() {
            Some(_) if is_late(reply) => self.give_up(reply, true, &error.to_string()).await,
            Some(wait) => Ok(self.try_later(reply, wait)),
            None => self.give_up(reply, false, &error.to_string()).await,
        }
    }

    async fn try_to_send(&self, reply: &Reply, content: Value, sign_in: &SignIn) -> Result<(), SendError> {
        let event = OutgoingEvent {
            room_id: reply.room_id.clone(),
            event_type: "m.room.message".to_owned(),
            transaction: reply.transaction.clone(),
            content,
        };
        self.sending.send(&reply.account, sign_in, &event).await
    }

    /// Schedules the next attempt; returns false: not finished.
    fn try_later(&mut self, reply: &Reply, wait: Duration) -> bool {
        let (due, backoff) = (self.tries.entry(reply.transaction.clone()))
            .or_insert_with(|| (Instant::now(), Backoff::new(RETRY.0, RETRY.1)));
        *due = Instant::now() + wait.max(backoff.next());
        false
    }

    /// Reports the failure and returns the text to the person. `may_be_sent`: an attempt got no answer.
    async fn give_up(&self, reply: &Reply, may_be_sent: bool, reason: &str) -> Result<bool, InboxError> {
        let content = reply.content.as_deref().and_then(|content| serde_json::from_str::<Value>(content).ok());
        let text = content.as_ref().and_then(|content| content.get("body")?.as_str()).unwrap_or_default();
        let reason = words::reply_given_up(may_be_sent, reason);
        // A closed channel means that the program is ending.
        drop(self.events.send(Event::NotSent { reason, text: text.to_owned() }));
        self.sending.inbox.forget_reply(reply.transaction.clone()).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::{
        config::Config, encryption::Encryption, inbox::Inbox, paths::Paths, secrets::Secrets, session::Sessions,
    };

    const ACCOUNTS: &str = r#"
version = 1

[[account]]
name = "home"
app_id = "org.pushbell.Pushbell"
pushkey = "secret of home"
counts = "account"
created_at = "2026-11-22T00:00:00Z"
sign_in = { user_id = "@alice:hs", device_id = "D", homeserver = "http://127.0.0.1:1", method = "token", server = "" }
"#;

    /// The result for a reply of this device that was written this many minutes ago.
    async fn given_up(device: &str, minutes: i64) -> Option<(String, String)> {
        let directory = TempDir::new().unwrap();
        let file = directory.path().join("accounts.toml");
        fs::write(&file, ACCOUNTS).unwrap();
        let accounts = Accounts::read(&file).unwrap();
        let paths = Paths::within(directory.path());
        let settings = (&Config::default()).into();
        let inbox = Inbox::open(&directory.path().join("pushbell.db"), settings).unwrap();
        let (events, mut told) = mpsc::unbounded_channel();
        let ((calls, _), (held, _)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let encryption = Encryption::start(inbox.clone(), &paths, &accounts, events.clone(), (calls, held));
        let sessions = Sessions::new(Secrets::new(&paths));
        let sending = Sending { inbox: inbox.clone(), sessions, encryption };
        let reply = Reply {
            account: "home".into(),
            device_id: device.to_owned(),
            room_id: "!r".to_owned(),
            transaction: "t".to_owned(),
            content: Some(r#"{"body":"Yes"}"#.to_owned()),
            written_at: Timestamp::now() - SignedDuration::from_mins(minutes),
        };
        inbox.keep_reply(reply).await.unwrap();
        let mut sender = Sender::new(sending, events);
        sender.send_due(&accounts).await.unwrap();
        assert_eq!(inbox.replies().await.unwrap(), []);
        std::iter::from_fn(|| told.try_recv().ok())
            .find_map(|event| if let Event::NotSent { reason, text } = event { Some((reason, text)) } else { None })
    }

    #[tokio::test]
    async fn a_given_up_reply_says_whether_it_may_have_been_sent() {
        for (device, minutes) in [("D", 16), ("D", -16), ("OLD", 0)] {
            let (reason, text) = given_up(device, minutes).await.unwrap();
            assert!(reason.starts_with("It may have been sent") && text == "Yes", "{device} {minutes}: {reason}");
        }
    }
}
