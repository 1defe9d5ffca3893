//! The inbox: the durable list of notices and the accounts' numbers, in SQLite on a thread of its own.
//!
//! What [`Inbox::record`] has answered is on disk (WAL, synced). Requests that wait share a commit. After each commit
//! that changed something the `news` signal is raised, unless it was since the last [`Inbox::news`]: whoever owns the
//! presentation asks for them then.

mod accounts;
mod calls;
mod catching_up;
mod changes;
mod checkup;
mod counts;
mod damage;
mod details;
mod key_filter;
mod keys;
mod marks;
mod news;
mod open_rows;
mod prune;
mod record;
mod rooms;
mod rows;
mod schema;
mod settings;
mod thread;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::Builder,
};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::checkup::{Checkup, check_up};
use self::thread::{Request, Worker};
pub use self::{
    catching_up::{CaughtUp, ListedUnread, Missed, Standing, UnreadEvent},
    details::{WantedDetails, WantingRoom},
};
pub use crate::accounts::CountsScope;
use crate::{
    notice::{Call, CallState, Notice, NoticeId, RoomDigest, RoomKey},
    push::notify::{Notification, SoundTweak, Tweaks},
};

/// One push for the accounts that it names.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The push.
    pub notification: Arc<Notification>,
    /// The accounts it is for: at least one, each once.
    pub recipients: Vec<Recipient>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// It was held back while this computer slept: a call in it does not ring any more.
    pub replayed: bool,
}

/// An account that a push is for.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The account's name.
    pub account: Arc<str>,
    /// What its `counts` stand for.
    pub counts: CountsScope,
    /// Whether calls that nobody took become missed calls here (`calls.missed = "derive"`).
    pub derive_missed_calls: bool,
    /// Whether the homeserver is asked for what a push does not say (`event_id_only`).
    pub fetches_details: bool,
    /// The tweaks of its device.
    pub tweaks: Tweaks,
}

/// What has changed, for whoever presents it. Bounded, however much has arrived.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The numbers of every account that the inbox has heard of.
    pub accounts: Vec<AccountState>,
    /// Rooms with notices that wait to be shown, at most [`News::MAX_ROOMS`]: those with a highlight first, then oldest
    /// first.
    pub waiting: Vec<WaitingRoom>,
    /// All notices that wait to be shown, also those of rooms that did not fit.
    pub waiting_notices: u64,
    /// All rooms with notices that wait to be shown, also those that did not fit.
    pub waiting_rooms: u64,
    /// The oldest notice that waits; meaningless when none does.
    pub waiting_from: NoticeId,
    /// The newest notice that waits; meaningless when none does.
    pub waiting_up_to: NoticeId,
    /// The newest of all that wait that asks for a sound, also of rooms that did not fit, and which.
    pub newest_sound: Option<(NoticeId, SoundTweak)>,
    /// Calls that ring, and missed calls whose popup has not been shown yet; at most 32, those
    /// that ring first, then oldest first.
    pub calls: Vec<Call>,
    /// Since the last news: of what nothing is unread any more, so that its popups go away.
    pub zeroed: Vec<Zeroed>,
    /// Since the last news: rooms with an unread notice that was edited or redacted, so that their popup, if there is one,
    /// changes.
    pub changed_rooms: Vec<RoomKey>,
    /// The newest five notices with something to show, newest first.
    pub newest: Vec<Notice>,
    /// Rooms with messages that wait and of which only the ids are known, at most 64.
    pub wanting: Vec<WantingRoom>,
    /// Since the last news: what was missed was taken over; `false`: there was more than is read back.
    pub caught_up: Option<bool>,
    /// Since the last news: the database was damaged, is kept under this name, and a new one was begun.
    pub set_aside: Option<PathBuf>,
}

/// What is on the screen, for [`Inbox::snapshot`].
#[derive(Debug, Clone, Default)]
pub struct OnScreen {
    /// The rooms that popups tell of, each with the newest notice that they tell.
    pub rooms: Vec<(RoomKey, NoticeId)>,
    /// The calls that have a popup.
    pub calls: Vec<NoticeId>,
}

