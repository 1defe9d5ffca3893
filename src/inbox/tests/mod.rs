//! The inbox on real files.

mod calling;
mod catching_up;
mod counting;
mod damage;
mod decrypting;
mod faults;
mod keeping;
mod model;
mod muting;
mod presenting;
mod recording;
mod replying;
mod tampering;

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    accounts::CountsScope,
    notice::{CallState, Presentation, Room},
    push::notify::{Counts, Priority, SoundTweak},
};

/// When the tests begin, in seconds since the epoch.
const START: i64 = 1_790_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// An inbox in a directory of its own.
struct Desk {
    directory: TempDir,
    inbox: Inbox,
    changes: RefCell<watch::Receiver<()>>,
}

const SETTINGS: Settings = Settings { keep_days: 30, keep_bodies: true, derive_missed_calls: true };

impl Desk {
    fn new() -> Self {
        Self::with(SETTINGS)
    }

    fn with(settings: Settings) -> Self {
        let directory = TempDir::new().unwrap();
        let inbox = Inbox::open(&directory.path().join("data/pushbell.db"), settings).unwrap();
        Self::of(directory, inbox)
    }

    fn of(directory: TempDir, inbox: Inbox) -> Self {
        let changes = RefCell::new(inbox.changes());
        Self { directory, inbox, changes }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("data/pushbell.db")
    }

    /// As when the program dies and starts again: its log stays, for the database is open all the time. Whatever the
    /// first thread was at (pruning, a checkpoint) is over then, as it is when a program has died.
    fn restart(&mut self) {
        self.inbox = Inbox::open(&self.path(), SETTINGS).unwrap();
        let first = self.changes.replace(self.inbox.changes());
        while first.has_changed().is_ok() {
            std::thread::yield_now();
        }
    }

    /// Waits until the thread has ended.
    async fn close(self) -> TempDir {
        drop(self.inbox);
        while self.changes.borrow().has_changed().is_ok() {
            tokio::task::yield_now().await;
        }
        self.directory
    }

    async fn record(&self, push: Push) {
        self.inbox.record(push.delivery()).await.unwrap();
    }

    /// Records pushes in one commit.
    async fn record_together(&self, pushes: impl Iterator<Item = Push>) {
        let (go_on, gone_on) = std::sync::mpsc::channel::<()>();
        let (is_held, held) = oneshot::channel();
        let holding = self.inbox.ask(move |_| {
            is_held.send(()).ok();
            gone_on.recv().ok();
            Ok(())
        });
        let recording = async {
            held.await.unwrap();
            let answers: Vec<_> = pushes
                .map(|push| {
                    let (answer, answered) = oneshot::channel();
                    self.inbox.requests.try_send(Request::Record((Box::new(push.delivery()), answer))).ok().unwrap();
                    answered
                })
                .collect();
            drop(go_on);
            for answered in answers {
                answered.await.unwrap().unwrap();
            }
        };
        tokio::join!(holding, recording).0.unwrap();
    }

    async fn snapshot(&self) -> Snapshot {
        self.inbox.snapshot(OnScreen::default()).await.unwrap()
    }

    /// A snapshot at a time, after calls that were due have ended.
    async fn snapshot_at(&self, seconds: i64) -> Snapshot {
        self.inbox.expire_calls(at(seconds)).await.unwrap();
        self.snapshot().await
    }

    async fn incident(&self) -> Option<Incident> {
        self.inbox.take_incident().await.unwrap()
    }

    /// What the badge counts for each account, and its missed calls.
    async fn numbers(&self) -> BTreeMap<String, (u64, u64)> {
        let accounts = self.snapshot().await.accounts;
        accounts.into_iter().map(|state| (state.account, (state.unread, state.missed_calls))).collect()
    }

    async fn unread(&self, account: &str) -> u64 {
        self.numbers().await.get(account).map_or(0, |(unread, _)| *unread)
    }

    async fn missed(&self, account: &str) -> u64 {
        self.numbers().await.get(account).map_or(0, |(_, missed)| *missed)
    }

