//! Checks of each part, and what to do about each fault.

pub mod reach;

/// How well a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, or may work, but something is worth knowing.
    Warning,
    /// It does not work.
    Fault,
}

/// What was found out about one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The part, in a word or two: "tray", "homeserver's block list".
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
