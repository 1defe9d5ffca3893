//! What can be wrong with accounts.

use std::path::PathBuf;

/// Why accounts could not be read or changed. No variant ever holds a pushkey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    #[error("{} cannot be {attempt}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// "read", "written", "locked" or "watched".
        attempt: &'static str,
        /// What the system said.
        reason: String,
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
    /// Such an account cannot be added.
    #[error("{0}")]
    NotAdded(String),
    /// There is no account of that name.
    #[error("there is no account \"{0}\": `pushbell account list` shows them")]
    NoSuchAccount(String),
}
