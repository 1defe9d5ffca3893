//! Checks of each part, and what to do about each fault.
//!
//! [`examine`] asks the running program for its status, then runs all checks concurrently. A check that exceeds
//! [`DEADLINE`] becomes a finding. No check changes anything, and no finding contains a secret.
//!
//! | module | checks |
//! |---|---|
//! | `running` | the running program, another one, the addresses that it listens on |
//! | `settings` | the configuration |
//! | `storage` | database, disk, the list of accounts |
//! | `surroundings` | the desktop's services: session bus, popups, tray, sound, screen lock, keyring |
//! | `sessions` | a signed-in account at its homeserver: token and pusher |
//! | [`reach`] | why a homeserver's pushes may not reach us |
//!
//! A fault keeps notices from arriving or from being seen, or means that something is broken; a warning is worth
//! knowing.

mod examine;
pub(crate) mod reach;
mod running;
mod sessions;
mod settings;
mod storage;
mod surroundings;

use std::time::Duration;

use serde::Serialize;
use tokio::{task::spawn_blocking, time::timeout};

use crate::push::text;
pub(crate) use examine::examine;

/// Time limit of one check.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6);

/// Longest untrusted text in a finding, in characters.
const MAX_WORDS: usize = 300;

/// The state of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// It works, or may work, but something is worth knowing.
    Warning,
    /// It does not work.
    Fault,
}

/// The result of a check of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The part, in a word or two: "tray", "block list".
    pub(crate) part: &'static str,
    /// The state of the part.
    pub(crate) verdict: Verdict,
    /// What was found, as a sentence without a full stop.
    pub(crate) says: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
    /// The exact lines to paste, and nothing else; the advice says where.
    pub(crate) paste: Option<String>,
    /// What the running program can do about it, for the page.
    #[serde(skip)]
    pub(crate) remedies: Vec<Remedy>,
}

/// What the program can do about a part when a person asks it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Open the configuration file.
    EditConfiguration,
    /// End the pause.
    Resume,
    /// Set pushers and connect to homeservers and relays anew.
    Reconnect,
    /// Start with the desktop.
    Autostart,
    /// Show a popup.
    TestPopup,
    /// Play a sound.
    TestSound,
    /// Choose other sounds.
    ChooseSounds,
    /// Sign this user in to this homeserver again.
    SignIn {
        /// The user ID.
        user: String,
        /// The homeserver's address.
        homeserver: String,
    },
    /// Verify the session of this account.
    Verify(String),
    /// Take the new key backup of this account.
    ReadBackup(String),
    /// Connect a homeserver.
    SetUp,
}

impl Finding {
    /// A part without a fault.
    #[must_use]
    pub(crate) fn good(part: &'static str, says: impl Into<String>) -> Self {
        Self { part, verdict: Verdict::Good, says: says.into(), advice: None, paste: None, remedies: Vec::new() }
    }

    /// A part with a warning.
    #[must_use]
    pub(crate) fn warning(part: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, ..Self::good(part, says) }
    }

    /// A part with a fault.
    #[must_use]
    pub(crate) fn fault(part: &'static str, says: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fault, ..Self::good(part, says) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    /// Adds something that the program can do about it.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedies.push(remedy);
        self
    }

    /// Adds the exact lines to paste.
    #[must_use]
    pub(crate) fn paste(self, lines: impl Into<String>) -> Self {
        Self { paste: Some(lines.into()), ..self }
    }
}

/// The number of faults and warnings, and where to begin.
pub(crate) fn summary(findings: &[Finding]) -> String {
    let of = |verdict| findings.iter().filter(move |finding| finding.verdict == verdict);
    let counted = |verdict, noun| text::counted(of(verdict).count() as u64, noun);
    let warnings = counted(Verdict::Warning, "warning");
    match (of(Verdict::Fault).next(), of(Verdict::Warning).next()) {
        (Some(first), _) => format!("{}, {warnings}. Begin with: {}.", counted(Verdict::Fault, "fault"), first.part),
        (None, Some(_)) => format!("No faults, {warnings}."),
        (None, None) => "All is well.".to_owned(),
    }
}

/// Untrusted text as one line of safe characters.
#[expect(clippy::needless_pass_by_value, reason = "texts and errors are made for it")]
fn words(text: impl ToString) -> String {
    text::line(&text.to_string(), MAX_WORDS)
}

/// Runs a blocking call on the blocking pool. `None` when it exceeds the deadline: the call is then abandoned.
async fn with_deadline<T: Send + 'static>(deadline: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    timeout(deadline, spawn_blocking(call)).await.ok()?.ok()
}
