//! Questions to the person who uses a command, at a terminal or on the page.

use std::io::{self, Write};

use super::{Failure, doctor::write_findings, terminal::Terminal};
use crate::{
    doctor::Finding,
    page::{Conversation, Kind},
};

/// The person.
#[derive(Clone)]
pub(super) enum Person {
    /// At the terminal of the command.
    AtTerminal(Terminal),
    /// On the page, whose form started the command.
    AtPage(Conversation),
}

impl Person {
    /// The person at the terminal; `None` without a terminal.
    pub(super) fn at_terminal() -> Option<Self> {
        Terminal::find().map(Self::AtTerminal)
    }

    /// The conversation on the page.
    pub(super) fn page(&self) -> Option<&Conversation> {
        match self {
            Self::AtTerminal(_) => None,
            Self::AtPage(conversation) => Some(conversation),
        }
    }

    /// Asks a yes/no question; an empty answer is `default`.
    pub(super) async fn confirm(&self, out: &mut dyn Write, question: &str, default: bool) -> Result<bool, Failure> {
        match self {
            Self::AtTerminal(terminal) => terminal.confirm(out, question, default).await,
            Self::AtPage(conversation) => Ok(ask(conversation, Kind::YesOrNo(default), question).await? == "yes"),
        }
    }

    /// Asks for a password, without echo.
    pub(super) async fn password(&self, out: &mut dyn Write, question: &str) -> Result<String, Failure> {
        match self {
            Self::AtTerminal(terminal) => terminal.password(out, question).await,
            Self::AtPage(conversation) => ask(conversation, Kind::Secret, question).await,
        }
    }

    /// Returns when the person chooses not to wait any longer.
    ///
    /// # Errors
    /// When there is no input.
    pub(super) async fn skips(&self) -> io::Result<()> {
        match self {
            Self::AtTerminal(terminal) => terminal.line().await.map(drop),
            Self::AtPage(conversation) => {
                let waiting = "Waiting for a real notification: ask somebody to write to you.";
                conversation.ask(Kind::Skip, waiting).await.map(drop)
            }
        }
    }

    /// How to skip the wait.
    pub(super) fn how_to_skip(&self) -> &'static str {
        match self {
            Self::AtTerminal(_) => "press Enter to skip",
            Self::AtPage(_) => "skip it",
        }
    }
}

async fn ask(conversation: &Conversation, kind: Kind, question: &str) -> Result<String, Failure> {
    conversation.ask(kind, question).await.map_err(|error| Failure::Failed(error.to_string()))
}

/// Shows findings: on the page as structured data.
pub(super) fn show_findings(person: Option<&Person>, findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    match person.and_then(Person::page) {
        Some(page) => {
            page.findings(findings);
            Ok(())
        }
        None => write_findings(findings, out),
    }
}
