//! What an account's syncs return for, and what their answers contain (pure).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Gap, Incoming, RoomNews};
use crate::{
    inbox::{RoomRead, WhatWasRead},
    push::listed::EventRef,
};

/// Maximum number of a room's events in an answer.
const EVENTS: usize = 20;
/// Maximum number of rooms in the filter of receipts; with more, receipts of all rooms are requested.
const MAX_ROOMS: usize = 64;

/// Account data that a login changes to make a held sync return.
pub(super) const PROOF: &str = "org.pushbell.listening";

/// Event types that do not notify by default, and for which syncs do not return. If a rule of the person's own makes one
/// notify, it is listed and recorded with the next event.
const QUIET: [&str; 14] = [
    "m.reaction",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
    "m.room.member",
    "m.room.pinned_events",
    "m.room.power_levels",
    "m.room.server_acl",
    "m.room.topic",
    "m.space.child",
    "m.space.parent",
    "im.vector.modular.widgets",
];

/// What an account's syncs return for, besides to-device messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interest {
    /// The rooms of ringing calls, where any event may end one.
    pub(super) ringing: Vec<String>,
    /// New messages; `None` if they are pushed.
    pub(super) messages: Option<Messages>,
}

/// Which messages syncs return for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Messages {
    /// Rooms that never notify.
    pub(super) muted: BTreeSet<String>,
    /// Rooms that notify of mentions alone, which the homeserver cannot see in encrypted events.
    pub(super) mentions_only: BTreeSet<String>,
    /// Rooms with unread notices, for which receipts are requested.
    pub(super) unread: BTreeSet<String>,
}

impl Interest {
    /// The filter of such a sync, as JSON.
    pub(super) fn filter(&self) -> String {
        let nothing = json!({"not_types": ["*"]});
        let Some(Messages { muted, unread, .. }) = &self.messages else {
            let room = json!({
                "rooms": valid(&self.ringing), "timeline": {"limit": 1}, "state": nothing, "ephemeral": nothing,
                "account_data": nothing,
            });
            return json!({"room": room, "presence": nothing, "account_data": nothing}).to_string();
        };
        let unread = valid(unread);
        let receipts = match unread.len() {
            0 => nothing.clone(),
            1..=MAX_ROOMS => json!({"types": ["m.receipt"], "rooms": unread}),
            _ => json!({"types": ["m.receipt"]}),
        };
        let room = json!({
            "not_rooms": valid(muted), "timeline": {"limit": EVENTS, "not_types": QUIET}, "state": nothing,
            "ephemeral": receipts, "account_data": nothing,
        });
        json!({
            "event_fields": ["type", "event_id", "sender"], "room": room, "presence": nothing,
            "account_data": {"types": ["m.push_rules", PROOF]},
        })
        .to_string()
    }

    /// What has to be recorded in the inbox of the answer to a sync from token `since`, if anything. `user` is the account's
    /// own.
    pub(super) fn incoming(&self, rooms: &Rooms, since: &str, user: &str) -> Option<Incoming> {
        let messages = self.messages.as_ref()?;
        // The list also shows that the user was removed, or has answered an invite elsewhere.
        let mut incoming =
            Incoming { lists_new: !(rooms.invite.is_empty() && rooms.leave.is_empty()), ..Incoming::default() };
        for (room_id, room) in &rooms.join {
            let is_judged_here = messages.mentions_only.contains(room_id);
            let others = || room.timeline.events.iter().filter(|event| event.sender != user);
            let has_new = others().next().is_some() || room.timeline.limited;
            let count = room.unread_notifications.notification_count;
            let is_unjudged = |event: &&TimelineEvent| is_judged_here && event.r#type == "m.room.encrypted";
            incoming.unjudged.extend(others().filter(is_unjudged).map(|event| event.named(room_id)));
            if is_judged_here && let Some(before) = room.timeline.prev_batch.clone().filter(|_| room.timeline.limited) {
                incoming.gaps.push(Gap { room_id: room_id.clone(), after: since.to_owned(), before });
            }
            if has_new && count != Some(0) {
                incoming.lists_new = true;
                let judged = others().filter(|event| !is_unjudged(event));
                incoming.rooms.push(RoomNews {
                    room_id: room_id.clone(),
                    event_ids: judged.map(|event| event.event_id.clone()).collect(),
                    is_limited: room.timeline.limited,
                    unread: count,
                    highlights: room.unread_notifications.highlight_count.unwrap_or_default(),
                });
            }
            let read = if count == Some(0) && !is_judged_here {
                vec![WhatWasRead::All]
            } else {
                room.ephemeral.events.iter().flat_map(|event| event.read_by(user)).collect()
            };
            incoming.read.extend(read.into_iter().map(|what| RoomRead { room_id: room_id.clone(), what }));
        }
        let is_answered = |room: &&String| messages.unread.contains(*room);
        let answered = rooms.join.keys().chain(rooms.leave.keys()).filter(is_answered);
        incoming.read.extend(answered.map(|room| RoomRead { room_id: room.clone(), what: WhatWasRead::Invite }));
        (!incoming.is_empty()).then_some(incoming)
    }
}

