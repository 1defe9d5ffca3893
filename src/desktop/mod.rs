//! What the desktop shows, as plain values, and the one trait through which it is told.

pub mod badge;
pub mod links;
pub mod tray_view;

use crate::present::popup::{Popup, PopupKey, PopupSerial, Standing};
use tray_view::TrayView;

use crate::{
    config::{Config, OpenWith},
    notice::NoticeId,
    push::notify::SoundTweak,
};

/// The desktop. Every method returns at once and cannot fail: what became of it arrives as a [`DesktopEvent`].
pub trait Desktop: Send {
    /// Shows a popup, in place of the one with the same key. Answered by `Shown` or `NotShown` with its serial,
    /// or by nothing if a newer popup of the same key, or its withdrawal, overtook it.
    fn show(&mut self, serial: PopupSerial, popup: Popup);
    /// Withdraws the popup with this key, if there is one.
    fn withdraw(&mut self, key: &PopupKey);
    /// Goes on with what an earlier run has left up. Those popups that its service still knows are reported as
    /// [`DesktopEvent::Adopted`].
    fn adopt(&mut self, standing: Standing);
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
    /// Ends sounds, finishes what was asked for, and takes the count down, in bounded time. The icon stays until the main
    /// thread's loop ends, and popups stay: returns those that the next run can go on with.
    fn close(self) -> impl Future<Output = Option<Standing>> + Send;
    /// New settings.
    fn configure(&mut self, config: &Config);
}

/// What a click opens.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// A file of our own (the configuration, the instructions), with whatever opens text.
    File(std::path::PathBuf),
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
    /// The notification service has taken the popup.
    Shown(PopupSerial),
    /// It has not; it will not be tried again by itself.
    NotShown(PopupSerial, String),
    /// These popups of an earlier run are ours again.
    Adopted(Vec<PopupKey>),
    /// The person chose an action of a popup ("default" is a click on it).
    Activated {
        /// Which popup.
        key: PopupKey,
        /// Which action.
        action: String,
        /// The activation token (Wayland) that came with it.
        token: Option<String>,
    },
    /// The person dismissed a popup. Expiry and our own withdrawal are not reported.
    Dismissed(PopupKey),
    /// The notification service came, went or changed.
    PopupService(ServiceState),
    /// The tray host came or went.
    TrayHost(ServiceState),
    /// Sound works, or why the last one did not.
    Sound(ServiceState),
    /// The person used the tray.
    Tray(tray_view::TrayAction),
    /// Whether the screen is locked; `None` when nobody can say.
    ScreenLock(Option<bool>),
    /// The session's services can be reached again, after they could not.
    SessionReturned,
    /// The computer woke from sleep.
    Resumed,
    /// Whether the desktop is dark; `None` when it has no preference or nobody can say.
    ColorScheme(Option<bool>),
    /// What a click wanted to open was not opened: why, and what to do.
    NotOpened(String),
}

/// Whether a part of the desktop works.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServiceState {
    /// It can be used.
    pub available: bool,
    /// What it is, when available ("dunst 1.9.0"); why not, and what to do, when not.
    pub reason: Option<String>,
}
