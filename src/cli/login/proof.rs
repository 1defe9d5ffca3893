//! The proof: a real push from the homeserver, or why there is none.

use std::{io::Write, pin::pin, thread, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use tokio::{sync::oneshot, time};

use super::{Failure, Login, Receiver, nothing_came, output, receipt};
use crate::{
    accounts::{Account, SignIn},
    config::Config,
    control::{Reply, Request, ask},
    doctor::{
        Finding, Verdict,
        reach::{self, Asked},
    },
    homeserver::{HomeserverClient, server},
    push::notify,
};

/// How long is waited for a push where nobody is asked.
const UNATTENDED: Duration = Duration::from_secs(60);
/// The same where the person can end it.
const ATTENDED: Duration = Duration::from_secs(600);
/// How soon a read receipt makes a homeserver push: it takes about a second.
const RECEIPT: Duration = Duration::from_secs(10);

/// What is to be proven.
pub(super) struct Proof<'a> {
    pub(super) login: &'a Login<'a>,
    pub(super) client: &'a HomeserverClient,
    pub(super) account: &'a Account,
    pub(super) sign_in: &'a SignIn,
    pub(super) config: &'a Config,
    pub(super) reached_at: &'a str,
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

impl Proof<'_> {
    pub(super) async fn run(&self, receiver: &Receiver, out: &mut dyn Write) -> Result<(), Failure> {
        match self.wait(receiver, out).await? {
            Waited::Came(at) => {
                let time = at.to_zoned(TimeZone::system()).strftime("%H:%M:%S");
                writeln!(out, "A push arrived at {time}. Everything works.")?;
                Ok(())
            }
            Waited::Skipped => {
                writeln!(out, "No push has come yet. `pushbell doctor` looks for what may keep them away.")?;
                Err(nothing_came())
            }
            Waited::Nothing => {
                writeln!(out, "The pusher is set, but no push has come.")?;
                self.explain(out).await?;
                Err(nothing_came())
            }
        }
    }

    async fn wait(&self, receiver: &Receiver, out: &mut dyn Write) -> Result<Waited, Failure> {
        let patience = self.login.asked.wait.map(Duration::from_secs);
        let Some(terminal) = self.login.terminal else {
            let patience = patience.unwrap_or(UNATTENDED);
            writeln!(out, "Waiting up to {} s for a push …", patience.as_secs())?;
            out.flush()?;
            return self.push_within(receiver, patience).await;
        };
        if let Waited::Came(at) = self.by_receipt(receiver, terminal, out).await? {
            return Ok(Waited::Came(at));
        }
        writeln!(out, "Waiting for a push: ask somebody to write to you, or press Enter to skip.")?;
        out.flush()?;
        let mut push = pin!(self.push_within(receiver, patience.unwrap_or(ATTENDED)));
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
    async fn by_receipt(
        &self,
        receiver: &Receiver,
        terminal: super::Terminal,
        out: &mut dyn Write,
    ) -> Result<Waited, Failure> {
        if !server::pushes_when_read(&self.sign_in.server) {
            return Ok(Waited::Nothing);
        }
        let Some(room) = receipt::unread_room(self.client).await else { return Ok(Waited::Nothing) };
        if !terminal.confirm(out, &format!("Mark {} as read to test?", room.name), false).await? {
            return Ok(Waited::Nothing);
        }
        match receipt::mark_as_read(self.client, &room).await {
            Ok(()) => self.push_within(receiver, RECEIPT).await,
            Err(error) => {
                writeln!(out, "It could not be marked: {}", output::harmless(&error.to_string()))?;
                Ok(Waited::Nothing)
            }
        }
    }

    async fn push_within(&self, receiver: &Receiver, patience: Duration) -> Result<Waited, Failure> {
        match receiver {
            Receiver::Own(interim) => {
                match time::timeout(patience, interim.push_after(&self.account.name, self.since)).await {
                    Ok(at) => Ok(Waited::Came(at?)),
                    Err(_) => Ok(Waited::Nothing),
                }
            }
            Receiver::App => {
                let seconds = u32::try_from(patience.as_secs()).unwrap_or(u32::MAX);
                let request =
                    Request::WaitForPush { account: self.account.name.to_string(), since: self.since, seconds };
                let control = self.login.context.paths.control.clone();
                let (answer, answered) = oneshot::channel();
                // Not one of the runtime's threads, which it waits for: the person may skip this.
                thread::Builder::new()
                    .name("waiting".to_owned())
                    .spawn(move || drop(answer.send(ask(&control, &request))))?;
                let reply = answered.await.map_err(|_| Failure::Failed("the running Pushbell was lost".to_owned()))?;
                match reply? {
                    Reply::Pushed { at } => Ok(Waited::Came(at)),
                    Reply::Done | Reply::Status(_) => Ok(Waited::Nothing),
                    Reply::Failed { reason } => Err(Failure::Failed(output::harmless(&reason))),
                }
            }
        }
    }

    /// What keeps pushes away: what is proven, else what is likely.
    async fn explain(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let asked = Asked {
            pusher_url: format!("{}{}", self.reached_at, notify::PATH),
            listen: self.config.server.listen.clone(),
            homeserver: self.client.base().clone(),
            server: self.sign_in.server.clone(),
        };
        for finding in reach::explain(&asked).await {
            describe(&finding, out)?;
        }
        writeln!(
            out,
            "`pushbell doctor` looks again at any time; `pushbell login {}` tries again.",
            self.sign_in.user_id
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
