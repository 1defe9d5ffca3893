//! The inbox: the durable list of notices and the accounts' numbers, in SQLite on a thread of its own.
//!
//! **Promises.** When `Inbox::record` returns, the push is on disk (WAL, synced). A push that is sent again is
//! recognised by its `event_id`, else by the first protocol's `id`, each unique within its account. Unread notices are
//! never deleted.
//!
//! **Schema** (`migrations/0001.sql`). One table of notices with a row for each event of each account, also for edits,
//! redactions and other events that are not listed: their retries are recognised by it. What waits, what is unread and
//! what a room's popup is made from are queries over a covering partial index of the unread notices: nothing is stored
//! that can be counted. The other tables have the numbers that `counts` have set, muted rooms, replies to be sent, and
//! settings.
//!
//! **Threads.** [`Inbox`] is a handle that sends closures to the thread (`thread`), which owns the only connection that
//! writes. Pushes that wait share a commit; every other write is a transaction of its own (`transaction::Write`). After a
//! commit that changes what a [`Snapshot`] shows, `Inbox::changes` changes, once until the next snapshot. `list` and
//! `integrity_check` read with connections of their own, with or without a running program.
//!
//! **Corruption.** Values are read leniently (`codec`). A file that SQLite calls corrupt, that is empty or has a schema
//! from before the first release is set aside, and a new one begun. Before and after each commit the files are compared
//! with what the last commit has left, so that a removed, replaced or truncated file is noticed before a push is
//! answered. Both are reported as an [`Incident`].
//!
//! | file | has |
//! |---|---|
//! | `thread`, `transaction` | the thread, its commits and signals; a write transaction; settings |
//! | `database` | opening, migrating and setting aside the files; noticing changes from outside |
//! | `codec` | the stored form of values, whole notices, known events |
//! | `record`, `counts`, `calls` | recording a push: the notice, its `counts`, what it says of calls |
//! | `read_state`, `mute` | what was shown and read, edits and redactions; muted rooms |
//! | `catching_up`, `event_details`, `decryption`, `seal` | what is learned without a push or after it; sealed texts |
//! | `snapshot` | queries of the thread: what there is to present |
//! | `list`, `integrity_check` | reading beside the thread: history, pages, rooms; a check |
//! | `outbox`, `relay` | replies to be sent and encrypted rooms; how far a relay was read |
//! | `prune` | retention: content and rows of old notices are deleted, by a clock that does not follow every jump |

mod calls;
mod catching_up;
mod codec;
mod counts;
mod database;
mod decryption;
mod event_details;
mod integrity_check;
mod list;
mod mute;
mod outbox;
mod prune;
mod read_state;
mod record;
mod relay;
mod seal;
mod snapshot;
mod thread;
mod transaction;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::Builder,
};

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

pub use self::{
    catching_up::{CatchUpState, CaughtUp, MissedEvent, RoomRead, UnreadEvent, WhatWasRead},
    codec::Decryption,
    decryption::{Decrypted, EncryptedNotice, Verdict},
    event_details::WantedDetails,
    integrity_check::Integrity,
    list::{ListPage, Listed, ListedRoom, Unread},
    mute::MutedRoom,
    outbox::Reply,
    seal::Seals,
    snapshot::{AccountState, OnScreen, Snapshot, Tally, Totals, WaitingRoom, WantingRoom},
};
use self::{
    counts::AccountRow,
    thread::{Request, Signals, Worker},
    transaction::Write,
};
pub(crate) use self::{
    integrity_check::check_integrity,
    list::{history, list, rooms, unread},
};
use crate::{
    accounts::{self, CountsScope, SignIn},
    config::Config,
    notice::{CallState, Notice, NoticeId, Presentation, RoomDigest, RoomKey},
    push::notify::{Counts, Notification, Tweaks},
};

/// One push for the accounts that it names.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The push.
    pub notification: Notification,
    /// The accounts it is for: at least one, each once.
    pub recipients: Vec<Recipient>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// It was delayed while this computer slept: a call in it does not ring.
    pub replayed: bool,
    /// It was sent by this program's own test: it is shown, but sets no numbers and proves nothing about a homeserver.
    pub is_sample: bool,
}

/// An account that a push is for.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The account's name.
    pub account: Arc<str>,
    /// The account's user, where it is signed in: a call to somebody else does not ring.
    pub user_id: Option<String>,
    /// What its `counts` stand for.
    pub counts: CountsScope,
    /// Whether the homeserver is asked for what a push does not say (`event_id_only`).
    pub fetches_details: bool,
    /// Whether what is end-to-end encrypted is decrypted later ([`Inbox::encrypted_notices`]).
    pub decrypts: bool,
    /// The tweaks of its device.
    pub tweaks: Tweaks,
}

