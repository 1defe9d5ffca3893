//! The syncs of an account: one at a time, and none soon after another, however many pushes come.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};

use super::{
    backup::{self, BackupState},
    error::EncryptionError,
    machine::{Machine, Synced},
};

/// Longest time that one sync waits for a key.
const LONGEST_SYNC: Duration = Duration::from_secs(5);
/// Longest time that one sync watches the rooms of ringing calls.
const LONGEST_WATCH: Duration = Duration::from_secs(20);
/// Minimum time between two beginnings.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Syncs of one search: each may bring a hundred keys.
const MAX_SYNCS: usize = 100;

/// What syncs end with: how the account's backup stands, if the homeserver was asked.
type Ended = Result<Option<BackupState>, EncryptionError>;

/// What is learned of the syncs under way.
pub(super) enum Progress {
    /// One has brought this, and more may follow.
    Found(Synced),
    /// No sync is under way any more.
    Ended(Ended),
}

/// The syncs under way, if any: a search for keys, or a watch over rooms.
pub(super) struct Syncing {
    task: Option<JoinHandle<Ended>>,
    /// Ends the task, where it is a watch.
    watch: Option<Arc<Notify>>,
    /// What the task has found so far.
    found: (mpsc::UnboundedSender<Synced>, mpsc::UnboundedReceiver<Synced>),
    next_at: Instant,
}

impl Syncing {
    pub(super) fn new() -> Self {
        Self { task: None, watch: None, found: mpsc::unbounded_channel(), next_at: Instant::now() }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.task.is_some()
    }

    /// The next may begin then, if none is under way.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.task.is_none() && self.next_at <= now
    }

    /// Begins to look for keys, for whatever else was sent to the device, and for these sessions in the backup; so long.
    pub(super) fn search(&mut self, machine: Machine, patience: Duration, wanted: BTreeSet<backup::Session>) {
        self.begin(search(machine, patience.min(LONGEST_SYNC), wanted, self.found.0.clone()));
    }

    /// Begins to watch these rooms; until when, and until another may begin after it.
    pub(super) fn watch(&mut self, machine: Machine, rooms: Vec<String>) -> Instant {
        let end = Arc::clone(self.watch.insert(Arc::default()));
        self.begin(watch(machine, rooms, end, self.found.0.clone()));
        self.next_at + LONGEST_WATCH
    }

    /// Ends the task, if it is a watch.
    pub(super) fn end_watch(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.notify_one();
        }
    }

    fn begin(&mut self, syncs: impl Future<Output = Ended> + Send + 'static) {
        self.next_at = Instant::now() + INTERVAL;
        self.task = Some(tokio::spawn(syncs));
    }

    /// What is learned next. May be given up.
    pub(super) async fn progress(&mut self) -> Progress {
        tokio::select! {
            biased;
            Some(found) = self.found.1.recv() => Progress::Found(found),
            ended = ended(&mut self.task) => {
                (self.task, self.watch) = (None, None);
                Progress::Ended(ended)
            }
        }
    }
}

impl Drop for Syncing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn ended(task: &mut Option<JoinHandle<Ended>>) -> Ended {
    match task {
        Some(task) => match task.await {
            Ok(ended) => ended,
            Err(error) => Err(EncryptionError::Store(error.to_string())),
        },
        None => std::future::pending().await,
    }
}

/// Syncs until nothing more comes, then asks the account's backup for what is wanted, where the user has given its key; if
/// that does not have it either, one sync waits for as long as somebody waits for a key. Then sends what is to be sent, and
/// asks how the backup stands.
async fn search(
    machine: Machine,
    patience: Duration,
    mut wanted: BTreeSet<backup::Session>,
    found: mpsc::UnboundedSender<Synced>,
) -> Ended {
    // Before others are asked for their keys they must be able to have ours.
    machine.upload().await?;
    let mut asks_backup = !wanted.is_empty() && backup::version(&machine).await?.is_some();
    let mut timeout = if asks_backup { Duration::ZERO } else { patience };
    for _ in 0..MAX_SYNCS {
        let synced = machine.sync(timeout).await?;
        timeout = Duration::ZERO;
        if synced.messages > 0 {
            wanted.retain(|(_, session)| !synced.sessions.contains(session));
            // Without a reader they are in the store nevertheless.
            drop(found.send(synced));
            continue;
        }
        if !std::mem::take(&mut asks_backup) || wanted.is_empty() {
            break;
        }
        let sessions = backup::fetch(&machine, &wanted).await;
        wanted.retain(|(_, session)| !sessions.contains(session));
        drop(found.send(Synced { sessions, ..Synced::default() }));
        if wanted.is_empty() {
            break;
        }
        timeout = patience;
    }
    machine.upload().await?;
    backup::state(&machine).await.map(Some)
}

/// One sync that returns when something is new in one of the rooms, or when it is told to end.
async fn watch(machine: Machine, rooms: Vec<String>, end: Arc<Notify>, found: mpsc::UnboundedSender<Synced>) -> Ended {
    let answer = tokio::select! {
        answer = machine.poll(LONGEST_WATCH, &rooms) => answer?,
        () = end.notified() => return Ok(None),
    };
    drop(found.send(machine.take_in(answer).await?));
    machine.upload().await?;
    Ok(None)
}