/// The valid room ids among these. A homeserver refuses a sync with an invalid one in its filter, and a push may contain
/// any. Room ids have a server name, or since room version 12 the hash of an event.
fn valid<'a>(room_ids: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let is_valid = |id: &&str| id.strip_prefix('!').is_some_and(|id| id.contains(':') || id.len() == 43);
    room_ids.into_iter().map(String::as_str).filter(is_valid).collect()
}

/// `rooms` of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Rooms {
    join: BTreeMap<String, JoinedRoom>,
    invite: BTreeMap<String, Value>,
    leave: BTreeMap<String, Value>,
}

impl Rooms {
    /// Whether one of these rooms has new events.
    pub(super) fn has_events_in(&self, room_ids: &[String]) -> bool {
        room_ids.iter().filter_map(|room| self.join.get(room)).any(|room| !room.timeline.events.is_empty())
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JoinedRoom {
    timeline: Timeline,
    unread_notifications: UnreadNotifications,
    ephemeral: Ephemeral,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Timeline {
    events: Vec<TimelineEvent>,
    limited: bool,
    prev_batch: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TimelineEvent {
    r#type: String,
    event_id: String,
    sender: String,
}

impl TimelineEvent {
    fn named(&self, room_id: &str) -> EventRef {
        EventRef { room_id: room_id.to_owned(), event_id: self.event_id.clone() }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct UnreadNotifications {
    notification_count: Option<u64>,
    highlight_count: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ephemeral {
    events: Vec<EphemeralEvent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EphemeralEvent {
    r#type: String,
    content: Value,
}

impl EphemeralEvent {
    /// The user's receipts in this event.
    fn read_by(&self, user: &str) -> Vec<WhatWasRead> {
        let content = self.content.as_object().filter(|_| self.r#type == "m.receipt");
        let theirs = content.into_iter().flatten().flat_map(|(event_id, receipts)| {
            let of_kind = ["m.read", "m.read.private"].map(|kind| &receipts[kind][user]);
            of_kind.into_iter().filter(|receipt| !receipt.is_null()).map(move |receipt| WhatWasRead::UpTo {
                event_id: event_id.clone(),
                thread: receipt["thread_id"].as_str().map(ToOwned::to_owned),
            })
        });
        theirs.collect()
    }
}

/// `account_data` of an answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AccountData {
    events: Vec<AccountDataEvent>,
}

#[derive(Deserialize)]
struct AccountDataEvent {
    r#type: String,
    #[serde(default)]
    content: Value,
}

impl AccountData {
    pub(super) fn has_push_rules(&self) -> bool {
        self.events.iter().any(|event| event.r#type == "m.push_rules")
    }

    /// Whether the proof with this number is there.
    pub(super) fn has_proof(&self, number: &str) -> bool {
        self.events.iter().any(|event| event.r#type == PROOF && event.content["number"] == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "@me:hs";

    fn interest() -> Interest {
        let set = |rooms: &[&str]| rooms.iter().map(|room| (*room).to_owned()).collect();
        let messages =
            Messages { muted: set(&["!muted"]), mentions_only: set(&["!few"]), unread: set(&["!r", "!few"]) };
        Interest { ringing: Vec::new(), messages: Some(messages) }
    }

    fn incoming(rooms: Value) -> Option<Incoming> {
        interest().incoming(&serde_json::from_value(rooms).unwrap(), "s1", ME)
    }

    #[expect(clippy::needless_pass_by_value, reason = "each call has a literal")]
    fn joined(room: &str, sender: &str, count: Value, receipts: Value) -> Value {
        let event = json!({"type": "m.room.encrypted", "event_id": "$1", "sender": sender});
        json!({"join": {room: {
            "timeline": {"events": [event]}, "unread_notifications": {"notification_count": count},
            "ephemeral": {"events": [{"type": "m.receipt", "content": receipts}]},
        }}})
    }

    #[test]
    fn encrypted_events_of_mention_rooms_are_evaluated_here() {
        let nothing = || json!({});
        let counted = incoming(joined("!r", "@bob:hs", json!(2), nothing())).unwrap();
        assert!(counted.lists_new && counted.unjudged.is_empty());
        assert!(incoming(joined("!r", "@bob:hs", Value::Null, nothing())).unwrap().lists_new, "no count: nobody knows");
        let few = incoming(joined("!few", "@bob:hs", json!(0), nothing())).unwrap();
        assert_eq!((few.lists_new, few.unjudged.len()), (false, 1));
        let own = incoming(joined("!few", ME, json!(0), nothing())).unwrap();
        assert!(own.unjudged.is_empty());
        assert!(
            own.read.iter().all(|read| read.what == WhatWasRead::Invite),
            "it is joined, and nothing of it is read"
        );
        assert!(incoming(json!({"invite": {"!i": {}}})).unwrap().lists_new);
        assert_eq!(incoming(json!({})), None);
    }

    #[test]
    fn new_events_of_a_room_come_with_its_counts() {
        let event = |id: &str, sender: &str, kind: &str| json!({"type": kind, "event_id": id, "sender": sender});
        let news = |room: &str, counts: Value| {
            let kinds = ["m.room.encrypted", "m.room.message"];
            let events =
                [event("$1", "@bob:hs", kinds[0]), event("$2", ME, kinds[1]), event("$3", "@bob:hs", kinds[1])];
            let timeline = json!({"events": events, "limited": true});
            let room = json!({"join": {room: {"timeline": timeline, "unread_notifications": counts}}});
            let mut rooms = incoming(room).unwrap_or_default().rooms;
            assert!(rooms.iter().all(|room| room.is_limited));
            rooms.pop().map(|news| (news.event_ids.join(" "), news.unread, news.highlights))
        };
        let counts = json!({"notification_count": 2, "highlight_count": 1});
        assert_eq!(news("!r", counts.clone()), Some(("$1 $3".to_owned(), Some(2), 1)));
        assert_eq!(news("!few", counts), Some(("$3".to_owned(), Some(2), 1)), "the other is judged here");
        let left_out = |room: &str| {
            let timeline = json!({"events": [], "limited": true, "prev_batch": "p"});
            let rooms =
                json!({"join": {room: {"timeline": timeline, "unread_notifications": {"notification_count": 0}}}});
            incoming(rooms).unwrap_or_default().gaps
        };
        let gap = Gap { room_id: "!few".to_owned(), after: "s1".to_owned(), before: "p".to_owned() };
        assert_eq!((left_out("!r"), left_out("!few")), (vec![], vec![gap]));
        assert_eq!(news("!r", json!({"notification_count": 0})), None);
        assert_eq!(news("!r", json!({})), Some(("$1 $3".to_owned(), None, 0)), "nobody knows");
    }

    #[test]
    fn own_receipts_and_zero_counts_mark_as_read() {
        let read = |room: &str, count: u64, receipts: Value| {
            let incoming = incoming(joined(room, ME, json!(count), receipts)).unwrap_or_default();
            let read = incoming.read.into_iter().map(|read| read.what);
            read.filter(|what| *what != WhatWasRead::Invite).collect::<Vec<_>>()
        };
        let of = |thread: &str| WhatWasRead::UpTo { event_id: "$7".to_owned(), thread: Some(thread.to_owned()) };
        let up_to = || [of("main")];
        let mine = |kind: &str| json!({"$7": {kind: {ME: {"ts": 1, "thread_id": "main"}}}});
        let both = json!({"$7": {"m.read": {ME: {"thread_id": "$5"}}, "m.read.private": {ME: {"ts": 1}}}});
        let everywhere = WhatWasRead::UpTo { event_id: "$7".to_owned(), thread: None };
        assert_eq!(read("!r", 1, both), [of("$5"), everywhere]);
        assert_eq!(read("!r", 0, json!({})), [WhatWasRead::All]);
        assert_eq!(read("!r", 1, mine("m.read")), up_to());
        assert_eq!(read("!r", 1, mine("m.read.private")), up_to());
        assert_eq!(read("!few", 0, mine("m.read")), up_to(), "its count is always zero");
        assert_eq!(read("!r", 1, json!({"$7": {"m.read": {"@bob:hs": {}}}})), []);
        assert_eq!(read("!r", 1, json!([7])), []);
    }

    #[test]
    fn a_filter_has_only_valid_room_ids() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let filter = |interest: Interest| -> Value { serde_json::from_str(&interest.filter()).unwrap() };
        let hash = format!("!{}", "a".repeat(43));
        let messages = Messages {
            muted: ids(&["!muted:hs", "!Kitchen"]),
            unread: ids(&["!r:hs", &hash, "Kitchen:hs"]),
            ..Messages::default()
        };
        let room = &filter(Interest { ringing: Vec::new(), messages: Some(messages) })["room"];
        assert_eq!(room["not_rooms"], json!(["!muted:hs"]));
        assert_eq!(room["ephemeral"], json!({"types": ["m.receipt"], "rooms": [hash, "!r:hs"]}));
        let idle = Interest { ringing: Vec::new(), messages: Some(Messages::default()) };
        assert_eq!(filter(idle)["room"]["ephemeral"], json!({"not_types": ["*"]}));
        let calls = Interest { ringing: vec!["!call:hs".to_owned(), "!Kitchen".to_owned()], messages: None };
        assert_eq!(filter(calls)["room"]["rooms"], json!(["!call:hs"]));
    }
}
