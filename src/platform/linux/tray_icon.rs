//! The tray icon on Linux: a `StatusNotifierItem` by the `ksni` crate.
//!
//! Not by `tray-icon`, which uses the same crate but does not report that the menu is opened.

use std::{env, path::Path};

use ksni::{
    blocking::{Handle, TrayMethods as _},
    menu::{CheckmarkItem, StandardItem, SubMenu},
};
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    app_info,
    desktop::{
        DesktopEvent,
        badge::{Drawing, Pixels},
        tray_view::{MenuEntry, TrayAction},
    },
    platform::tray::{IconState, TrayError},
};

/// The icon; dropping it removes it.
pub(in crate::platform) struct Icon(Handle<Item>);

/// The item that the tray host queries, on the thread of `ksni`.
struct Item {
    events: UnboundedSender<DesktopEvent>,
    picture: ksni::Icon,
    /// The accessible name, and the heading of the tooltip.
    title: String,
    menu: Vec<MenuEntry>,
}

impl Icon {
    /// Creates the icon. The user's actions are sent to `events`.
    pub(in crate::platform) fn create(
        shown: &IconState,
        events: &UnboundedSender<DesktopEvent>,
    ) -> Result<Self, TrayError> {
        let item = Item {
            events: events.clone(),
            picture: picture(shown.drawing),
            title: shown.tooltip.clone(),
            menu: shown.menu.clone(),
        };
        // A tray host that starts later finds it.
        let service = item.assume_sni_available(true).disable_dbus_name(is_sandboxed());
        service.spawn().map(Self).map_err(|error| TrayError::NotTaken(error.to_string()))
    }

    /// Changes the icon from `shown` to `wanted`.
    pub(in crate::platform) fn change(&self, shown: &IconState, wanted: &IconState) -> Result<(), TrayError> {
        let picture = (shown.drawing != wanted.drawing).then(|| picture(wanted.drawing));
        let (title, menu) = (wanted.tooltip.clone(), wanted.menu.clone());
        let updated = self.0.update(|item| {
            item.title = title;
            item.menu = menu;
            if let Some(picture) = picture {
                item.picture = picture;
            }
        });
        updated.ok_or_else(|| TrayError::NotTaken("the connection to the session bus has ended".to_owned()))
    }
}

impl Drop for Icon {
    fn drop(&mut self) {
        self.0.shutdown().wait();
    }
}

impl Item {
    fn tell(&self, event: DesktopEvent) {
        // The receiver is gone only when the program ends.
        let _ = self.events.send(event);
    }
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        app_info::APP_ID.to_owned()
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn icon_pixmap(&self) -> Vec<ksni::Icon> {
        vec![self.picture.clone()]
    }

    fn tool_tip(&self) -> ksni::ToolTip {
        ksni::ToolTip { icon_pixmap: self.icon_pixmap(), title: self.title(), ..ksni::ToolTip::default() }
    }

    fn menu(&self) -> Vec<ksni::MenuItem<Self>> {
        self.menu.iter().map(native).collect()
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.tell(DesktopEvent::Tray(TrayAction::OpenNewest));
    }

    fn menu_about_to_show(&mut self) {
        self.tell(DesktopEvent::MenuOpened);
    }
}

fn native(entry: &MenuEntry) -> ksni::MenuItem<Item> {
    let does = |action: &TrayAction| {
        let action = action.clone();
        Box::new(move |item: &mut Item| item.tell(DesktopEvent::Tray(action.clone())))
    };
    match entry {
        MenuEntry::Label(label) => {
            StandardItem { label: escaped(label), enabled: false, ..StandardItem::default() }.into()
        }
        MenuEntry::Item { label, action } => {
            StandardItem { label: escaped(label), activate: does(action), ..StandardItem::default() }.into()
        }
        MenuEntry::Check { label, checked, action } => CheckmarkItem {
            label: escaped(label),
            checked: *checked,
            activate: does(action),
            ..CheckmarkItem::default()
        }
        .into(),
        MenuEntry::Submenu { label, entries } => {
            let submenu = entries.iter().map(native).collect();
            SubMenu { label: escaped(label), submenu, ..SubMenu::default() }.into()
        }
        MenuEntry::Separator => ksni::MenuItem::Separator,
    }
}

/// A single `_` would mark a mnemonic.
fn escaped(label: &str) -> String {
    label.replace('_', "__")
}

/// The image in ARGB, as the protocol requires.
fn picture(drawing: Drawing) -> ksni::Icon {
    let Pixels { rgba: mut data, width, height } = drawing.pixels();
    data.chunks_exact_mut(4).for_each(|pixel| pixel.rotate_right(1));
    ksni::Icon { width: width.cast_signed(), height: height.cast_signed(), data }
}

/// A sandbox does not allow the bus name of the specification, and hosts do not need it.
fn is_sandboxed() -> bool {
    Path::new("/.flatpak-info").exists() || env::var_os("SNAP").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_is_no_mnemonic() {
        assert_eq!(escaped("a & b_c __init__"), "a & b__c ____init____");
    }
}
