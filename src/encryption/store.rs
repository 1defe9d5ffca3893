//! Where the keys of a session lie: a directory of its own, locked while a process has it open, and the key that its
//! database is encrypted with, in the keyring where there is one.

use std::{
    fmt::Write as _,
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use ring::digest::{SHA256, digest};
use tokio::time::{Instant, sleep};

use super::error::EncryptionError;
use crate::{
    accounts::{Accounts, SignIn},
    inbox::Seals,
    paths::Paths,
    platform::files,
    secrets::{Secrets, StoreKey},
};

/// What matrix-sdk-sqlite calls its database.
const DATABASE: &str = "matrix-sdk-crypto.sqlite3";

/// How often a lock that another process has is tried.
const RETRY: Duration = Duration::from_millis(100);

/// The place of a session's keys.
#[derive(Debug, Clone)]
pub(super) struct Store {
    pub(super) directory: PathBuf,
}

/// The right to have the store open.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Store {
    /// That of this session. Its name says nothing of it.
    pub(super) fn of(paths: &Paths, sign_in: &SignIn) -> Self {
        let session = digest(&SHA256, format!("{} {}", sign_in.user_id, sign_in.device_id).as_bytes());
        let name = session.as_ref()[..16].iter().fold(String::new(), |mut name, byte| {
            // Writing to a string does not fail.
            write!(name, "{byte:02x}").ok();
            name
        });
        Self { directory: paths.data.join("encryption").join(name) }
    }

    /// Whether there are keys.
    pub(super) fn exists(&self) -> bool {
        self.directory.join(DATABASE).exists()
    }

    /// What marks keys that are no good any more.
    fn unusable(&self) -> PathBuf {
        self.directory.join("unusable")
    }

    /// The keys are no good any more: the next sign-in has to be another device.
    pub(super) fn mark_unusable(&self) {
        if let Err(error) = files::open_private(&self.unusable()) {
            tracing::warn!("{}: {error}", self.directory.display());
        }
    }

    /// Where the key is kept if no keyring takes it.
    pub(super) fn key_file(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// Takes the right to open it, and makes its directory; waits so long for another process.
    pub(super) async fn lock(&self, patience: Duration) -> Result<Lock, EncryptionError> {
        let failed = |error: io::Error| EncryptionError::Store(format!("{}: {error}", self.directory.display()));
        files::create_private_directory(&self.directory).map_err(failed)?;
        let file = files::open_private(&self.directory.with_extension("lock")).map_err(failed)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(RETRY).await,
                Err(TryLockError::WouldBlock) => return Err(EncryptionError::Busy),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// The key, which a store that is new is given.
    pub(super) async fn key(&self, secrets: &Secrets, sign_in: &SignIn) -> Result<StoreKey, EncryptionError> {
        if self.exists() {
            let key = secrets.load_store_key(sign_in, &self.key_file()).await?;
            return key.ok_or_else(|| {
                self.mark_unusable();
                EncryptionError::KeyLost(sign_in.user_id.clone())
            });
        }
        let mut key = StoreKey::default();
        getrandom::fill(&mut key).map_err(|error| EncryptionError::Store(error.to_string()))?;
        secrets.save_store_key(sign_in, &self.key_file(), &key).await?;
        Ok(key)
    }
}

/// Whether the session's keys are here, and good.
pub(crate) fn has_store(paths: &Paths, sign_in: &SignIn) -> bool {
    let store = Store::of(paths, sign_in);
    store.exists() && !store.unusable().exists()
}

/// Forgets the keys of a session that is over, and what they are locked with. As far as that is possible: without its
/// session a key opens nothing new.
pub(crate) async fn forget(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) {
    let store = Store::of(paths, sign_in);
    if !store.directory.exists() {
        return;
    }
    // A program that has it open notices by itself that the session is over.
    let _lock = store.lock(Duration::from_secs(10)).await;
    if !store.key_file().exists()
        && let Err(error) = secrets.forget_store_key(sign_in).await
    {
        tracing::warn!("{error}");
    }
    for gone in [fs::remove_dir_all(&store.directory), fs::remove_file(store.directory.with_extension("lock"))] {
        if let Err(error) = gone {
            tracing::warn!("{}: {error}", store.directory.display());
        }
    }
}

/// The keys that the texts of all accounts are sealed with, as far as they can be had.
pub(crate) async fn seals(paths: &Paths) -> Seals {
    let (seals, secrets) = (Seals::default(), Secrets::new(paths));
    let Ok(accounts) = Accounts::read(&paths.accounts) else { return seals };
    for account in accounts.iter() {
        let Some(sign_in) = account.sign_in.as_ref().filter(|sign_in| sign_in.reads_encrypted()) else { continue };
        let store = Store::of(paths, sign_in);
        if !store.exists() {
            continue;
        }
        match secrets.load_store_key(sign_in, &store.key_file()).await {
            Ok(Some(key)) => seals.set(&account.name, &key),
            Ok(None) => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
    seals
}
