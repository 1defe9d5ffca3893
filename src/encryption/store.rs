//! The store of a session's keys: a directory, locked while a process has it open, and the key that its database is
//! encrypted with, which is in the keyring if there is one.

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

/// File name of matrix-sdk-sqlite's database.
const DATABASE: &str = "matrix-sdk-crypto.sqlite3";

/// Interval of trying a lock that another process holds.
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
    /// The store of this session. Its name reveals nothing.
    pub(super) fn of(paths: &Paths, sign_in: &SignIn) -> Self {
        let session = digest(&SHA256, format!("{} {}", sign_in.user_id, sign_in.device_id).as_bytes());
        let name = session.as_ref()[..16].iter().fold(String::new(), |mut name, byte| {
            // Writing to a string does not fail.
            write!(name, "{byte:02x}").ok();
            name
        });
        Self { directory: paths.data.join("encryption").join(name) }
    }

    /// Whether it has been created.
    pub(super) fn exists(&self) -> bool {
        self.directory.join(DATABASE).exists()
    }

    /// The file that marks the keys as unusable.
    fn unusable(&self) -> PathBuf {
        self.directory.join("unusable")
    }

    /// Marks the keys as unusable: the next sign-in has to make a new device.
    pub(super) fn mark_unusable(&self) {
        if let Err(error) = files::open_private(&self.unusable()) {
            tracing::warn!("{}: {error}", self.directory.display());
        }
    }

    /// The file of the key, if there is no keyring.
    pub(super) fn key_file(&self) -> PathBuf {
        self.directory.join("key")
    }

    /// Locks the store, creating its directory. Waits up to this long for another process.
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

    /// The key; a new store gets a new one.
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

/// Whether the session has usable keys.
pub(crate) fn has_store(paths: &Paths, sign_in: &SignIn) -> bool {
    let store = Store::of(paths, sign_in);
    store.exists() && !store.unusable().exists()
}

/// Deletes the store of an ended session, and its key. Failures are logged only: without the session the key is useless.
pub(crate) async fn forget(paths: &Paths, secrets: &Secrets, sign_in: &SignIn) {
    let store = Store::of(paths, sign_in);
    if !store.directory.exists() {
        return;
    }
    // A running program closes the store when it notices that the session has ended.
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

/// The available keys that the texts of accounts are sealed with.
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
