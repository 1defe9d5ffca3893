//! `POST /_matrix/push/v1/notify`: the body, as homeservers really send it.
//!
//! Follows the Push Gateway API of the Matrix specification and its first published draft of 2015
//! ("HTTP Notification Protocol"). Lenient in: a field of the wrong type, a null, an unknown value or a malformed
//! device counts as absent. Only what [`PushError`] names refuses a push, and nothing inside `content`, a name,
//! `data` or `tweaks` is among it.

use std::borrow::Cow;

use super::lenient::{Object, Value};

/// The path that the specification fixes for every push gateway.
pub const PATH: &str = "/_matrix/push/v1/notify";

/// The key in a device's `data` that holds the one-time number of a sample push.
pub const SAMPLE: &str = "org.pushbell.sample";

/// An id, event type or membership longer than this many bytes counts as absent: Matrix allows 255 characters.
pub const MAX_ID_BYTES: usize = 255 * 4;

/// A name longer than this many bytes is cut.
pub const MAX_NAME_BYTES: usize = 1024;

/// A `content` longer than this many bytes counts as absent: Matrix allows 64 KiB for the whole event.
pub const MAX_CONTENT_BYTES: usize = 128 * 1024;

/// A `sound` tweak of more characters than this is no usable name.
pub const MAX_SOUND_NAME_CHARS: usize = 64;

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
    /// The event's `content`, as JSON text: whatever is in there, it cannot fail the push.
    pub content: Option<String>,
    /// `counts`, read inside `notification` or beside it; zero for a notification of nothing but `devices` (ruma's
    /// client leaves out zero counts). `None`: the last known numbers stand.
    pub counts: Option<Counts>,
    /// The well-formed entries of `devices`, at least one.
    pub devices: Vec<Device>,
}

impl Notification {
    /// Reads the body of a push. Bytes that are not UTF-8 are read as U+FFFD.
    ///
    /// # Errors
    /// Only when the body is not JSON, has no object `notification`, or has no `devices` (in it or beside it) with at
    /// least one object of strings `app_id` and `pushkey`.
    pub fn parse(body: &[u8]) -> Result<Self, PushError> {
        let body = String::from_utf8_lossy(body);
        let outer = Object::read(&body).ok_or_else(|| match Value::parse(&body) {
            Ok(_) => PushError::BadJson("the body is not a JSON object"),
            Err(error) => PushError::NotJson(error.to_string()),
        })?;
        let inner = outer.get("notification").ok_or(PushError::MissingParam("`notification` is missing"))?;
        let inner = inner.object().ok_or(PushError::BadJson("`notification` is not an object"))?;
        Ok(Self {
            event_id: id(&inner, "event_id"),
            id: id(&inner, "id"),
            room_id: id(&inner, "room_id"),
            event_type: id(&inner, "type"),
            sender: id(&inner, "sender"),
            sender_display_name: name(&inner, "sender_display_name"),
            room_name: name(&inner, "room_name").or_else(|| name(&inner, "roomName")),
            room_alias: name(&inner, "room_alias").or_else(|| name(&inner, "roomAlias")),
            user_is_target: inner.is_true("user_is_target"),
            membership: id(&inner, "membership"),
            prio: if inner.string("prio").as_deref() == Some("low") { Priority::Low } else { Priority::High },
            content: content(&inner),
            counts: counts(&inner).or_else(|| counts(&outer)).or_else(|| zero(&inner, &outer)),
            devices: devices(&inner, &outer)?,
        })
    }

    /// Whether there is an event in it, and not only numbers.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.event_id.is_some()
            || self.id.is_some()
            || self.event_type.is_some()
            || self
                .content
                .as_ref()
                .is_some_and(|content| Object::read(content).is_some_and(|content| !content.is_empty()))
    }
}

pub(super) fn id(object: &Object<'_>, key: &str) -> Option<String> {
    object.string(key).filter(|id| id.len() <= MAX_ID_BYTES).map(Cow::into_owned)
}

fn name(object: &Object<'_>, key: &str) -> Option<String> {
    let mut name = object.text(key)?;
    let end = (0..=MAX_NAME_BYTES.min(name.len())).rev().find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    Some(name)
}

/// A name in the `content` of a state event, given as JSON text; raw, cut like that of a push.
#[must_use]
pub fn state_name(content: &str, key: &str) -> Option<String> {
    name(&Object::read(content)?, key)
}

pub(super) fn content(inner: &Object<'_>) -> Option<String> {
    let content = inner.get("content")?;
    (content.json().starts_with('{') && content.json().len() <= MAX_CONTENT_BYTES).then(|| content.json().to_owned())
}

fn counts(object: &Object<'_>) -> Option<Counts> {
    let counts = object.object("counts")?;
    let number = |key| counts.get(key).and_then(Value::whole_number);
    Some(Counts { unread: number("unread").unwrap_or(0), missed_calls: number("missed_calls") })
}

