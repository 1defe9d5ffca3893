//! The tray icon and its menu as a plain value. The adapter draws only what has changed.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    app_info,
    config::TrayStyle,
    notice::{NoticeId, RoomKey},
    present::words::{self, menu as menu_words},
    push::text,
};

/// How many of the newest notices the menu lists.
pub const NEWEST_IN_MENU: usize = 5;

/// How many muted rooms the menu lists.
const MUTED_IN_MENU: usize = 20;

/// The state from which the tray is built.
#[derive(Debug, Clone)]
pub struct TrayState {
    /// Unread and missed calls, over all accounts.
    pub badge: Badge,
    /// Popups and sounds are paused until then.
    pub paused_until: Option<Timestamp>,
    /// Sounds are muted.
    pub muted: bool,
    /// The muted rooms.
    pub muted_rooms: Vec<MenuRoom>,
    /// The newest notices as one line of plain text each, newest first; five are listed.
    pub newest: Vec<MenuNotice>,
    /// Whether a homeserver is connected: a push has arrived.
    pub connected: bool,
    /// `tray.style`.
    pub style: TrayStyle,
    /// Whether the panel is dark; `None` when unknown.
    pub dark_panel: Option<bool>,
    /// Whether the desktop starts Pushbell; `None` if unknown.
    pub autostart: Option<bool>,
    /// The present time.
    pub now: Timestamp,
    /// The time zone for displayed times.
    pub time_zone: TimeZone,
}

/// A notice in the menu.
#[derive(Debug, Clone)]
pub struct MenuNotice {
    /// Its id.
    pub id: NoticeId,
    /// Whether it is unread, which is marked by a dot.
    pub is_unread: bool,
    /// Its text.
    pub line: String,
}

/// A muted room in the menu.
#[derive(Debug, Clone)]
pub struct MenuRoom {
    /// Which.
    pub room: RoomKey,
    /// Its name.
    pub name: String,
    /// When the mute ends; `None`: when the room is unmuted.
    pub until: Option<Timestamp>,
}

/// The counts on the tray icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Badge {
    /// Unread, over all accounts.
    pub unread: u64,
    /// Missed calls, over all accounts.
    pub missed_calls: u64,
}

/// The tray icon with its menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrayView {
    /// The counts.
    pub badge: Badge,
    /// Whether popups and sounds are paused: the icon is dimmed.
    pub paused: bool,
    /// The style of the icon.
    pub style: TrayStyle,
    /// Whether the panel is dark, for the symbolic style; `None` when unknown.
    pub dark_panel: Option<bool>,
    /// Tooltip and accessible title: "Pushbell: 3 unread, 1 missed call".
    pub tooltip: String,
    /// The menu, top to bottom.
    pub menu: Vec<MenuEntry>,
}

impl TrayView {
    /// Builds the icon's state, the tooltip and the menu.
    #[must_use]
    pub fn new(state: &TrayState) -> Self {
        let counts = words::counts(state.badge.unread, state.badge.missed_calls);
        let until = state.paused_until.map(|until| until_words(until, state.now, &state.time_zone));
        Self {
            badge: state.badge,
            paused: until.is_some(),
            style: state.style,
            dark_panel: state.dark_panel,
            tooltip: menu_words::tooltip(app_info::APP_NAME, &counts, until.as_deref()),
            menu: menu(state, &counts, until.as_deref()),
        }
    }
}

