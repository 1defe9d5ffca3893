//! Errors of a configuration, with enough detail to correct them.

use std::{fmt, io};

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read at all.
    #[error("{file}: {source}")]
    Unreadable {
        /// Its path.
        file: String,
        /// The reason.
        source: ReadError,
    },
    /// The file is empty, though it was not before.
    #[error(
        "{file}: the file sets nothing any more. If the defaults are meant, let it say one of them, such as \
         popup.enabled = true"
    )]
    Emptied {
        /// Its path.
        file: String,
    },
    /// The file has invalid contents. Displays as one line for each fault.
    #[error("{}", lines(file, faults))]
    Faulty {
        /// Its name or path.
        file: String,
        /// At least one, in the order of the file.
        faults: Vec<Fault>,
    },
}

/// Why the file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no file of that name.
    #[error("there is no such file; `pushbell` writes one when it first starts")]
    Missing,
    /// An I/O error.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// It is not UTF-8.
    #[error("line {line} is not UTF-8 text: save the file as UTF-8")]
    NotText {
        /// The line, counted from 1.
        line: usize,
    },
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// The faulty part as written ("popup.preview = \"sometimes\""), unless it is a stray character.
    pub subject: Option<String>,
    /// What is wrong, and what would be valid.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        if let Some(subject) = &self.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.reason)
    }
}

fn lines(file: &str, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{file}:{fault}")).collect::<Vec<_>>().join("\n")
}
