//! An event as the client-server API has it, read into the push that would have brought it (pure).
//!
//! As lenient as a push: what cannot be read counts as absent.

use super::{
    lenient::{Object, Value},
    notify::{self, Notification, Priority, SoundTweak, Tweaks},
};

/// An entry of `GET /notifications`: what a push has said, or would have said.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The event. It always has an `event_id`; it never has names, counts and devices.
    pub notification: Notification,
    /// What `actions` say.
    pub tweaks: Tweaks,
    /// When the homeserver got the event, in milliseconds by its clock.
    pub ts: Option<i64>,
    /// The person has read it.
    pub read: bool,
}

/// A page of `GET /notifications`, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListedPage {
    /// The entries with an event that has an id.
    pub entries: Vec<Listed>,
    /// Where the next page begins, if there is one.
    pub next_token: Option<String>,
}

impl ListedPage {
    /// Reads an answer to `GET /notifications` for this user; none if it has no list.
    #[must_use]
    pub fn read(json: &str, user_id: &str) -> Option<Self> {
        let answer = Object::read(json)?;
        let entries = answer.get("notifications")?.array()?;
        Some(Self {
            entries: entries.into_iter().filter_map(|entry| listed(entry, user_id)).collect(),
            next_token: answer.string("next_token").map(std::borrow::Cow::into_owned),
        })
    }
}

fn listed(entry: Value<'_>, user_id: &str) -> Option<Listed> {
    let entry = entry.object()?;
    let mut notification = event(&entry.object("event")?, user_id);
    notification.event_id.as_ref()?;
    notification.room_id = notify::id(&entry, "room_id").or(notification.room_id);
    let tweaks = entry.get("actions").and_then(Value::array).map(notify::tweaks_of_actions).unwrap_or_default();
    notification.prio = prio(&notification, &tweaks);
    let ts = entry.get("ts").and_then(Value::whole_number).and_then(|ts| i64::try_from(ts).ok());
    Some(Listed { notification, tweaks, ts, read: entry.is_true("read") })
}

/// Reads the answer to `GET /rooms/{room}/event/{event}` for this user; none if it is no event.
#[must_use]
pub(crate) fn single_event(json: &str, user_id: &str) -> Option<Notification> {
    let event = event(&Object::read(json)?, user_id);
    (event.event_id.is_some() && event.event_type.is_some()).then_some(event)
}

/// An event of a room, by its ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRef {
    /// `room_id`
    pub room_id: String,
    /// `event_id`
    pub event_id: String,
}

/// An event of a room, as far as it can say what has become of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct RoomEvent {
    /// `event_id`
    pub event_id: String,
    /// `sender`
    pub sender: String,
    /// `type`
    pub event_type: String,
    /// `content`, as JSON text.
    pub content: String,
    /// It was sent by the session that asks (`unsigned.transaction_id`).
    pub is_of_this_session: bool,
}

impl RoomEvent {
    /// What it is, only those who have its key can tell.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.event_type == "m.room.encrypted"
    }
}

/// Reads the answer to `GET /rooms/{room}/messages`; none if it has no list. What is no event is left out.
#[must_use]
pub(crate) fn room_events(json: &str) -> Option<Vec<RoomEvent>> {
    let answer = Object::read(json)?;
    let chunk = answer.get("chunk")?.array()?;
    Some(chunk.into_iter().filter_map(|event| room_event(&event.object()?)).collect())
}

fn room_event(event: &Object<'_>) -> Option<RoomEvent> {
    Some(RoomEvent {
        event_id: notify::id(event, "event_id")?,
        sender: notify::id(event, "sender")?,
        event_type: notify::id(event, "type")?,
        content: event.get("content").map(|content| content.json().to_owned()).unwrap_or_default(),
        is_of_this_session: event.object("unsigned").is_some_and(|unsigned| unsigned.get("transaction_id").is_some()),
    })
}

