//! `accounts.toml` on disk: read whole, changed under a lock, replaced atomically.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use super::{
    Account, Accounts, AccountsError,
    format::{self, Damage, Integrity},
};
use crate::{paths, platform::files};

/// More than this is no file of accounts: 64 of the longest take less.
const MAX_BYTES: u64 = 256 * 1024;

/// `accounts.toml`, for the commands that change it. Works whether the app runs or not; the app is told to read it
/// again ([`crate::control::Request::ReloadAccounts`]).
#[derive(Debug, Clone)]
pub struct AccountsFile {
    path: PathBuf,
}

impl AccountsFile {
    /// The file at that path, which need not exist.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Reads the accounts.
    ///
    /// # Errors
    /// When the file is missing, unreadable or damaged.
    pub fn read(&self) -> Result<Accounts, AccountsError> {
        let path = self.path.clone();
        let text = paths::read_bounded(&self.path, MAX_BYTES);
        let text = text.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
        let text = match text {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(AccountsError::Missing { path }),
            Err(error) => return Err(self.io("read", error)),
        };
        match format::parse(&text) {
            Ok((accounts, Integrity::Intact)) => Ok(accounts),
            Ok((accounts, Integrity::Mismatch)) => {
                Ok(accounts.keeping_known_after(&AccountsError::ChecksumMismatch { path }))
            }
            Err(Damage { line, problem }) => Err(AccountsError::Damaged { path, line, problem }),
        }
    }

    /// Adds an account; makes the file and its directory if there is none yet. On disk when this returns.
    ///
    /// # Errors
    /// When the account is not valid or clashes with another, and when the file cannot be read or written: then it is
    /// as it was.
    pub fn add(&self, account: Account) -> Result<(), AccountsError> {
        self.change(|accounts| {
            super::check(&account, accounts)?;
            accounts.push(account);
            Ok(())
        })
    }

    /// Removes the account of that name, and returns it. On disk when this returns.
    ///
    /// # Errors
    /// When there is none, and when the file cannot be read or written: then it is as it was.
    pub fn remove(&self, name: &str) -> Result<Account, AccountsError> {
        self.change(|accounts| {
            let position = accounts.iter().position(|account| &*account.name == name);
            position
                .map(|position| accounts.remove(position))
                .ok_or_else(|| AccountsError::NoSuchAccount(name.to_owned()))
        })
    }

    /// Puts the account in the place of the one of that name, or adds it. On disk when this returns.
    ///
    /// # Errors
    /// As for [`Self::add`].
    pub fn replace(&self, name: &str, account: Account) -> Result<(), AccountsError> {
        self.change(|accounts| {
            let position = accounts.iter().position(|other| &*other.name == name);
            if let Some(position) = position {
                accounts.remove(position);
            }
            super::check(&account, accounts)?;
            accounts.insert(position.unwrap_or(accounts.len()), account);
            Ok(())
        })
    }

    /// Writes the accounts with a checksum that matches: the file is right as it is.
    ///
    /// # Errors
    /// When there is none, or it cannot be read or written.
    pub fn accept(&self) -> Result<(), AccountsError> {
        self.read()?;
        self.change(|_| Ok(()))
    }

    /// Removes what a command that was killed has left behind: a copy of all pushkeys.
    pub fn remove_leftovers(&self) {
        let removed = match self.lock() {
            Ok(_lock) => files::remove_draft(&self.path),
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            tracing::warn!("{}: {error}", self.path.display());
        }
    }

    fn change<T>(&self, edit: impl FnOnce(&mut Vec<Account>) -> Result<T, AccountsError>) -> Result<T, AccountsError> {
        if let Some(directory) = self.path.parent() {
            files::create_private_directory(directory).map_err(|error| self.io("written", error))?;
        }
        let _lock = self.lock().map_err(|error| self.io("locked", error))?;
        let accounts = match self.read() {
            Err(AccountsError::Missing { .. }) => Accounts::empty(),
            read => read?,
        };
        let mut accounts = accounts.iter().cloned().collect();
        let outcome = edit(&mut accounts)?;
        let text = format::render(&accounts).map_err(|error| self.io("written", io::Error::other(error)))?;
        // What a homeserver calls a device may be of any length. A file that could not be read again would keep pushes
        // from all accounts.
        if text.len() as u64 > MAX_BYTES {
            return Err(AccountsError::NotAdded("the list of accounts would be too long to be read again".to_owned()));
        }
        files::replace_private(&self.path, text.as_bytes()).map_err(|error| self.io("written", error))?;
        Ok(outcome)
    }

    /// Held by one process at a time, until dropped. A file of its own, since the accounts' one is replaced.
    fn lock(&self) -> io::Result<File> {
        let lock = files::open_private(&self.path.with_extension("lock"))?;
        lock.lock()?;
        Ok(lock)
    }

    fn io(&self, attempt: &'static str, source: io::Error) -> AccountsError {
        AccountsError::Io { path: self.path.clone(), attempt, source }
    }
}