impl Recipient {
    /// This account, as the recipient of an event with these tweaks.
    #[must_use]
    pub(crate) fn new(account: &accounts::Account, tweaks: Tweaks) -> Self {
        let sign_in = account.sign_in.as_ref();
        Self {
            account: Arc::clone(&account.name),
            user_id: sign_in.map(|sign_in| sign_in.user_id.clone()),
            counts: account.counts,
            fetches_details: sign_in.is_some_and(|sign_in| sign_in.event_id_only),
            decrypts: sign_in.is_some_and(SignIn::reads_encrypted),
            tweaks,
        }
    }
}

/// What was shown, and so no longer waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The room's waiting notices up to this one.
    Room(RoomKey, NoticeId),
    /// All waiting notices up to this one, in a summary. Calls are not part of summaries.
    Everything(NoticeId),
    /// The call's popup of this state, ringing or missed.
    Call(NoticeId, CallState),
}

/// How notices were read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The person opened or dismissed the room's popup: its notices up to this one are read.
    Room(RoomKey, NoticeId),
    /// The person opened or dismissed the call's popup: it neither rings nor is missed any more.
    Call(NoticeId),
    /// `logout`: the account's numbers are zero and its notices are read, until the next push says otherwise. Its
    /// replies are not sent any more.
    Account(String),
    /// `clear`: every number is zero and every notice is read, until the next push says otherwise.
    Everything,
}

/// What of the configuration concerns the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Notices older than this are listed no more; the keys by which their retries are recognised stay for 40 days.
    pub keep_days: u32,
    /// Whether the text of a notice is kept once it was read; until then its popup may have to be made anew.
    pub keep_bodies: bool,
    /// Whether calls that nobody took become missed calls here (`calls.missed = "derive"`).
    pub derive_missed_calls: bool,
}

impl From<&Config> for Settings {
    fn from(Config { history, calls, .. }: &Config) -> Self {
        Self {
            keep_days: history.keep_days,
            keep_bodies: history.keep_bodies,
            derive_missed_calls: calls.derive_missed,
        }
    }
}

/// Why the inbox could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InboxError {
    /// SQLite says no: the disk is full, the file is read-only or locked. The text says which.
    #[error(
        "the inbox {path} cannot be used: {reason}; until it can, homeservers are told to try again later. Check the \
         disk and who owns the file, or move it away"
    )]
    Unusable {
        /// The database file.
        path: String,
        /// What SQLite said.
        reason: String,
    },
    /// The file is damaged, empty or no inbox. The running program sets it aside and begins a new one.
    #[error("the inbox {path} {reason}")]
    Damaged {
        /// The database file.
        path: String,
        /// What is wrong with it, as the rest of a sentence about it.
        reason: String,
    },
    /// The database was written by a newer Pushbell.
    #[error(
        "the inbox {path} has version {found}, this Pushbell knows {known}: install a newer Pushbell, or move the file away"
    )]
    TooNew {
        /// The database file.
        path: String,
        /// Its version.
        found: i64,
        /// The newest version that is known here.
        known: i64,
    },
    /// The inbox's thread has ended.
    #[error("the inbox is closed")]
    Closed,
}

/// What has happened to the database's files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Incident {
    /// The file could not be used as an inbox: it was set aside, and a new one was begun.
    #[error(
        "The inbox {} {reason}. A new one was begun: new messages are shown as ever, older ones are no longer listed. \
         The old one is kept as {}.",
        path.display(), kept_as.display()
    )]
    SetAside {
        /// The database file.
        path: PathBuf,
        /// What it is called now.
        kept_as: PathBuf,
        /// What was wrong with it, as the rest of a sentence about it.
        reason: String,
    },
    /// The file was removed or moved while the program used it. A new one was begun.
    #[error(
        "The inbox {} was removed or moved. A new one was begun: new messages are shown as ever, older ones are no \
         longer listed.",
        path.display()
    )]
    Removed {
        /// The database file.
        path: PathBuf,
    },
    /// The file or its log was replaced or cut short while the program used it, and lacks messages. It is used as it
    /// is.
    #[error(
        "The inbox {} was replaced or cut short by another program. It is used as it is now; messages that are missing \
         from it are no longer listed.",
        path.display()
    )]
    Replaced {
        /// The database file.
        path: PathBuf,
    },
}

