//! Whether the screen is locked: what logind and the desktop's screen saver say.
//!
//! Nothing is asked, and nothing started, while nobody wants to know. Screen savers are asked by the unique name of
//! their owner, for the bus would start one that is called by its well-known name.

use std::{collections::HashMap, env, future::Future, pin::Pin, process};

use futures_util::{StreamExt, future::join_all};
use tokio::sync::{mpsc, watch};
use zbus::{
    Connection, MatchRule, Message,
    message::Type,
    zvariant::{OwnedObjectPath, Value},
};

use super::bus::{self, Bus, NameWatch};
use crate::desktop::DesktopEvent;

/// Each has an object and an interface by its name.
const SCREEN_SAVERS: [&str; 5] = [
    "org.freedesktop.ScreenSaver",
    "org.gnome.ScreenSaver",
    "org.cinnamon.ScreenSaver",
    "org.mate.ScreenSaver",
    "org.xfce.ScreenSaver",
];

const LOGIND: &str = "org.freedesktop.login1";
const MANAGER: (&str, &str, &str) = (LOGIND, "/org/freedesktop/login1", "org.freedesktop.login1.Manager");
const SESSION: &str = "org.freedesktop.login1.Session";

/// What one witness says now: its number, and whether the screen is locked, if it can say.
type Saying = (usize, Option<bool>);

/// Reports [`DesktopEvent::ScreenLock`], at once and whenever it changes, while `wanted` is true.
/// Returns when `wanted` is dropped.
pub(super) async fn watch(
    session: Bus,
    system: Bus,
    mut wanted: watch::Receiver<bool>,
    events: mpsc::UnboundedSender<DesktopEvent>,
) {
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let (says, sayings) = mpsc::unbounded_channel();
        tokio::select! {
            () = ask_screen_savers(session.clone(), says.clone()) => {}
            () = ask_logind(system.clone(), says) => {}
            () = conclude(sayings, &events) => {}
            unwanted = wanted.wait_for(|wanted| !wanted) => if unwanted.is_err() {
                return;
            },
        }
    }
}

async fn conclude(mut sayings: mpsc::UnboundedReceiver<Saying>, events: &mpsc::UnboundedSender<DesktopEvent>) {
    let mut witnesses = [None; SCREEN_SAVERS.len() + 1];
    let mut last = None;
    while let Some((witness, says)) = sayings.recv().await {
        witnesses[witness] = says;
        let verdict = verdict(&witnesses);
        if last != Some(verdict) {
            last = Some(verdict);
            let _ = events.send(DesktopEvent::ScreenLock(verdict));
        }
    }
}

/// Locked if anybody says so; unlocked if anybody says that, and nobody the contrary.
fn verdict(witnesses: &[Option<bool>]) -> Option<bool> {
    witnesses.iter().copied().flatten().reduce(|one, other| one || other)
}

async fn ask_screen_savers(bus: Bus, says: mpsc::UnboundedSender<Saying>) {
    let witness = |(number, name): (usize, &'static str)| {
        let (bus, says) = (bus.clone(), says.clone());
        async move {
            bus.serve("screen saver", |connection| ask_screen_saver(connection, number, name, says.clone())).await;
        }
    };
    join_all(SCREEN_SAVERS.into_iter().enumerate().map(witness)).await;
}

/// What all of them say now, asked once.
pub(super) async fn ask_once(session: Option<&Connection>, system: Option<&Connection>) -> Option<bool> {
    let screen_saver = |name: &'static str| async move {
        let connection = session?;
        let owner = bus::owner_of(connection, name).await.ok()??;
        let path = format!("/{}", name.replace('.', "/"));
        let reply = bus::ask(connection, (&owner, &path, name), "GetActive", &()).await.ok()?;
        reply.body().deserialize().ok()
    };
    let logind = async {
        let connection = system?;
        bus::owner_of(connection, LOGIND).await.ok()??;
        let path = session_path(connection).await.ok()?;
        bus::property(connection, (LOGIND, path.as_str(), SESSION), "LockedHint").await.ok()
    };
    let (mut witnesses, logind) = tokio::join!(join_all(SCREEN_SAVERS.map(screen_saver)), logind);
    witnesses.push(logind);
    verdict(&witnesses)
}

/// Says `None` for as long as the part that asks lives no more: the bus may have gone.
struct Witness(usize, mpsc::UnboundedSender<Saying>);

impl Witness {
    fn says(&self, locked: Option<bool>) {
        let _ = self.1.send((self.0, locked));
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.says(None);
    }
}

