//! What an event means, read from its `type` and `content` (pure).

use std::time::Duration;

use jiff::Timestamp;

/// What an event means for the inbox: where it goes besides being kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// It is shown in its room's popup: messages of every kind, invites, reactions, encrypted and unknown events.
    Message,
    /// A call that rings: a popup and a sound of its own, until its deadline.
    Ringing {
        /// `call_id`, if the event has one.
        call_id: Option<String>,
        /// How long it rings: `lifetime`, 60 s when absent or odd, 120 s at most.
        lifetime: Duration,
        /// When the caller sent it (`sender_ts`), if the event says so: it rings no longer than its lifetime after that.
        sent_at: Option<Timestamp>,
    },
    /// A call is over.
    CallOver {
        /// Which.
        call_id: String,
        /// How it ended.
        ending: CallEnding,
    },
    /// An edit (`m.replace`) of an earlier event of the same sender and room.
    Edit {
        /// The event that it replaces.
        event_id: String,
        /// `m.new_content`, as JSON text.
        new_content: String,
    },
    /// A redaction of an earlier event of the same room.
    Redaction {
        /// The event that it takes back.
        event_id: String,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnding {
    /// `m.call.answer`, `m.call.select_answer` or `m.call.reject`: somebody took or refused it.
    Taken,
    /// `m.call.hangup`: missed if it comes from the caller.
    Hangup,
}

/// Reads what an event means. `content` is JSON text of any shape; what cannot be read counts as absent.
#[must_use]
pub fn meaning(_event_type: Option<&str>, _content: Option<&str>) -> Meaning {
    todo!()
}
