//! Notification services: their properties and what they require (pure).

use std::fmt;

/// A notification service, as it reports itself.
#[expect(clippy::struct_excessive_bools, reason = "capabilities are independent of each other")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PopupService {
    /// The scope of its popup ids: ids of another service are invalid.
    pub id: String,
    /// Its name: "gnome-shell".
    pub name: String,
    /// Its vendor, which distinguishes services of the same name.
    pub vendor: String,
    /// Its version: "48.4".
    pub version: String,
    /// It parses the text as markup (`body-markup`).
    pub reads_markup: bool,
    /// It supports actions (`actions`).
    pub has_actions: bool,
    /// It supports one button with a text field (`inline-reply`).
    pub has_text_input: bool,
    /// Pushbell's desktop entry is installed, so the service finds its name and icon.
    pub knows_app: bool,
}

/// Requirements that deviate from the specification.
#[expect(clippy::struct_excessive_bools, reason = "services need any combination")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PopupNeeds {
    /// The newest line comes first, because a banner shows only the beginning of its text.
    pub newest_first: bool,
    /// It shows one banner at a time. A critical one stays until it is answered, one of normal urgency while the person
    /// is idle, and even a ringing call is queued behind it; a banner that is replaced disappears at once. So only a
    /// ringing call is critical, nothing else is up meanwhile, and it is closed before its successor is shown.
    pub one_banner: bool,
    /// It keeps this many popups per program, and silently drops the oldest.
    pub most_popups: Option<usize>,
    /// It closes the popups of a client that leaves the bus.
    pub forgets_with_sender: bool,
    /// Its lock screen shows a popup's text only if the popup's privacy scope is "system".
    pub has_privacy_scope: bool,
    /// A popup that is not resident cannot be clicked after it has expired, though it is still listed.
    pub wants_resident: bool,
    /// It shows the icon of the desktop entry as well as the icon of the popup.
    pub shows_two_icons: bool,
    /// It shows a popup's origin beside the name of the program.
    pub shows_origin: bool,
    /// How to query the do-not-disturb state.
    pub do_not_disturb: DoNotDisturb,
}

/// How the do-not-disturb state is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DoNotDisturb {
    /// The service has no such state, or no way to query it is known.
    #[default]
    Unknown,
    /// A call on the session bus. The answer is a boolean, or a list with one of [`DO_NOT_DISTURB_MODES`].
    Call {
        /// The well-known name of the service.
        name: &'static str,
        /// The object.
        path: &'static str,
        /// The method's interface.
        interface: &'static str,
        /// The method.
        method: &'static str,
        /// Two strings, if it takes any.
        arguments: Option<(&'static str, &'static str)>,
    },
    /// A key of `GSettings`.
    Setting {
        /// The schema.
        schema: &'static str,
        /// The key, a boolean.
        key: &'static str,
        /// Its value while do-not-disturb is on.
        on: bool,
    },
    /// A line in a file.
    Line {
        /// The file, below `XDG_CONFIG_HOME`.
        file: &'static str,
        /// The file contains this line while do-not-disturb is on.
        line: &'static str,
    },
}

/// The do-not-disturb modes that mako's documentation suggests.
pub const DO_NOT_DISTURB_MODES: [&str; 2] = ["do-not-disturb", "dnd"];

impl DoNotDisturb {
    /// A property of the notification service.
    const fn property(interface: &'static str, property: &'static str) -> Self {
        Self::Call {
            name: "org.freedesktop.Notifications",
            path: "/org/freedesktop/Notifications",
            interface: "org.freedesktop.DBus.Properties",
            method: "Get",
            arguments: Some((interface, property)),
        }
    }
}

