//! Output and questions of a sign-in, sign-out or verification, for the page to show and to answer.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tokio::sync::{broadcast, oneshot, watch};

use super::{Topic, server::locked};
use crate::{doctor::Finding, failure::Failure, push::text};

/// Maximum number of lines kept. A sign-in writes about twenty.
const MAX_LINES: usize = 200;
/// Maximum length of a line, in characters.
const MAX_LINE_CHARS: usize = 2000;

/// A step of the set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Step {
    /// Who signs in, and where.
    #[default]
    Who,
    /// How notifications get here.
    Way,
    /// Waiting for a real notification.
    Proof,
}

/// The command that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Task {
    /// Signing in, which has steps.
    #[default]
    SignIn,
    SignOut,
    /// Verifying the session.
    Verify,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Yes or no; holds the default.
    YesOrNo(bool),
    /// A password or recovery key, never shown.
    Secret,
    /// A button that ends the wait.
    Skip,
}

/// A question without an answer yet.
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Why it is asked again: the last line of output.
    pub(super) again: Option<String>,
    answer: oneshot::Sender<String>,
}

/// The state of a conversation.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) step: Step,
    pub(super) task: Task,
    pub(super) said: Vec<String>,
    pub(super) findings: Vec<Finding>,
    /// The address for signing in with the browser.
    pub(super) sign_in_at: Option<String>,
    pub(super) question: Option<Question>,
    questions: u64,
    /// Number of lines when the last question was answered.
    said_at_answer: usize,
    /// The result, once it has ended.
    pub(super) ended: Option<Result<(), Failure>>,
}

/// A handle to a conversation; clones share its state.
#[derive(Clone)]
pub(crate) struct Conversation {
    progress: Arc<Mutex<Progress>>,
    changes: broadcast::Sender<Topic>,
    cancelled: watch::Sender<bool>,
}

impl Conversation {
    pub(super) fn new(changes: broadcast::Sender<Topic>) -> Self {
        Self { progress: Arc::default(), changes, cancelled: watch::Sender::new(false) }
    }

    /// Access to the state, without notifying open tabs.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Progress) -> T) -> T {
        look(&mut locked(&self.progress))
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        self.with(change);
        // No tab may be open.
        drop(self.changes.send(Topic::Setup));
    }

    /// Shows this step as the current one.
    pub(crate) fn step(&self, step: Step) {
        self.change(|progress| progress.step = step);
    }

    /// Shows these findings in place of earlier ones.
    pub(crate) fn findings(&self, findings: &[Finding]) {
        self.change(|progress| progress.findings = findings.to_vec());
    }

    /// Shows a link to sign in at this address; `None` removes it.
    pub(crate) fn sign_in_at(&self, address: Option<&str>) {
        self.change(|progress| progress.sign_in_at = address.map(ToOwned::to_owned));
    }

    /// Asks a question and waits for the answer.
    ///
    /// # Errors
    /// When the person has cancelled.
    pub(crate) async fn ask(&self, kind: Kind, text: &str) -> io::Result<String> {
        let cancelled = || io::Error::new(io::ErrorKind::Interrupted, "you have ended it");
        let (answer, answered) = oneshot::channel();
        self.change(|progress| {
            progress.questions += 1;
            let (number, text) = (progress.questions, text.trim().to_owned());
            let is_again = kind == Kind::Secret && number > 1 && progress.said_at_answer < progress.said.len();
            let again = progress.said.last().filter(|_| is_again).cloned();
            progress.question = Some(Question { number, kind, text, again, answer });
        });
        let guard = QuestionGuard(self);
        let answer = tokio::select! {
            answer = answered => answer.map_err(|_| cancelled()),
            () = self.cancelled() => Err(cancelled()),
        };
        drop(guard);
        answer
    }

    /// Answers the question of this number, unless another has replaced it.
    pub(super) fn answer(&self, number: u64, answer: String) {
        self.change(|progress| {
            if let Some(question) = progress.question.take_if(|question| question.number == number) {
                progress.said_at_answer = progress.said.len();
                // The command may have stopped waiting.
                drop(question.answer.send(answer));
            }
        });
    }

    /// Returns when the person has cancelled.
    pub(crate) async fn cancelled(&self) {
        // `self` holds the sender, so this cannot fail.
        drop(self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await);
    }

    pub(super) fn cancel(&self) {
        self.cancelled.send_replace(true);
    }

    pub(super) fn end(&self, ended: Result<(), Failure>) {
        self.change(|progress| {
            progress.question = None;
            progress.sign_in_at = None;
            progress.ended = Some(ended);
        });
    }

    /// A writer for the command's output.
    pub(crate) fn writer(&self) -> impl Write + Send + use<> {
        Writer { conversation: self.clone(), line: Vec::new() }
    }
}

/// Withdraws the question when its future is dropped.
struct QuestionGuard<'a>(&'a Conversation);

impl Drop for QuestionGuard<'_> {
    fn drop(&mut self) {
        self.0.change(|progress| progress.question = None);
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
            self.conversation.change(|progress| {
                if progress.said.len() < MAX_LINES {
                    progress.said.push(line);
                }
            });
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
