//! Verifies the setup end to end: waits for a real push, or explains why none comes.

use std::{
    io::{self, Write},
    pin::pin,
    time::Duration,
};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time;

use super::{
    Failure, Login, LoginContext,
    person::{Person, show_findings},
    read_receipt,
    receiver::Receiver,
    save_account::SavedSession,
};
use crate::{
    doctor::{
        Finding, Verdict,
        reach::{self, LocalEnd, Pushed},
    },
    invocation,
    push::notify,
};

/// Exit code: the pusher is set, but no push has come yet.
pub(super) const NOTHING_CAME: u8 = 3;
/// How long to wait for a push without a terminal.
pub(super) const UNATTENDED: Duration = Duration::from_secs(60);
/// How long to wait if the account can listen.
const BEFORE_LISTENING: Duration = Duration::from_secs(10);
/// How long to wait where the user can skip it.
pub(super) const ATTENDED: Duration = Duration::from_secs(600);
/// How long to wait for the push that a read receipt causes: it takes about a second.
const RECEIPT: Duration = Duration::from_secs(5);
/// Delay before likely causes are listed when no push is known to be due.
const GRACE: Duration = Duration::from_secs(10);

/// Verifies a login end to end.
pub(super) struct PushVerification<'a> {
    pub(super) login: &'a Login<'a>,
    pub(super) context: &'a LoginContext,
    pub(super) saved: &'a SavedSession,
    pub(super) receiver: &'a Receiver,
    /// When the pusher was set.
    pub(super) since: Timestamp,
}

/// The result of waiting.
enum Waited {
    Came(Timestamp),
    Nothing,
    /// The user does not want to wait.
    Skipped,
}