/// What is to be presented, as the inbox has it at one moment. Bounded, however much has arrived.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// See [`News::accounts`].
    pub accounts: Vec<AccountState>,
    /// See [`News::waiting`].
    pub waiting: Vec<WaitingRoom>,
    /// See [`News::waiting_notices`].
    pub waiting_notices: u64,
    /// See [`News::waiting_rooms`].
    pub waiting_rooms: u64,
    /// See [`News::waiting_from`].
    pub waiting_from: NoticeId,
    /// See [`News::waiting_up_to`].
    pub waiting_up_to: NoticeId,
    /// See [`News::newest_sound`].
    pub newest_sound: Option<(NoticeId, SoundTweak)>,
    /// See [`News::calls`].
    pub calls: Vec<Call>,
    /// For each of [`OnScreen::rooms`] what its popup is made from now, of the notices up to the given one; `None` when
    /// none of them is unread.
    pub rooms: Vec<(RoomKey, Option<RoomDigest>)>,
    /// Those of [`OnScreen::calls`] that still ring or are missed.
    pub open_calls: Vec<NoticeId>,
    /// See [`News::newest`].
    pub newest: Vec<Notice>,
    /// See [`News::wanting`].
    pub wanting: Vec<WantingRoom>,
}

impl Snapshot {
    /// How many waiting rooms are told one by one.
    pub const MAX_ROOMS: usize = News::MAX_ROOMS;
}

impl News {
    /// How many waiting rooms are told one by one.
    pub const MAX_ROOMS: usize = 64;
}

/// An account's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountState {
    /// The account's name.
    pub account: String,
    /// What the badge counts for it.
    pub unread: u64,
    /// Missed calls: the server's number if it has ever sent one, else those derived here.
    pub missed_calls: u64,
    /// When a push last came for it.
    pub last_push: Option<Timestamp>,
}

/// A room with notices that wait to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRoom {
    /// Which.
    pub room: RoomKey,
    /// How many notices wait there.
    pub count: u64,
    /// The newest of them.
    pub newest: NoticeId,
    /// The newest of them that is a highlight.
    pub newest_highlight: Option<NoticeId>,
}

/// Of what nothing is unread any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Zeroed {
    /// The whole account, its calls too.
    Account(String),
    /// One room: its messages.
    Room(RoomKey),
    /// A call: it neither rings nor is missed any more.
    Call(NoticeId),
}

/// What was shown, and so waits no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The room's waiting notices up to this one.
    Room(RoomKey, NoticeId),
    /// All waiting notices up to this one, in a summary. Calls are not part of summaries.
    Everything(NoticeId),
    /// The call's popup of this state, ringing or missed.
    Call(NoticeId, CallState),
}

/// Why a notice was read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The person opened or dismissed the room's popup: its notices up to this one are read.
    Room(RoomKey, NoticeId),
    /// The person opened or dismissed the call's popup: it neither rings nor is missed any more.
    Call(NoticeId),
    /// `clear`: every number is zero and every notice is read, until the next push says otherwise.
    Everything,
}

