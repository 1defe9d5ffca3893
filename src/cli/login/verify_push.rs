//! Proving the whole way: a real push from the homeserver, or why there is none.

use std::{io::Write, pin::pin, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time;

use super::{
    Failure, Login, LoginContext, Terminal, output, read_receipt, receiver::Receiver, save_account::SavedSession,
};
use crate::{
    doctor::{Finding, Verdict, reach},
    invocation,
    push::notify,
};

/// Exit code: the pusher is set, but no push has come yet.
const NOTHING_CAME: u8 = 3;
/// How long is waited for a push where nobody is asked.
const UNATTENDED: Duration = Duration::from_secs(60);
/// The same where the person can end it.
const ATTENDED: Duration = Duration::from_secs(600);
/// How soon a read receipt makes a homeserver push: it takes about a second.
const RECEIPT: Duration = Duration::from_secs(5);
/// How soon the person is told what may keep pushes away where nothing is known to be on its way.
const GRACE: Duration = Duration::from_secs(10);

/// What is to be proven.
pub(super) struct PushVerification<'a> {
    pub(super) login: &'a Login<'a>,
    pub(super) context: &'a LoginContext,
    pub(super) saved: &'a SavedSession,
    pub(super) receiver: &'a Receiver,
    /// When the pusher was set.
    pub(super) since: Timestamp,
}

/// How waiting ended.
enum Waited {
    Came(Timestamp),
    Nothing,
    /// The person does not want to wait.
    Skipped,
}

/// What came of a read receipt.
enum Receipt {
    Pushed(Timestamp),
    NotPushed,
    NotSent,
}

impl PushVerification<'_> {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let patience = self.login.asked.wait.map(Duration::from_secs);
        let waited = match self.login.terminal.filter(|_| patience != Some(Duration::ZERO)) {
            Some(terminal) => self.attended(terminal, patience.unwrap_or(ATTENDED), out).await?,
            None => self.unattended(patience.unwrap_or(UNATTENDED), out).await?,
        };
        let (pushbell, user) = (invocation::command(), &self.saved.sign_in.user_id);
        match waited {
            Waited::Came(at) => {
                let time = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
                writeln!(out, "A push arrived at {time}. Everything works.")?;
                return Ok(());
            }
            Waited::Skipped => {
                writeln!(out, "No push has come yet. `{pushbell} doctor` says at any time what may keep them away.")?;
            }
            Waited::Nothing => {
                let again = format!("`{pushbell} login {user}` tries again");
                writeln!(out, "\n`{pushbell} doctor` looks again at any time; {again}.")?;
            }
        }
        Err(Failure::Told(NOTHING_CAME))
    }

    async fn unattended(&self, patience: Duration, out: &mut dyn Write) -> Result<Waited, Failure> {
        if !patience.is_zero() {
            writeln!(out, "Waiting up to {} s for a push …", patience.as_secs())?;
            out.flush()?;
        }
        let waited = self.push_within(patience).await?;
        if matches!(waited, Waited::Nothing) {
            writeln!(out, "The pusher is set, but no push has come.")?;
            describe_all(&self.findings().await, out)?;
        }
        Ok(waited)
    }

    /// Says early what keeps pushes away, and goes on waiting.
    async fn attended(&self, terminal: Terminal, patience: Duration, out: &mut dyn Write) -> Result<Waited, Failure> {
        let is_due = match self.by_receipt(out).await? {
            Receipt::Pushed(at) => return Ok(Waited::Came(at)),
            Receipt::NotPushed => true,
            Receipt::NotSent => {
                writeln!(out, "Waiting for a push: ask somebody to write to you, or press Enter to skip.")?;
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
        let mut line = pin!(terminal.line());
        let (mut is_told, mut is_open) = (false, true);
        loop {
            tokio::select! {
                waited = &mut push => {
                    if !is_told && matches!(waited, Ok(Waited::Nothing)) {
                        describe_all(&diagnosis.await, out)?;
                    }
                    return waited;
                }
                typed = &mut line, if is_open => match typed {
                    Ok(_) => return Ok(Waited::Skipped),
                    // A terminal that has gone asks for nothing more.
                    Err(_) => is_open = false,
                },
                findings = &mut diagnosis, if !is_told => {
                    is_told = true;
                    writeln!(out, "{}", heading(&findings, is_due))?;
                    describe_all(&findings, out)?;
                    writeln!(out, "\nStill waiting: have somebody write to you, or press Enter to skip.")?;
                    out.flush()?;
                }
            }
        }
    }

    /// Offers to mark a room as read, where that makes the homeserver push.
    async fn by_receipt(&self, out: &mut dyn Write) -> Result<Receipt, Failure> {
        if !self.context.kind.pushes_when_read() {
            return Ok(Receipt::NotSent);
        }
        let Some(room) = read_receipt::unread_room(&self.saved.client, &self.saved.sign_in.user_id).await else {
            return Ok(Receipt::NotSent);
        };
        let question = format!("Mark {} as read to test?", room.name);
        if self.login.confirm(out, &question, false).await? != Some(true) {
            return Ok(Receipt::NotSent);
        }
        if let Err(error) = read_receipt::mark_as_read(&self.saved.client, &room).await {
            writeln!(out, "It could not be marked: {}", output::harmless(&error.to_string()))?;
            return Ok(Receipt::NotSent);
        }
        if let Waited::Came(at) = self.push_within(RECEIPT).await? {
            return Ok(Receipt::Pushed(at));
        }
        writeln!(out, "It is marked, but no push has come of it.")?;
        Ok(Receipt::NotPushed)
    }

    async fn push_within(&self, patience: Duration) -> Result<Waited, Failure> {
        let came = self.receiver.push_within(patience, &self.saved.account.name, self.since).await?;
        Ok(came.map_or(Waited::Nothing, Waited::Came))
    }

    /// What keeps pushes away: what is proven, else what is likely.
    async fn findings(&self) -> Vec<Finding> {
        let LoginContext { reached_at, config, kind, .. } = self.context;
        let url = format!("{reached_at}{}", notify::PATH);
        Box::pin(reach::explain(&url, &config.server, self.saved.client.base(), kind)).await
    }
}

/// What the findings are, in a sentence before them. `is_due`: something has happened that is pushed.
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

fn describe_all(findings: &[Finding], out: &mut dyn Write) -> Result<(), Failure> {
    findings.iter().try_for_each(|finding| describe(finding, out))
}

fn describe(finding: &Finding, out: &mut dyn Write) -> Result<(), Failure> {
    let Finding { part, verdict, says, advice, paste } = finding;
    let mark = match verdict {
        Verdict::Good => "ok",
        Verdict::Warning => "maybe",
        Verdict::Fault => "fault",
    };
    writeln!(out, "\n  {mark}: {part}: {}", output::harmless(says))?;
    if let Some(advice) = advice {
        writeln!(out, "  {advice}")?;
    }
    if let Some(paste) = paste {
        writeln!(out)?;
        for line in paste.lines() {
            writeln!(out, "    {line}")?;
        }
    }
    Ok(())
}
