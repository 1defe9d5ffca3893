//! Where access tokens are kept: the system's keyring, else a file that only the person can read.
//!
//! The keyring is opened when a token is wanted and let go afterwards. It may ask its person to unlock it, so it has a
//! deadline; what it does not take in time goes to the file. What is in the file is looked for there first: then the
//! keyring need not be opened at all.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time;

use crate::{
    accounts::SignIn,
    homeserver::Tokens,
    identity,
    paths::Paths,
    platform::{files, keyring},
};

/// How long the keyring may take where nobody is there to unlock it.
const UNATTENDED: Duration = Duration::from_secs(5);
/// How long it may take where somebody is.
const ATTENDED: Duration = Duration::from_secs(60);

/// The secrets of all signed-in accounts.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
    patience: Duration,
}

/// Where a secret was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the system's keyring, which is called so.
    Keyring(&'static str),
    /// In this file, and why not in a keyring.
    File {
        /// The file.
        path: PathBuf,
        /// Why there.
        reason: String,
    },
}

/// Why a secret could not be read or kept. Never holds one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// The file says no.
    #[error("{} cannot be {attempt}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// "read", "locked" or "written".
        attempt: &'static str,
        /// What the system said.
        reason: String,
    },
    /// The keyring says no.
    #[error("the keyring ({name}) does not give the access token: {reason}")]
    Keyring {
        /// What it is called.
        name: &'static str,
        /// What it said.
        reason: String,
    },
}

impl Secrets {
    /// The secrets of this person, for a program that nobody watches.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self { file: paths.data.join("secrets.json"), patience: UNATTENDED }
    }

    /// The same for a command: at a terminal the person has time to unlock the keyring.
    #[must_use]
    pub fn of_a_command(paths: &Paths, has_terminal: bool) -> Self {
        Self { patience: if has_terminal { ATTENDED } else { UNATTENDED }, ..Self::new(paths) }
    }

    /// The tokens of that session; `None` if there are none.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn load(&self, sign_in: &SignIn) -> Result<Option<Tokens>, SecretsError> {
        let key = key(sign_in);
        if let Some(tokens) = self.read()?.remove(&key) {
            return Ok(Some(tokens));
        }
        let secret = self.in_time(keyring::get(identity::APP_ID, &key)).await;
        match secret.map_err(|reason| SecretsError::Keyring { name: keyring::NAME, reason })? {
            Some(secret) => serde_json::from_slice(&secret).map(Some).map_err(|_| SecretsError::Keyring {
                name: keyring::NAME,
                reason: "what it has is damaged: sign in again".to_owned(),
            }),
            None => Ok(None),
        }
    }

    /// Keeps the tokens of that session, in place of any before. On disk when this returns.
    ///
    /// # Errors
    /// When neither the keyring nor the file takes them.
    pub async fn save(&self, sign_in: &SignIn, tokens: &Tokens) -> Result<Place, SecretsError> {
        let key = key(sign_in);
        let secret =
            serde_json::to_vec(tokens).map_err(|error| failed(&self.file, "written", &io::Error::other(error)))?;
        let label = format!("{} session of {}", identity::APP_NAME, sign_in.user_id);
        match self.in_time(keyring::set(identity::APP_ID, &key, &label, &secret)).await {
            Ok(()) => {
                self.change(|all| all.remove(&key).is_some())?;
                Ok(Place::Keyring(keyring::NAME))
            }
            Err(reason) => {
                self.change(|all| all.insert(key, tokens.clone()).as_ref() != Some(tokens))?;
                Ok(Place::File { path: self.file.clone(), reason })
            }
        }
    }

    /// Forgets the tokens of that session, wherever they are.
    ///
    /// # Errors
    /// When they are still there.
    pub async fn forget(&self, sign_in: &SignIn) -> Result<(), SecretsError> {
        let key = key(sign_in);
        let was_in_file = self.change(|all| all.remove(&key).is_some())?;
        match self.in_time(keyring::delete(identity::APP_ID, &key)).await {
            // It was in the file, most likely because there is no keyring.
            Err(_) if was_in_file => Ok(()),
            forgotten => forgotten.map_err(|reason| SecretsError::Keyring { name: keyring::NAME, reason }),
        }
    }

    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let patience = self.patience;
        let late = |_| Err(format!("the keyring has not answered within {} s", patience.as_secs()));
        time::timeout(patience, asked).await.unwrap_or_else(late)
    }

    fn read(&self) -> Result<BTreeMap<String, Tokens>, SecretsError> {
        match fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| failed(&self.file, "read", &io::Error::other("it is damaged: sign in again"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(failed(&self.file, "read", &error)),
        }
    }

    /// Changes what is in the file; `edit` says whether it has changed anything, and so does this.
    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, Tokens>) -> bool) -> Result<bool, SecretsError> {
        let _lock = self.lock().map_err(|error| failed(&self.file, "locked", &error))?;
        let mut all = self.read()?;
        if !edit(&mut all) {
            return Ok(false);
        }
        let written = if all.is_empty() {
            fs::remove_file(&self.file)
        } else {
            serde_json::to_vec_pretty(&all)
                .map_err(io::Error::other)
                .and_then(|text| files::replace_private(&self.file, &text))
        };
        written.map(|()| true).map_err(|error| failed(&self.file, "written", &error))
    }

    /// Held by one process at a time, until dropped.
    fn lock(&self) -> io::Result<File> {
        if let Some(directory) = self.file.parent() {
            files::create_private_directory(directory)?;
        }
        let lock = files::open_private(&self.file.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }
}

fn failed(path: &Path, attempt: &'static str, error: &io::Error) -> SecretsError {
    SecretsError::File { path: path.to_owned(), attempt, reason: error.to_string() }
}

/// What a session's secrets are found by.
fn key(sign_in: &SignIn) -> String {
    format!("{} {}", sign_in.user_id, sign_in.device_id)
}
