//! The tray icon: the part common to all systems. Its content is decided in [`crate::desktop::tray_view`].
//!
//! It stays on one thread, since some systems' icons are not `Send`. Other threads set the view through a
//! [`TrayRemote`]; only the newest one is shown.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use super::{main_loop, system::tray_icon::Icon};
use crate::{
    config::TrayStyle,
    desktop::{
        DesktopEvent, ServiceState,
        badge::{Drawing, Look},
        tray_view::{Badge, MenuEntry, TrayView},
    },
};

/// Sets the view of the tray icon, from any thread and without blocking. Dropping the last clone removes the icon and
/// ends the main thread's loop.
#[derive(Clone)]
pub(crate) struct TrayRemote(Arc<QuitOnDrop>);

/// Commands of the remotes that the icon has not handled yet.
pub(super) struct CommandQueue {
    commands: Mutex<Commands>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Commands {
    /// The newest view.
    view: Option<TrayView>,
    recreate: bool,
    quit: bool,
}

struct QuitOnDrop(Arc<CommandQueue>);

/// A remote, and the queue that it writes to. `wake` is called after each command, on any thread, and makes the icon's
/// thread read the queue.
pub(super) fn channel(wake: impl Fn() + Send + Sync + 'static) -> (TrayRemote, Arc<CommandQueue>) {
    let queue = Arc::new(CommandQueue { commands: Mutex::default(), wake: Box::new(wake) });
    (TrayRemote(Arc::new(QuitOnDrop(Arc::clone(&queue)))), queue)
}

impl TrayRemote {
    /// Shows this view, in place of any that has not been shown yet.
    pub(crate) fn set(&self, view: TrayView) {
        self.0.0.change(|commands| commands.view = Some(view));
    }

    /// Recreates the icon: it does not reconnect by itself when the session bus has restarted.
    pub(crate) fn recreate(&self) {
        self.0.0.change(|commands| commands.recreate = true);
    }
}

impl CommandQueue {
    fn change(&self, write: impl FnOnce(&mut Commands)) {
        write(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        (self.wake)();
    }

    /// Whether the icon is to be removed.
    #[cfg(target_os = "linux")]
    pub(super) fn is_over(&self) -> bool {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).quit
    }

    /// Takes the commands; `quit` stays set.
    fn take(&self) -> Commands {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let quit = commands.quit;
        std::mem::replace(&mut *commands, Commands { quit, ..Commands::default() })
    }
}

impl Drop for QuitOnDrop {
    fn drop(&mut self) {
        self.0.change(|commands| commands.quit = true);
    }
}

/// Why there is no tray icon.
#[derive(Debug, thiserror::Error)]
pub(super) enum TrayError {
    /// The system refused it.
    #[error("the desktop did not take the tray icon: {0}")]
    NotTaken(String),
    /// Its image or menu could not be created.
    #[allow(dead_code, reason = "does not occur on Linux")]
    #[error("the tray icon could not be made: {0}")]
    Unusable(String),
}

/// The tray icon of this program. It stays on the thread that created it; dropping it removes the icon.
pub(super) struct Tray {
    icon: Option<(Icon, IconState)>,
    view: Option<TrayView>,
    events: UnboundedSender<DesktopEvent>,
    reported: Option<ServiceState>,
}

/// What the icon shows now.
pub(super) struct IconState {
    pub(super) drawing: Drawing,
    /// The text beside the icon, if there is one.
    #[allow(dead_code, reason = "there is none on Linux")]
    pub(super) count: String,
    pub(super) tooltip: String,
    pub(super) menu: Vec<MenuEntry>,
}

impl Tray {
    /// A tray without an icon. The user's actions are sent to `events`.
    pub(super) fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        Self { icon: None, view: None, events, reported: None }
    }

