//! What the controller asks of the program around it, as plain values.

use crate::{control::Section, notice::NoticeId};

/// What the controller asks of the program around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppRequest {
    /// Send a test push through the real endpoint.
    SendTest,
    /// Open the page, with the activation token of the click that asked for it.
    OpenPage {
        /// Which part of it.
        section: Section,
        /// The token, if there was one.
        token: Option<String>,
    },
    /// Open the configuration file, likewise.
    OpenConfiguration {
        /// The token, if there was one.
        token: Option<String>,
    },
    /// Have the desktop start Pushbell from the next login on, or no longer.
    SetAutostart(bool),
    /// Pushes may be missing: catch up.
    CatchUp(Missing),
    /// The person is here: look whether the sessions of signed-in accounts are still good.
    LookAtSessions,
    /// Watch the rooms of these calls, and of no others.
    WatchCalls(Vec<RingingCall>),
    /// Tell the homeserver what the person has done.
    Act(RoomAct),
    /// Which rooms of this account were read elsewhere?
    LookForRead {
        /// Its name.
        account: String,
    },
    /// There are replies to send.
    SendReplies,
    /// End.
    Quit,
}

/// What the person has done in a room of a signed-in account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomAct {
    /// Name of the account.
    pub account: String,
    /// `room_id`
    pub room_id: String,
    /// What.
    pub act: Act,
}

/// What homeservers are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The room was read.
    Read {
        /// `event_id` of the newest message that was.
        event_id: String,
        /// Whether others may know (`popup.receipts`).
        is_public: bool,
    },
    /// The invite whose popup tells up to this notice may have been answered elsewhere: nothing is told, but asked.
    LookAtInvite(NoticeId),
    /// An invite is accepted.
    Join,
    /// An invite is declined.
    Leave,
    /// A call is declined with this event.
    Decline {
        /// `type`
        event_type: &'static str,
        /// `content`
        content: serde_json::Value,
    },
}

impl Act {
    /// What to say where it was not done.
    pub(crate) fn failure(&self) -> &'static str {
        match self {
            Self::Read { .. } => "The homeserver could not be told that the room was read",
            Self::LookAtInvite(_) => "The homeserver could not be asked for an invite",
            Self::Join => "The invite could not be accepted",
            Self::Leave => "The invite could not be declined",
            Self::Decline { .. } => {
                "The call is silent here, but its caller could not be told, and other devices may go on ringing"
            }
        }
    }
}

/// Which pushes may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// Those of any account: the computer slept, or pushes had to be refused.
    Anywhere,
    /// Those of this one, of which nothing was heard for long before a push came now.
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
