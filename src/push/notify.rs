//! `POST /_matrix/push/v1/notify`: the body, as homeservers really send it.
//!
//! Follows the Push Gateway API of the Matrix specification and its first published draft of 2015
//! ("HTTP Notification Protocol"). Lenient in: a field of the wrong type, a null, an unknown value or a malformed
//! device counts as absent. Only what [`PushError`] names refuses a push, and nothing inside `content`, a name,
//! `data` or `tweaks` is among it.

use serde_json::value::RawValue;

/// The path that the specification fixes for every push gateway.
pub const PATH: &str = "/_matrix/push/v1/notify";

/// One POST: at most one event, the account's numbers, and the devices it is meant for.
#[derive(Debug, Clone, Default)]
pub struct Notification {
    /// The event's id. Absent for badge-only pushes and from servers of the first protocol. Never empty.
    pub event_id: Option<String>,
    /// The first protocol's identifier "to detect duplicate notification requests". Never empty.
    pub id: Option<String>,
    /// The event's room. Never empty.
    pub room_id: Option<String>,
    /// The event's `type`. Never empty.
    pub event_type: Option<String>,
    /// The sender's user ID. Never empty.
    pub sender: Option<String>,
    /// The sender's display name in the room, raw: [`crate::push::text`] makes it harmless. Never empty.
    pub sender_display_name: Option<String>,
    /// The room's name (also read as `roomName`), raw. Never empty.
    pub room_name: Option<String>,
    /// An alias of the room (also read as `roomAlias`), raw. Never empty.
    pub room_alias: Option<String>,
    /// `user_is_target`: for a member event, whether it is about the recipient. Some servers get it wrong.
    pub user_is_target: bool,
    /// `membership` of a member event.
    pub membership: Option<String>,
    /// `prio`, "high" when absent.
    pub prio: Priority,
    /// The event's `content`, unparsed: whatever is in there, it cannot fail the push.
    pub content: Option<Box<RawValue>>,
    /// `counts`, read inside `notification` or beside it. `None`: the last known numbers stand.
    pub counts: Option<Counts>,
    /// The well-formed entries of `devices`, at least one.
    pub devices: Vec<Device>,
}

/// `prio` of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Absent or anything but "low".
    #[default]
    High,
    /// "low": Synapse says it of every message without sound or highlight.
    Low,
}

/// `counts` of a push: the numbers of unacknowledged communications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// `unread`; left out of a present `counts` it is zero.
    pub unread: u64,
    /// `missed_calls`, if the server sends it at all.
    pub missed_calls: Option<u64>,
}

/// One entry of `devices`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The pusher's `app_id`.
    pub app_id: String,
    /// The pusher's `pushkey`.
    pub pushkey: String,
    /// `tweaks`, as far as Pushbell knows them.
    pub tweaks: Tweaks,
}

/// `tweaks` of a device: how the user's push rules want this event to be presented.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tweaks {
    /// `sound`.
    pub sound: SoundTweak,
    /// `highlight`: a mention, a keyword or @room.
    pub highlight: bool,
}

/// The `sound` tweak. Its value reaches us unchecked and is never a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SoundTweak {
    /// Absent, null, `false` or "": no sound.
    #[default]
    Silent,
    /// A string, "default" and "ring" included, that is usable as a name (see [`SoundTweak::from_name`]).
    Named(String),
    /// Any other value: the bundled `default` plays.
    Unusable,
}

/// Why a body is no push at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The body is not JSON. `M_NOT_JSON`.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// Something that must be there has the wrong type. `M_BAD_JSON`.
    #[error("{0}")]
    BadJson(&'static str),
    /// Something that must be there is missing. `M_MISSING_PARAM`.
    #[error("{0}")]
    MissingParam(&'static str),
}
