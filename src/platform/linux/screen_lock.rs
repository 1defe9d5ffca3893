//! Whether the screen is locked, according to logind and the desktop's screen saver.
//!
//! Screen savers are called by their owner's unique name, since a call to the well-known name would start one.

use std::{env, process};

use futures_util::{
    FutureExt, StreamExt,
    stream::{FuturesUnordered, SelectAll},
};
use tokio::sync::mpsc;
use zbus::{Connection, MatchRule, MessageStream, message::Type, zvariant::OwnedObjectPath};

use super::bus::{self, Bus};
use crate::desktop::DesktopEvent;

/// Screen savers; each has an object and an interface named after it.
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

/// Reports [`DesktopEvent::ScreenLock`], at once and whenever it changes. Never returns.
pub(super) async fn watch(mut session: Bus, mut system: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    let mut last = None;
    let mut report = |locked| {
        if last.replace(locked) != Some(locked) {
            let _ = events.send(DesktopEvent::ScreenLock(locked));
        }
    };
    // Until there is an answer.
    report(None);
    loop {
        let (session_bus, system_bus) = (session.connected(), system.connected());
        // Subscribes before querying, so that no change is missed.
        let mut signals = signals(session_bus.as_ref(), system_bus.as_ref()).await;
        loop {
            report(ask(session_bus.as_ref(), system_bus.as_ref()).await);
            tokio::select! {
                () = session.changed() => break,
                () = system.changed() => break,
                Some(_) = signals.next() => {}
            }
        }
    }
}

/// Signals that may change the answer. A source without signals is queried together with the others.
async fn signals(session: Option<&Connection>, system: Option<&Connection>) -> SelectAll<MessageStream> {
    let mut signals = SelectAll::new();
    if let Some(session) = session {
        if let Ok(rule) = MatchRule::builder().msg_type(Type::Signal).member("ActiveChanged") {
            signals.extend(bus::signals(session, rule.build()).await);
        }
        for name in SCREEN_SAVERS {
            signals.extend(bus::owner_changes(session, name).await);
        }
    }
    if let Some(system) = system {
        if let Ok(rule) = session_rule() {
            signals.extend(bus::signals(system, rule).await);
        }
        signals.extend(bus::owner_changes(system, LOGIND).await);
    }
    signals
}

/// Changes of any session: our own may change when logind restarts.
fn session_rule() -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder().msg_type(Type::Signal).sender(LOGIND)?;
    let rule = rule.interface("org.freedesktop.DBus.Properties")?.member("PropertiesChanged")?;
    Ok(rule.add_arg(SESSION)?.build())
}

/// Locked if any source says so; else unlocked if any says so; else `None`.
pub(super) async fn ask(session: Option<&Connection>, system: Option<&Connection>) -> Option<bool> {
    let savers = SCREEN_SAVERS.map(|name| is_active(session, name).boxed());
    let mut answers: FuturesUnordered<_> = savers.into_iter().chain([locked_hint(system).boxed()]).collect();
    let mut locked = None;
    while let Some(answer) = answers.next().await {
        if answer == Some(true) {
            return answer;
        }
        locked = locked.or(answer);
    }
    locked
}

async fn is_active(connection: Option<&Connection>, name: &'static str) -> Option<bool> {
    let connection = connection?;
    let owner = bus::owner_of(connection, name).await.ok()??;
    let path = format!("/{}", name.replace('.', "/"));
    let reply = bus::ask(connection, (&owner, &path, name), "GetActive", &()).await.ok()?;
    reply.body().deserialize().ok()
}

async fn locked_hint(connection: Option<&Connection>) -> Option<bool> {
    let connection = connection?;
    bus::owner_of(connection, LOGIND).await.ok()??;
    let path = session_path(connection).await.ok()?;
    bus::property(connection, (LOGIND, path.as_str(), SESSION), "LockedHint").await.ok()
}

/// Our session: that of the environment, or else the one that logind assigns to this process.
async fn session_path(connection: &Connection) -> zbus::Result<OwnedObjectPath> {
    if let Ok(id) = env::var("XDG_SESSION_ID")
        && let Ok(reply) = bus::ask(connection, MANAGER, "GetSession", &id).await
    {
        return reply.body().deserialize();
    }
    let reply = match bus::ask(connection, MANAGER, "GetSessionByPID", &process::id()).await {
        Ok(reply) => reply,
        Err(_) => bus::ask(connection, MANAGER, "GetSession", &"auto").await?,
    };
    reply.body().deserialize()
}
