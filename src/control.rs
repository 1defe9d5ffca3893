//! How commands reach the running app: one JSON request and one JSON reply, each a line, over a private local socket.

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

use crate::{accounts::Way, desktop::ServiceState, notice::NoticeId, present::popup::OwnPopup};

/// Longest line that either side reads, in bytes. A status of a few hundred accounts fits many times.
const LONGEST_LINE: u64 = 1024 * 1024;

/// What a command asks of the running app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "request")]
pub enum Request {
    /// `pushbell status`
    Status,
    /// `pushbell clear`
    Clear,
    /// `pushbell logout`: the account's numbers are zero, its notices are read, and its popups go. Answered when that is
    /// on disk.
    ClearAccount {
        /// The account's name.
        account: String,
    },
    /// `pushbell pause`: until then, or until resumed.
    Pause {
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// `pushbell resume`
    Resume,
    /// `pushbell unmute`
    Unmute,
    /// `accounts.toml` has changed: read it now. Answered when it was.
    ReloadAccounts,
    /// Starting with the desktop was turned on or off: look again, for the menu.
    ReloadAutostart,
    /// `pushbell.toml` has changed: read it now. Answered when it was.
    ReloadConfiguration,
    /// `pushbell open`: an address of the page, good for one visit.
    OpenPage {
        /// Which part of it.
        section: Section,
    },
    /// The page: open this notice's room in the person's client. It is read then.
    OpenNotice {
        /// Which.
        notice: NoticeId,
    },
    /// The page: this notice, and what came before it in its room, is read.
    ReadNotice {
        /// Which.
        notice: NoticeId,
    },
    /// The page: answer this notice. What was written is read then.
    ReplyToNotice {
        /// Which.
        notice: NoticeId,
        /// What to say.
        text: String,
    },
    /// The page: play a sound, as a push that names it would have it.
    Play {
        /// Its name.
        sound: String,
    },
    /// The page: open the configuration file with whatever opens text.
    EditConfiguration,
    /// `pushbell test`: a one-time number for a sample push.
    BeginSample,
    /// Tell of the first push for this account that comes, or has come, after a time.
    WaitForPush {
        /// The account's name.
        account: String,
        /// After when.
        since: Timestamp,
        /// How long to wait.
        seconds: u32,
    },
}

impl Request {
    /// How long it is to be waited for what it asks, beyond the time that any answer may take; `None`: it asks for
    /// something that is there.
    fn waits(&self) -> Option<Duration> {
        let Self::WaitForPush { seconds, .. } = self else { return None };
        Some(Duration::from_secs((*seconds).into()))
    }
}

/// A part of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What has come, live
    Inbox,
    /// Connect a homeserver
    Setup,
    /// The configuration
    Settings,
    /// Each part, and what to do about it
    Health,
}

