//! The tray icon, by the `tray-icon` crate: the same on every system. What it shows is decided in [`crate::desktop::tray_view`].

use tokio::sync::mpsc::UnboundedSender;
use tray_icon::{
    MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent,
    menu::{CheckMenuItem, ContextMenu, IsMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu},
};

use super::{main_loop, picture};
use crate::{
    config::TrayStyle,
    desktop::{
        DesktopEvent,
        badge::{Drawing, Look, Pixels},
        tray_view::{Badge, MenuEntry, PauseLength, TrayAction, TrayView},
    },
    identity,
    notice::NoticeId,
};

/// Why there is no tray icon.
#[derive(Debug, thiserror::Error)]
pub enum TrayError {
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
pub struct Tray {
    icon: Option<(TrayIcon, Shown)>,
}

/// What the icon shows now.
struct Shown {
    drawing: Drawing,
    /// What stands beside the icon, if anything does.
    count: String,
    tooltip: String,
    menu: Vec<MenuEntry>,
}

impl Tray {
    /// A tray without an icon yet. What the person does with the icon is sent to `events`.
    #[must_use]
    pub fn new(events: UnboundedSender<DesktopEvent>) -> Self {
        // tray-icon keeps one handler of each kind for the whole process.
        let clicks = events.clone();
        TrayIconEvent::set_event_handler(Some(move |event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event {
                let _ = clicks.send(DesktopEvent::Tray(TrayAction::OpenNewest));
            }
        }));
        MenuEvent::set_event_handler(Some(move |event: MenuEvent| {
            if let Some(action) = action_of(event.id().as_ref()) {
                let _ = events.send(DesktopEvent::Tray(action));
            }
        }));
        Self { icon: None }
    }

    /// Shows this, changing only what differs. Without an icon, makes it.
    ///
    /// # Errors
    /// When the icon cannot be made or changed.
    pub fn show(&mut self, view: TrayView) -> Result<(), TrayError> {
        let wanted = Shown::of(view);
        if let Some((icon, shown)) = &mut self.icon {
            return change(icon, shown, wanted);
        }
        self.icon = Some((create(&wanted)?, wanted));
        Ok(())
    }

    /// Whether there is an icon, as far as this side knows.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.icon.is_some()
    }

    /// Takes the icon down; the next view makes it anew.
    pub fn take_down(&mut self) {
        self.icon = None;
    }
}

impl Shown {
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

fn create(wanted: &Shown) -> Result<TrayIcon, TrayError> {
    let builder =
        TrayIconBuilder::new().with_id(identity::APP_ID).with_menu(menu(&wanted.menu)?).with_menu_on_left_click(false);
    let builder = picture::first(builder, picture(wanted.drawing)?);
    let builder = match main_loop::ICON_WORDS {
        TrayWords::Title => builder.with_title(&wanted.tooltip),
        TrayWords::Tooltip => builder.with_tooltip(&wanted.tooltip),
        TrayWords::Count => builder.with_title(&wanted.count).with_tooltip(&wanted.tooltip),
    };
    Ok(builder.build()?)
}

fn change(icon: &TrayIcon, shown: &mut Shown, wanted: Shown) -> Result<(), TrayError> {
    if shown.drawing != wanted.drawing {
        picture::next(icon, picture(wanted.drawing)?)?;
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
pub enum TrayWords {
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

/// The actions without a value.
const PLAIN: [TrayAction; 12] = [
    TrayAction::OpenNewest,
    TrayAction::Pause(PauseLength::HalfHour),
    TrayAction::Pause(PauseLength::Hour),
    TrayAction::Pause(PauseLength::UntilTomorrow),
    TrayAction::Resume,
    TrayAction::ToggleMute,
    TrayAction::Clear,
    TrayAction::Test,
    TrayAction::OpenConfiguration,
    TrayAction::Connect,
    TrayAction::ToggleAutostart,
    TrayAction::Quit,
];

/// A menu item's id says what it does, so that a click on a menu which was replaced meanwhile still does it.
fn id_of(action: &TrayAction) -> String {
    match action {
        TrayAction::OpenNotice(NoticeId(number)) => format!("open-notice:{number}"),
        TrayAction::OpenNewest => "open-newest".to_owned(),
        TrayAction::Pause(PauseLength::HalfHour) => "pause-half-hour".to_owned(),
        TrayAction::Pause(PauseLength::Hour) => "pause-hour".to_owned(),
        TrayAction::Pause(PauseLength::UntilTomorrow) => "pause-until-tomorrow".to_owned(),
        TrayAction::Resume => "resume".to_owned(),
        TrayAction::ToggleMute => "toggle-mute".to_owned(),
        TrayAction::Clear => "clear".to_owned(),
        TrayAction::Test => "test".to_owned(),
        TrayAction::OpenConfiguration => "open-configuration".to_owned(),
        TrayAction::Connect => "connect".to_owned(),
        TrayAction::ToggleAutostart => "toggle-autostart".to_owned(),
        TrayAction::Quit => "quit".to_owned(),
    }
}

fn action_of(id: &str) -> Option<TrayAction> {
    if let Some(number) = id.strip_prefix("open-notice:") {
        return number.parse().ok().map(|number| TrayAction::OpenNotice(NoticeId(number)));
    }
    PLAIN.into_iter().find(|action| id_of(action) == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_menu_item_finds_its_action_again() {
        let notices = [0, 42, i64::MAX, -1].map(|number| TrayAction::OpenNotice(NoticeId(number)));
        for action in PLAIN.into_iter().chain(notices) {
            assert_eq!(action_of(&id_of(&action)), Some(action));
        }
    }

    #[test]
    fn an_id_that_is_not_ours_does_nothing() {
        for id in ["", "quit ", "open-notice:", "open-notice:x", "7"] {
            assert_eq!(action_of(id), None, "{id:?}");
        }
    }

    #[test]
    fn an_ampersand_is_no_mnemonic() {
        assert_eq!(escaped("Salt & Pepper_&&"), "Salt && Pepper_&&&&");
    }
}
