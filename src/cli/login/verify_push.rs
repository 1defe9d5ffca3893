//! Proving the whole way: a real push from the homeserver, or why there is none.

use std::{io::Write, pin::pin, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use super::{
    Failure, Login, LoginContext, Terminal, output, read_receipt, receiver::Receiver, save_account::SavedSession,
};
use crate::{
    doctor::{Finding, Verdict, reach},
    push::notify,
};

/// Exit code: the pusher is set, but no push has come yet.
const NOTHING_CAME: u8 = 3;
/// How long is waited for a push where nobody is asked.
const UNATTENDED: Duration = Duration::from_secs(60);
/// The same where the person can end it.
const ATTENDED: Duration = Duration::from_secs(600);
/// How soon a read receipt makes a homeserver push: it takes about a second.
const RECEIPT: Duration = Duration::from_secs(10);

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

impl PushVerification<'_> {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<(), Failure> {
        match self.wait(out).await? {
            Waited::Came(at) => {
                let time = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
                writeln!(out, "A push arrived at {time}. Everything works.")?;
                Ok(())
            }
            Waited::Skipped => {
                writeln!(out, "No push has come yet. `pushbell doctor` looks for what may keep them away.")?;
                Err(Failure::Told(NOTHING_CAME))
            }
            Waited::Nothing => {
                writeln!(out, "The pusher is set, but no push has come.")?;
                self.explain(out).await?;
                Err(Failure::Told(NOTHING_CAME))
            }
        }
    }

    async fn wait(&self, out: &mut dyn Write) -> Result<Waited, Failure> {
        let patience = self.login.asked.wait.map(Duration::from_secs);
        if patience == Some(Duration::ZERO) {
            return self.push_within(Duration::ZERO).await;
        }
        let Some(terminal) = self.login.terminal else {
            let patience = patience.unwrap_or(UNATTENDED);
            writeln!(out, "Waiting up to {} s for a push …", patience.as_secs())?;
            out.flush()?;
            return self.push_within(patience).await;
        };
        if let Waited::Came(at) = self.by_receipt(terminal, out).await? {
            return Ok(Waited::Came(at));
        }
        writeln!(out, "Waiting for a push: ask somebody to write to you, or press Enter to skip.")?;
        out.flush()?;
        let mut push = pin!(self.push_within(patience.unwrap_or(ATTENDED)));
        tokio::select! {
            waited = &mut push => waited,
            line = terminal.line() => match line {
                Ok(_) => Ok(Waited::Skipped),
                // A terminal that has gone asks for nothing more.
                Err(_) => push.await,
            },
        }
    }

    /// Offers to mark a room as read, where that makes the homeserver push.
    async fn by_receipt(&self, terminal: Terminal, out: &mut dyn Write) -> Result<Waited, Failure> {
        if !self.context.kind.pushes_when_read() {
            return Ok(Waited::Nothing);
        }
        let Some(room) = read_receipt::unread_room(&self.saved.client, &self.saved.sign_in.user_id).await else {
            return Ok(Waited::Nothing);
        };
        if !terminal.confirm(out, &format!("Mark {} as read to test?", room.name), false).await? {
            return Ok(Waited::Nothing);
        }
        match read_receipt::mark_as_read(&self.saved.client, &room).await {
            Ok(()) => {
                let waited = self.push_within(RECEIPT).await?;
                if matches!(waited, Waited::Nothing) {
                    writeln!(out, "It is marked, but no push has come of it.")?;
                }
                Ok(waited)
            }
            Err(error) => {
                writeln!(out, "It could not be marked: {}", output::harmless(&error.to_string()))?;
                Ok(Waited::Nothing)
            }
        }
    }

    async fn push_within(&self, patience: Duration) -> Result<Waited, Failure> {
        let came = self.receiver.push_within(patience, &self.saved.account.name, self.since).await?;
        Ok(came.map_or(Waited::Nothing, Waited::Came))
    }

    /// What keeps pushes away: what is proven, else what is likely.
    async fn explain(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let LoginContext { reached_at, config, kind, .. } = self.context;
        let url = format!("{reached_at}{}", notify::PATH);
        for finding in Box::pin(reach::explain(&url, &config.server, self.saved.client.base(), kind)).await {
            describe(&finding, out)?;
        }
        writeln!(
            out,
            "\n`pushbell doctor` looks again at any time; `pushbell login {}` tries again.",
            self.saved.sign_in.user_id
        )?;
        Ok(())
    }
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