async fn ask_screen_saver(
    connection: Connection,
    number: usize,
    name: &'static str,
    says: mpsc::UnboundedSender<Saying>,
) -> zbus::Result<()> {
    let witness = Witness(number, says);
    let path = format!("/{}", name.replace('.', "/"));
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(name)?.member("ActiveChanged")?.build();
    let mut signals = bus::signals(&connection, rule).await?;
    let mut owners = NameWatch::start(&connection, name).await?;
    let mut owner = owners.owner.clone();
    loop {
        let active = match &owner {
            Some(owner) => bus::ask(&connection, (owner, &path, name), "GetActive", &()).await.ok(),
            None => None,
        };
        witness.says(active.and_then(|reply| reply.body().deserialize().ok()));
        owner = loop {
            tokio::select! {
                biased;
                owner = owners.next() => break owner,
                signal = signals.next() => match signal {
                    Some(Ok(message)) => witness.says(message.body().deserialize().ok()),
                    Some(Err(_)) | None => return Ok(()),
                },
            }
        };
    }
}

async fn ask_logind(bus: Bus, says: mpsc::UnboundedSender<Saying>) {
    let number = SCREEN_SAVERS.len();
    // Nobody has said anything yet: that is known at once.
    let _ = says.send((number, None));
    bus.serve("screen lock", |connection| follow_logind(connection, Witness(number, says.clone()))).await;
}

async fn follow_logind(connection: Connection, witness: Witness) -> zbus::Result<()> {
    let mut owners = NameWatch::start(&connection, LOGIND).await?;
    let mut owner = owners.owner.clone();
    loop {
        owner = tokio::select! {
            biased;
            owner = owners.next() => owner,
            Err(error) = follow_session(&connection, owner.is_some(), &witness) => {
                tracing::debug!("logind cannot say whether the screen is locked: {error}");
                witness.says(None);
                owners.next().await
            }
        };
        witness.says(None);
    }
}

/// Says what the session's `LockedHint` says. Returns only on failure.
async fn follow_session(connection: &Connection, present: bool, witness: &Witness) -> zbus::Result<()> {
    if !present {
        return Err(zbus::Error::Failure("it is not running".into()));
    }
    let path = session_path(connection).await?;
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender(LOGIND)?
        .path(path.clone())?
        .interface("org.freedesktop.DBus.Properties")?
        .member("PropertiesChanged")?
        .add_arg(SESSION)?
        .build();
    let mut signals = bus::signals(connection, rule).await?;
    loop {
        let locked = bus::property(connection, (LOGIND, path.as_str(), SESSION), "LockedHint").await?;
        witness.says(Some(locked));
        loop {
            let signal = signals.next().await.ok_or(zbus::Error::InvalidReply)??;
            if names_locked_hint(&signal) {
                break;
            }
        }
    }
}

/// Whether a `PropertiesChanged` is about the lock; its value is then asked for, since it need not be in the signal.
fn names_locked_hint(signal: &Message) -> bool {
    let body = signal.body();
    let Ok((_, changed, invalidated)) = body.deserialize::<(&str, HashMap<&str, Value<'_>>, Vec<&str>)>() else {
        return false;
    };
    changed.contains_key("LockedHint") || invalidated.contains(&"LockedHint")
}

/// Our session: that of the environment, else the one that logind finds for this process.
async fn session_path(connection: &Connection) -> zbus::Result<OwnedObjectPath> {
    type Attempt<'a> = Pin<Box<dyn Future<Output = zbus::Result<Message>> + Send + 'a>>;
    let by_id =
        |id: String| -> Attempt<'_> { Box::pin(async move { bus::ask(connection, MANAGER, "GetSession", &id).await }) };
    let by_process: Attempt<'_> =
        Box::pin(async move { bus::ask(connection, MANAGER, "GetSessionByPID", &process::id()).await });
    let attempts = env::var("XDG_SESSION_ID").ok().map(&by_id).into_iter().chain([by_process, by_id("auto".into())]);
    let mut failure = zbus::Error::Failure("it knows no session of ours".into());
    for attempt in attempts {
        match attempt.await {
            Ok(reply) => return reply.body().deserialize(),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn watching_ends_when_nobody_can_want_it_any_more() {
        let bus = || Bus::start(Err("there is none".to_owned()));
        let ((wanted, receiver), (events, _heard)) = (watch::channel(true), mpsc::unbounded_channel());
        let watching = super::watch(bus(), bus(), receiver, events);
        drop(wanted);
        tokio::time::timeout(std::time::Duration::from_secs(2), watching).await.unwrap();
    }

    #[test]
    fn one_that_says_locked_is_believed() {
        let check = |witnesses: &[Option<bool>], expected| assert_eq!(verdict(witnesses), expected);
        check(&[], None);
        check(&[None, None], None);
        check(&[None, Some(false)], Some(false));
        check(&[Some(false), Some(true), None], Some(true));
    }
}
