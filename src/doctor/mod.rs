//! Checks of each part, and what to do about each fault.
//!
//! Each check ends, whatever hangs, within [`DEADLINE`]; none changes anything, and no finding holds a secret.
//!
//! | module | what it is |
//! |---|---|
//! | [`reach`] | why a homeserver's pushes may not reach us |

pub mod reach;

use std::time::Duration;

use serde::Serialize;

/// How long one check may take. What has not answered by then is itself the finding.
pub const DEADLINE: Duration = Duration::from_secs(6);

/// How well a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, or may work, but something is worth knowing.
    Warning,
    /// It does not work.
    Fault,
}

/// What was found out about one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The part, in a word or two: "tray", "block list".
    pub part: &'static str,
    /// How well it is.
    pub verdict: Verdict,
    /// What was found, as a sentence without a full stop.
    pub says: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The exact lines to paste, and nothing else; where to is in the advice.
    pub paste: Option<String>,
}

impl Finding {
    /// A part that is as it should be.
    #[must_use]
    pub fn good(part: &'static str, says: impl Into<String>) -> Self {
        Self { part, verdict: Verdict::Good, says: says.into(), advice: None, paste: None }
    }

    /// A part of which something is worth knowing.
    #[must_use]
    pub fn warning(part: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, ..Self::good(part, says) }
    }

    /// A part that does not work.
    #[must_use]
    pub fn fault(part: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fault, ..Self::good(part, says) }
    }

    /// The same with what to do about it.
    #[must_use]
    pub fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// The same with the exact lines to paste.
    #[must_use]
    pub fn paste(self, lines: impl Into<String>) -> Self {
        Self { paste: Some(lines.into()), ..self }
    }
}