/// How the inbox is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Notices older than this are forgotten.
    pub keep_days: u32,
    /// Whether the text of a notice is kept once it was read; until then its popup may have to be made anew.
    pub keep_bodies: bool,
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
    /// The file is damaged. The running program puts it aside and begins a new one.
    #[error("the inbox {path} is damaged: {reason}")]
    Damaged {
        /// The database file.
        path: String,
        /// What SQLite said.
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

/// A handle to the inbox's thread. Cheap to clone; the thread ends, its work done, with the last handle.
#[derive(Debug, Clone)]
pub struct Inbox {
    requests: mpsc::Sender<Request>,
    wanting: Arc<Notify>,
}

/// Requests that wait for the thread. More than that wait for room in the queue.
const QUEUE: usize = 1024;

impl Inbox {
    /// Opens or creates the database (private to the user), migrates it and starts the thread.
    /// `news` is raised (`notify_one`) after a commit that changed something worth presenting: once, until the news are
    /// asked for.
    ///
    /// A database that is damaged is put aside, and a new one begun ([`News::set_aside`]). One that cannot be used for
    /// another reason may well be later: every request tries it again, and fails until then.
    ///
    /// # Errors
    /// When the database is too new: it is left as it is.
    pub fn open(path: &Path, retention: Retention, news: Arc<Notify>) -> Result<Self, InboxError> {
        let (requests, queue) = mpsc::channel(QUEUE);
        let worker = Worker::open(path, retention, news)?;
        let wanting = worker.wanting();
        Builder::new()
            .name("inbox".to_owned())
            .spawn(move || worker.run(queue))
            .map_err(|error| schema::unusable(path, &error))?;
        Ok(Self { requests, wanting })
    }

    /// Records a push: its notice and its counts, for each recipient. On disk when this returns.
    /// A push whose event is known already records nothing again.
    ///
    /// # Errors
    /// When it is not on disk: then nothing of it is.
    pub async fn record(&self, delivery: Delivery) -> Result<(), InboxError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Record((delivery, answer))).await.map_err(|_| InboxError::Closed)?;
        answered.await.map_err(|_| InboxError::Closed)?
    }

    /// What has changed since the last call, and what waits. Lets calls ring out whose deadline is at or before `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn news(&self, now: Timestamp) -> Result<News, InboxError> {
        self.ask(move |worker| worker.news(now)).await
    }

    /// What is to be presented. Changes nothing.
    ///
    /// # Errors
    /// When the database cannot be read.
    // TO BE REPLACED: a stand-in on top of `news`, until the inbox has a snapshot of its own.
    pub async fn snapshot(&self, on_screen: OnScreen) -> Result<Snapshot, InboxError> {
        self.ask(move |worker| {
            worker.news_were_read();
            let news = worker.read(news::news)?;
            let OnScreen { rooms, calls: asked } = on_screen;
            let digest = |(room, up_to): (RoomKey, NoticeId)| {
                worker.read(|db| news::room_digest_up_to(db, &room, up_to)).map(|digest| (room.clone(), digest))
            };
            let rooms = rooms.into_iter().map(digest).collect::<Result<_, _>>()?;
            let open_calls = worker.read(|db| news::open_calls(db, &asked))?;
            Ok(Snapshot {
                accounts: news.accounts,
                waiting: news.waiting,
                waiting_notices: news.waiting_notices,
                waiting_rooms: news.waiting_rooms,
                waiting_from: news.waiting_from,
                waiting_up_to: news.waiting_up_to,
                newest_sound: news.newest_sound,
                calls: news.calls,
                rooms,
                open_calls,
                newest: news.newest,
                wanting: news.wanting,
            })
        })
        .await
    }

    /// Ends the ringing of calls whose deadline is at or before `now`.
    ///
    /// # Errors
    /// When it could not be written down.
    // TO BE REPLACED likewise.
    pub async fn expire_calls(&self, now: Timestamp) -> Result<(), InboxError> {
        self.ask(move |worker| worker.expire_calls(now)).await
    }

    /// Whether the database was set aside since this was last asked, and under which name.
    ///
    /// # Errors
    /// When the thread has ended.
    // TO BE REPLACED likewise.
    pub async fn take_incident(&self) -> Result<Option<PathBuf>, InboxError> {
        self.ask(|worker| Ok(worker.take_set_aside())).await
    }

    /// What the room's popup is made from; `None` when nothing in it is unread.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn room_digest(&self, room: RoomKey) -> Result<Option<RoomDigest>, InboxError> {
        self.ask(move |worker| worker.read(|db| news::room_digest(db, &room))).await
    }

    /// How many notices with a popup arrived from one to another (both included), and in how many rooms: for a summary.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tally(&self, from: NoticeId, up_to: NoticeId) -> Result<Tally, InboxError> {
        self.ask(move |worker| worker.read(|db| news::tally(db, from, up_to))).await
    }

    /// Notices were shown.
    ///
    /// # Errors
    /// When it could not be written down; they may then be shown once more by the next start.
    pub async fn mark_shown(&self, shown: Vec<Shown>) -> Result<(), InboxError> {
        let mut left = shown;
        while !left.is_empty() {
            // A step each, so that pushes that come meanwhile need not wait for all of it.
            left = self.ask(move |worker| worker.mark_shown(left)).await?;
        }
        Ok(())
    }

    /// Settles the waiting notices up to this one, and all calls, without showing them (`popup.enabled = false`). What
    /// came after it has not had its sound yet.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn settle_waiting(&self, up_to: NoticeId) -> Result<(), InboxError> {
        while !self.ask(move |worker| worker.settle_waiting(up_to)).await? {}
        Ok(())
    }

    /// The person has read something here. Raises `news`.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn mark_read(&self, read: Read) -> Result<(), InboxError> {
        let read = Arc::new(read);
        loop {
            let read = Arc::clone(&read);
            if self.ask(move |worker| worker.mark_read(&read)).await? {
                return Ok(());
            }
        }
    }

    /// The newest notice that is unread, for a click on the tray icon.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest_unread(&self) -> Result<Option<Notice>, InboxError> {
        self.ask(|worker| worker.read(news::newest_unread)).await
    }

    /// Forgets the numbers of accounts that are not among `known`; their notices stay, read, as history.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn retain_accounts(&self, known: Vec<String>) -> Result<(), InboxError> {
        self.ask(move |worker| worker.retain_accounts(&known)).await
    }

    /// Changes how the inbox is kept, and prunes it.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn set_retention(&self, retention: Retention, now: Timestamp) -> Result<(), InboxError> {
        self.ask(move |worker| {
            worker.set_retention(retention, now);
            Ok(())
        })
        .await
    }

    /// A small value of the program's own that outlives it, such as when a pause ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn setting(&self, name: &'static str) -> Result<Option<String>, InboxError> {
        self.ask(move |worker| worker.read(|db| settings::get(db, name))).await
    }

    /// Keeps or (with `None`) forgets such a value.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn set_setting(&self, name: &'static str, value: Option<String>) -> Result<(), InboxError> {
        self.ask(move |worker| worker.write(|write| settings::set(write.db, name, value.as_deref()))).await
    }

    /// How many notices there are and how many of them wait, for `status`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn totals(&self) -> Result<Totals, InboxError> {
        self.ask(|worker| worker.read(news::totals)).await
    }

    /// Whether a push could be recorded now, for `GET /health`: tries to begin a write.
    ///
    /// # Errors
    /// Says why not.
    pub async fn check(&self) -> Result<(), InboxError> {
        self.ask(Worker::check).await
    }

    /// Ends the thread, its work done and the database closed, for all handles; what is asked later fails.
    pub async fn close(self) {
        let (answer, answered) = oneshot::channel();
        if self.requests.send(Request::Close(answer)).await.is_ok() {
            // Either way it is closed.
            answered.await.ok();
        }
    }

    /// Has the thread do something, and waits for what it answers.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Worker) -> Result<T, InboxError> + Send + 'static,
    ) -> Result<T, InboxError> {
        let (answer, answered) = oneshot::channel();
        let work = Request::Run(Box::new(move |worker| {
            // Who no longer waits for the answer does not need it.
            answer.send(work(worker)).ok();
        }));
        self.requests.send(work).await.map_err(|_| InboxError::Closed)?;
        answered.await.map_err(|_| InboxError::Closed)?
    }
}

/// What a summary tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Notices.
    pub notices: u64,
    /// How many of them are invites.
    pub invites: u64,
    /// Rooms that they are in.
    pub rooms: u64,
}

/// Size of the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Notices kept.
    pub notices: u64,
    /// Notices not shown yet.
    pub unshown: u64,
}

/// The newest `limit` messages and calls, newest first, read without the running program's help (`pushbell history`). An
/// edit has changed its message, and is none of its own.
///
/// # Errors
/// When there is a database and it cannot be read. No database is an empty history.
pub fn messages(path: &Path, limit: usize) -> Result<Vec<Notice>, InboxError> {
    schema::open_to_read(path)?
        .map_or(Ok(Vec::new()), |db| news::newest_to_list(&db, limit).map_err(|error| schema::failed(path, &error)))
}

/// The newest `limit` notices of every kind, newest first, read without the running program's help (`pushbell history`).
///
/// # Errors
/// When there is a database and it cannot be read. No database is an empty history.
pub fn history(path: &Path, limit: usize) -> Result<Vec<Notice>, InboxError> {
    schema::open_to_read(path)?
        .map_or(Ok(Vec::new()), |db| news::newest_of_all(&db, limit).map_err(|error| schema::failed(path, &error)))
}