fn menu(state: &TrayState, counts: &str, paused_until: Option<&str>) -> Vec<MenuEntry> {
    let item = |label: &str, action| MenuEntry::Item { label: label.to_owned(), action };
    let mut menu = vec![MenuEntry::Label(text::capitalized(counts))];
    menu.extend(state.newest.iter().take(NEWEST_IN_MENU).map(|notice| {
        let label = if notice.is_unread { format!("• {}", notice.line) } else { notice.line.clone() };
        item(&label, TrayAction::OpenNotice(notice.id))
    }));
    let unread: Vec<_> =
        state.newest.iter().take(NEWEST_IN_MENU).filter(|notice| notice.is_unread).map(|notice| notice.id).collect();
    if !unread.is_empty() {
        menu.push(item(menu_words::mark_as_read(), TrayAction::Read(unread)));
    }
    menu.push(MenuEntry::Separator);
    if let Some(until) = paused_until {
        menu.push(MenuEntry::Label(menu_words::paused_until(until)));
        menu.push(item(menu_words::resume(), TrayAction::Resume));
    } else {
        menu.push(MenuEntry::Submenu {
            label: menu_words::pause().to_owned(),
            entries: vec![
                item(menu_words::half_hour(), TrayAction::Pause(PauseLength::HalfHour)),
                item(menu_words::hour(), TrayAction::Pause(PauseLength::Hour)),
                item(menu_words::until_tomorrow(), TrayAction::Pause(PauseLength::UntilTomorrow)),
            ],
        });
    }
    menu.push(MenuEntry::Check {
        label: menu_words::mute_sounds().to_owned(),
        checked: state.muted,
        action: TrayAction::ToggleMute,
    });
    if !state.muted_rooms.is_empty() {
        let mut entries: Vec<_> =
            state.muted_rooms.iter().take(MUTED_IN_MENU).map(|room| unmute(room, state)).collect();
        if state.muted_rooms.len() > 1 {
            entries.push(item(menu_words::unmute_all(), TrayAction::Unmute(None)));
        }
        menu.push(MenuEntry::Submenu { label: menu_words::muted_rooms().to_owned(), entries });
    }
    menu.push(item(menu_words::clear(), TrayAction::Clear));
    menu.push(MenuEntry::Separator);
    if !state.connected {
        menu.push(item(menu_words::connect(), TrayAction::Connect));
    }
    menu.push(item(menu_words::open_inbox(), TrayAction::OpenInbox));
    menu.push(item(menu_words::settings(), TrayAction::OpenSettings));
    menu.push(item(menu_words::test(), TrayAction::Test));
    if let Some(on) = state.autostart {
        let label = menu_words::autostart().to_owned();
        menu.push(MenuEntry::Check { label, checked: on, action: TrayAction::ToggleAutostart });
    }
    menu.push(MenuEntry::Separator);
    menu.push(item(menu_words::quit(), TrayAction::Quit));
    menu
}

fn unmute(muted: &MenuRoom, state: &TrayState) -> MenuEntry {
    let until = muted.until.map(|until| until_words(until, state.now, &state.time_zone));
    MenuEntry::Item {
        label: menu_words::unmute(&muted.name, until.as_deref()),
        action: TrayAction::Unmute(Some(muted.room.clone())),
    }
}

/// "08:00" within the next 24 hours, otherwise with the date.
fn until_words(until: Timestamp, now: Timestamp, time_zone: &TimeZone) -> String {
    let is_soon = until.duration_since(now) < SignedDuration::from_hours(24);
    menu_words::time(&until.to_zoned(time_zone.clone()), !is_soon)
}

/// A line of the menu. Labels are plain text: the adapter escapes mnemonics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuEntry {
    /// Text without an action.
    Label(String),
    /// Text with an action.
    Item {
        /// The label.
        label: String,
        /// The action of a click.
        action: TrayAction,
    },
    /// A line with a check mark.
    Check {
        /// The label.
        label: String,
        /// Whether it is checked.
        checked: bool,
        /// The action of a click.
        action: TrayAction,
    },
    /// A submenu.
    Submenu {
        /// The label.
        label: String,
        /// Its lines.
        entries: Vec<MenuEntry>,
    },
    /// A line between groups.
    Separator,
}

/// An action of the person in the tray.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrayAction {
    /// A click on the icon: open the newest unread room.
    OpenNewest,
    /// Open the room of this notice.
    OpenNotice(NoticeId),
    /// Mark these as read, up to the newest of each room.
    Read(Vec<NoticeId>),
    /// Pause popups and sounds.
    Pause(PauseLength),
    /// End the pause.
    Resume,
    /// Mute or unmute sounds.
    ToggleMute,
    /// Unmute this room, or all rooms.
    Unmute(Option<RoomKey>),
    /// Badge to zero, popups withdrawn, everything read.
    Clear,
    /// Send a test notification through the real endpoint.
    Test,
    /// Open the page for connecting a homeserver.
    Connect,
    /// Open the page at the inbox.
    OpenInbox,
    /// Open the page at the settings.
    OpenSettings,
    /// Toggle autostart.
    ToggleAutostart,
    /// End Pushbell.
    Quit,
}

/// The lengths of pauses in the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseLength {
    /// 30 minutes.
    HalfHour,
    /// One hour.
    Hour,
    /// Until eight o'clock of the next morning.
    UntilTomorrow,
}

#[cfg(test)]
mod tests;
