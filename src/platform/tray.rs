//! The tray icon: what is the same on every system. What it shows is decided in [`crate::desktop::tray_view`].
//!
//! It stays on one thread, since some systems' icon cannot be sent; other threads tell it what to show through a
//! [`TrayRemote`], of which it takes only the newest view.

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

/// Tells the tray icon what to show, from any thread and without waiting. When the last clone is gone, the icon leaves
/// and the main thread's loop ends.
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

/// A remote, and the queue that it writes to. `wake` is called after each command, from any thread: it makes the icon's
/// thread look into the queue.
pub(super) fn channel(wake: impl Fn() + Send + Sync + 'static) -> (TrayRemote, Arc<CommandQueue>) {
    let queue = Arc::new(CommandQueue { commands: Mutex::default(), wake: Box::new(wake) });
    (TrayRemote(Arc::new(QuitOnDrop(Arc::clone(&queue)))), queue)
}

impl TrayRemote {
    /// Shows this; a view that was not shown yet is dropped.
    pub(crate) fn set(&self, view: TrayView) {
        self.0.0.change(|commands| commands.view = Some(view));
    }

    /// Makes the icon anew: its connection does not come back by itself when the session bus was restarted.
    pub(crate) fn recreate(&self) {
        self.0.0.change(|commands| commands.recreate = true);
    }
}

impl CommandQueue {
    fn change(&self, write: impl FnOnce(&mut Commands)) {
        write(&mut self.commands.lock().unwrap_or_else(PoisonError::into_inner));
        (self.wake)();
    }

    /// Whether the icon is to leave.
    #[cfg(target_os = "linux")]
    pub(super) fn is_over(&self) -> bool {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).quit
    }

    /// The end is permanent.
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
    /// Its picture or its menu could not be made.
    #[allow(dead_code, reason = "on Linux both always can")]
    #[error("the tray icon could not be made: {0}")]
    Unusable(String),
}

/// The tray icon of this program. It stays on the thread that made it; dropping it takes the icon down.
pub(super) struct Tray {
    icon: Option<(Icon, IconState)>,
    view: Option<TrayView>,
    events: UnboundedSender<DesktopEvent>,
    reported: Option<ServiceState>,
}

/// What the icon shows now.
pub(super) struct IconState {
    pub(super) drawing: Drawing,
    /// What stands beside the icon, if anything does.
    #[allow(dead_code, reason = "nothing does on Linux")]
    pub(super) count: String,
    pub(super) tooltip: String,
    pub(super) menu: Vec<MenuEntry>,
}

impl Tray {
    /// A tray without an icon yet. What the user does with the icon is sent to `events`.
    pub(super) fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        Self { icon: None, view: None, events, reported: None }
    }

    /// Handles the queue; returns false once the icon is to leave.
    pub(super) fn apply(&mut self, queue: &CommandQueue) -> bool {
        let Commands { view, recreate, quit } = queue.take();
        if quit || recreate {
            self.icon = None;
        }
        let is_new = view.is_some();
        self.view = view.or(self.view.take());
        // Where the host is watched, making the icon has a chance again when it is asked for.
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

    /// Shows this, changing only what differs. Without an icon, makes it.
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
            // Whoever watches the host has said so already.
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
        let (badge, look, count) = match (main_loop::ICON_WORDS, style) {
            (TrayWords::Count, _) => {
                let count = badge.unread.saturating_add(badge.missed_calls);
                let count = if count == 0 { String::new() } else { count.to_string() };
                (Badge::default(), Look::Symbolic { dark_panel: Some(false) }, count)
            }
            (TrayWords::Tooltip, TrayStyle::Color) => (badge, Look::Color, String::new()),
            (TrayWords::Tooltip, TrayStyle::Symbolic) => (badge, Look::Symbolic { dark_panel }, String::new()),
        };
        Self { drawing: Drawing::new(badge, paused, look, main_loop::ICON_SIZE), count, tooltip, menu }
    }
}

/// Where the system reads the words of an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each system uses one of them")]
pub(super) enum TrayWords {
    /// The tooltip is read; there is no title.
    Tooltip,
    /// The tooltip is read. The count is the title, which stands beside the icon; the picture is a template, which the
    /// system colours as it does its own, whatever `tray.style` says.
    Count,
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
