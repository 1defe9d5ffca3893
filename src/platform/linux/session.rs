//! The desktop session: everything that shares the connections to the session bus and the system bus.

use std::{future::Future, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    bus::{Bus, BusAddress, BusState},
    desktop_state, do_not_disturb, launcher,
    open::Launcher,
    popups::Popups,
    screen_lock, tray_host,
};
use crate::{
    config::OpenWith,
    desktop::{DesktopEvent, LauncherCount, OpenTarget, PopupCall, popup_services::DoNotDisturb},
    platform::opener::Opener,
};

/// Deadline of the final update to docks.
const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

/// The addresses of the buses.
#[derive(Debug, Clone)]
pub struct Buses {
    /// The session bus, or why its address is unknown.
    pub session: Result<BusAddress, String>,
    /// The system bus, or why its address is unknown.
    pub system: Result<BusAddress, String>,
}

impl Buses {
    /// The buses of the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self { session: BusAddress::session(), system: BusAddress::system() }
    }
}

/// The desktop session. Every method returns at once; results arrive as [`DesktopEvent`]s.
#[derive(Debug)]
pub struct Session {
    bus: Bus,
    events: mpsc::UnboundedSender<DesktopEvent>,
    popups: Popups,
    opener: Opener,
    count: watch::Sender<LauncherCount>,
    watch_lock: watch::Sender<bool>,
    watch_color_scheme: watch::Sender<bool>,
    watchers: JoinSet<()>,
}

impl Session {
    /// Starts in the background, on the tokio runtime of this thread. `icon` is a file, or a name in an icon theme;
    /// `tray` says whether to report [`DesktopEvent::TrayHost`].
    #[must_use]
    pub fn start(icon: String, tray: bool, events: &mpsc::UnboundedSender<DesktopEvent>) -> Self {
        Self::on(Buses::from_environment(), icon, tray, events)
    }

    /// The same on other buses than those of the environment.
    #[must_use]
    pub fn on(buses: Buses, icon: String, tray: bool, events: &mpsc::UnboundedSender<DesktopEvent>) -> Self {
        let session = Bus::start(buses.session);
        let system = Bus::start(buses.system);
        let (count, counts) = watch::channel(LauncherCount::default());
        let (watch_lock, lock_wanted) = watch::channel(false);
        let (watch_color_scheme, color_scheme_wanted) = watch::channel(false);
        let mut watchers = JoinSet::new();
        watchers.spawn(launcher::watch(session.clone(), counts));
        watchers.spawn(report_returns(session.clone(), events.clone()));
        if tray {
            watchers.spawn(tray_host::watch(session.clone(), events.clone()));
        }
        watchers.spawn({
            let (session, system, events) = (session.clone(), system.clone(), events.clone());
            while_wanted(lock_wanted, move || screen_lock::watch(session.clone(), system.clone(), events.clone()))
        });
        watchers.spawn(desktop_state::watch_sleep(system, events.clone()));
        watchers.spawn({
            let (session, events) = (session.clone(), events.clone());
            while_wanted(color_scheme_wanted, move || {
                desktop_state::watch_color_scheme(session.clone(), events.clone())
            })
        });
        Self {
            bus: session.clone(),
            events: events.clone(),
            popups: Popups::start(session, icon, events.clone()),
            opener: Opener::new(Launcher::new(), events.clone()),
            count,
            watch_lock,
            watch_color_scheme,
            watchers,
        }
    }

    /// Passes a call on to the notification service, see [`crate::desktop::Desktop::popup`].
    pub fn popup(&self, call: PopupCall) {
        self.popups.call(call);
    }

    /// Opens a target, with the activation token of the click that asked for it.
    pub fn open(&self, target: &OpenTarget, with: &OpenWith, activation_token: Option<String>) {
        self.opener.open(target, with, activation_token);
    }

    /// Sends the count to docks.
    pub fn set_count(&self, count: LauncherCount) {
        self.count.send_if_modified(|told| std::mem::replace(told, count) != count);
    }

    /// Starts or stops reporting [`DesktopEvent::ScreenLock`].
    pub fn watch_screen_lock(&self, wanted: bool) {
        self.watch_lock.send_replace(wanted);
    }

    /// Queries the do-not-disturb state, see [`crate::desktop::Desktop::ask_do_not_disturb`].
    pub fn ask_do_not_disturb(&self, how: DoNotDisturb) {
        let (connection, events) = (self.bus.clone().connected(), self.events.clone());
        tokio::spawn(async move {
            // A closed channel means that the program is ending.
            drop(events.send(DesktopEvent::DoNotDisturb(do_not_disturb::ask(connection.as_ref(), how).await)));
        });
    }

    /// Starts or stops reporting [`DesktopEvent::ColorScheme`].
    pub fn watch_color_scheme(&self, wanted: bool) {
        self.watch_color_scheme.send_replace(wanted);
    }

    /// Clears the count on docks, in bounded time.
    pub async fn close(self) {
        let Self { mut bus, count, mut watchers, .. } = self;
        watchers.abort_all();
        let shown = *count.borrow();
        if shown != LauncherCount::default()
            && let Some(connection) = bus.connected()
            && !timeout(CLOSE_DEADLINE, launcher::send(&connection, LauncherCount::default()))
                .await
                .is_ok_and(|sent| sent.is_ok())
        {
            tracing::debug!("the count on docks was not cleared");
        }
    }
}

/// Runs a task while it is wanted. Returns when the sender is dropped.
async fn while_wanted<Part: Future<Output = ()>>(mut wanted: watch::Receiver<bool>, part: impl Fn() -> Part) {
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        tokio::select! {
            () = part() => {}
            unwanted = wanted.wait_for(|wanted| !wanted) => if unwanted.is_err() {
                return;
            },
        }
    }
}

/// Reports that the session bus has returned, so that users of their own connections reconnect.
async fn report_returns(mut bus: Bus, events: mpsc::UnboundedSender<DesktopEvent>) {
    let mut was_absent = false;
    loop {
        match bus.state() {
            BusState::Connecting => bus.changed().await,
            BusState::Absent(_) => {
                was_absent = true;
                bus.changed().await;
            }
            BusState::Present(connection) => {
                if was_absent && events.send(DesktopEvent::SessionReturned).is_err() {
                    return;
                }
                connection.closed().await;
                was_absent = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_part_runs_while_it_is_wanted() {
        let (want, wanted) = watch::channel(false);
        let running = Arc::new(());
        let run = Arc::clone(&running);
        let part = tokio::spawn(while_wanted(wanted, move || {
            let run = Arc::clone(&run);
            async move {
                std::future::pending::<()>().await;
                drop(run);
            }
        }));
        for is_wanted in [true, false, true] {
            want.send_replace(is_wanted);
            let expected = if is_wanted { 3 } else { 2 };
            while Arc::strong_count(&running) != expected {
                tokio::task::yield_now().await;
            }
        }
        // The sender is dropped.
        drop(want);
        timeout(Duration::from_secs(2), part).await.unwrap().unwrap();
    }
}