impl PushVerification<'_> {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let patience = self.login.asked.wait.map(Duration::from_secs);
        if self.login.can_listen() {
            return self.push_or_listen(patience.unwrap_or(BEFORE_LISTENING), out).await;
        }
        let waited = match self.login.person.as_ref().filter(|_| patience != Some(Duration::ZERO)) {
            Some(person) => self.attended(person, patience.unwrap_or(ATTENDED), out).await?,
            None => self.unattended(patience.unwrap_or(UNATTENDED), out).await?,
        };
        let (pushbell, user) = (invocation::command(), &self.saved.sign_in.user_id);
        match waited {
            Waited::Came(at) => return came(at, out),
            Waited::Skipped => {
                writeln!(out, "No push has come yet. `{pushbell} doctor` says at any time what may keep them away.")?;
            }
            Waited::Nothing => {
                let again = format!("`{pushbell} login {user}` tries again");
                writeln!(out, "\n`{pushbell} doctor` looks again at any time; {again}.")?;
            }
        }
        Err(Failure::Reported(NOTHING_CAME))
    }

    /// Waits a moment for a push, else proves that listening works.
    async fn push_or_listen(&self, patience: Duration, out: &mut dyn Write) -> Result<(), Failure> {
        let waited = match self.by_receipt(out).await? {
            Some(waited) => waited,
            None => self.wait(patience, out).await?,
        };
        if let Waited::Came(at) = waited {
            return came(at, out);
        }
        let (listens, findings) = (self.login.prove_listening(&self.saved.sign_in, out).await, self.findings().await);
        if let Err(failure) = listens {
            writeln!(out, "No push has come, and {failure}.")?;
            show_findings(self.login.person.as_ref(), &findings, out)?;
            return Err(Failure::Reported(NOTHING_CAME));
        }
        writeln!(out, "No push has come so far. Once one does, this connection is no longer needed.")?;
        if let Some(worst) = findings.into_iter().rev().max_by_key(|finding| finding.verdict)
            && worst.verdict != Verdict::Good
        {
            writeln!(out, "{}", heading(std::slice::from_ref(&worst), true))?;
            show_findings(self.login.person.as_ref(), &[worst], out)?;
        }
        Ok(())
    }

    async fn wait(&self, patience: Duration, out: &mut dyn Write) -> Result<Waited, Failure> {
        if !patience.is_zero() {
            writeln!(
                out,
                "Waiting up to {} s for a push: it comes if somebody writes to you now …",
                patience.as_secs()
            )?;
            out.flush()?;
        }
        self.push_within(patience).await
    }

    async fn unattended(&self, patience: Duration, out: &mut dyn Write) -> Result<Waited, Failure> {
        let waited = self.wait(patience, out).await?;
        if matches!(waited, Waited::Nothing) {
            writeln!(out, "The pusher is set, but no push has come.")?;
            show_findings(self.login.person.as_ref(), &self.findings().await, out)?;
        }
        Ok(waited)
    }

    /// Waits, and meanwhile shows what may keep pushes away.
    async fn attended(&self, person: &Person, patience: Duration, out: &mut dyn Write) -> Result<Waited, Failure> {
        let is_due = match self.by_receipt(out).await? {
            Some(came @ Waited::Came(_)) => return Ok(came),
            Some(Waited::Nothing | Waited::Skipped) => true,
            None => {
                writeln!(out, "Waiting for a push: ask somebody to write to you, or {}.", person.how_to_skip())?;
                out.flush()?;
                false
            }
        };
        let diagnosis = async {
            let findings = self.findings().await;
            if !is_due && findings.iter().all(|finding| finding.verdict != Verdict::Fault) {
                time::sleep(GRACE).await;
            }
            findings
        };
        let (mut push, mut diagnosis) = (pin!(self.push_within(patience)), pin!(diagnosis));
        let mut skipped = pin!(person.skips());
        let (mut is_told, mut is_open) = (false, true);
        loop {
            tokio::select! {
                waited = &mut push => {
                    if !is_told && matches!(waited, Ok(Waited::Nothing)) {
                        show_findings(Some(person), &diagnosis.await, out)?;
                    }
                    return waited;
                }
                skips = &mut skipped, if is_open => match skips {
                    Ok(()) => return Ok(Waited::Skipped),
                    // The terminal was closed; who has ended it at the page does not wait.
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Waited::Skipped),
                    Err(_) => is_open = false,
                },
                findings = &mut diagnosis, if !is_told => {
                    is_told = true;
                    writeln!(out, "{}", heading(&findings, is_due))?;
                    show_findings(Some(person), &findings, out)?;
                    writeln!(out, "\nStill waiting: have somebody write to you, or {}.", person.how_to_skip())?;
                    out.flush()?;
                }
            }
        }
    }

    /// Offers to mark a room as read, and waits for the push. `None`: none was marked.
    async fn by_receipt(&self, out: &mut dyn Write) -> Result<Option<Waited>, Failure> {
        if !read_receipt::offer(self.login, self.context, self.saved, out).await? {
            return Ok(None);
        }
        let waited = self.push_within(RECEIPT).await?;
        if matches!(waited, Waited::Nothing) {
            writeln!(out, "It is marked, but no push has come of it.")?;
        }
        Ok(Some(waited))
    }

    async fn push_within(&self, patience: Duration) -> Result<Waited, Failure> {
        let came = self.receiver.push_within(patience, &self.saved.account.name, self.since).await?;
        Ok(came.map_or(Waited::Nothing, Waited::Came))
    }

    /// What keeps pushes away, or may.
    async fn findings(&self) -> Vec<Finding> {
        let LoginContext { reached_at, config, kind, .. } = self.context;
        let server = &config.server;
        let end = LocalEnd {
            url: format!("{}{}", reached_at.as_deref().unwrap_or_default(), notify::PATH),
            listen: server.listen.clone(),
            tls: server.tls.is_some(),
            runs: true,
        };
        Box::pin(reach::examine(&end, Some(self.saved.client.base()), kind, Pushed::Awaited)).await
    }
}

fn came(at: Timestamp, out: &mut dyn Write) -> Result<(), Failure> {
    let time = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
    Ok(writeln!(out, "A push arrived at {time}. Everything works.")?)
}

/// The sentence before the findings. `is_due`: a push is known to be due.
fn heading(findings: &[Finding], is_due: bool) -> &'static str {
    match (findings.iter().map(|finding| finding.verdict).max(), is_due) {
        (Some(Verdict::Fault), _) => "This keeps pushes away:",
        (Some(Verdict::Warning), true) => "This may keep pushes away, the likeliest first:",
        (Some(Verdict::Warning), false) => {
            "No push has come so far. If somebody has written to you, this may keep it away, the likeliest first:"
        }
        (Some(Verdict::Good) | None, _) => "No push has come so far, and nothing is seen from here that keeps it away:",
    }
}