impl PopupService {
    /// As measured with GNOME Shell 43 and 48, Cinnamon 5.6, Plasma 5.27, dunst 1.9, mako 1.7, swaync 0.7, Xfce 4.18,
    /// `LXQt` 1.2 and MATE 1.26. notification-daemon 3.20 and all others get what the specification says.
    #[must_use]
    pub fn needs(&self) -> PopupNeeds {
        let needs = PopupNeeds::default();
        match self.name.as_str() {
            "gnome-shell" => PopupNeeds {
                newest_first: true,
                one_banner: true,
                most_popups: Some(3),
                // Version 43 keeps the popups of a program without a desktop entry.
                forgets_with_sender: self.knows_app || self.major_version().is_none_or(|major| major >= 48),
                has_privacy_scope: true,
                do_not_disturb: DoNotDisturb::Setting {
                    schema: "org.gnome.desktop.notifications",
                    key: "show-banners",
                    on: false,
                },
                ..needs
            },
            "cinnamon" => PopupNeeds {
                one_banner: true,
                do_not_disturb: DoNotDisturb::Setting {
                    schema: "org.cinnamon.desktop.notifications",
                    key: "display-notifications",
                    on: false,
                },
                ..needs
            },
            "Plasma" => PopupNeeds {
                wants_resident: true,
                shows_two_icons: self.knows_app,
                shows_origin: true,
                do_not_disturb: DoNotDisturb::property("org.freedesktop.Notifications", "Inhibited"),
                ..needs
            },
            "dunst" => {
                PopupNeeds { do_not_disturb: DoNotDisturb::property("org.dunstproject.cmd0", "paused"), ..needs }
            }
            "mako" => PopupNeeds {
                do_not_disturb: DoNotDisturb::Call {
                    name: "org.freedesktop.Notifications",
                    path: "/fr/emersion/Mako",
                    interface: "fr.emersion.Mako",
                    method: "ListModes",
                    arguments: None,
                },
                ..needs
            },
            "SwayNotificationCenter" => PopupNeeds {
                do_not_disturb: DoNotDisturb::Call {
                    name: "org.erikreider.swaync.cc",
                    path: "/org/erikreider/swaync/cc",
                    interface: "org.erikreider.swaync.cc",
                    method: "GetDnd",
                    arguments: None,
                },
                ..needs
            },
            "Xfce Notify Daemon" => PopupNeeds {
                do_not_disturb: DoNotDisturb::Call {
                    name: "org.xfce.Xfconf",
                    path: "/org/xfce/Xfconf",
                    interface: "org.xfce.Xfconf",
                    method: "GetProperty",
                    arguments: Some(("xfce4-notifyd", "/do-not-disturb")),
                },
                ..needs
            },
            "lxqt-notificationd" => PopupNeeds {
                do_not_disturb: DoNotDisturb::Line { file: "lxqt/notifications.conf", line: "doNotDisturb=true" },
                ..needs
            },
            "Notification Daemon" if self.vendor == "MATE" => PopupNeeds {
                do_not_disturb: DoNotDisturb::Setting {
                    schema: "org.mate.NotificationDaemon",
                    key: "do-not-disturb",
                    on: true,
                },
                ..needs
            },
            _ => needs,
        }
    }

    fn major_version(&self) -> Option<u32> {
        self.version.split('.').next()?.parse().ok()
    }
}

impl fmt::Display for PopupService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format!("{} {}", self.name, self.version).trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_gets_what_it_was_measured_to_need() {
        let needs = |name: &str, version: &str| {
            let service = PopupService { name: name.into(), version: version.into(), ..PopupService::default() };
            service.needs()
        };
        let setting = |schema, key, on| DoNotDisturb::Setting { schema, key, on };
        let gnome = PopupNeeds {
            newest_first: true,
            one_banner: true,
            most_popups: Some(3),
            has_privacy_scope: true,
            do_not_disturb: setting("org.gnome.desktop.notifications", "show-banners", false),
            ..PopupNeeds::default()
        };
        assert_eq!(needs("gnome-shell", "43.9"), gnome);
        for version in ["48.1", "100", "", "x"] {
            assert_eq!(needs("gnome-shell", version), PopupNeeds { forgets_with_sender: true, ..gnome }, "{version}");
        }
        let known = PopupService { name: "gnome-shell".into(), version: "43.9".into(), ..PopupService::default() };
        assert!(PopupService { knows_app: true, ..known }.needs().forgets_with_sender);
        assert!(needs("cinnamon", "5.6").one_banner);
        assert!(needs("Plasma", "5.27").wants_resident && !needs("Plasma", "5.27").shows_two_icons);
        assert_eq!(needs("Notification Daemon", "3.20.0"), PopupNeeds::default());
        let mate =
            PopupService { name: "Notification Daemon".into(), vendor: "MATE".into(), ..PopupService::default() };
        assert_eq!(mate.needs().do_not_disturb, setting("org.mate.NotificationDaemon", "do-not-disturb", true));
    }
}