/// A handle to the inbox's thread. Cheap to clone; the thread ends, its work done, with the last handle.
///
/// Its methods fail when the database cannot be read or written: then what they would write may not be on disk.
#[derive(Debug, Clone)]
pub struct Inbox {
    requests: mpsc::Sender<Request>,
    changes: watch::Receiver<()>,
    wanting: Arc<Notify>,
    encrypted: Arc<Notify>,
    seals: Seals,
}

/// Requests that wait for the thread. More than that wait for room in the queue.
const QUEUE: usize = 1024;

impl Inbox {
    /// Opens or creates the database (private to the user), migrates it and starts the thread.
    ///
    /// A database that is damaged is set aside, and a new one begun ([`Inbox::take_incident`]). One that cannot be used
    /// for another reason may well be later: every request tries it again, and fails until then.
    ///
    /// # Errors
    /// When the database is too new: it is left as it is.
    pub(crate) fn open(path: &Path, settings: Settings) -> Result<Self, InboxError> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let (signals, changes) = Signals::new();
        let (wanting, encrypted, seals) =
            (Arc::clone(&signals.wanting), Arc::clone(&signals.encrypted), Seals::default());
        let worker = Worker::open(path, settings, signals, seals.clone())?;
        Builder::new()
            .name("inbox".to_owned())
            .spawn(move || worker.run(queue))
            .map_err(|error| database::unusable(path, &error))?;
        Ok(Self { requests, changes, wanting, encrypted, seals })
    }

    /// Records a push: its notice and its counts, for each recipient. On disk when this returns.
    /// A push whose event is known already records nothing again.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of it is.
    pub(crate) async fn record(&self, delivery: Delivery) -> Result<(), InboxError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Record((Box::new(delivery), answer))).await.map_err(|_| InboxError::Closed)?;
        answered.await.map_err(|_| InboxError::Closed)?
    }

    /// What there is to present. Changes nothing.
    pub(crate) async fn snapshot(&self, on_screen: OnScreen) -> Result<Snapshot, InboxError> {
        self.ask(move |worker| worker.snapshot(|db| snapshot::take(db, &on_screen))).await
    }

    /// Ends the ringing of calls whose deadline is at or before `now`.
    pub(crate) async fn expire_calls(&self, now: Timestamp) -> Result<(), InboxError> {
        self.ask(move |worker| worker.expire_calls(now)).await
    }

    /// The oldest incident that was not returned yet.
    pub(crate) async fn take_incident(&self) -> Result<Option<Incident>, InboxError> {
        self.ask(|worker| Ok(worker.take_incident())).await
    }

    /// What the room's popup is made from, with its newest `lines` notices; `None` when nothing in it is unread.
    pub(crate) async fn room_digest(&self, room: RoomKey, lines: usize) -> Result<Option<RoomDigest>, InboxError> {
        self.read(move |db| snapshot::room_digest(db, &room, None, lines)).await
    }

    /// How many notices with a popup arrived from one to another (both included), and in how many rooms: for a summary.
    pub(crate) async fn tally(&self, from: NoticeId, up_to: NoticeId) -> Result<Tally, InboxError> {
        self.read(move |db| snapshot::tally(db, from, up_to)).await
    }

    /// Marks notices as shown.
    ///
    /// # Errors
    /// When the database cannot be written; they may then be shown once more by the next start.
    pub(crate) async fn mark_shown(&self, shown: Vec<Shown>) -> Result<(), InboxError> {
        self.write(move |write| {
            shown.iter().try_for_each(|shown| match shown {
                Shown::Room(room, up_to) => read_state::show_room(write, room, *up_to),
                Shown::Everything(up_to) => read_state::present_messages(write, *up_to, Presentation::Shown),
                Shown::Call(id, state) => calls::show(write, *id, *state),
            })
        })
        .await
    }

    /// Settles the waiting notices up to this one, and all calls, without showing them (`popup.enabled = false`). Later
    /// notices still have their sound to come.
    pub(crate) async fn settle_waiting(&self, up_to: NoticeId) -> Result<(), InboxError> {
        self.write(move |write| {
            read_state::present_messages(write, up_to, Presentation::Settled)?;
            calls::settle_all(write)
        })
        .await
    }

    /// Marks what the person has read here. Signals a change.
    pub(crate) async fn mark_read(&self, read: Read) -> Result<(), InboxError> {
        self.write(move |write| {
            write.changes.is_visible = true;
            match read {
                Read::Room(room, up_to) => read_state::read_messages(write, &room, up_to),
                Read::Call(id) => read_state::read_one(write, id.0).map(drop),
                Read::Account(name) => {
                    let account = AccountRow::named(write.db, &name)?;
                    outbox::forget_replies(write, account.id)?;
                    clear(write, |account| account.name == name)
                }
                Read::Everything => clear(write, |_| true),
            }
        })
        .await
    }

    /// This notice; `None` if it is no longer kept.
    pub(crate) async fn notice(&self, id: NoticeId) -> Result<Option<Notice>, InboxError> {
        self.read(move |db| codec::notice_by_id(db, id)).await
    }

    /// The newest notice that is unread, for a click on the tray icon.
    pub(crate) async fn newest_unread(&self) -> Result<Option<Notice>, InboxError> {
        self.read(snapshot::newest_unread).await
    }

    /// Sets the count of this room to zero where counts stand for rooms: the homeserver knows that it was read. Signals a
    /// change.
    pub(crate) async fn room_was_read(&self, room: RoomKey) -> Result<(), InboxError> {
        self.write(move |write| {
            let mut account = AccountRow::named(write.db, &room.account)?;
            if !account.has_count(write.db, room.room.as_str())? {
                return Ok(());
            }
            let counts = Counts { unread: 0, missed_calls: account.numbers.missed_calls };
            account.count(write.db, counts, Some(room.room.as_str()))?;
            account.save(write.db)?;
            write.changes.is_visible = true;
            Ok(())
        })
        .await
    }

    /// Forgets the numbers of accounts that are not among `known`; their notices stay, read, as history.
    pub(crate) async fn retain_accounts(&self, known: Vec<String>) -> Result<(), InboxError> {
        self.write(move |write| {
            for mut account in AccountRow::all(write.db)? {
                let is_forgotten = account.last_push.is_none() && read_state::unread(write.db, account.id)? == 0;
                if is_forgotten || known.contains(&account.name) {
                    continue;
                }
                write.changes.is_visible = true;
                account.forget(write.db)?;
                mute::forget(write.db, account.id)?;
                outbox::forget(write, account.id)?;
                relay::forget(write, &account.name)?;
                read_state::read_account(write, account.id)?;
            }
            Ok(())
        })
        .await
    }

    /// Applies changed settings, and prunes.
    pub(crate) async fn configure(&self, settings: Settings, now: Timestamp) -> Result<(), InboxError> {
        self.ask(move |worker| {
            worker.configure(settings, now);
            Ok(())
        })
        .await
    }

    /// A small value of the program's own that outlives it, such as when a pause ends.
    pub(crate) async fn setting(&self, name: &'static str) -> Result<Option<String>, InboxError> {
        self.read(move |db| transaction::setting(db, name)).await
    }

    /// Stores or, with `None`, removes such a value.
    pub(crate) async fn set_setting(&self, name: &'static str, value: Option<String>) -> Result<(), InboxError> {
        self.write(move |write| transaction::set_setting(write.db, name, value.as_deref())).await
    }

    /// Changes after a commit that changed something that a snapshot shows: once, until the next snapshot is taken.
    /// A new receiver has not seen the changes since the start.
    #[must_use]
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.clone()
    }

    /// How many notices there are and how many of them wait, for `status`.
    pub(crate) async fn totals(&self) -> Result<Totals, InboxError> {
        self.read(snapshot::totals).await
    }

    /// Whether a push could be recorded now, for `GET /health`: tries to begin a write.
    ///
    /// # Errors
    /// Says why not.
    pub(crate) async fn check(&self) -> Result<(), InboxError> {
        self.ask(Worker::check).await
    }

    /// Ends the thread after the requests that came before, and closes the database. Later requests of any handle fail.
    pub(crate) async fn close(self) {
        let close = self.ask(|worker| {
            worker.begin_close();
            Ok(())
        });
        // An error says that it is closed already.
        close.await.ok();
        self.requests.closed().await;
    }

    /// Reads on the thread.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        self.ask(move |worker| worker.read(work)).await
    }

    /// Writes on the thread, in a commit of its own.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Write<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, InboxError> {
        self.ask(move |worker| worker.write(work)).await
    }

    /// Runs something on the thread and returns its result.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, InboxError> {
        let (answer, answered) = oneshot::channel();
        let work = Request::Run(Box::new(move |worker| {
            // The caller may have stopped waiting.
            answer.send(work(worker)).ok();
        }));
        self.requests.send(work).await.map_err(|_| InboxError::Closed)?;
        answered.await.map_err(|_| InboxError::Closed)?
    }
}

/// Sets the numbers of these accounts to zero and marks their notices as read.
fn clear(write: &mut Write<'_>, is_meant: impl Fn(&AccountRow) -> bool) -> rusqlite::Result<()> {
    AccountRow::all(write.db)?.into_iter().filter(is_meant).try_for_each(|mut account| {
        account.clear(write.db)?;
        read_state::read_account(write, account.id)
    })
}