/// The counts of a badge-only push that leaves out everything that is zero or empty.
fn zero(inner: &Object<'_>, outer: &Object<'_>) -> Option<Counts> {
    (inner.has_only(&["devices"]) && outer.has_only(&["notification", "devices"])).then(Counts::default)
}

/// The usable entries of `devices` inside the notification, else of those beside it.
fn devices(inner: &Object<'_>, outer: &Object<'_>) -> Result<Vec<Device>, PushError> {
    let lists: Vec<Value<'_>> = [inner, outer].into_iter().filter_map(|object| object.get("devices")).collect();
    if lists.is_empty() {
        return Err(PushError::MissingParam("`notification.devices` is missing"));
    }
    let lists: Vec<Vec<Value<'_>>> = lists.into_iter().filter_map(Value::array).collect();
    if lists.is_empty() {
        return Err(PushError::BadJson("`notification.devices` is not an array"));
    }
    lists
        .into_iter()
        .map(|list| list.into_iter().filter_map(device).collect::<Vec<_>>())
        .find(|devices| !devices.is_empty())
        .ok_or(PushError::MissingParam("`notification.devices` has no object with the strings `app_id` and `pushkey`"))
}

fn device(entry: Value<'_>) -> Option<Device> {
    let device = entry.object()?;
    let string = |key| device.get(key).and_then(Value::string).map(Cow::into_owned);
    Some(Device {
        app_id: string("app_id")?,
        pushkey: string("pushkey")?,
        tweaks: device.get("tweaks").map(read_tweaks).unwrap_or_default(),
        sample: device.get("data").and_then(Value::object).and_then(|data| data.string(SAMPLE).map(Cow::into_owned)),
    })
}

/// An object; palpo sends the actions of the push rule instead.
fn read_tweaks(tweaks: Value<'_>) -> Tweaks {
    match tweaks.object() {
        Some(tweaks) => Tweaks { sound: sound(&tweaks, "sound"), highlight: tweaks.is_true("highlight") },
        None => tweaks.array().map(tweaks_of_actions).unwrap_or_default(),
    }
}

/// The tweaks among the actions of a push rule, given as JSON text; `None` if it does not notify.
#[must_use]
pub fn tweaks_of_rule(actions: &str) -> Option<Tweaks> {
    let actions = Value::parse(actions).ok()?.array()?;
    let notifies = actions.iter().any(|action| matches!(action.string().as_deref(), Some("notify" | "coalesce")));
    notifies.then(|| tweaks_of_actions(actions))
}

/// The tweaks among the actions of a push rule (specification, "Actions"). One without a value is true.
pub(super) fn tweaks_of_actions(actions: Vec<Value<'_>>) -> Tweaks {
    let mut tweaks = Tweaks::default();
    for action in actions.into_iter().filter_map(Value::object) {
        match action.string("set_tweak").as_deref() {
            Some("sound") if action.has("value") => tweaks.sound = sound(&action, "value"),
            Some("sound") => tweaks.sound = SoundTweak::Unusable,
            Some("highlight") => tweaks.highlight = action.get("value").and_then(Value::bool) != Some(false),
            Some(_) | None => {}
        }
    }
    tweaks
}

/// What a `sound` means whose value has this key.
fn sound(object: &Object<'_>, key: &str) -> SoundTweak {
    match object.get(key) {
        None => SoundTweak::Silent,
        Some(value) if value.bool() == Some(false) => SoundTweak::Silent,
        Some(value) => value.string().map_or(SoundTweak::Unusable, |name| SoundTweak::from_name(&name)),
    }
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
    /// `missed_calls`, if it is there: no server in use sends it.
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
    /// The one-time number of a sample push ([`SAMPLE`] in `data`), unchecked.
    pub sample: Option<String>,
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

impl SoundTweak {
    /// What [`SoundTweak::as_stored`] says for [`SoundTweak::Unusable`]. No usable name has a slash.
    const STORED_UNUSABLE: &str = "/";

    /// What a `sound` of this string means. A usable name has 1 to 64 characters, is not `.` or `..`, and has no
    /// control character and nothing that separates paths on any system (`/`, `\`, `:`).
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let is_usable = name.chars().count() <= MAX_SOUND_NAME_CHARS
            && name != "."
            && name != ".."
            && !name.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control());
        match (name, is_usable) {
            ("", _) => Self::Silent,
            (name, true) => Self::Named(name.to_owned()),
            (_, false) => Self::Unusable,
        }
    }

    /// As a short text for a database; none for silence.
    #[must_use]
    pub fn as_stored(&self) -> Option<&str> {
        match self {
            Self::Silent => None,
            Self::Named(name) => Some(name),
            Self::Unusable => Some(Self::STORED_UNUSABLE),
        }
    }

    /// The reverse of [`SoundTweak::as_stored`].
    #[must_use]
    pub fn from_stored(stored: Option<&str>) -> Self {
        stored.map_or(Self::Silent, Self::from_name)
    }
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

#[cfg(test)]
mod tests;
