//! What a sign-in says and asks while it goes on, for the page to show and to answer.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tokio::sync::{broadcast, oneshot, watch};

use super::{Topic, server::locked};
use crate::{doctor::Finding, failure::Failure, push::text};

/// Lines that are kept of what is said. A sign-in says some twenty.
const MAX_LINES: usize = 200;
/// Longest line.
const MAX_LINE_CHARS: usize = 2000;

/// How far a set-up has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Step {
    /// Who signs in, and where.
    #[default]
    Who,
    /// How notifications get here.
    Way,
    /// A real one is waited for.
    Proof,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Task {
    /// Signing in, which has steps.
    #[default]
    SignIn,
    SignOut,
    /// Making the session a verified one.
    Verify,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With yes or no; the likelier one.
    YesOrNo(bool),
    /// With a password or a recovery key, which is never shown.
    Secret,
    /// By going on without what is waited for.
    Skip,
}

/// A question that waits for its answer.
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Why it is asked again, if it is.
    pub(super) again: Option<String>,
    answer: oneshot::Sender<String>,
}

/// All of it so far.
#[derive(Default)]
pub(super) struct Talk {
    pub(super) step: Step,
    pub(super) task: Task,
    pub(super) said: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// Where the person signs in with the browser.
    pub(super) sign_in_at: Option<String>,
    pub(super) question: Option<Question>,
    questions: u64,
    /// How much was said when the last question was answered.
    said_before: usize,
    /// How it has ended.
    pub(super) ended: Option<Result<(), Failure>>,
}

/// A sign-in's conversation with the person at the page. A handle: clones are the same.
#[derive(Clone)]
pub(crate) struct Conversation {
    talk: Arc<Mutex<Talk>>,
    changes: broadcast::Sender<Topic>,
    cancelled: watch::Sender<bool>,
}

impl Conversation {
    pub(super) fn new(changes: broadcast::Sender<Topic>) -> Self {
        Self { talk: Arc::default(), changes, cancelled: watch::Sender::new(false) }
    }

    /// Looks at it, or changes it without telling.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Talk) -> T) -> T {
        look(&mut locked(&self.talk))
    }

    fn change(&self, change: impl FnOnce(&mut Talk)) {
        self.with(change);
        // Nobody looks now.
        drop(self.changes.send(Topic::Setup));
    }

    /// So far it has come.
    pub(crate) fn step(&self, step: Step) {
        self.change(|talk| talk.step = step);
    }

    /// What keeps pushes away, or may.
    pub(crate) fn findings(&self, findings: &[Finding]) {
        self.change(|talk| talk.findings = findings.to_vec());
    }

    /// The person has to sign in at this address; `None`: no longer.
    pub(crate) fn sign_in_at(&self, address: Option<&str>) {
        self.change(|talk| talk.sign_in_at = address.map(ToOwned::to_owned));
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the person has ended it.
    pub(crate) async fn ask(&self, kind: Kind, text: &str) -> io::Result<String> {
        let gone = || io::Error::new(io::ErrorKind::Interrupted, "you have ended it");
        let (answer, answered) = oneshot::channel();
        self.change(|talk| {
            talk.questions += 1;
            let (number, text) = (talk.questions, text.trim().to_owned());
            let is_again = kind == Kind::Secret && number > 1 && talk.said_before < talk.said.len();
            let again = talk.said.last().filter(|_| is_again).cloned();
            talk.question = Some(Question { number, kind, text, again, answer });
        });
        let asked = Asked(self);
        let answer = tokio::select! {
            answer = answered => answer.map_err(|_| gone()),
            () = self.cancelled() => Err(gone()),
        };
        drop(asked);
        answer
    }

    /// Answers a question, if it is still the one that is asked.
    pub(super) fn answer(&self, number: u64, answer: String) {
        self.change(|talk| {
            if let Some(question) = talk.question.take_if(|question| question.number == number) {
                talk.said_before = talk.said.len();
                // Who no longer waits does not need it.
                drop(question.answer.send(answer));
            }
        });
    }

    /// Returns when the person has ended it.
    pub(crate) async fn cancelled(&self) {
        // Its own sender is never dropped before.
        drop(self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await);
    }

    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    pub(super) fn end(&self, ended: Result<(), Failure>) {
        self.change(|talk| {
            talk.question = None;
            talk.sign_in_at = None;
            talk.ended = Some(ended);
        });
    }

    /// Where a sign-in writes what it says.
    pub(crate) fn writer(&self) -> impl Write + Send + use<> {
        Writer { conversation: self.clone(), line: Vec::new() }
    }
}

/// A question that nobody waits for any more is not asked.
struct Asked<'a>(&'a Conversation);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.change(|talk| talk.question = None);
    }
}

struct Writer {
    conversation: Conversation,
    line: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = text::spelled_out(&String::from_utf8_lossy(&line));
            let line: String = line.chars().take(MAX_LINE_CHARS).collect();
            self.conversation.change(|talk| {
                if talk.said.len() < MAX_LINES {
                    talk.said.push(line);
                }
            });
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
