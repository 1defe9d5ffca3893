//! The syncs of an account: one at a time, with a minimum interval.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::{
    backup::{self, BackupState},
    error::EncryptionError,
    held::{self, HeldSync, Reporter},
    interest::Interest,
    machine::{Machine, Synced},
};

/// Longest timeout of a sync that waits for a key.
const LONGEST_SYNC: Duration = Duration::from_secs(5);
/// Minimum interval between the beginnings of two searches.
pub(super) const INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of syncs in a search; each may return a hundred keys.
const MAX_SYNCS: usize = 100;

/// The result of a search: the state of the account's backup, if the homeserver was asked.
type Searched = Result<Option<BackupState>, EncryptionError>;

/// Progress of the current syncs.
pub(super) enum Progress {
    /// A sync has returned this; more may follow.
    Found(Synced),
    /// The search has ended.
    Searched(Searched),
    /// The held sync has ended.
    Held(held::HoldEnd),
}

/// The current search for keys or held sync, if any.
pub(super) struct Syncing {
    task: Option<JoinHandle<Progress>>,
    /// Cancels the task, if it is a held sync.
    hold: Option<oneshot::Sender<()>>,
    /// What the task has found.
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

    /// When the next search may begin, if nothing is under way.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    pub(super) fn may_search(&self, now: Instant) -> bool {
        self.next_at <= now
    }

    /// Begins a search for keys and other to-device messages, with this timeout, and for these sessions in the backup.
    pub(super) fn search(
        &mut self,
        machine: Machine,
        patience: Duration,
        wanted: BTreeSet<backup::Session>,
        whose: (Interest, Reporter),
    ) {
        self.next_at = Instant::now() + INTERVAL;
        let search = search(machine, patience.min(LONGEST_SYNC), wanted, whose, self.found.0.clone());
        self.task = Some(tokio::spawn(async move { Progress::Searched(search.await) }));
    }

    /// Begins a held sync.
    pub(super) fn hold(&mut self, hold: HeldSync) {
        let (end, ended) = oneshot::channel();
        self.hold = Some(end);
        self.task = Some(tokio::spawn(async move { Progress::Held(hold.run(ended).await) }));
    }

    /// Cancels the held sync, if there is one and its answer is not being recorded yet.
    pub(super) fn end_hold(&mut self) {
        if let Some(hold) = self.hold.as_mut() {
            let (ended, _) = oneshot::channel();
            // The receiver is gone if the sync has ended.
            std::mem::replace(hold, ended).send(()).ok();
        }
    }

    /// The next progress. Cancel-safe.
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

/// Syncs until there are no more messages, then searches the account's backup for the wanted keys, if its key is stored. If
/// some are still missing, one sync waits for them with the given timeout. Finally sends outgoing requests, and asks for the
/// state of the backup.
async fn search(
    machine: Machine,
    patience: Duration,
    mut wanted: BTreeSet<backup::Session>,
    (interest, reporter): (Interest, Reporter),
    found: mpsc::UnboundedSender<Synced>,
) -> Searched {
    // Others need our keys before they can send theirs.
    machine.upload().await?;
    let mut asks_backup = !wanted.is_empty() && backup::version(&machine).await?.is_some();
    let mut timeout = if asks_backup { Duration::ZERO } else { patience };
    for _ in 0..MAX_SYNCS {
        let synced = held::sync(&machine, timeout, &interest, &reporter).await?;
        timeout = Duration::ZERO;
        if synced.messages > 0 || synced.has_call_events || synced.has_new_rules {
            wanted.retain(|(_, session)| !synced.sessions.contains(session));
            // If the reader is gone, the keys are in the store nevertheless.
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
