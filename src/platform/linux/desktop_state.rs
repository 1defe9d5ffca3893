//! Whether the desktop prefers dark colours (the settings portal, org.freedesktop.portal.Settings), and waking from
//! sleep (logind's `PrepareForSleep`).

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::{
    Connection, MatchRule, MessageStream,
    message::Type,
    zvariant::{OwnedValue, Value},
};

use super::bus::{self, Bus, NameWatch};
use crate::desktop::DesktopEvent;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";
const INTERFACE: &str = "org.freedesktop.portal.Settings";
const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";

/// Reports [`DesktopEvent::ColorScheme`], at once and whenever it changes. Never returns.
pub(super) async fn watch_color_scheme(bus: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    bus.serve("color scheme", |connection| follow_color_scheme(connection, events.clone())).await;
}

async fn follow_color_scheme(connection: Connection, events: mpsc::UnboundedSender<DesktopEvent>) -> zbus::Result<()> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .path(PATH)?
        .interface(INTERFACE)?
        .member("SettingChanged")?
        .arg(0, NAMESPACE)?
        .arg(1, KEY)?
        .build();
    let mut signals = bus::signals(&connection, rule).await?;
    let mut name = NameWatch::start(&connection, NAME).await?;
    let mut scheme = read(&connection).await;
    loop {
        let _ = events.send(DesktopEvent::ColorScheme(scheme));
        scheme = tokio::select! {
            biased;
            owner = name.next() => match owner {
                Some(_) => read(&connection).await,
                None => scheme,
            },
            changed = next_change(&mut signals) => changed,
        };
    }
}

/// Queries the portal, which the bus starts if necessary.
async fn read(connection: &Connection) -> Option<bool> {
    for method in ["ReadOne", "Read"] {
        if let Ok(reply) = bus::ask(connection, (NAME, PATH, INTERFACE), method, &(NAMESPACE, KEY)).await {
            return reply.body().deserialize::<OwnedValue>().ok().and_then(|value| is_dark(&value));
        }
    }
    None
}

async fn next_change(signals: &mut MessageStream) -> Option<bool> {
    while let Some(Ok(message)) = signals.next().await {
        if let Ok((_, _, value)) = message.body().deserialize::<(&str, &str, OwnedValue)>() {
            return is_dark(&value);
        }
    }
    std::future::pending().await
}

/// 1 is dark, 2 is light, 0 is no preference. The older `Read` returns a variant in a variant.
fn is_dark(value: &Value<'_>) -> Option<bool> {
    if let Value::Value(inner) = value {
        return is_dark(inner);
    }
    match u32::try_from(value) {
        Ok(1) => Some(true),
        Ok(2) => Some(false),
        Ok(_) | Err(_) => None,
    }
}

/// Reports [`DesktopEvent::Resumed`] after each sleep, if there is a system bus. Never returns.
pub(super) async fn watch_sleep(system: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    system.serve("sleep", |connection| follow_sleep(connection, events.clone())).await;
}

async fn follow_sleep(connection: Connection, events: mpsc::UnboundedSender<DesktopEvent>) -> zbus::Result<()> {
    let rule = MatchRule::builder()
        .msg_type(Type::Signal)
        .sender("org.freedesktop.login1")?
        .path("/org/freedesktop/login1")?
        .interface("org.freedesktop.login1.Manager")?
        .member("PrepareForSleep")?
        .build();
    let mut signals = bus::signals(&connection, rule).await?;
    while let Some(Ok(message)) = signals.next().await {
        // True before the sleep, false after it.
        if let Ok(false) = message.body().deserialize::<bool>() {
            let _ = events.send(DesktopEvent::Resumed);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_color_scheme_is_dark_light_or_neither() {
        let check = |value: Value<'_>, expected| assert_eq!(is_dark(&value), expected);
        check(Value::U32(1), Some(true));
        check(Value::U32(2), Some(false));
        check(Value::U32(0), None);
        check(Value::U32(9), None);
        check(Value::Value(Box::new(Value::U32(1))), Some(true));
        check(Value::from("dark"), None);
    }
}