fn event(event: &Object<'_>, user_id: &str) -> Notification {
    let content = event.object("content").unwrap_or_default();
    let event_type = notify::id(event, "type");
    let is_member = event_type.as_deref() == Some("m.room.member");
    Notification {
        event_id: notify::id(event, "event_id"),
        room_id: notify::id(event, "room_id"),
        sender: notify::id(event, "sender"),
        user_is_target: is_member && event.string("state_key").as_deref() == Some(user_id),
        membership: is_member.then(|| notify::id(&content, "membership")).flatten(),
        content: notify::content(event),
        event_type,
        ..Notification::default()
    }
}

/// As homeservers tell it with a push: low is what neither sounds nor is highlighted, if that can be known.
fn prio(notification: &Notification, tweaks: &Tweaks) -> Priority {
    let is_encrypted = notification.event_type.as_deref() == Some("m.room.encrypted");
    if tweaks.highlight || tweaks.sound != SoundTweak::Silent || is_encrypted { Priority::High } else { Priority::Low }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_the_push_that_would_have_brought_it() {
        let page = r#"{"next_token":"7","notifications":[{"actions":["notify",{"set_tweak":"highlight"},
            {"set_tweak":"sound","value":"default"}],"event":{"content":{"body":"hi","msgtype":"m.text"},
            "event_id":"$1","sender":"@bob:hs","type":"m.room.message","origin_server_ts":5},"profile_tag":null,
            "read":true,"room_id":"!r:hs","ts":1790000000123}]}"#;
        let page = ListedPage::read(page, "@alice:hs").unwrap();
        assert_eq!(page.next_token.as_deref(), Some("7"));
        let [entry] = page.entries.as_slice() else { panic!("{page:?}") };
        let push = &entry.notification;
        assert_eq!(push.event_id.as_deref(), Some("$1"));
        assert_eq!(push.room_id.as_deref(), Some("!r:hs"));
        assert_eq!(push.sender.as_deref(), Some("@bob:hs"));
        assert_eq!(push.content.as_deref().unwrap(), r#"{"body":"hi","msgtype":"m.text"}"#);
        assert_eq!(push.prio, Priority::High);
        assert_eq!(entry.tweaks, Tweaks { sound: SoundTweak::Named("default".into()), highlight: true });
        assert_eq!((entry.ts, entry.read), (Some(1_790_000_000_123), true));
    }

    #[test]
    fn an_entry_has_the_priority_and_room_that_its_push_would_have() {
        let check = |event_type: &str, actions: &str, expected: Priority| {
            let page = format!(
                r#"{{"notifications":[{{"actions":{actions},"event":{{"event_id":"$1","room_id":"!r","type":"{event_type}"}}}}]}}"#
            );
            let entry = ListedPage::read(&page, "@alice:hs").unwrap().entries.remove(0).notification;
            assert_eq!((entry.prio, entry.room_id.as_deref()), (expected, Some("!r")), "{page}");
        };
        check("m.room.message", r#"["notify"]"#, Priority::Low);
        check("m.room.message", r#"[{"set_tweak":"sound","value":"x"}]"#, Priority::High);
        check("m.room.message", r#"[{"set_tweak":"highlight"}]"#, Priority::High);
        check("m.room.encrypted", r#"["notify"]"#, Priority::High);
    }

    #[test]
    fn what_an_entry_says_oddly_counts_as_absent() {
        fn check(entry: &str, expected: Option<&(Tweaks, Option<i64>, bool)>) {
            let page = format!(r#"{{"notifications":[7,null,{entry}]}}"#);
            let page = ListedPage::read(&page, "@alice:hs").unwrap();
            assert_eq!(page.next_token, None);
            let found = page.entries.first().map(|entry| (entry.tweaks.clone(), entry.ts, entry.read));
            assert_eq!(found.as_ref(), expected, "{entry}");
        }
        let plain = (Tweaks::default(), None, false);
        check("[]", None);
        check(r#"{"event":{"type":"m.room.message"}}"#, None);
        check(r#"{"event":{"event_id":""}}"#, None);
        check(r#"{"event":{"event_id":"$1"}}"#, Some(&plain));
        check(r#"{"event":{"event_id":"$1"},"actions":{},"ts":"x","read":1}"#, Some(&plain));
        let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
        check(&format!(r#"{{"event":{{"event_id":"$1","content":{{"a":{deep}}}}}}}"#), Some(&plain));
        let odd = r#"{"event":{"event_id":"$1"},"actions":[{"set_tweak":"sound","value":"../x"},{"set_tweak":"highlight","value":false}]}"#;
        check(odd, Some(&(Tweaks { sound: SoundTweak::Unusable, highlight: false }, None, false)));
        for no_list in ["", "[]", "{}", r#"{"notifications":{}}"#] {
            assert!(ListedPage::read(no_list, "@alice:hs").is_none(), "{no_list}");
        }
    }

    #[test]
    fn events_of_a_room_are_read_as_far_as_they_are_events() {
        let whole = r#"{"event_id":"$1","sender":"@bob:hs","type":"m.call.hangup","content":{"call_id":"c"},
            "unsigned":{"age":7,"transaction_id":"t"}}"#;
        let bare = r#"{"event_id":"$2","sender":"@bob:hs","type":"m.x","unsigned":{"transaction_id":null}}"#;
        let odd = r#"7,null,[],{},{"event_id":"$3"},{"event_id":"$3","sender":"","type":"m.x"}"#;
        let events = room_events(&format!(r#"{{"chunk":[{whole},{odd},{bare}]}}"#)).unwrap();
        let event = |number: &str, event_type: &str, content: &str, is_of_this_session| RoomEvent {
            event_id: number.to_owned(),
            sender: "@bob:hs".to_owned(),
            event_type: event_type.to_owned(),
            content: content.to_owned(),
            is_of_this_session,
        };
        let expected = [event("$1", "m.call.hangup", r#"{"call_id":"c"}"#, true), event("$2", "m.x", "", false)];
        assert_eq!(events, expected);
        for no_list in ["", "[]", "{}", r#"{"chunk":{}}"#] {
            assert_eq!(room_events(no_list), None, "{no_list}");
        }
    }

    #[test]
    fn a_sound_that_is_listed_is_the_one_that_is_pushed() {
        for value in ["\"bing\"", "\"\"", "\"../x\"", "true", "false", "null", "{}", "7"] {
            let page = format!(
                r#"{{"notifications":[{{"actions":[{{"set_tweak":"sound","value":{value}}}],"event":{{"event_id":"$1"}}}}]}}"#
            );
            let push = format!(
                r#"{{"notification":{{"devices":[{{"app_id":"a","pushkey":"k","tweaks":{{"sound":{value}}}}}]}}}}"#
            );
            let listed = ListedPage::read(&page, "@alice:hs").unwrap().entries.remove(0).tweaks;
            let pushed = Notification::parse(push.as_bytes()).unwrap().devices.remove(0).tweaks;
            assert_eq!(listed, pushed, "{value}");
        }
    }

    #[test]
    fn an_invite_says_whom_it_is_for() {
        let invite = r#"{"event_id":"$1","room_id":"!r","type":"m.room.member","sender":"@bob:hs",
            "state_key":"@alice:hs","content":{"membership":"invite"}}"#;
        let check = |user: &str, is_target: bool| {
            let event = single_event(invite, user).unwrap();
            assert_eq!((event.membership.as_deref(), event.user_is_target), (Some("invite"), is_target));
        };
        check("@alice:hs", true);
        check("@carol:hs", false);
        assert!(single_event(r#"{"errcode":"M_NOT_FOUND"}"#, "@alice:hs").is_none());
    }
}
