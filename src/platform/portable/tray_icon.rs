//! The tray icon on Windows and macOS, by the `tray-icon` crate.

use tokio::sync::mpsc::UnboundedSender;
use tray_icon::{
    MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent,
    menu::{CheckMenuItem, ContextMenu, IsMenuItem, Menu, MenuEvent, MenuItem, PredefinedMenuItem, Submenu},
};

use crate::{
    app_info,
    desktop::{
        DesktopEvent,
        badge::{Drawing, Pixels},
        tray_view::{MenuEntry, TrayAction},
    },
    platform::{
        main_loop,
        tray::{IconState, TrayError},
    },
};

/// The icon. It stays on the thread that created it; dropping it removes it.
pub(in crate::platform) struct Icon(TrayIcon);

impl Icon {
    /// Creates the icon. The user's actions are sent to `events`.
    pub(in crate::platform) fn create(
        shown: &IconState,
        events: &UnboundedSender<DesktopEvent>,
    ) -> Result<Self, TrayError> {
        listen(events);
        let builder = TrayIconBuilder::new().with_id(app_info::APP_ID).with_menu(menu(&shown.menu)?);
        let builder = with_picture(builder.with_menu_on_left_click(false), picture(shown.drawing)?);
        let builder = builder.with_tooltip(&shown.tooltip);
        let builder = if main_loop::COUNT_IS_TITLE { builder.with_title(&shown.count) } else { builder };
        Ok(Self(builder.build()?))
    }

    /// Changes the icon from `shown` to `wanted`.
    pub(in crate::platform) fn change(&self, shown: &IconState, wanted: &IconState) -> Result<(), TrayError> {
        if shown.drawing != wanted.drawing {
            set_picture(&self.0, picture(wanted.drawing)?)?;
        }
        if shown.count != wanted.count {
            self.0.set_title(Some(&wanted.count));
        }
        if shown.tooltip != wanted.tooltip {
            self.0.set_tooltip(Some(&wanted.tooltip))?;
        }
        if shown.menu != wanted.menu {
            self.0.set_menu(Some(menu(&wanted.menu)?));
        }
        Ok(())
    }
}

impl From<tray_icon::Error> for TrayError {
    fn from(error: tray_icon::Error) -> Self {
        Self::NotTaken(error.to_string())
    }
}

impl From<tray_icon::BadIcon> for TrayError {
    fn from(error: tray_icon::BadIcon) -> Self {
        Self::Unusable(error.to_string())
    }
}

impl From<tray_icon::menu::Error> for TrayError {
    fn from(error: tray_icon::menu::Error) -> Self {
        Self::Unusable(error.to_string())
    }
}

/// tray-icon has one handler of each kind for the whole process, and keeps the first.
fn listen(events: &UnboundedSender<DesktopEvent>) {
    let (clicks, choices) = (events.clone(), events.clone());
    TrayIconEvent::set_event_handler(Some(move |event| {
        let TrayIconEvent::Click { button, button_state, .. } = event else { return };
        let _ = match (button, button_state) {
            (MouseButton::Left, MouseButtonState::Up) => clicks.send(DesktopEvent::Tray(TrayAction::OpenNewest)),
            (MouseButton::Right, MouseButtonState::Down) => clicks.send(DesktopEvent::MenuOpened),
            _ => Ok(()),
        };
    }));
    MenuEvent::set_event_handler(Some(move |event: MenuEvent| {
        if let Some(action) = action_of(event.id().as_ref()) {
            let _ = choices.send(DesktopEvent::Tray(action));
        }
    }));
}

fn picture(drawing: Drawing) -> Result<tray_icon::Icon, tray_icon::BadIcon> {
    let Pixels { rgba, width, height } = drawing.pixels();
    tray_icon::Icon::from_rgba(rgba, width, height)
}

/// macOS colours the image like the rest of its menu bar.
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

/// A single `&` would mark a mnemonic.
fn escaped(label: &str) -> String {
    label.replace('&', "&&")
}

/// A menu item's id contains its action, so that a click in a menu that was replaced meanwhile is still understood.
fn id_of(action: &TrayAction) -> String {
    serde_json::to_string(action).unwrap_or_default()
}

fn action_of(id: &str) -> Option<TrayAction> {
    serde_json::from_str(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{desktop::tray_view::PauseLength, notice::NoticeId};

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
