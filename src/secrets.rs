//! Stores access tokens and relay topics in the system's keyring, else in a private file.
//!
//! The keyring may ask the user to unlock it, so it has a deadline; a secret that it does not accept in time is stored in
//! the file. The file is read first: then the keyring is opened only if needed.
//!
//! The program and its commands are separate processes that change the same secrets: a lock admits one at a time.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, oneshot},
    time,
};

use crate::{
    accounts::{Account, SignIn},
    app_info,
    homeserver::Tokens,
    installation,
    ntfy::{Relay, RelayKey},
    paths::Paths,
    platform::{files, keyring},
};

/// Deadline of the keyring if nobody is present to unlock it.
const UNATTENDED: Duration = Duration::from_secs(5);
/// Deadline of the keyring if somebody is.
const ATTENDED: Duration = Duration::from_secs(60);
/// How long to wait for a turn: longer than the running program takes to refresh a token.
const TURN: Duration = Duration::from_secs(60);

const TOKEN: &str = "the access token";
const STORE_KEY: &str = "the key to the encryption keys";
const TOPIC: &str = "the topic at the ntfy server";

/// The secrets of all accounts.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
    patience: Duration,
    turn_within: Duration,
    /// Only one task of this process at a time waits for other processes.
    waiting: Arc<Mutex<()>>,
}

/// The right to change secrets: no other task or process has it until this is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    secrets: &'a Secrets,
    _lock: Lock,
}

#[derive(Debug)]
struct Lock {
    _file: File,
    _waiting: OwnedMutexGuard<()>,
}

/// Where a secret was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the system's keyring with this name.
    Keyring(&'static str),
    /// In a file.
    File {
        /// The file.
        path: PathBuf,
        /// Why not in the keyring.
        reason: String,
    },
}

/// The key of an account's encryption store.
pub type StoreKey = [u8; 32];

/// Why a secret could not be read or stored. Never contains one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be used.
    #[error("{} cannot be {attempt}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// "read", "locked" or "written".
        attempt: &'static str,
        /// The system's error.
        reason: String,
    },
    /// The keyring cannot be used.
    #[error("the keyring ({name}) does not give {secret}: {reason}")]
    Keyring {
        /// Its name.
        name: &'static str,
        /// The kind of the secret.
        secret: &'static str,
        /// Its error.
        reason: String,
    },
}

