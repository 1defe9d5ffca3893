//! What the desktop shows, as plain values, and the one trait through which it is told.

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

/// The desktop. Every method returns at once and cannot fail: what became of it arrives as a [`DesktopEvent`].
pub trait Desktop: Send {
    /// Passes a call on to the notification service. One is in flight at a time: each is answered by one
    /// [`PopupEvent::Answer`].
    fn popup(&mut self, call: PopupCall);
    /// Plays the sound once.
    fn play(&mut self, sound: &SoundTweak);
    /// Repeats the sound until [`Desktop::stop_ringing`].
    fn ring(&mut self, call: NoticeId, sound: &SoundTweak);
    /// Ends the sound of this call.
    fn stop_ringing(&mut self, call: NoticeId);
    /// Shows this in the tray, and tells docks the count; does nothing when nothing changed.
    fn set_tray(&mut self, view: TrayView);
    /// Makes the tray icon anew: the session's services can be reached again, or it shows what is not.
    fn renew(&mut self);
    /// Opens a room or an address in the person's program, with the activation token of the click.
    fn open(&mut self, target: OpenTarget, with: &OpenWith, activation_token: Option<String>);
    /// Ends sounds and takes the count down, in bounded time. The icon stays until the main thread's loop ends, and
    /// popups stay.
    fn close(self) -> impl Future<Output = ()> + Send;
    /// New settings.
    fn configure(&mut self, config: &Config);
    /// Reports [`DesktopEvent::ScreenLock`] from now on, or no longer.
    fn watch_screen_lock(&mut self, wanted: bool);
    /// Asks whether the person is not to be disturbed. One [`DesktopEvent::DoNotDisturb`] answers, within a second: who does
    /// not answer says no.
    fn ask_do_not_disturb(&mut self, how: DoNotDisturb);
}

/// A call to the notification service, which gives each popup an id.
#[derive(Debug, Clone, PartialEq)]
pub enum PopupCall {
    /// Show this, in place of the popup with the id `replaces` unless that is 0.
    Show {
        /// What to show.
        popup: Popup,
        /// The id of the popup that it replaces, or 0.
        replaces: u32,
    },
    /// Close the popup with this id.
    Close(u32),
}

/// What the notification service says.
#[derive(Debug, Clone, PartialEq)]
pub enum PopupEvent {
    /// The service came, went or changed.
    Service {
        /// The service. `None` without one, or where the system is not asked.
        service: Option<PopupService>,
        /// Whether popups can be shown.
        state: ServiceState,
    },
    /// The answer to the call in flight: the popup's id, or why it was not shown.
    Answer(Result<u32, String>),
    /// The person clicked on a popup or on a button of it.
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
        /// Why.
        reason: CloseReason,
    },
}

/// A click on a popup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// The key of its button, as the service says: it may be one that the popup does not have. Of a click on the popup
    /// itself that of [`Action::Open`](crate::present::popup::Action::Open).
    pub key: String,
    /// The text that the person entered.
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

/// What a click opens.
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
    /// The configuration file, with whatever opens text.
    File(std::path::PathBuf),
    /// An address of the page, in the person's browser.
    Page(String),
}

/// The count on docks and task bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LauncherCount {
    /// The number; nothing is shown for 0.
    pub count: u64,
    /// The icon asks for attention.
    pub urgent: bool,
}

/// What the desktop says to us.
#[derive(Debug, Clone, PartialEq)]
pub enum DesktopEvent {
    /// The notification service says something.
    Popup(PopupEvent),
    /// The tray host came or went.
    TrayHost(ServiceState),
    /// Sound works, or why the last one did not.
    Sound(ServiceState),
    /// The person used the tray.
    Tray(tray_view::TrayAction),
    /// The person opens the tray's menu.
    MenuOpened,
    /// Whether the screen is locked; `None` when unknown.
    ScreenLock(Option<bool>),
    /// The session's services can be reached again, after they could not.
    SessionReturned,
    /// The computer woke from sleep.
    Resumed,
    /// Whether the desktop is dark; `None` when it has no preference or nobody can say.
    ColorScheme(Option<bool>),
    /// Whether the person is not to be disturbed.
    DoNotDisturb(bool),
    /// What a click wanted to open was not opened: why, and what to do.
    NotOpened(String),
}

/// Whether a part of the desktop works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// It can be used.
    pub available: bool,
    /// What it is, when available ("dunst 1.9.0"); why not, and what to do, when not.
    pub reason: Option<String>,
}
