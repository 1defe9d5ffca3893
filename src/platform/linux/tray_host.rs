//! Whether tray icons are shown: by the owner of org.kde.StatusNotifierWatcher and the panels that have registered
//! there.

use std::env;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::{Connection, MatchRule, MessageStream, message::Type};

use super::bus::{self, Bus, BusState, NameWatch};
use crate::desktop::{DesktopEvent, ServiceState};

pub(super) const NAME: &str = "org.kde.StatusNotifierWatcher";
const PATH: &str = "/StatusNotifierWatcher";

/// The advice if there is a watcher, but no panel.
const NO_PANEL: &str = "no panel shows tray icons: add a tray (\"status tray\", \"system tray\") to the panel";

/// Reports [`DesktopEvent::TrayHost`] at once and whenever it may have changed. Never returns.
pub(super) async fn watch(mut bus: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    let report = |state| _ = events.send(DesktopEvent::TrayHost(state));
    loop {
        match bus.state() {
            BusState::Connecting => {}
            BusState::Absent(reason) => {
                report(ServiceState::unavailable(format!("there is no session bus ({reason})")));
            }
            BusState::Present(connection) => {
                tokio::select! {
                    () = connection.closed() => {}
                    result = follow(&connection, report) => if let Err(error) = result {
                        tracing::debug!("tray host: {error}");
                        connection.closed().await;
                    },
                }
            }
        }
        bus.changed().await;
    }
}

async fn follow(connection: &Connection, report: impl Fn(ServiceState)) -> zbus::Result<()> {
    let mut name = NameWatch::start(connection, NAME).await?;
    let mut owner = name.owner.clone();
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(NAME)?.path(PATH)?.build();
    let mut signals = bus::signals(connection, rule).await?;
    loop {
        report(state(connection, owner.as_deref()).await);
        tokio::select! {
            biased;
            new = name.next() => owner = new,
            () = panels_changed(&mut signals) => {}
        }
    }
}

/// Waits until a panel is registered or unregistered; ignores icons.
async fn panels_changed(signals: &mut MessageStream) {
    while let Some(Ok(message)) = signals.next().await {
        let header = message.header();
        let member = header.member().map_or("", |member| member.as_str());
        if matches!(member, "StatusNotifierHostRegistered" | "StatusNotifierHostUnregistered") {
            return;
        }
    }
    std::future::pending::<()>().await;
}

/// Whether the watcher, if there is one, has a panel.
pub(super) async fn state(connection: &Connection, owner: Option<&str>) -> ServiceState {
    let Some(owner) = owner else {
        let desktop = env::var("XDG_CURRENT_DESKTOP").unwrap_or_default();
        return ServiceState::unavailable(advice(&desktop));
    };
    // A watcher without this property is assumed to have a panel.
    let has_panel = bus::property::<bool>(connection, (owner, PATH, NAME), "IsStatusNotifierHostRegistered").await;
    if has_panel.unwrap_or(true) {
        ServiceState { available: true, reason: None }
    } else {
        ServiceState::unavailable(NO_PANEL)
    }
}

/// The advice if nothing shows tray icons. `desktop` is `XDG_CURRENT_DESKTOP`: names separated by colons.
fn advice(desktop: &str) -> &'static str {
    let is = |wanted: &str| desktop.split(':').any(|name| name.eq_ignore_ascii_case(wanted));
    if is("X-Cinnamon") {
        "Cinnamon shows tray icons with XApp's xapp-sn-watcher and the applet \"XApp Status Applet\": install and add what is \
         missing (Debian 12 lacks the first); popups and sounds work without it"
    } else if is("GNOME") {
        "GNOME shows no tray icons by itself: install its AppIndicator extension (package \
         gnome-shell-extension-appindicator), log in again and turn it on in GNOME's Extensions; popups and sounds work \
         without it"
    } else {
        "nothing shows StatusNotifier tray icons: add a tray to the panel, \
         or start a panel that has one (xfce4-panel, lxqt-panel, waybar); snixembed helps older trays"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_fits_the_desktop() {
        let check = |desktop, expected: &str| assert!(advice(desktop).contains(expected), "{desktop}");
        check("GNOME", "AppIndicator");
        check("ubuntu:GNOME", "AppIndicator");
        check("X-Cinnamon", "XApp Status Applet");
        check("XFCE", "panel");
        check("", "panel");
    }
}