impl Secrets {
    /// The user's secrets, for the running program.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        let file = paths.data.join("secrets.json");
        Self { file, patience: UNATTENDED, turn_within: TURN, waiting: Arc::default() }
    }

    /// The same for a command: at a terminal the user has time to unlock the keyring.
    #[must_use]
    pub fn of_a_command(paths: &Paths, has_terminal: bool) -> Self {
        Self { patience: if has_terminal { ATTENDED } else { UNATTENDED }, ..Self::new(paths) }
    }

    /// The mark of this installation, for its sessions and pushers; empty if it cannot be read or made.
    pub(crate) fn installation_mark(&self) -> String {
        let file = self.file.with_file_name("installation-id");
        let mark = installation::mark(&file).inspect_err(|error| tracing::warn!("{}: {error}", file.display()));
        mark.unwrap_or_default()
    }

    /// The tokens of that session; `None` if there are none.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn load(&self, sign_in: &SignIn) -> Result<Option<Tokens>, SecretsError> {
        self.get(&key(sign_in), TOKEN).await
    }

    /// The account's relay, if it has one.
    ///
    /// # Errors
    /// When its topic cannot be read, or is gone.
    pub(crate) async fn relay(&self, account: &Account) -> Result<Option<Relay>, SecretsError> {
        let Some(base) = account.relay_address() else { return Ok(None) };
        let gone = || refused(TOPIC, format!("it is not there, and not in {} either", self.file.display()));
        let key: RelayKey = self.get(&relay_key(&account.name), TOPIC).await?.ok_or_else(gone)?;
        Ok(Some(Relay::of(base, key)))
    }

    /// The pushkey of the account's pusher: that of its relay, if it has one.
    ///
    /// # Errors
    /// When the relay's topic cannot be read, or is gone.
    pub(crate) async fn pushkey(&self, account: &Account) -> Result<String, SecretsError> {
        Ok(self.relay(account).await?.map_or_else(|| account.pushkey.clone(), |relay| relay.pushkey()))
    }

    /// Stores the secret of the account's relay, replacing any other. On disk when this returns.
    ///
    /// # Errors
    /// When neither the keyring nor the file accepts it.
    pub(crate) async fn save_relay(&self, account: &str, relay: &Relay) -> Result<Place, SecretsError> {
        let label = format!("{} ntfy topic of {account}", app_info::APP_NAME);
        self.turn().await?.put(&relay_key(account), &label, relay.key()).await
    }

    /// Deletes the secret of the account's relay.
    ///
    /// # Errors
    /// When it may still exist.
    pub(crate) async fn forget_relay(&self, account: &str) -> Result<(), SecretsError> {
        self.turn().await?.remove(&relay_key(account), TOPIC).await
    }

    async fn get<T: DeserializeOwned>(&self, key: &str, what: &'static str) -> Result<Option<T>, SecretsError> {
        if let Some(kept) = self.read()?.remove(key) {
            return serde_json::from_value(kept).map(Some).map_err(|_| self.damaged());
        }
        let secret = self.in_time(keyring::get(app_info::APP_ID, key)).await;
        match secret.map_err(|reason| refused(what, reason))? {
            Some(secret) => serde_json::from_slice(&secret)
                .map(Some)
                .map_err(|_| refused(what, "what it has is damaged: sign in again".to_owned())),
            None => Ok(None),
        }
    }

    /// Waits for a turn and stores the tokens of that session, replacing any others. On disk when this returns.
    ///
    /// # Errors
    /// When neither the keyring nor the file accepts them.
    pub async fn save(&self, sign_in: &SignIn, tokens: &Tokens) -> Result<Place, SecretsError> {
        self.turn().await?.save(sign_in, tokens).await
    }

    /// Waits for a turn and deletes the tokens of that session.
    ///
    /// # Errors
    /// When they may still exist.
    pub async fn forget(&self, sign_in: &SignIn) -> Result<(), SecretsError> {
        self.turn().await?.remove(&key(sign_in), TOKEN).await
    }

    /// The key of the session's encryption store, from this file or else the keyring; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn load_store_key(&self, sign_in: &SignIn, file: &Path) -> Result<Option<StoreKey>, SecretsError> {
        let damaged = |what| io::Error::other(format!("{what} is no key"));
        match fs::read(file) {
            Ok(key) => {
                let key = key.try_into().map_err(|_| failed(file, "read", &damaged("what it has")))?;
                return Ok(Some(key));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(file, "read", &error)),
        }
        let secret = self.in_time(keyring::get(app_info::APP_ID, &store_key(sign_in))).await;
        let secret = secret.and_then(|secret| {
            let key = secret.map(|secret| BASE64.decode(secret).ok().and_then(|key| key.try_into().ok()));
            key.map(|key| key.ok_or_else(|| damaged("what it has").to_string())).transpose()
        });
        secret.map_err(|reason| refused(STORE_KEY, reason))
    }

    /// Stores the key of the session's encryption store in the keyring, else in this file. On disk when this returns.
    ///
    /// # Errors
    /// When neither accepts it.
    pub async fn save_store_key(&self, sign_in: &SignIn, file: &Path, key: &StoreKey) -> Result<Place, SecretsError> {
        let label = format!("{} encryption of {}", app_info::APP_NAME, sign_in.user_id);
        // As text, which every keyring accepts.
        let secret = BASE64.encode(key);
        let saved = self.in_time(keyring::set(app_info::APP_ID, &store_key(sign_in), &label, secret.as_bytes())).await;
        let Err(reason) = saved else { return Ok(Place::Keyring(keyring::NAME)) };
        files::replace_private(file, key).map_err(|error| failed(file, "written", &error))?;
        Ok(Place::File { path: file.to_owned(), reason })
    }

    /// Deletes the key of the session's encryption store from the keyring; a file is deleted with the store.
    ///
    /// # Errors
    /// When it may still exist.
    pub async fn forget_store_key(&self, sign_in: &SignIn) -> Result<(), SecretsError> {
        let forgotten = self.in_time(keyring::delete(app_info::APP_ID, &store_key(sign_in))).await;
        forgotten.map_err(|reason| refused(STORE_KEY, reason))
    }

    /// Waits for a turn to change secrets. Secrets that were loaded before may have changed.
    ///
    /// # Errors
    /// When there is none in time, or the file cannot be locked.
    pub async fn turn(&self) -> Result<Turn<'_>, SecretsError> {
        let late = |_| {
            let words = format!("another Pushbell has been changing it for {} s", self.turn_within.as_secs());
            Err(io::Error::new(io::ErrorKind::TimedOut, words))
        };
        let lock = time::timeout(self.turn_within, self.lock()).await.unwrap_or_else(late);
        let lock = lock.map_err(|error| failed(&self.file, "locked", &error))?;
        Ok(Turn { secrets: self, _lock: lock })
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let patience = self.patience;
        let late = |_| Err(format!("the keyring has not answered within {} s", patience.as_secs()));
        time::timeout(patience, asked).await.unwrap_or_else(late)
    }

    fn damaged(&self) -> SecretsError {
        failed(&self.file, "read", &io::Error::other("it is damaged: sign in again"))
    }

    fn read(&self) -> Result<BTreeMap<String, Value>, SecretsError> {
        self.read_unless_damaged()?.ok_or_else(|| self.damaged())
    }

    /// The file's content; `None` if it is damaged.
    fn read_unless_damaged(&self) -> Result<Option<BTreeMap<String, Value>>, SecretsError> {
        match fs::read(&self.file) {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(BTreeMap::new())),
            Err(error) => Err(failed(&self.file, "read", &error)),
        }
    }

    /// Waits for other tasks first, then for other processes, so that at most one thread waits for these.
    async fn lock(&self) -> io::Result<Lock> {
        let waiting = Arc::clone(&self.waiting).lock_owned().await;
        if let Some(directory) = self.file.parent() {
            files::create_private_directory(directory)?;
        }
        let file = files::open_private(&self.file.with_extension("lock"))?;
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file, _waiting: waiting }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let (locked, lock) = oneshot::channel();
        // Not one of the runtime's threads: it would wait for them at its end, and this one cannot be stopped.
        thread::Builder::new().name("secrets".to_owned()).spawn(move || {
            let taken = file.lock().map(|()| Lock { _file: file, _waiting: waiting });
            drop(locked.send(taken));
        })?;
        lock.await.map_err(io::Error::other)?
    }
}

