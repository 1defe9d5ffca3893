//! Waking from sleep: logind's `PrepareForSleep` on the system bus.

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::{Connection, MatchRule, message::Type};

use super::bus::{self, Bus};
use crate::desktop::DesktopEvent;

/// Reports [`DesktopEvent::Resumed`] after each sleep. Never returns; without a system bus it says nothing.
pub async fn watch(system: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    system.serve("sleep", |connection| follow(connection, events.clone())).await;
}

async fn follow(connection: Connection, events: mpsc::UnboundedSender<DesktopEvent>) -> zbus::Result<()> {
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
