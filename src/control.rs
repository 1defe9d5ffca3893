//! The protocol between commands and the running app: one JSON request and one JSON reply, each on a line, over a
//! private local socket.

mod client;
mod instance;
mod server;

use std::time::Duration;

use clap::ValueEnum;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

pub(crate) use client::{AskError, ask, ask_blocking};
pub use instance::{Instance, InstanceError};
pub use server::{Command, serve};

use crate::{accounts::Way, desktop::ServiceState, notice::NoticeId, present::popup::OwnPopup, push::text};

/// Maximum length of a line, in bytes. A status of a few hundred accounts fits many times.
const LONGEST_LINE: u64 = 1024 * 1024;

/// A request of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// `pushbell status`
    Status,
    /// `pushbell clear`
    Clear,
    /// `pushbell logout`: resets the account's counts, marks its notices as read and withdraws its popups. Answered
    /// when that is on disk.
    ClearAccount {
        /// The account's name.
        account: String,
    },
    /// `pushbell pause`
    Pause {
        /// When the pause ends; `None`: when resumed.
        until: Option<Timestamp>,
    },
    /// `pushbell resume`
    Resume,
    /// `pushbell unmute`
    Unmute,
    /// `accounts.toml` has changed: reload it. Answered afterwards.
    ReloadAccounts,
    /// Autostart was switched: update the menu.
    ReloadAutostart,
    /// `pushbell.toml` has changed: reload it. Answered afterwards.
    ReloadConfiguration,
    /// `pushbell open`: returns an address of the page that is valid for one visit.
    OpenPage {
        /// The part of the page.
        section: Section,
    },
    /// The page: open this notice's room in the user's client, and mark it as read.
    OpenNotice {
        /// The notice.
        notice: NoticeId,
    },
    /// The page: mark this notice and earlier ones in its room as read.
    ReadNotice {
        /// The notice.
        notice: NoticeId,
    },
    /// The page: reply to this notice, and mark it as read.
    ReplyToNotice {
        /// The notice.
        notice: NoticeId,
        /// The text.
        text: String,
    },
    /// The page: play the sound that a push with this tweak would play.
    Play {
        /// Its name.
        sound: String,
    },
    /// The page: open the configuration file in the default editor.
    EditConfiguration,
    /// The page: set pushers, and connect to homeservers and relays anew.
    Reconnect,
    /// `pushbell test`: returns a one-time number for a sample push.
    BeginSample,
    /// Wait for the first push for this account after a time.
    WaitForPush {
        /// The account's name.
        account: String,
        /// That time.
        since: Timestamp,
        /// How long to wait.
        seconds: u32,
    },
}

impl Request {
    /// How long the request may wait; `None` for one that is answered at once.
    fn waits(&self) -> Option<Duration> {
        let Self::WaitForPush { seconds, .. } = self else { return None };
        Some(Duration::from_secs((*seconds).into()))
    }
}

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// Received notifications, live
    Inbox,
    /// Connect a homeserver
    Setup,
    /// The configuration
    Settings,
    /// State of each part, and what to do about faults
    Health,
}

impl Section {
    /// All parts, in the order of the page's menu.
    pub const ALL: [Self; 4] = [Self::Inbox, Self::Setup, Self::Settings, Self::Health];

    /// Its path on the page.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Inbox => "/inbox",
            Self::Setup => "/setup",
            Self::Settings => "/settings",
            Self::Health => "/health",
        }
    }
}

/// A reply of the running app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum Reply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `WaitForPush`: when the push arrived. Without one: `Done`.
    Pushed {
        /// Its time.
        at: Timestamp,
    },
    /// To `BeginSample`.
    Sample {
        /// The number.
        number: String,
    },
    /// To `OpenPage`.
    Page {
        /// The address: it grants access once.
        address: String,
    },
    /// It is done.
    Done,
    /// It could not be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// `pushbell status --json`.
#[expect(clippy::struct_excessive_bools, reason = "each says something else")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Always true: an app that is not running cannot answer.
    pub running: bool,
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub since: Timestamp,
    /// The listening addresses.
    pub listen: Vec<String>,
    /// The public address, without the path.
    pub public_url: String,
    /// The certificate, if TLS is enabled.
    pub tls: Option<TlsStatus>,
    /// Unread, over all accounts.
    pub unread: u64,
    /// Missed calls, over all accounts.
    pub missed_calls: u64,
    /// Popups and sounds are paused until then; the maximum stands for no end.
    pub paused_until: Option<Timestamp>,
    /// Sounds are muted from the tray.
    pub muted: bool,
    /// Rooms that are muted on this desktop.
    pub muted_rooms: Vec<MutedRoomStatus>,
    /// Size of the inbox.
    pub inbox: InboxStatus,
    /// Each account.
    pub accounts: Vec<AccountStatus>,
    /// The notification service.
    pub popup: ServiceState,
    /// The tray host.
    pub tray: ServiceState,
    /// Sound.
    pub sound: ServiceState,
    /// Whether it runs without a tray icon by request.
    pub no_tray: bool,
    /// Whether the services for popups and tray have not all answered yet.
    pub is_starting: bool,
    /// Why the configuration or the accounts on disk are not in force, and other problems.
    pub problems: Vec<String>,
    /// Settings that work but may be unintended.
    pub warnings: Vec<String>,
}