impl Turn<'_> {
    /// Stores the tokens of that session, replacing any others. On disk when this returns.
    ///
    /// # Errors
    /// When neither the keyring nor the file accepts them.
    pub async fn save(&self, sign_in: &SignIn, tokens: &Tokens) -> Result<Place, SecretsError> {
        let label = format!("{} session of {}", app_info::APP_NAME, sign_in.user_id);
        self.put(&key(sign_in), &label, tokens).await
    }

    async fn put(&self, key: &str, label: &str, value: &impl Serialize) -> Result<Place, SecretsError> {
        let secrets = self.secrets;
        let unwritable = |error| failed(&secrets.file, "written", &io::Error::other(error));
        let value = serde_json::to_value(value).map_err(unwritable)?;
        let secret = value.to_string();
        match secrets.in_time(keyring::set(app_info::APP_ID, key, label, secret.as_bytes())).await {
            Ok(()) => {
                self.change(|all| all.remove(key).is_some())?;
                Ok(Place::Keyring(keyring::NAME))
            }
            Err(reason) => {
                self.change(|all| all.insert(key.to_owned(), value.clone()).as_ref() != Some(&value))?;
                Ok(Place::File { path: secrets.file.clone(), reason })
            }
        }
    }

    async fn remove(&self, key: &str, what: &'static str) -> Result<(), SecretsError> {
        let was_in_file = self.change(|all| all.remove(key).is_some())?;
        match self.secrets.in_time(keyring::delete(app_info::APP_ID, key)).await {
            // It was in the file, most likely for want of a keyring.
            Err(_) if was_in_file => Ok(()),
            forgotten => forgotten.map_err(|reason| refused(what, reason)),
        }
    }

    /// Changes the file's content. `edit` returns whether it has changed anything, and so does this. A damaged file is
    /// replaced, so that signing in again helps.
    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, Value>) -> bool) -> Result<bool, SecretsError> {
        let file = &self.secrets.file;
        let found = self.secrets.read_unless_damaged()?;
        let is_damaged = found.is_none();
        let mut all = found.unwrap_or_default();
        if !edit(&mut all) && !is_damaged {
            return Ok(false);
        }
        let written = if all.is_empty() {
            fs::remove_file(file)
        } else {
            serde_json::to_vec_pretty(&all)
                .map_err(io::Error::other)
                .and_then(|text| files::replace_private(file, &text))
        };
        written.map(|()| true).map_err(|error| failed(file, "written", &error))
    }
}

fn failed(path: &Path, attempt: &'static str, error: &io::Error) -> SecretsError {
    SecretsError::File { path: path.to_owned(), attempt, reason: error.to_string() }
}

/// `secret` is the kind of the secret.
fn refused(secret: &'static str, reason: String) -> SecretsError {
    SecretsError::Keyring { name: keyring::NAME, secret, reason }
}

/// The name under which a session's tokens are stored.
fn key(sign_in: &SignIn) -> String {
    format!("{} {}", sign_in.user_id, sign_in.device_id)
}

/// The name under which the secret of an account's relay is stored, distinct from those of sessions.
fn relay_key(account: &str) -> String {
    format!("{account} at ntfy")
}

/// The name under which the key of a session's encryption store is stored.
fn store_key(sign_in: &SignIn) -> String {
    format!("{} encryption", key(sign_in))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::sign_in;

    #[tokio::test]
    async fn waiting_for_a_turn_ends_with_an_error_in_time() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::within(home.path());
        // As in two processes.
        let (other, patient) = (Secrets::new(&paths), Secrets::new(&paths));
        let hasty = Secrets { turn_within: Duration::from_millis(50), ..patient.clone() };
        let turn = other.turn().await.unwrap();
        for _ in 0..2 {
            let error = hasty.turn().await.unwrap_err();
            assert!(matches!(error, SecretsError::File { attempt: "locked", .. }), "{error}");
        }
        assert!(hasty.forget(&sign_in("@alice:b")).await.is_err());
        let (waited, ()) = tokio::join!(patient.turn(), async { drop(turn) });
        drop(waited.unwrap());
        drop(other.turn().await.unwrap());
    }
}
