//! What is wrong with a configuration, said so that a person can put it right.

use std::fmt;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read at all.
    #[error("{file}: {reason}")]
    Unreadable {
        /// Its path.
        file: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The file says something that it must not say. Displayed as one line for each fault.
    #[error("{}", lines(file, faults))]
    Faulty {
        /// Its name or path.
        file: String,
        /// At least one, in the order of the file.
        faults: Vec<Fault>,
    },
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What is at fault as it is written ("popup.preview = \"sometimes\""), if it is more than a stray character.
    pub subject: Option<String>,
    /// What is wrong, and what would be right.
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