    /// Handles the queued commands. Returns false once the icon is to be removed.
    pub(super) fn apply(&mut self, queue: &CommandQueue) -> bool {
        let Commands { view, recreate, quit } = queue.take();
        if quit || recreate {
            self.icon = None;
        }
        let is_new = view.is_some();
        self.view = view.or(self.view.take());
        // Where the host is watched, a failed icon is created again on `recreate` only.
        let is_hopeless = main_loop::HOST_IS_WATCHED && self.icon.is_none() && self.reported.is_some();
        if !quit
            && (recreate || is_new && !is_hopeless)
            && let Some(view) = self.view.clone()
        {
            let outcome = self.show(view);
            self.report(outcome);
        }
        !quit
    }

    /// Shows this view: creates the icon, or changes what differs.
    fn show(&mut self, view: TrayView) -> Result<(), TrayError> {
        let wanted = IconState::of(view);
        let icon = match self.icon.take() {
            Some((icon, shown)) => {
                icon.change(&shown, &wanted)?;
                icon
            }
            None => Icon::create(&wanted, &self.events)?,
        };
        self.icon = Some((icon, wanted));
        Ok(())
    }

    fn report(&mut self, outcome: Result<(), TrayError>) {
        let reason = outcome.as_ref().err().map(ToString::to_string);
        let state = ServiceState { available: reason.is_none(), reason };
        if self.reported.as_ref() == Some(&state) {
            return;
        }
        match outcome {
            Ok(()) => {}
            // The watcher of the host has already reported it.
            Err(TrayError::NotTaken(error)) if main_loop::HOST_IS_WATCHED => tracing::debug!("no tray icon: {error}"),
            Err(error) => tracing::warn!("no tray icon: {error}; everything else goes on"),
        }
        self.reported = Some(state.clone());
        if !main_loop::HOST_IS_WATCHED {
            let _ = self.events.send(DesktopEvent::TrayHost(state));
        }
    }
}

impl IconState {
    fn of(view: TrayView) -> Self {
        let TrayView { badge, paused, style, dark_panel, tooltip, menu } = view;
        let count = badge.unread.saturating_add(badge.missed_calls);
        let (badge, look, count) = match style {
            _ if main_loop::COUNT_IS_TITLE => {
                let title = if count == 0 { String::new() } else { count.to_string() };
                (Badge::default(), Look::Symbolic { dark_panel: Some(false) }, title)
            }
            TrayStyle::Color => (badge, Look::Color, String::new()),
            TrayStyle::Symbolic => (badge, Look::Symbolic { dark_panel }, String::new()),
        };
        Self { drawing: Drawing::new(badge, paused, look, main_loop::ICON_SIZE), count, tooltip, menu }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn view(unread: u64) -> TrayView {
        TrayView {
            badge: Badge { unread, missed_calls: 0 },
            paused: false,
            style: TrayStyle::Color,
            dark_panel: None,
            tooltip: String::new(),
            menu: Vec::new(),
        }
    }

    #[test]
    fn only_the_newest_view_is_taken_and_only_once() {
        let (remote, queue) = channel(|| {});
        remote.set(view(1));
        remote.set(view(2));
        remote.recreate();
        let Commands { view: newest, recreate, quit } = queue.take();
        assert_eq!((newest, recreate, quit), (Some(view(2)), true, false));
        let Commands { view: none, recreate, quit } = queue.take();
        assert_eq!((none, recreate, quit), (None, false, false));
    }

    #[test]
    fn each_command_wakes_the_loop_and_the_last_remote_ends_it() {
        let (woken, wakes) = mpsc::channel();
        let (remote, queue) = channel(move || woken.send(()).unwrap());
        let other = remote.clone();
        remote.set(view(1));
        drop(remote);
        assert_eq!((queue.take().quit, wakes.try_iter().count()), (false, 1));
        drop(other);
        assert_eq!((queue.take().quit, wakes.try_iter().count()), (true, 1));
        assert!(queue.take().quit, "that it is over stays said");
    }
}