/// A room that is muted on this desktop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutedRoomStatus {
    /// Name of its account.
    pub account: String,
    /// Its name.
    pub name: String,
    /// When the mute ends; `None`: with `pushbell unmute`.
    pub until: Option<Timestamp>,
}

/// The local time, to the minute.
pub(crate) fn local_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The end of a pause in words. The maximum stands for no end.
pub(crate) fn until(paused_until: Timestamp) -> String {
    const CENTURY: i64 = 100 * 366 * 24 * 3600;
    let is_endless = paused_until.as_second() > Timestamp::now().as_second().saturating_add(CENTURY);
    if is_endless { "until `pushbell resume`".to_owned() } else { format!("until {}", local_time(paused_until)) }
}

/// The state of a service in words.
pub(crate) fn service_state(ServiceState { available, reason }: &ServiceState) -> String {
    const MAX_CHARS: usize = 200;
    let reason = reason.as_deref().map(|reason| text::line(reason, MAX_CHARS));
    match (available, reason) {
        (true, reason) => reason.unwrap_or_else(|| "available".to_owned()),
        (false, Some(reason)) => format!("not available: {reason}"),
        (false, None) => "not available".to_owned(),
    }
}

/// The certificate in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// Its DNS names and IP addresses; none if there is no valid certificate.
    pub names: Vec<String>,
    /// When it ends.
    pub not_after: Option<Timestamp>,
}

/// Size of the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboxStatus {
    /// Notices kept.
    pub notices: u64,
    /// Notices not shown yet.
    pub unshown: u64,
}

/// The state of an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// Its `app_id`.
    pub app_id: String,
    /// Its unread count.
    pub unread: u64,
    /// Its missed calls.
    pub missed_calls: u64,
    /// The chosen way for notifications to arrive.
    pub way: Way,
    /// When its last push arrived.
    pub last_push: Option<Timestamp>,
    /// The state of its session, if it is signed in.
    #[serde(flatten)]
    pub sign_in: SignInStatus,
    /// The state of its encryption, if it is signed in.
    #[serde(flatten)]
    pub encryption: EncryptionStatus,
}

/// The state of an account's session; empty for an account registered by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInStatus {
    /// Who is signed in where, or that the session has ended and what to do.
    pub signed_in: Option<String>,
    /// The way by which notifications arrive now.
    pub way_now: Option<String>,
    /// Whether the held connection is open; `None`: none is wanted.
    pub listening: Option<bool>,
    /// Result of the last catching up.
    pub catching_up: Option<String>,
    /// When it last completed in this run.
    pub caught_up_at: Option<Timestamp>,
}

/// State of an account's encryption; empty while unknown, or if there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionStatus {
    /// What can be decrypted, and what to do about the rest.
    pub encryption: Option<String>,
    /// Whether the session is verified.
    pub verified: Option<bool>,
    /// Whether the account's current key backup is the one whose key is stored here; `None` where none is used.
    pub key_backup: Option<bool>,
    /// Whether the key of the encryption store is in a file, because no keyring has accepted it.
    pub key_in_file: bool,
}

impl EncryptionStatus {
    /// Whether what this popup says is still true; `None` if unknown.
    #[must_use]
    pub fn is_told_by(&self, popup: OwnPopup) -> Option<bool> {
        match popup {
            OwnPopup::Unverified | OwnPopup::VerificationAsked => self.verified.map(|is_verified| !is_verified),
            OwnPopup::BackupReset => self.key_backup.map(|is_current| !is_current),
            OwnPopup::Welcome
            | OwnPopup::Problem(_)
            | OwnPopup::NotOpened
            | OwnPopup::TestFailed
            | OwnPopup::AutostartFailed
            | OwnPopup::NotDone
            | OwnPopup::NotSent
            | OwnPopup::NewSignIn
            | OwnPopup::MoreUnread => None,
        }
    }

    /// A sentence if the account's key backup is no longer the one whose key is stored here, with what to do.
    #[must_use]
    pub fn backup_note(&self, account: &str) -> Option<String> {
        (self.key_backup == Some(false)).then(|| {
            format!(
                "the account's key backup was deleted or replaced, and is not read: `pushbell verify {account} --with-backup` \
                 takes the new one"
            )
        })
    }

    /// A sentence if the key is in a file, with what that means.
    #[must_use]
    pub fn file_note(&self) -> Option<&'static str> {
        self.key_in_file.then_some(
            "no keyring has taken the key to the encryption keys: it lies in a file, which protects against nobody who can \
             read the file",
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::app_info;

    /// The status of a program that has no accounts, and where all is well.
    pub(crate) fn status() -> Status {
        let works = ServiceState { available: true, reason: None };
        Status {
            running: true,
            version: app_info::VERSION.to_owned(),
            pid: 1,
            since: Timestamp::UNIX_EPOCH,
            listen: vec!["127.0.0.1:7".to_owned()],
            public_url: "http://127.0.0.1:7".to_owned(),
            tls: None,
            unread: 0,
            missed_calls: 0,
            paused_until: None,
            muted: false,
            muted_rooms: Vec::new(),
            inbox: InboxStatus { notices: 0, unshown: 0 },
            accounts: Vec::new(),
            popup: works.clone(),
            tray: works.clone(),
            sound: works,
            no_tray: false,
            is_starting: false,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }
}
