//! The syncs of an account: one at a time, and none soon after another, however many pushes come.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::{
    backup::{self, BackupState},
    error::EncryptionError,
    held::{self, Hold, Teller},
    interest::Interest,
    machine::{Machine, Synced},
};

/// Longest time that one sync waits for a key.
const LONGEST_SYNC: Duration = Duration::from_secs(5);
/// Minimum time between two beginnings.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Syncs of one search: each may bring a hundred keys.
const MAX_SYNCS: usize = 100;

/// What a search ends with: how the account's backup stands, if the homeserver was asked.
type Searched = Result<Option<BackupState>, EncryptionError>;

/// What is learned of the syncs under way.
pub(super) enum Progress {
    /// One has brought this, and more may follow.
    Found(Synced),
    /// No search is under way any more.
    Searched(Searched),
    /// The homeserver holds no sync any more.
    Held(held::Ended),
}

/// The syncs under way, if any: a search for keys, or one that is held.
pub(super) struct Syncing {
    task: Option<JoinHandle<Progress>>,
    /// Ends the task, where it holds a sync.
    hold: Option<oneshot::Sender<()>>,
    /// What the task has found so far.
    found: (mpsc::UnboundedSender<Synced>, mpsc::UnboundedReceiver<Synced>),
    next_at: Instant,
}

impl Syncing {
    pub(super) fn new() -> Self {
        Self { task: None, hold: None, found: mpsc::unbounded_channel(), next_at: Instant::now() }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.task.is_some()
    }

    /// Whether the keys are in use.
    pub(super) fn uses_keys(&self) -> bool {
        self.task.is_some() && self.hold.is_none()
    }

    /// The next search may begin then, if nothing is under way.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn may_search(&self, now: Instant) -> bool {
        self.next_at <= now
    }

    /// Begins to look for keys, for whatever else was sent to the device, and for these sessions in the backup; so long.
    pub(super) fn search(
        &mut self,
        machine: Machine,
        patience: Duration,
        wanted: BTreeSet<backup::Session>,
        whose: (Interest, Teller),
    ) {
        self.next_at = Instant::now() + INTERVAL;
        let search = search(machine, patience.min(LONGEST_SYNC), wanted, whose, self.found.0.clone());
        self.task = Some(tokio::spawn(async move { Progress::Searched(search.await) }));
    }

    /// Has the homeserver hold a sync open.
    pub(super) fn hold(&mut self, hold: Hold) {
        let (end, ended) = oneshot::channel();
        self.hold = Some(end);
        self.task = Some(tokio::spawn(async move { Progress::Held(hold.run(ended).await) }));
    }

    /// Ends the sync that is held, if one is, and what it has brought is not taken over already.
    pub(super) fn end_hold(&mut self) {
        if let Some(hold) = self.hold.as_mut() {
            let (ended, _) = oneshot::channel();
            // Gone where the sync has ended by itself.
            std::mem::replace(hold, ended).send(()).ok();
        }
    }

    /// What is learned next. May be given up.
    pub(super) async fn progress(&mut self) -> Progress {
        tokio::select! {
            biased;
            Some(found) = self.found.1.recv() => Progress::Found(found),
            ended = ended(&mut self.task) => {
                (self.task, self.hold) = (None, None);
                ended
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

async fn ended(task: &mut Option<JoinHandle<Progress>>) -> Progress {
    let Some(task) = task else { return std::future::pending().await };
    task.await.unwrap_or_else(|error| Progress::Searched(Err(EncryptionError::Store(error.to_string()))))
}

/// Syncs until nothing more comes, then asks the account's backup for what is wanted, where the user has given its key; if
/// that does not have it either, one sync waits for as long as somebody waits for a key. Then sends what is to be sent, and
/// asks how the backup stands.
async fn search(
    machine: Machine,
    patience: Duration,
    mut wanted: BTreeSet<backup::Session>,
    (interest, teller): (Interest, Teller),
    found: mpsc::UnboundedSender<Synced>,
) -> Searched {
    // Before others are asked for their keys they must be able to have ours.
    machine.upload().await?;
    let mut asks_backup = !wanted.is_empty() && backup::version(&machine).await?.is_some();
    let mut timeout = if asks_backup { Duration::ZERO } else { patience };
    for _ in 0..MAX_SYNCS {
        let synced = held::sync(&machine, timeout, &interest, &teller).await?;
        timeout = Duration::ZERO;
        if synced.messages > 0 || synced.has_call_events || synced.has_new_rules {
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