impl Section {
    /// All of them, in the order of the page's menu.
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

/// What the running app answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "reply")]
pub enum Reply {
    /// To `Status`.
    Status(Box<Status>),
    /// To `WaitForPush`: when one came. None came: `Done`.
    Pushed {
        /// When.
        at: Timestamp,
    },
    /// To `BeginSample`.
    Sample {
        /// The number.
        number: String,
    },
    /// To `OpenPage`.
    Page {
        /// The address: whoever has it can enter, once.
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
    /// Always true: an app that does not run cannot say so.
    pub running: bool,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub since: Timestamp,
    /// Addresses that it listens on.
    pub listen: Vec<String>,
    /// The URL that homeservers are told, without the path.
    pub public_url: String,
    /// The certificate, where TLS is spoken.
    pub tls: Option<TlsStatus>,
    /// Unread, over all accounts.
    pub unread: u64,
    /// Missed calls, over all accounts.
    pub missed_calls: u64,
    /// Popups and sounds are paused until then; the far future when until resumed.
    pub paused_until: Option<Timestamp>,
    /// Sounds are muted from the tray.
    pub muted: bool,
    /// Rooms whose messages are not shown on this desktop.
    #[serde(default)]
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
    /// It runs without a tray icon because it was told to.
    pub no_tray: bool,
    /// The services of popups and tray have not all answered yet.
    pub is_starting: bool,
    /// Why the configuration or the accounts on disk are not those in force, if so.
    pub problems: Vec<String>,
    /// What works, but the user may not want.
    pub warnings: Vec<String>,
}

/// A room whose messages are not shown on this desktop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutedRoomStatus {
    /// Name of its account.
    pub account: String,
    /// What people call it.
    pub name: String,
    /// When it ends; none: with `pushbell unmute`.
    pub until: Option<Timestamp>,
}

/// The user's own time, to the minute.
pub(crate) fn local_time(time: Timestamp) -> String {
    time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// When a pause ends. The far future stands for a pause without end.
pub(crate) fn until(paused_until: Timestamp) -> String {
    const CENTURY: i64 = 100 * 366 * 24 * 3600;
    let is_endless = paused_until.as_second() > Timestamp::now().as_second().saturating_add(CENTURY);
    if is_endless { "until `pushbell resume`".to_owned() } else { format!("until {}", local_time(paused_until)) }
}

/// The certificate in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// The DNS names and IP addresses that it is for; none while there is no certificate that can be used.
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

/// One account's numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// Its name.
    pub name: String,
    /// Its `app_id`.
    pub app_id: String,
    /// Its unread number.
    pub unread: u64,
    /// Its missed calls.
    pub missed_calls: u64,
    /// How its notifications get here, as was chosen.
    #[serde(default)]
    pub way: Way,
    /// When a push last came for it.
    pub last_push: Option<Timestamp>,
    /// What is known of its session, if it is signed in.
    #[serde(flatten)]
    pub sign_in: SignInStatus,
    /// Whether its encrypted messages are read, if it is signed in.
    #[serde(flatten)]
    pub encryption: EncryptionStatus,
}

/// What is known of an account's session; nothing for one that was registered by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInStatus {
    /// Who is signed in where, or that the session is over and what to do.
    #[serde(default)]
    pub signed_in: Option<String>,
    /// How its notifications get here now.
    #[serde(default)]
    pub way_now: Option<String>,
    /// Whether the connection over which the homeserver says what is new is there; `None`: none is held.
    #[serde(default)]
    pub listening: Option<bool>,
    /// How catching up went last.
    #[serde(default)]
    pub catching_up: Option<String>,
    /// When it last completed in this run of the program.
    #[serde(default)]
    pub caught_up_at: Option<Timestamp>,
}

/// Whether an account's encrypted messages are read; nothing where that is not known yet, or there is nothing to read them
/// with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionStatus {
    /// What is read, and what to do about the rest.
    #[serde(default)]
    pub encryption: Option<String>,
    /// Whether the session is a verified one.
    #[serde(default)]
    pub verified: Option<bool>,
    /// Whether the account's key backup is the one whose key is here; `None` where it is not used.
    #[serde(default)]
    pub key_backup: Option<bool>,
    /// Whether the key that the session's encryption keys are locked with lies in a file: no keyring has taken it.
    #[serde(default)]
    pub key_in_file: bool,
}

impl EncryptionStatus {
    /// Whether such a popup still has something to tell of the account; `None` if that is not known.
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

    /// That the account's key backup is no longer the one whose key is here, and what to do.
    #[must_use]
    pub fn backup_note(&self, account: &str) -> Option<String> {
        (self.key_backup == Some(false)).then(|| {
            format!(
                "the account's key backup was deleted or replaced, and is not read: `pushbell verify {account} --with-backup` \
                 takes the new one"
            )
        })
    }

    /// That the key lies in a file, and what that means.
    #[must_use]
    pub fn file_note(&self) -> Option<&'static str> {
        self.key_in_file.then_some(
            "no keyring has taken the key to the encryption keys: it lies in a file, which protects against nobody who can \
             read the file",
        )
    }
}
