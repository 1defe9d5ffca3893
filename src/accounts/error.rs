//! What can be wrong with accounts.

use std::{io, path::PathBuf};

/// Why accounts could not be read or changed. No variant ever holds a pushkey.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// There is no file.
    #[error(
        "{} does not exist: bring it back from a backup; without one, `pushbell login` or `pushbell account add` begins \
         anew, and homeservers are told to forget the pushers of before",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The operating system says no.
    #[error("{} cannot be {attempt}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// "read", "written", "locked" or "watched".
        attempt: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file's text is not a list of accounts.
    #[error("{}:{line}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The file is a list of accounts, but not the one that was written: it may lack an account.
    #[error(
        "{} was changed by something else than Pushbell: its checksum does not match. Its accounts are served, pushes \
         for others are put off. If the list is right: `pushbell account list --accept`; else bring it back from a \
         backup",
        path.display()
    )]
    ChecksumMismatch {
        /// The file.
        path: PathBuf,
    },
    /// No account can be like that.
    #[error("{0}")]
    Invalid(String),
    /// It cannot be added to those that there are.
    #[error("{0}")]
    NotAdded(String),
    /// There is no account of that name.
    #[error("there is no account \"{0}\": `pushbell account list` shows them")]
    NoSuchAccount(String),
}
