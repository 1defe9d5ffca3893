//! What the tray shows, as a plain value: compared in tests, drawn by an adapter that changes only what differs.

use crate::{config::TrayStyle, notice::NoticeId};

/// The numbers on the tray icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Badge {
    /// Unread, over all accounts.
    pub unread: u64,
    /// Missed calls, over all accounts.
    pub missed_calls: u64,
}

/// The whole tray icon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrayView {
    /// The numbers.
    pub badge: Badge,
    /// Popups and sounds are paused: the icon is dimmed.
    pub paused: bool,
    /// How it is drawn.
    pub style: TrayStyle,
    /// Tooltip and accessible title: "Pushbell: 3 unread, 1 missed call".
    pub tooltip: String,
    /// The menu, top to bottom.
    pub menu: Vec<MenuEntry>,
}

/// One line of the menu. Labels are plain text: the adapter escapes what menus read as mnemonics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuEntry {
    /// A line to read.
    Label(String),
    /// A line to click.
    Item {
        /// What it says.
        label: String,
        /// What it does.
        action: TrayAction,
    },
    /// A line that is on or off.
    Check {
        /// What it says.
        label: String,
        /// Whether it is on.
        checked: bool,
        /// What a click does.
        action: TrayAction,
    },
    /// A menu within.
    Submenu {
        /// What it says.
        label: String,
        /// What is in it.
        entries: Vec<MenuEntry>,
    },
    /// A line between groups.
    Separator,
}

/// What the person can do in the tray.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrayAction {
    /// A click on the icon: open the newest unread room.
    OpenNewest,
    /// Open the room of this notice.
    OpenNotice(NoticeId),
    /// Pause popups and sounds.
    Pause(PauseLength),
    /// End the pause.
    Resume,
    /// Sounds on or off, until changed again.
    ToggleMute,
    /// Badge to zero, popups withdrawn, notices read.
    Clear,
    /// Send a test notification through the real endpoint.
    Test,
    /// Open the configuration file.
    OpenConfiguration,
    /// Show how to connect a homeserver.
    Connect,
    /// End Pushbell.
    Quit,
}

/// The pauses that the menu offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseLength {
    /// 30 minutes.
    HalfHour,
    /// One hour.
    Hour,
    /// Until eight o'clock of the next morning.
    UntilTomorrow,
}
