//! The desktop's state and events as plain values, and the trait by which it is controlled.

pub mod badge;
pub mod links;
pub mod popup_services;
pub mod tray_view;

use serde::{Deserialize, Serialize};

use crate::present::popup::Popup;
use popup_services::{DoNotDisturb, PopupService};
use tray_view::TrayView;

use crate::{
    config::{Config, OpenWith},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// The desktop. Every method returns at once and cannot fail: results arrive as [`DesktopEvent`]s.
pub trait Desktop: Send {
    /// Sends a call to the notification service. One is in flight at a time: each is answered by one
    /// [`PopupEvent::Answer`].
    fn popup(&mut self, call: PopupCall);
    /// Plays the sound once.
    fn play(&mut self, sound: &SoundTweak);
    /// Repeats the sound until [`Desktop::stop_ringing`].
    fn ring(&mut self, call: NoticeId, sound: &SoundTweak);
    /// Ends the sound of this call.
    fn stop_ringing(&mut self, call: NoticeId);
    /// Updates the tray icon and the count on docks; does nothing if nothing has changed.
    fn set_tray(&mut self, view: TrayView);
    /// Creates the tray icon anew: the session's services have returned, or its state is out of date.
    fn renew(&mut self);
    /// Opens a target in the user's program, with the activation token of the click.
    fn open(&mut self, target: OpenTarget, with: &OpenWith, activation_token: Option<String>);
    /// Stops sounds and clears the count, in bounded time. The icon stays until the main thread's loop ends, and popups
    /// stay.
    fn close(self) -> impl Future<Output = ()> + Send;
    /// Applies new settings.
    fn configure(&mut self, config: &Config);
    /// Starts or stops reporting [`DesktopEvent::ScreenLock`].
    fn watch_screen_lock(&mut self, wanted: bool);
    /// Queries the do-not-disturb state. One [`DesktopEvent::DoNotDisturb`] follows within a second; no answer counts
    /// as off.
    fn ask_do_not_disturb(&mut self, how: DoNotDisturb);
}

/// A call to the notification service, which gives each popup an id.
#[derive(Debug, Clone, PartialEq)]
pub enum PopupCall {
    /// Show a popup, in place of the one with the id `replaces` unless that is 0.
    Show {
        /// The popup.
        popup: Popup,
        /// The id of the popup to replace, or 0.
        replaces: u32,
    },
    /// Close the popup with this id.
    Close(u32),
}

/// An event of the notification service.
#[derive(Debug, Clone, PartialEq)]
pub enum PopupEvent {
    /// The service appeared, disappeared or changed.
    Service {
        /// The service. `None` if there is none, or on systems that report none.
        service: Option<PopupService>,
        /// Whether popups can be shown.
        state: ServiceState,
    },
    /// The answer to the call in flight: the popup's id, or the reason of a failure.
    Answer(Result<u32, String>),
    /// The person clicked on a popup or one of its buttons.
    Activated {
        /// The popup's id.
        id: u32,
        /// The click.
        activation: Activation,
    },
    /// A popup left the screen.
    Closed {
        /// The popup's id.
        id: u32,
        /// The reason.
        reason: CloseReason,
    },
}

/// A click on a popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The key of the button as reported by the service, which may not exist in the popup. A click on the popup itself
    /// has the key of [`Action::Open`](crate::present::popup::Action::Open).
    pub key: String,
    /// The entered text.
    pub text: Option<String>,
    /// The activation token (Wayland) that came with it.
    pub token: Option<String>,
}

/// Why a popup left the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The person dismissed it.
    Dismissed,
    /// It was closed by [`PopupCall::Close`].
    Withdrawn,
    /// Anything else: the service may still list it.
    Expired,
}

/// The target of a click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpenTarget {
    /// A room, at an event if known.
    Room {
        /// `room_id`.
        room_id: String,
        /// `event_id`.
        event_id: Option<String>,
        /// The sender's user ID.
        user: Option<String>,
    },
    /// The configuration file, in the default text editor.
    File(std::path::PathBuf),
    /// An address of the page, in the default browser.
    Page(String),
}

/// The count on docks and task bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LauncherCount {
    /// The number; 0 hides it.
    pub count: u64,
    /// Whether the icon asks for attention.
    pub urgent: bool,
}

/// An event of the desktop.
#[derive(Debug, Clone, PartialEq)]
pub enum DesktopEvent {
    /// An event of the notification service.
    Popup(PopupEvent),
    /// The tray host appeared or disappeared.
    TrayHost(ServiceState),
    /// The state of sound after the last one.
    Sound(ServiceState),
    /// The person used the tray.
    Tray(tray_view::TrayAction),
    /// The person opened the tray's menu.
    MenuOpened,
    /// Whether the screen is locked; `None` when unknown.
    ScreenLock(Option<bool>),
    /// The session's services have returned.
    SessionReturned,
    /// The computer woke from sleep.
    Resumed,
    /// Whether the desktop prefers dark colours; `None` if it has no preference or it is unknown.
    ColorScheme(Option<bool>),
    /// Answer to the query of the do-not-disturb state.
    DoNotDisturb(bool),
    /// The target of a click was not opened: why, and what to do.
    NotOpened(String),
}

/// Whether a part of the desktop works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// Whether it can be used.
    pub available: bool,
    /// What it is, if available ("dunst 1.9.0"); otherwise why not, and what to do.
    pub reason: Option<String>,
}

impl ServiceState {
    /// Not available, for this reason.
    #[must_use]
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { available: false, reason: Some(reason.into()) }
    }
}
