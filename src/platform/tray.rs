//! The tray icon, by the `tray-icon` crate: the same on every system. What it shows is decided in [`crate::desktop::tray_view`].
//!
//! It stays on one thread, since the crate's icon cannot be sent; other threads tell it what to show through a
//! [`TrayRemote`], of which it takes only the newest view.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tray_icon::{
    MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent,
    menu::{CheckMenuItem, ContextMenu, IsMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu},
};

use super::main_loop;
use crate::{
    app_info,
    config::TrayStyle,
    desktop::{
        DesktopEvent, ServiceState,
        badge::{Drawing, Look, Pixels},
        tray_view::{Badge, MenuEntry, TrayAction, TrayView},
    },
};

/// Tells the tray icon what to show, from any thread and without waiting. When the last clone is gone, the icon leaves
/// and the main thread's loop ends.
#[derive(Clone)]
pub(crate) struct TrayRemote(Arc<QuitOnDrop>);

/// What the remotes have said and the icon has not taken yet.
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

    /// That it is over stays said.
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
enum TrayError {
    /// The system would not take it.
    #[error("the desktop did not take the tray icon: {0}")]
    Icon(#[from] tray_icon::Error),
    /// The drawn picture is no picture.
    #[error("the picture of the tray icon is unusable: {0}")]
    Picture(#[from] tray_icon::BadIcon),
    /// The menu could not be put together.
    #[error("the menu of the tray icon could not be made: {0}")]
    Menu(#[from] tray_icon::menu::Error),
}

/// The tray icon of this program. It stays on the thread that made it; dropping it takes the icon down.
pub(super) struct Tray {
    icon: Option<(TrayIcon, IconState)>,
    view: Option<TrayView>,
    events: UnboundedSender<DesktopEvent>,
    reported: Option<ServiceState>,
}

/// What the icon shows now.
struct IconState {
    drawing: Drawing,
    /// What stands beside the icon, if anything does.
    count: String,
    tooltip: String,
    menu: Vec<MenuEntry>,
}

impl Tray {
    /// A tray without an icon yet. What the user does with the icon is sent to `events`.
    pub(super) fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        // tray-icon keeps one handler of each kind for the whole process.
        let (clicks, choices) = (events.clone(), events.clone());
        TrayIconEvent::set_event_handler(Some(move |event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event {
                let _ = clicks.send(DesktopEvent::Tray(TrayAction::OpenNewest));
            }
        }));
        MenuEvent::set_event_handler(Some(move |event: MenuEvent| {
            if let Some(action) = action_of(event.id().as_ref()) {
                let _ = choices.send(DesktopEvent::Tray(action));
            }
        }));
        Self { icon: None, view: None, events, reported: None }
    }

    /// Does what the queue says, and tells whether there is more to come.
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
        if let Some((icon, shown)) = &mut self.icon {
            return change(icon, shown, wanted);
        }
        self.icon = Some((create(&wanted)?, wanted));
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
            Err(TrayError::Icon(error)) if main_loop::HOST_IS_WATCHED => tracing::debug!("no tray icon: {error}"),
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
            (TrayWords::Title | TrayWords::Tooltip, TrayStyle::Color) => (badge, Look::Color, String::new()),
            (TrayWords::Title | TrayWords::Tooltip, TrayStyle::Symbolic) => {
                (badge, Look::Symbolic { dark_panel }, String::new())
            }
        };
        Self { drawing: Drawing::new(badge, paused, look, main_loop::ICON_SIZE), count, tooltip, menu }
    }
}

fn create(wanted: &IconState) -> Result<TrayIcon, TrayError> {
    let builder =
        TrayIconBuilder::new().with_id(app_info::APP_ID).with_menu(menu(&wanted.menu)?).with_menu_on_left_click(false);
    let builder = with_picture(builder, picture(wanted.drawing)?);
    let builder = match main_loop::ICON_WORDS {
        TrayWords::Title => builder.with_title(&wanted.tooltip),
        TrayWords::Tooltip => builder.with_tooltip(&wanted.tooltip),
        TrayWords::Count => builder.with_title(&wanted.count).with_tooltip(&wanted.tooltip),
    };
    Ok(builder.build()?)
}

