//! Notification services: what one says of itself, and what it needs from us (pure).

use std::fmt;

/// A notification service, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PopupService {
    /// What the ids of its popups belong to: those that another service has given mean nothing to it.
    pub id: String,
    /// Its name: "gnome-shell".
    pub name: String,
    /// Its version: "48.4".
    pub version: String,
    /// It reads the text as markup (`body-markup`).
    pub reads_markup: bool,
    /// It takes actions (`actions`).
    pub has_actions: bool,
    /// It takes one button that asks for a text (`inline-reply`).
    pub has_text_input: bool,
}

/// What a notification service needs that others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PopupNeeds {
    /// The newest line comes first: a banner shows only the beginning of its text.
    pub newest_first: bool,
    /// It shows one banner at a time. A critical one stays until it is answered, and even a ringing call waits behind it;
    /// one that replaces it is gone at once. So only a call that rings is critical, and it is closed before what follows it
    /// is shown.
    pub one_banner: bool,
    /// It forgets the popups of a sender that leaves the bus.
    pub forgets_with_sender: bool,
}

impl PopupService {
    /// By what was measured: GNOME Shell 43 and 48, Cinnamon 5.6; dunst, mako, swaync, Plasma, Xfce, `LXQt`, MATE and
    /// notification-daemon need nothing.
    #[must_use]
    pub fn needs(&self) -> PopupNeeds {
        match self.name.as_str() {
            "gnome-shell" => PopupNeeds {
                newest_first: true,
                one_banner: true,
                // 43 keeps them, 48 does not.
                forgets_with_sender: self.major_version().is_none_or(|major| major >= 48),
            },
            "cinnamon" => PopupNeeds { one_banner: true, ..PopupNeeds::default() },
            _ => PopupNeeds::default(),
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
        let gnome = PopupNeeds { newest_first: true, one_banner: true, forgets_with_sender: false };
        assert_eq!(needs("gnome-shell", "43.9"), gnome);
        for version in ["48.1", "100", "", "x"] {
            assert_eq!(needs("gnome-shell", version), PopupNeeds { forgets_with_sender: true, ..gnome }, "{version}");
        }
        assert_eq!(needs("cinnamon", "5.6"), PopupNeeds { one_banner: true, ..PopupNeeds::default() });
        assert_eq!(needs("dunst", "1.9.0"), PopupNeeds::default());
    }
}
