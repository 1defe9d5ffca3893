//! Questions to the user at a terminal.

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::{
    sync::Mutex,
    task::{JoinHandle, spawn_blocking},
};

use super::Failure;
use crate::platform::console::HiddenTyping;

/// The read of a line that is in progress. If its question was given up, the line answers the next question.
static READING: Mutex<Option<JoinHandle<io::Result<String>>>> = Mutex::const_new(None);

/// An interactive terminal. Answers are read on the blocking pool, so that the endpoint keeps running.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal(());

impl Terminal {
    /// `None` when input or output is a file, a pipe or nothing.
    pub(super) fn find() -> Option<Self> {
        (io::stdin().is_terminal() && io::stdout().is_terminal()).then_some(Self(()))
    }

    /// Reads a line, trimmed. The caller has printed the question.
    pub(super) async fn line(self) -> io::Result<String> {
        let mut reading = READING.lock().await;
        let read = reading.get_or_insert_with(|| {
            spawn_blocking(|| {
                let mut line = String::new();
                if io::stdin().lock().read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(line.trim().to_owned())
            })
        });
        let line = read.await;
        *reading = None;
        line?
    }

    /// Asks a yes/no question; an empty answer is `default`.
    pub(super) async fn confirm(self, out: &mut dyn Write, question: &str, default: bool) -> Result<bool, Failure> {
        loop {
            write!(out, "{question} {} ", if default { "[Y/n]" } else { "[y/N]" })?;
            out.flush()?;
            let line = self.line().await.map_err(|error| unanswered(&error))?;
            if let Some(answer) = yes_or_no(&line, default) {
                return Ok(answer);
            }
        }
    }

    /// Asks for a password, without echo.
    pub(super) async fn password(self, out: &mut dyn Write, question: &str) -> Result<String, Failure> {
        let typing = HiddenTyping::begin()?;
        write!(out, "{question}")?;
        out.flush()?;
        let read = spawn_blocking(|| typing.read()).await.map_err(io::Error::other).flatten();
        read.map_err(|error| unanswered(&error))
    }
}

/// The error if there is no answer.
fn unanswered(error: &io::Error) -> Failure {
    Failure::Failed(if error.kind() == io::ErrorKind::UnexpectedEof {
        "the terminal was closed".to_owned()
    } else {
        format!("the terminal cannot be read: {error}")
    })
}

/// Parses an answer; `None` if it is neither yes nor no.
fn yes_or_no(answer: &str, default: bool) -> Option<bool> {
    match answer.to_lowercase().as_str() {
        "" => Some(default),
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        let check = |answer: &str, default, expected| assert_eq!(yes_or_no(answer, default), expected, "{answer:?}");
        check("", true, Some(true));
        check("", false, Some(false));
        check("Y", false, Some(true));
        check("yes", false, Some(true));
        check("No", true, Some(false));
        check("maybe", true, None);
    }
}
