//! Where access tokens are kept: the system's keyring, else a file that only the person can read.
//!
//! All calls may block for as long as a keyring asks its person to unlock it, so they run on a thread of their own,
//! under a deadline.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use crate::{accounts::SignIn, homeserver::Tokens, paths::Paths, platform::files};

/// The secrets of all signed-in accounts.
#[derive(Debug, Clone)]
pub struct Secrets {
    file: PathBuf,
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
        /// "read" or "written".
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
    /// The secrets of this person.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        Self { file: paths.data.join("secrets.json") }
    }

    /// The same for a command: at a terminal the person has time to unlock a keyring.
    #[must_use]
    pub fn of_a_command(paths: &Paths, has_terminal: bool) -> Self {
        let _ = has_terminal;
        Self::new(paths)
    }

    /// The tokens of that session; `None` if there are none.
    ///
    /// # Errors
    /// When it cannot be told.
    #[expect(clippy::unused_async, reason = "a keyring is asked over the session bus")]
    pub async fn load(&self, sign_in: &SignIn) -> Result<Option<Tokens>, SecretsError> {
        Ok(self.read()?.remove(&key(sign_in)))
    }

    /// Keeps the tokens of that session, in place of any before. On disk when this returns.
    ///
    /// # Errors
    /// When neither the keyring nor the file takes them.
    #[expect(clippy::unused_async, reason = "a keyring is asked over the session bus")]
    pub async fn save(&self, sign_in: &SignIn, tokens: &Tokens) -> Result<Place, SecretsError> {
        let mut all = self.read()?;
        all.insert(key(sign_in), tokens.clone());
        self.write(&all)?;
        Ok(Place::File { path: self.file.clone(), reason: "there is no keyring".to_owned() })
    }

    /// Forgets the tokens of that session, wherever they are.
    ///
    /// # Errors
    /// When they are still there.
    #[expect(clippy::unused_async, reason = "a keyring is asked over the session bus")]
    pub async fn forget(&self, sign_in: &SignIn) -> Result<(), SecretsError> {
        let mut all = self.read()?;
        if all.remove(&key(sign_in)).is_some() { self.write(&all) } else { Ok(()) }
    }

    fn read(&self) -> Result<BTreeMap<String, Tokens>, SecretsError> {
        match fs::read(&self.file) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|_| failed(&self.file, "read", &io::Error::other("it is damaged: sign in again"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(failed(&self.file, "read", &error)),
        }
    }

    fn write(&self, all: &BTreeMap<String, Tokens>) -> Result<(), SecretsError> {
        let written = serde_json::to_vec_pretty(all)
            .map_err(io::Error::other)
            .and_then(|text| files::replace_private(&self.file, &text));
        written.map_err(|error| failed(&self.file, "written", &error))
    }
}

fn failed(path: &Path, attempt: &'static str, error: &io::Error) -> SecretsError {
    SecretsError::File { path: path.to_owned(), attempt, reason: error.to_string() }
}

/// What a session's secrets are found by.
fn key(sign_in: &SignIn) -> String {
    format!("{} {}", sign_in.user_id, sign_in.device_id)
}