fn change(icon: &TrayIcon, shown: &mut IconState, wanted: IconState) -> Result<(), TrayError> {
    if shown.drawing != wanted.drawing {
        set_picture(icon, picture(wanted.drawing)?)?;
        shown.drawing = wanted.drawing;
    }
    if shown.count != wanted.count {
        icon.set_title(Some(&wanted.count));
        shown.count = wanted.count;
    }
    if shown.tooltip != wanted.tooltip {
        match main_loop::ICON_WORDS {
            TrayWords::Title => icon.set_title(Some(&wanted.tooltip)),
            TrayWords::Tooltip | TrayWords::Count => icon.set_tooltip(Some(&wanted.tooltip))?,
        }
        shown.tooltip = wanted.tooltip;
    }
    if shown.menu != wanted.menu {
        icon.set_menu(Some(menu(&wanted.menu)?));
        shown.menu = wanted.menu;
    }
    Ok(())
}

/// Where the system reads the words of an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each system uses one of them")]
pub(super) enum TrayWords {
    /// The title is its accessible name and the heading of its tooltip; a tooltip text would repeat it.
    Title,
    /// The tooltip is read; there is no title.
    Tooltip,
    /// The tooltip is read. The count is the title, which stands beside the icon; the picture is a template, which the
    /// system colours as it does its own, whatever `tray.style` says.
    Count,
}

fn picture(drawing: Drawing) -> Result<tray_icon::Icon, tray_icon::BadIcon> {
    let Pixels { rgba, width, height } = drawing.pixels();
    tray_icon::Icon::from_rgba(rgba, width, height)
}

/// macOS colours the picture as the rest of its menu bar, others show it as it is.
#[cfg(target_os = "macos")]
fn with_picture(builder: TrayIconBuilder, picture: tray_icon::Icon) -> TrayIconBuilder {
    builder.with_icon_templated(picture)
}

#[cfg(not(target_os = "macos"))]
fn with_picture(builder: TrayIconBuilder, picture: tray_icon::Icon) -> TrayIconBuilder {
    builder.with_icon(picture)
}

#[cfg(target_os = "macos")]
fn set_picture(icon: &TrayIcon, picture: tray_icon::Icon) -> tray_icon::Result<()> {
    icon.set_icon_templated(Some(picture))
}

#[cfg(not(target_os = "macos"))]
fn set_picture(icon: &TrayIcon, picture: tray_icon::Icon) -> tray_icon::Result<()> {
    icon.set_icon(Some(picture))
}

fn menu(entries: &[MenuEntry]) -> Result<Box<dyn ContextMenu>, tray_icon::menu::Error> {
    let menu = Menu::new();
    for entry in entries {
        menu.append(native(entry)?.as_ref())?;
    }
    Ok(Box::new(menu))
}

fn native(entry: &MenuEntry) -> Result<Box<dyn IsMenuItem>, tray_icon::menu::Error> {
    Ok(match entry {
        MenuEntry::Label(label) => Box::new(MenuItem::new(escaped(label), false, None)),
        MenuEntry::Item { label, action } => Box::new(MenuItem::with_id(id_of(action), escaped(label), true, None)),
        MenuEntry::Check { label, checked, action } => {
            Box::new(CheckMenuItem::with_id(id_of(action), escaped(label), true, *checked, None))
        }
        MenuEntry::Submenu { label, entries } => {
            let submenu = Submenu::new(escaped(label), true);
            for entry in entries {
                submenu.append(native(entry)?.as_ref())?;
            }
            Box::new(submenu)
        }
        MenuEntry::Separator => Box::new(PredefinedMenuItem::separator()),
    })
}

/// An `&` marks a mnemonic and a doubled one is itself; on Linux the crate doubles `_` on its own.
fn escaped(label: &str) -> String {
    label.replace('&', "&&")
}

/// A menu item's id says what it does, so that a click on a menu which was replaced meanwhile still does it.
fn id_of(action: &TrayAction) -> String {
    serde_json::to_string(action).unwrap_or_default()
}

fn action_of(id: &str) -> Option<TrayAction> {
    serde_json::from_str(id).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{desktop::tray_view::PauseLength, notice::NoticeId};

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

    #[test]
    fn a_menu_item_finds_its_action_again() {
        let notices = [0, 42, i64::MAX, -1].map(|number| TrayAction::OpenNotice(NoticeId(number)));
        let others = [TrayAction::OpenNewest, TrayAction::Pause(PauseLength::UntilTomorrow), TrayAction::Quit];
        for action in notices.into_iter().chain(others) {
            assert_eq!(action_of(&id_of(&action)), Some(action));
        }
    }

    #[test]
    fn an_id_that_is_not_ours_does_nothing() {
        for id in ["", "Quit", "{\"OpenNotice\":\"x\"}", "7"] {
            assert_eq!(action_of(id), None, "{id:?}");
        }
    }

    #[test]
    fn an_ampersand_is_no_mnemonic() {
        assert_eq!(escaped("Salt & Pepper_&&"), "Salt && Pepper_&&&&");
    }
}
