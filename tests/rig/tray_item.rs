//! The app's tray item, read as a tray host reads it.

use serde_json::Value;
use zbus::{Connection, zvariant};

use super::{SOON, bus, wait_until};

const WATCHER: (&str, &str, &str) =
    ("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher");
const ITEM: &str = "org.kde.StatusNotifierItem";
const MENU: &str = "com.canonical.dbusmenu";

/// A StatusNotifier item.
pub(crate) struct TrayItem {
    connection: Connection,
    service: String,
    path: String,
}

/// One entry of its menu. Labels are as displayed (mnemonic markers removed).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MenuItem {
    pub(crate) id: i32,
    pub(crate) label: String,
    pub(crate) enabled: bool,
    pub(crate) separator: bool,
    /// `None` when it is not checkable.
    pub(crate) checked: Option<bool>,
    pub(crate) children: Vec<MenuItem>,
}

impl TrayItem {
    /// The items registered with the bus's tray host.
    pub(crate) fn all(connection: &Connection) -> Vec<Self> {
        let registered = bus::block_on(bus::property(connection, WATCHER, "RegisteredStatusNotifierItems"));
        let registered = registered.ok().and_then(|items| items.as_array().cloned()).unwrap_or_default();
        registered
            .iter()
            .filter_map(Value::as_str)
            .map(|item| {
                // "name/path", or only the name.
                let (service, path) = match item.find('/') {
                    Some(at) => item.split_at(at),
                    None => (item, "/StatusNotifierItem"),
                };
                Self { connection: connection.clone(), service: service.to_owned(), path: path.to_owned() }
            })
            .collect()
    }

    /// A property of the item as JSON: `Id`, `Title`, `Status`, `Category`, `Menu` and so on.
    #[track_caller]
    pub(crate) fn property(&self, name: &str) -> Value {
        bus::block_on(bus::property(&self.connection, (&self.service, &self.path, ITEM), name))
            .unwrap_or_else(|error| panic!("{name} of the tray item {}: {error}", self.service))
    }

    #[track_caller]
    pub(crate) fn text(&self, name: &str) -> String {
        self.property(name).as_str().unwrap_or_default().to_owned()
    }

    /// Title and text of its tooltip.
    #[track_caller]
    pub(crate) fn tooltip(&self) -> (String, String) {
        let tooltip = self.property("ToolTip");
        let part = |index: usize| tooltip[index].as_str().unwrap_or_default().to_owned();
        (part(2), part(3))
    }

    /// Activates the item, as a click on the icon does.
    pub(crate) fn activate(&self) {
        let item = (&*self.service, &*self.path, ITEM);
        bus::block_on(bus::call(&self.connection, item, "Activate", &(0, 0))).expect("the item can be clicked");
    }

    /// Its menu, as a host reads it when the menu opens.
    #[track_caller]
    pub(crate) fn menu(&self) -> Vec<MenuItem> {
        let path = self.text("Menu");
        let menu = (&*self.service, &*path, MENU);
        let layout = bus::block_on(async {
            let _ = bus::call(&self.connection, menu, "AboutToShow", &(0,)).await;
            bus::call(&self.connection, menu, "GetLayout", &(0, -1, Vec::<&str>::new())).await
        })
        .expect("the item has a menu");
        menu_item(&layout[1]).children
    }

    /// The labels of the menu from top to bottom, without separators; those of submenus follow their parent.
    #[track_caller]
    pub(crate) fn menu_labels(&self) -> Vec<String> {
        let mut found = Vec::new();
        flatten(&self.menu(), &mut found);
        found.into_iter().filter(|item| !item.separator).map(|item| item.label).collect()
    }

    /// Clicks the menu entry with this label. Each change of the menu gives its entries new ids: a click with an old one
    /// is tried again, as a host reads a changed menu again.
    #[track_caller]
    pub(crate) fn click_menu(&self, label: &str) {
        wait_until("the menu stays as it was read", SOON, || {
            let mut items = Vec::new();
            flatten(&self.menu(), &mut items);
            let item = items.iter().find(|item| item.label == label);
            let item = item.unwrap_or_else(|| panic!("no {label:?} in the menu: {items:#?}"));
            assert!(item.enabled, "{label:?} cannot be clicked");
            let path = self.text("Menu");
            let arguments = (item.id, "clicked", zvariant::Value::from(0_i32), 0_u32);
            match bus::block_on(bus::call(&self.connection, (&self.service, &path, MENU), "Event", &arguments)) {
                Ok(_) => true,
                Err(zbus::Error::MethodError(_, Some(text), _)) if text == "id not found" => false,
                // The app may be gone before it has answered.
                Err(zbus::Error::MethodError(name, ..)) if label == "Quit" && name.ends_with(".NoReply") => true,
                Err(error) => panic!("the menu takes no click on {label:?}: {error}"),
            }
        });
    }
}

fn menu_item(value: &Value) -> MenuItem {
    let properties = &value[1];
    let label = properties["label"].as_str().unwrap_or_default();
    // "_" marks the mnemonic, "__" is an underscore.
    let label = label.replace("__", "\0").replace('_', "").replace('\0', "_");
    let children = value[2].as_array().map(Vec::as_slice).unwrap_or_default();
    MenuItem {
        id: i32::try_from(value[0].as_i64().unwrap_or_default()).expect("an id"),
        label,
        enabled: properties["enabled"].as_bool().unwrap_or(true),
        separator: properties["type"] == "separator",
        checked: properties["toggle-state"]
            .as_i64()
            .filter(|_| properties["toggle-type"].as_str().is_some_and(|kind| !kind.is_empty()))
            .map(|state| state == 1),
        children: children
            .iter()
            .filter(|child| child[1]["visible"].as_bool().unwrap_or(true))
            .map(menu_item)
            .collect(),
    }
}

fn flatten(items: &[MenuItem], into: &mut Vec<MenuItem>) {
    for item in items {
        into.push(item.clone());
        flatten(&item.children, into);
    }
}
