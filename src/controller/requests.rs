//! What the controller asks of the program around it, as plain values.

use crate::{control::Section, notice::NoticeId, present::words};

/// A request to the program, as a plain value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppRequest {
    /// Send a test push through the real endpoint.
    SendTest,
    /// Open the page, with the activation token of the click that asked for it.
    OpenPage {
        /// The part of the page.
        section: Section,
        /// The activation token, if there was one.
        token: Option<String>,
    },
    /// Open the configuration file.
    OpenConfiguration {
        /// The activation token, if there was one.
        token: Option<String>,
    },
    /// Switch starting with the desktop on or off.
    SetAutostart(bool),
    /// Pushes may be missing: catch up.
    CatchUp(Missing),
    /// The person is present: check the sessions of signed-in accounts.
    LookAtSessions,
    /// Watch the rooms of these calls, and no others.
    WatchCalls(Vec<RingingCall>),
    /// Send an act of the person to the homeserver.
    Act(RoomAct),
    /// Find out which rooms of this account were read on other devices.
    LookForRead {
        /// Its name.
        account: String,
    },
    /// The outbox has replies to send.
    SendReplies,
    /// End the program.
    Quit,
}

/// An act of the person in a room of a signed-in account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAct {
    /// Name of the account.
    pub account: String,
    /// `room_id`
    pub room_id: String,
    /// The act.
    pub act: Act,
}

/// What is sent to homeservers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The room was read.
    Read {
        /// `event_id` of the newest message that was read.
        event_id: String,
        /// Whether the receipt is public (`popup.receipts`).
        is_public: bool,
    },
    /// Look whether the invite with this notice was answered on another device. Sends nothing.
    LookAtInvite(NoticeId),
    /// Accept an invite.
    Join,
    /// Decline an invite.
    Leave,
    /// Decline a call by sending this event.
    Decline {
        /// `type`
        event_type: &'static str,
        /// `content`
        content: serde_json::Value,
    },
}

impl Act {
    /// The message for the person if it fails.
    pub(crate) fn failure(&self) -> &'static str {
        match self {
            Self::Read { .. } => words::read_not_told(),
            Self::LookAtInvite(_) => words::invite_not_asked(),
            Self::Join => words::not_joined(),
            Self::Leave => words::not_left(),
            Self::Decline { .. } => words::not_declined(),
        }
    }
}

/// Which pushes may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Those of any account: the computer slept, or pushes were refused.
    Anywhere,
    /// Those of one account that had no push for long before the latest.
    After {
        /// Its name.
        account: String,
    },
}

/// A call that rings for a signed-in account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingingCall {
    /// Its notice.
    pub notice: NoticeId,
    /// Name of the account.
    pub account: String,
    /// `room_id`
    pub room_id: String,
    /// `event_id` of the event that began it.
    pub event_id: String,
    /// `call_id`, as of [`crate::notice::Call`].
    pub call_id: String,
    /// Who calls: `sender`.
    pub caller: String,
}