    /// All notices, oldest first, also those that are listed nowhere.
    fn history(&self) -> Vec<Notice> {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        self.inbox.seals().attach(&db).unwrap();
        let mut notices = db.prepare(codec::notice_query!("ORDER BY n.id")).unwrap();
        notices.query_map([], codec::notice).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// What `pushbell history` lists, oldest first.
    fn listed(&self) -> Vec<String> {
        let mut notices = history(&self.path(), usize::MAX, &Seals::default(), |_| true).unwrap();
        notices.reverse();
        notices.into_iter().filter_map(|notice| notice.event_id).collect()
    }

    fn notice(&self, event_id: &str) -> Notice {
        self.history().into_iter().find(|notice| notice.event_id.as_deref() == Some(event_id)).unwrap()
    }

    async fn mark_read(&self, read: Read) {
        self.inbox.mark_read(read).await.unwrap();
    }

    async fn mark_shown(&self, shown: Shown) {
        self.inbox.mark_shown(vec![shown]).await.unwrap();
    }

    /// Shows everything that waits, as one summary.
    async fn show_all(&self) {
        self.mark_shown(Shown::Everything(NoticeId(i64::MAX))).await;
    }

    async fn digest(&self, room: RoomKey) -> Option<RoomDigest> {
        self.inbox.room_digest(room, 3).await.unwrap()
    }

    /// Whether a change was signalled since this was last asked.
    fn has_changed(&self) -> bool {
        let mut changes = self.changes.borrow_mut();
        let has_changed = changes.has_changed().unwrap();
        changes.mark_unchanged();
        has_changed
    }
}

fn key(account: &str, room_id: &str) -> RoomKey {
    if room_id.is_empty() { unnamed(account) } else { RoomKey::with_id(account, room_id) }
}

/// The room of Bob's pushes that name none.
fn unnamed(account: &str) -> RoomKey {
    RoomKey { account: account.to_owned(), room: Room::from_stored("s@bob:hs".to_owned()) }
}

/// A push to be, for the account "a" unless it says otherwise.
#[derive(Clone)]
struct Push {
    notification: Notification,
    recipients: Vec<Recipient>,
    received_at: Timestamp,
    replayed: bool,
}

/// A push without an event.
fn badge(counts: Counts) -> Push {
    Push {
        notification: Notification { counts: Some(counts), ..Notification::default() },
        recipients: vec![recipient("a")],
        received_at: at(0),
        replayed: false,
    }
}

fn unread(unread: u64) -> Counts {
    Counts { unread, missed_calls: None }
}

fn recipient(account: &str) -> Recipient {
    Recipient {
        account: account.into(),
        user_id: None,
        counts: CountsScope::Account,
        decrypts: false,
        fetches_details: false,
        tweaks: Tweaks::default(),
    }
}

/// An event of Bob's.
fn event(event_id: &str, room_id: &str, event_type: &str, content: &str) -> Push {
    let mut push = badge(Counts::default());
    push.notification = Notification {
        event_id: Some(event_id.to_owned()),
        id: Some(event_id.to_owned()),
        room_id: Some(room_id.to_owned()),
        event_type: Some(event_type.to_owned()),
        sender: Some("@bob:hs".to_owned()),
        content: Some(content.to_owned()),
        ..Notification::default()
    };
    push
}

/// A message of Bob's without counts.
fn message(event_id: &str, room_id: &str) -> Push {
    event(event_id, room_id, "m.room.message", r#"{"body":"hello"}"#)
}

impl Push {
    fn for_account(mut self, account: &str) -> Self {
        self.recipients = vec![recipient(account)];
        self
    }

    fn counting(mut self, counts: Counts) -> Self {
        self.notification.counts = Some(counts);
        self
    }

    fn per_room(mut self) -> Self {
        self.recipients[0].counts = CountsScope::Room;
        self
    }

    fn from(mut self, sender: &str) -> Self {
        self.notification.sender = Some(sender.to_owned());
        self
    }

    fn at(mut self, seconds: i64) -> Self {
        self.received_at = at(seconds);
        self
    }

    fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    fn highlight(mut self) -> Self {
        self.recipients[0].tweaks.highlight = true;
        self
    }

    fn sound(mut self, sound: SoundTweak) -> Self {
        self.recipients[0].tweaks.sound = sound;
        self
    }

    fn delivery(self) -> Delivery {
        Delivery {
            is_sample: false,
            notification: self.notification,
            recipients: self.recipients,
            received_at: self.received_at,
            replayed: self.replayed,
        }
    }
}
